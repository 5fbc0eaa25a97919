//! `lockstep promotions list`: the picture, and the promotions behind it.

use std::io::IsTerminal as _;

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;

use super::super::output::{Format, Output};
use super::super::scope::Where;
use super::super::{Failure, Outcome};
use super::{list_view, look};
use crate::queries::promotions::Sight;
use crate::queries::promotions::picture::{Picture, pictures};
use crate::queries::promotions::rows::{Row, Wanted, rows};

/// What runs in each environment, what acts, what is held and why, and every promotion, newest first
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep promotions list -n ml-fraud
  lockstep promotions list --policy fraud --environment prod
  lockstep promotions list -A --output json

Each policy is drawn first: its environments in the order in which changes go through them. Revisions are the first
8 digits of the commit.

Exit codes:
  0   listed
  1   failed, or there is no such policy or environment
  64  the command line is not understood")]
pub(super) struct List {
    /// Only of this policy
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Only of environments of this name
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Policies and promotions of all namespaces
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    all: bool,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    output: Output,
}

/// The whole answer.
#[derive(Debug, Serialize)]
pub(super) struct Overview {
    pub(super) policies: Vec<Picture>,
    pub(super) promotions: Vec<Row>,
}

pub(super) async fn list(args: List) -> Result<Outcome, Failure> {
    let place = args.place.connect().await?;
    let sight = look(&args.place, &place, args.all).await?;
    let now = Timestamp::now();
    let wanted = Wanted {
        policy: args.policy.as_deref(),
        environment: args.environment.as_deref(),
    };
    let overview = overview(&sight, wanted, now).map_err(Failure)?;
    let fancy = args.output.output == Format::Table && std::io::stdout().is_terminal();
    args.output.print(&overview, |overview| {
        list_view::overview(overview, args.all, fancy, now)
    })?;
    Ok(Outcome::Done)
}

/// What is asked for; a name that nothing bears is a mistake, not an empty list.
fn overview(sight: &Sight, wanted: Wanted<'_>, now: Timestamp) -> Result<Overview, String> {
    let policies = sight.policies.iter().filter(|policy| {
        wanted.policy.is_none_or(|name| policy.name_any() == name)
            && wanted.environment.is_none_or(|name| {
                let environments = &policy.spec.environments;
                environments.iter().any(|environment| environment.name == name)
            })
    });
    let overview = Overview {
        policies: pictures(sight, policies, now),
        promotions: rows(sight, wanted),
    };
    if overview.policies.is_empty() && overview.promotions.is_empty() {
        match (wanted.policy, wanted.environment) {
            (None, None) => {}
            (Some(policy), None) => {
                return Err(format!(
                    "there is no PromotionPolicy {policy} here: look elsewhere with -n or -A"
                ));
            }
            (policy, Some(environment)) => {
                let of = policy.map_or_else(
                    || "any PromotionPolicy".to_owned(),
                    |policy| format!("PromotionPolicy {policy}"),
                );
                return Err(format!(
                    "there is no environment {environment} of {of} here: look elsewhere with -n or -A"
                ));
            }
        }
    }
    Ok(overview)
}
