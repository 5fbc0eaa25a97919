//! What was changed by hand, told with names and counted once.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::domain::access::drift::{Deed, Hands};
use lockstep_core::domain::access::grant::{Principal, Target};

use super::super::super::Context;
use super::super::Gathered;
use super::super::apply::Outcome;

/// One sentence for each thing that was changed by hand. Asked after the repair, which waits for no name, and one call
/// for each group. A drift that stands, under `Observe` or a brake, is asked about again in each pass: a read at the
/// interval is cheaper than a memory that says yesterday's name. A system that does not answer leaves the name out.
pub(super) async fn told(gathered: &Gathered, outcome: &Outcome) -> Vec<String> {
    let drift = &outcome.planned.decision.drift;
    let mut asked: BTreeMap<&Target, Vec<(Principal, Deed)>> = BTreeMap::new();
    for found in drift {
        if let Some(member) = &found.member {
            asked.entry(&found.target).or_default().push(member.clone());
        }
    }
    let mut hands = Hands::new();
    for (target, members) in asked {
        let Some(system) = gathered.systems.get(&target.system()) else {
            continue;
        };
        match system.who(target, &members).await {
            Ok(found) => {
                hands.insert(target.clone(), found);
            }
            Err(error) => tracing::debug!(%error, "whose hand it was is not known"),
        }
    }
    drift.iter().map(|found| found.told(&hands)).collect()
}

/// Whether a message of several sentences holds this one, whatever is said of whose hand it was.
fn is_told(message: &str, text: &str) -> bool {
    message.split("; ").any(|told| told.starts_with(text))
}

/// Counts what this pass found, but for what stands since an earlier one.
pub(super) fn count(outcome: &Outcome, previous: &[Condition], context: &Context) {
    let standing = previous
        .iter()
        .find(|old| ConditionType::Drifted.is(&old.type_) && Reason::Drifted.is(&old.reason));
    for found in &outcome.planned.decision.drift {
        if standing.is_none_or(|old| !is_told(&old.message, &found.text)) {
            context.tally.drifted(found.target.system().kind());
        }
    }
}
