//! Whether a person has said yes to exactly this plan. Every way in which a yes does not count has a name.

use jiff::{SignedDuration, Timestamp};

use super::defaults::APPROVAL_LIFETIME;
use super::plan::{EffectDigest, Risk};
use crate::api::PlanApproval;
use crate::api::condition::Reason;

/// Why an approval does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub reason: Reason,
    pub message: String,
}

/// What an approval is held against.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub uid: &'a str,
    pub digest: &'a EffectDigest,
    pub risk: &'a Risk,
    /// Who last changed the spec, where the cluster stamps it.
    pub changed_by: Option<&'a str>,
    /// Whether admission holds `approver` to be the requester.
    pub protected: bool,
    pub now: Timestamp,
}

/// The first approval that counts, else why those that name this object do not.
pub fn find<'a>(
    approvals: impl IntoIterator<Item = &'a PlanApproval>,
    asked: Asked<'_>,
) -> Result<&'a PlanApproval, Vec<Refused>> {
    let mut refused = Vec::new();
    for approval in approvals {
        match judge(approval, asked) {
            Ok(()) => return Ok(approval),
            Err(why) => refused.push(why),
        }
    }
    Err(refused)
}

fn judge(approval: &PlanApproval, asked: Asked<'_>) -> Result<(), Refused> {
    let name = approval.metadata.name.as_deref().unwrap_or_default();
    let refuse = |reason, why: String| {
        Err(Refused {
            reason,
            message: format!("PlanApproval {name}: {why}"),
        })
    };
    let spec = &approval.spec;
    if spec.plan_ref.uid != asked.uid {
        return refuse(Reason::Superseded, "it names an object of another uid".into());
    }
    if approval
        .status
        .as_ref()
        .is_some_and(|status| status.used_at.is_some())
    {
        return refuse(
            Reason::Used,
            "it was used already; approve the new plan anew".into(),
        );
    }
    if spec.digest != asked.digest.0 {
        return refuse(
            Reason::Superseded,
            format!(
                "it names {}, but the plan is {}: look at the new plan and approve that",
                spec.digest, asked.digest
            ),
        );
    }
    let made = approval
        .metadata
        .creation_timestamp
        .as_ref()
        .map_or(asked.now, |time| time.0);
    let lifetime = SignedDuration::from_secs(APPROVAL_LIFETIME);
    let ends = spec
        .expires
        .unwrap_or_else(|| made.checked_add(lifetime).unwrap_or(made));
    if ends <= asked.now {
        return refuse(Reason::Expired, format!("it expired at {ends}"));
    }
    if !asked.protected {
        return refuse(
            Reason::ApprovalsUnprotected,
            "the admission policy that ties approvers to their user names is not installed: install it with the chart".into(),
        );
    }
    if asked
        .risk
        .gaining
        .iter()
        .any(|person| is_same_person(person, &spec.approver))
    {
        return refuse(
            Reason::SelfApproval,
            format!("{} would gain by the plan", spec.approver),
        );
    }
    if asked
        .changed_by
        .is_some_and(|author| is_same_person(author, &spec.approver))
    {
        return refuse(
            Reason::SelfApproval,
            format!("{} changed the spec", spec.approver),
        );
    }
    Ok(())
}

/// Whether a Kubernetes user name and an address, or another user name, mean one person. Clusters put a prefix before
/// the names of their identity provider (`oidc:ada@example.com`, `https://issuer#ada@example.com`).
fn is_same_person(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.rsplit([':', '#']).next().unwrap_or(name).to_lowercase();
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::plan_approval::{PlanApprovalSpec, PlanApprovalStatus, PlanRef};

    fn approval(change: impl FnOnce(&mut PlanApproval)) -> PlanApproval {
        let spec = PlanApprovalSpec {
            plan_ref: PlanRef {
                kind: "AccessBinding".into(),
                namespace: "n".into(),
                name: "b".into(),
                uid: "u".into(),
            },
            digest: "sha256:d".into(),
            approver: "lead@x".into(),
            reason: "because".into(),
            expires: Some(Timestamp::from_second(100).unwrap()),
        };
        let mut approval = PlanApproval::new("yes", spec);
        change(&mut approval);
        approval
    }

    fn verdict(
        approval: &PlanApproval,
        protected: bool,
        gaining: &[&str],
        changed_by: Option<&str>,
    ) -> Option<Reason> {
        let risk = Risk {
            gaining: gaining.iter().map(ToString::to_string).collect(),
            ..Risk::default()
        };
        let digest = EffectDigest("sha256:d".into());
        let now = Timestamp::from_second(50).unwrap();
        let asked = Asked {
            uid: "u",
            digest: &digest,
            risk: &risk,
            changed_by,
            protected,
            now,
        };
        find([approval], asked).err().map(|refused| refused[0].reason)
    }

    #[test]
    fn only_a_fresh_unused_protected_yes_of_somebody_else_counts() {
        assert_eq!(verdict(&approval(|_| ()), true, &[], None), None);
        assert_eq!(
            verdict(&approval(|_| ()), false, &[], None),
            Some(Reason::ApprovalsUnprotected)
        );
        assert_eq!(
            verdict(&approval(|_| ()), true, &["Lead@X"], None),
            Some(Reason::SelfApproval)
        );
        assert_eq!(
            verdict(&approval(|_| ()), true, &[], Some("lead@x")),
            Some(Reason::SelfApproval)
        );
        let prefixed = approval(|a| a.spec.approver = "oidc:lead@x".into());
        assert_eq!(
            verdict(&prefixed, true, &["lead@x"], None),
            Some(Reason::SelfApproval)
        );
        let older = approval(|a| a.spec.digest = "sha256:e".into());
        assert_eq!(verdict(&older, true, &[], None), Some(Reason::Superseded));
        let late = approval(|a| a.spec.expires = Some(Timestamp::from_second(50).unwrap()));
        assert_eq!(verdict(&late, true, &[], None), Some(Reason::Expired));
        let used = approval(|a| {
            a.status = Some(PlanApprovalStatus {
                used_at: Some(Timestamp::UNIX_EPOCH),
                ..PlanApprovalStatus::default()
            });
        });
        assert_eq!(verdict(&used, true, &[], None), Some(Reason::Used));
        let stranger = approval(|a| a.spec.plan_ref.uid = "v".into());
        assert_eq!(verdict(&stranger, true, &[], None), Some(Reason::Superseded));
    }
}
