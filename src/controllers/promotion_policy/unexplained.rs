//! What nobody explains, and the person who accepts it: exactly these runs and writes are a plan, so that a yes to some
//! says nothing of those that come after.

use std::collections::BTreeSet;

use lockstep_core::api::promotion_policy::{OnUnexplained, PlanSubject};
use lockstep_core::domain::promotion::machine::queue::{Hold, Wishes};
use lockstep_core::domain::promotion::proof::ledger::Ledger;
use serde_json::json;

use super::approvals::{Ask, Wanted};

/// What is to be acknowledged. `None`: everything is explained.
pub fn wanted(environment: &str, ledger: &Ledger) -> Option<Wanted> {
    let what = ledger.strange()?;
    let lines = ledger.strangers.iter().map(ToString::to_string);
    let head = format!("environment {environment}: acknowledge {what}");
    Some(Wanted {
        subject: PlanSubject::Runs,
        environment: Some(environment.to_owned()),
        effect: json!({"count": ledger.unexplained, "all": ledger.open}),
        message: format!("environment {environment}: {what}"),
        lines: std::iter::once(head).chain(lines).collect(),
        interested: BTreeSet::new(),
    })
}

/// Whether a hold is because of what nobody explains: no promotion failed.
pub fn is_held_for_it(hold: Option<&Hold>) -> bool {
    hold.is_some_and(|hold| hold.promotion.is_none())
}

/// What it means for the environment's queue: a yes ends the hold, and without one it is held.
pub fn wishes(
    asked: Option<&Ask>,
    hold: Option<&Hold>,
    on: OnUnexplained,
    ledger: Option<&Ledger>,
) -> Wishes {
    match asked {
        None => Wishes::default(),
        Some(Ask { approval: Ok(_), .. }) => Wishes {
            resume: is_held_for_it(hold),
            unexplained: None,
        },
        Some(_) => Wishes {
            resume: false,
            unexplained: ledger
                .filter(|_| on == OnUnexplained::Hold)
                .and_then(Ledger::strange),
        },
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use lockstep_core::domain::ports::ObjectKey;
    use lockstep_core::domain::promotion::proof::completeness::{Act, Occurrence};
    use lockstep_core::domain::promotion::proof::ledger::{Judged, Sight};

    use super::super::approvals::Approvals;
    use super::*;

    fn seen(runs: &[u64]) -> Ledger {
        let event = |n: &u64| Judged {
            occurrence: Occurrence {
                act: Act::Run,
                address: format!("databricks://1/runs/{n}"),
                by: None,
                at: Some(Timestamp::UNIX_EPOCH),
            },
            explained: false,
        };
        let mut ledger = Ledger::begin(Timestamp::UNIX_EPOCH);
        ledger.take_in(&Sight {
            events: runs.iter().map(event).collect(),
            ..Sight::default()
        });
        ledger
    }

    fn asked(runs: &[u64]) -> Option<Ask> {
        let object = ObjectKey {
            kind: "PromotionPolicy".into(),
            namespace: "ml".into(),
            name: "fraud".into(),
            uid: "1".into(),
        };
        let approvals = Approvals {
            object: &object,
            all: &[],
            changed_by: None,
            protected_since: None,
            now: Timestamp::UNIX_EPOCH,
        };
        wanted("prod", &seen(runs)).map(|wanted| approvals.ask(wanted))
    }

    #[test]
    fn a_yes_to_one_run_says_nothing_of_another() {
        let digest = |runs: &[u64]| asked(runs).unwrap().digest;
        assert_eq!(digest(&[1]), digest(&[1]));
        for other in [digest(&[2]), digest(&[1, 2])] {
            assert_ne!(digest(&[1]), other);
        }
    }

    #[test]
    fn a_plan_names_every_run_that_it_can() {
        assert!(asked(&[]).is_none());
        let plan = asked(&[1, 2]).unwrap().pending().unwrap();
        assert_eq!(plan.subject, PlanSubject::Runs);
        let summary = plan.summary.join("\n");
        assert!(summary.contains("2 runs that no promotion explains"), "{summary}");
        assert!(
            summary.contains("runs/1") && summary.contains("runs/2"),
            "{summary}"
        );
    }

    #[test]
    fn a_report_holds_nothing() {
        let waiting = asked(&[1]);
        let ledger = seen(&[1]);
        let held = wishes(waiting.as_ref(), None, OnUnexplained::Hold, Some(&ledger));
        assert!(held.unexplained.is_some_and(|why| why.contains("runs/1")));
        let reported = wishes(waiting.as_ref(), None, OnUnexplained::Report, Some(&ledger));
        assert_eq!(reported, Wishes::default());
    }
}
