//! `lockstep plan`: what would change, for what is applied or for files that are not yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::AccessBinding;
use lockstep_core::domain::ports::{Cluster as _, ConnectionKey, ConnectionKind};
use serde::Serialize;

use super::manifests::{self, Manifests};
use super::output::Output;
use super::plan_view;
use super::progress::Progress;
use super::scope::Scope;
use super::words::bare;
use super::{Failure, Outcome, block_on};

use crate::queries::difference::{Difference, difference};
use crate::runtime::{Listing, Reading, rehearse};

/// Bindings that are read at once.
const AT_ONCE: usize = 4;

/// Show what would change in Gerrit and Databricks, and change nothing
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep plan                              all bindings of the namespace
  lockstep plan fraud-engineers -n ml-fraud  one binding
  lockstep plan -A                           all bindings in sight
  lockstep plan -f team.yaml                 what the file would change if it were applied
  kustomize build . | lockstep plan -f -     the same from stdin

Connections and namespaces in the files count as well; their Secrets are read from the cluster.
A binding that observes or is suspended changes nothing: the plan shows what it would do.

Exit codes:
  0   nothing would change
  1   failed, or part of the plan could not be made: stderr and the plan say why
  2   something would change
  64  the command line is not understood")]
pub(super) struct PlanArgs {
    /// Name of one binding
    name: Option<String>,
    /// Files with manifests that are not applied yet; - is stdin
    #[arg(long, short, value_name = "FILE")]
    file: Vec<String>,
    /// Bindings of all namespaces
    #[arg(long, short = 'A', conflicts_with_all = ["name", "namespace"])]
    all: bool,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    output: Output,
}

/// The whole answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plans {
    /// Whether anything would change.
    pub(super) differs: bool,
    pub(super) add: usize,
    pub(super) set: usize,
    pub(super) remove: usize,
    pub(super) blocked: usize,
    pub(super) bindings: Vec<Difference>,
}

pub(super) fn plan(args: PlanArgs) -> Result<Outcome, Failure> {
    block_on(async move {
        let progress = Progress::start();
        let plans = find(&args, &progress).await?;
        drop(progress);
        args.output.print(&plans, plan_view::plans)?;
        let incomplete: usize = plans.bindings.iter().map(|plan| plan.problems.len()).sum();
        if incomplete > 0 {
            return Err(Failure(format!(
                "the plan is incomplete: {incomplete} problems, named above"
            )));
        }
        Ok(if plans.differs {
            Outcome::Differs
        } else {
            Outcome::Done
        })
    })
}

async fn find(args: &PlanArgs, progress: &Progress) -> Result<Plans, Failure> {
    let place = args.scope.connect().await?;
    let files = if args.file.is_empty() {
        None
    } else {
        Some(manifests::read(&args.file, &place.namespace).map_err(Failure)?)
    };
    let mut namespaces = BTreeSet::from([place.namespace.clone()]);
    if let Some(files) = &files {
        namespaces.extend(files.places.keys().map(|(namespace, _)| namespace.clone()));
    }
    let mut reading = args.scope.read(&place, namespaces, progress).await?;
    let mut wanted: Vec<(Arc<AccessBinding>, bool)> = Vec::new();
    if let Some(files) = files {
        judge(&reading, &files, progress).await?;
        let names: Vec<(String, String)> = files.places.keys().cloned().collect();
        let before = reading.listing.clone();
        reading = overlay(reading, files, progress).await;
        for (namespace, name) in names {
            if args.name.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            if let Some(binding) = reading.listing.binding(&namespace, &name) {
                let old = before.binding(&namespace, &name);
                let applied = old.is_some_and(|old| old.spec == binding.spec);
                wanted.push((binding, applied));
            }
        }
        if wanted.is_empty() {
            return Err(Failure("the files hold no AccessBinding of that name".into()));
        }
    } else {
        wanted = applied(args, &reading, &place.namespace)?
            .into_iter()
            .map(|binding| (binding, true))
            .collect();
    }
    let plans = differences(&reading, wanted, progress).await;
    Ok(sum(plans))
}

fn applied(args: &PlanArgs, reading: &Reading, namespace: &str) -> Result<Vec<Arc<AccessBinding>>, Failure> {
    if let Some(name) = &args.name {
        let name = bare(name);
        let found = reading.listing.binding(namespace, name);
        return found.map(|binding| vec![binding]).ok_or_else(|| {
            Failure(format!(
                "there is no AccessBinding {name} in namespace {namespace}: name another with -n"
            ))
        });
    }
    let mut found = reading.listing.bindings();
    found.retain(|binding| args.all || binding.namespace().as_deref() == Some(namespace));
    Ok(found)
}

