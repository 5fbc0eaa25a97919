//! Status of a freeze, and the moment at which it is another one.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::{ConditionType, Reason};
use lockstep_core::api::{ChangeFreeze, ChangeFreezeSpec, REQUESTED_AT};
use lockstep_core::domain::outcome::{Saying, conditions};
use lockstep_core::domain::ports::ObjectKey;
use serde_json::json;

use super::super::{Context, Next};

pub async fn report(freeze: &ChangeFreeze, context: &Context) -> Next {
    let now = context.clock.now();
    let (saying, next) = standing(&freeze.spec, now);
    let meta = &freeze.metadata;
    let before = freeze.status.as_ref().map(|status| status.conditions.as_slice());
    let status = json!({
        "observedGeneration": meta.generation,
        "lastHandledRequest": freeze.annotations().get(REQUESTED_AT),
        "conditions": conditions(&[saying], before.unwrap_or_default(), meta.generation, now),
    });
    let object = ObjectKey {
        kind: "ChangeFreeze".into(),
        namespace: freeze.namespace().unwrap_or_default(),
        name: freeze.name_any(),
        uid: freeze.uid().unwrap_or_default(),
    };
    if let Err(error) = context.cluster.write_status(&object, status).await {
        tracing::warn!(%error, "status could not be written");
        return Next::Backoff;
    }
    next
}

/// Whether it holds, and when that changes.
fn standing(spec: &ChangeFreezeSpec, now: Timestamp) -> (Saying, Next) {
    let until = spec.until;
    let ready = |reason, message| Saying::new(ConditionType::Ready, true, reason, message);
    if now < until {
        let message = format!("in force until {until}: {}", spec.reason);
        let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        (ready(Reason::InForce, message), Next::After(left))
    } else {
        (
            ready(Reason::Over, format!("over since {until}")),
            Next::AwaitChange,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_says_until_when_and_looks_again_at_that_very_moment() {
        let spec = ChangeFreezeSpec {
            reason: "quarter end".into(),
            until: "2026-04-01T00:00:00Z".parse().unwrap(),
            kinds: None,
            selector: None,
            except: None,
        };
        let at = |time: &str| standing(&spec, time.parse().unwrap());
        let (said, next) = at("2026-03-31T23:59:30Z");
        assert_eq!((said.reason, said.status), (Reason::InForce, Some(true)));
        assert_eq!(said.message, "in force until 2026-04-01T00:00:00Z: quarter end");
        assert_eq!(next, Next::After(Duration::from_secs(30)));
        let (said, next) = at("2026-04-01T00:00:00Z");
        assert_eq!((said.reason, said.status), (Reason::Over, Some(true)));
        assert_eq!(said.message, "over since 2026-04-01T00:00:00Z");
        assert_eq!(next, Next::AwaitChange);
    }
}
