//! `lockstep promotions check`: what a change still lacks, asked before the merge.

use std::collections::BTreeSet;

use clap::Args;
use jiff::Timestamp;

use super::super::output::{Output, clean_lines};
use super::super::progress::Progress;
use super::super::scope::Scope;
use super::super::words::bare;
use super::super::{Failure, Outcome};
use super::check_view;
use crate::queries::promotions::ahead::{Outlook, Unanswered, ahead};
use crate::queries::promotions::change_words::ChangeWords;
use crate::queries::promotions::rows::Wanted;

/// What a change lacks before it may run in each environment that it would go to, asked before the merge
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  lockstep promotions check 42 -n ml-fraud
  lockstep promotions check https://gerrit.example.com/c/ml/fraud/+/42
  lockstep promotions check I0123456789abcdef0123456789abcdef01234567 --environment prod --output json

The newest patch set is put before the gate as if it were submitted now, on top of what the branch holds: what was
pushed there around review would refuse it as well. Nothing is written. Gerrit is read with the connection's own
credential, so you must be allowed to read that.

Exit codes:
  0   nothing is missing; it may have to wait after the merge
  1   failed, or part of it could not be judged
  2   something is missing
  64  the command line is not understood")]
pub(super) struct Check {
    /// Number, Change-Id or address of the change
    #[arg(value_name = "CHANGE")]
    change: String,
    /// Only for this policy
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Only for environments of this name
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn check(args: Check) -> Result<Outcome, Failure> {
    let words = ChangeWords::read(&args.change).map_err(Failure)?;
    let progress = Progress::start();
    let place = args.scope.connect().await?;
    let namespaces = BTreeSet::from([place.namespace.clone()]);
    let reading = args.scope.read(&place, namespaces, &progress).await?;
    for note in &reading.listing.promotion_notes {
        progress.note(note);
    }
    progress.say("reading the change, and everything below it");
    let wanted = Wanted {
        policy: args.policy.as_deref().map(bare),
        environment: args.environment.as_deref(),
    };
    let answer = ahead(&words, &place.namespace, wanted, &reading.context).await;
    drop(progress);
    let outlooks = answer.map_err(|unanswered| unread(&unanswered))?;
    let now = Timestamp::now();
    args.output
        .print(&outlooks, |outlooks| check_view::outlooks(outlooks, now))?;
    outcome(&outlooks)
}

/// An answer that misses something must not pass for a whole one.
fn outcome(outlooks: &[Outlook]) -> Result<Outcome, Failure> {
    let problems: Vec<String> = outlooks
        .iter()
        .filter_map(|outlook| {
            let problem = outlook.problem.as_ref()?;
            Some(format!(
                "  change {} in environment {} of PromotionPolicy {}: {problem}",
                outlook.change, outlook.environment, outlook.policy
            ))
        })
        .collect();
    if !problems.is_empty() {
        return Err(Failure(clean_lines(&format!(
            "this could not be judged:\n{}",
            problems.join("\n")
        ))));
    }
    let passes = outlooks.iter().all(|outlook| outlook.passes);
    Ok(if passes { Outcome::Done } else { Outcome::Differs })
}

fn unread(unanswered: &Unanswered) -> Failure {
    let Unanswered { why, no_credential } = unanswered;
    let mut said = clean_lines(why);
    if *no_credential {
        said.push_str(
            "\nGerrit is read with what the connection logs in with. Have it checked by somebody who may read that, or \
             let yourself get the Secret. After the merge the operator says on the change what it finds.",
        );
    }
    Failure(said)
}

#[cfg(test)]
mod tests {
    use super::super::samples::outlook;
    use super::*;

    #[test]
    fn what_could_not_be_judged_is_no_answer() {
        let whole = outlook();
        assert_eq!(outcome(std::slice::from_ref(&whole)).unwrap(), Outcome::Done);
        let mut lacking = whole.clone();
        lacking.passes = false;
        assert_eq!(outcome(&[whole.clone(), lacking]).unwrap(), Outcome::Differs);
        let mut torn = whole.clone();
        torn.problem = Some("the policy has not come to a baseline yet".into());
        let Failure(said) = outcome(&[whole, torn]).unwrap_err();
        assert!(
            said.contains("prod of PromotionPolicy fraud: the policy has not come"),
            "{said}"
        );
    }

    #[test]
    fn who_may_not_read_the_credential_is_told_what_to_do() {
        let unanswered = |no_credential| Unanswered {
            why: "Secret ml-fraud/gerrit may not be read".into(),
            no_credential,
        };
        assert!(unread(&unanswered(true)).0.contains("somebody who may read that"));
        assert!(!unread(&unanswered(false)).0.contains("somebody"));
    }
}