/// What the API server says to the files, where the caller may ask it.
async fn judge(reading: &Reading, files: &Manifests, progress: &Progress) -> Result<(), Failure> {
    progress.say("asking the API server about the files");
    let mut errors = Vec::new();
    for (place, object) in &files.written {
        match rehearse(&reading.client, object).await {
            Ok(None) => {}
            Ok(Some(why)) => progress.note(&format!("{place}: not checked by the API server: {why}")),
            Err(refused) => errors.extend(refused.into_iter().map(|why| format!("{place}: {why}"))),
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure(errors.join("\n")))
    }
}

async fn overlay(reading: Reading, files: Manifests, progress: &Progress) -> Reading {
    let Manifests {
        bindings,
        gerrit,
        databricks,
        namespaces,
        skipped: _,
        places: _,
        written: _,
    } = files;
    let listing = &reading.listing;
    let mut probe = Vec::new();
    let key = |kind, namespace: Option<String>, name: String| ConnectionKey {
        kind,
        namespace: namespace.unwrap_or_default(),
        name,
    };
    for new in &gerrit {
        let old = listing.gerrit_connection(&new.namespace().unwrap_or_default(), &new.name_any());
        if old.is_none_or(|old| old.spec.url != new.spec.url || old.spec.auth != new.spec.auth) {
            probe.push(key(ConnectionKind::Gerrit, new.namespace(), new.name_any()));
        }
    }
    for new in &databricks {
        let old = listing.databricks_connection(&new.namespace().unwrap_or_default(), &new.name_any());
        if old.is_none_or(|old| {
            (&old.spec.host, &old.spec.account, &old.spec.auth)
                != (&new.spec.host, &new.spec.account, &new.spec.auth)
        }) {
            probe.push(key(ConnectionKind::Databricks, new.namespace(), new.name_any()));
        }
    }
    if !probe.is_empty() {
        progress.say("asking the connections of the files who they reach");
    }
    let lay = |listing: &mut Listing| {
        for (name, labels) in namespaces {
            listing.put_namespace(&name, labels);
        }
        for mut new in gerrit {
            if let Some(old) =
                listing.gerrit_connection(&new.namespace().unwrap_or_default(), &new.name_any())
            {
                new.metadata.clone_from(&old.metadata);
                new.status.clone_from(&old.status);
            }
            listing.put_gerrit(new);
        }
        for mut new in databricks {
            let old = listing.databricks_connection(&new.namespace().unwrap_or_default(), &new.name_any());
            if let Some(old) = old {
                new.metadata.clone_from(&old.metadata);
                new.status.clone_from(&old.status);
            }
            listing.put_databricks(new);
        }
        for mut new in bindings {
            let namespace = new.namespace().unwrap_or_default();
            if let Some(old) = listing.binding(&namespace, &new.name_any()) {
                new.metadata.clone_from(&old.metadata);
                new.status.clone_from(&old.status);
            } else {
                // Bindings are told apart by uid, and this one has none yet.
                new.metadata.uid = Some(format!("new {namespace}/{}", new.name_any()));
                new.metadata.creation_timestamp = None;
                new.status = None;
            }
            listing.put_binding(new);
        }
    };
    reading.overlaid(lay, &probe).await
}

/// Plans of several bindings, from readings that they share.
pub(super) async fn differences(
    reading: &Reading,
    wanted: Vec<(Arc<AccessBinding>, bool)>,
    progress: &Progress,
) -> Vec<Difference> {
    use futures::StreamExt as _;
    let fresh: Timestamp = reading.context.clock.now();
    let all = wanted.len();
    progress.say(&format!("reading Gerrit and Databricks: 0 of {all} bindings"));
    let mut plans: Vec<Difference> = Vec::with_capacity(all);
    let context = &reading.context;
    let mut found = futures::stream::iter(
        wanted
            .into_iter()
            .map(|(binding, applied)| async move { difference(&binding, context, fresh, applied).await }),
    )
    .buffered(AT_ONCE);
    while let Some(plan) = found.next().await {
        plans.push(plan);
        progress.say(&format!(
            "reading Gerrit and Databricks: {} of {all} bindings",
            plans.len()
        ));
    }
    plans
}

fn sum(plans: Vec<Difference>) -> Plans {
    use crate::queries::difference::Sign;
    let count = |sign: Sign| {
        plans
            .iter()
            .flat_map(|plan| &plan.changes)
            .filter(|line| line.sign == sign)
            .count()
    };
    let blocked = plans
        .iter()
        .flat_map(|plan| &plan.changes)
        .filter(|line| line.blocked)
        .count();
    Plans {
        differs: plans.iter().any(Difference::changes_anything),
        add: count(Sign::Add),
        set: count(Sign::Set),
        remove: count(Sign::Remove),
        blocked,
        bindings: plans,
    }
}
