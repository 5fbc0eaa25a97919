//! Promotions as rows of a list.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::Promotion;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion::PromotionPhase;
use serde::Serialize;

use super::{Kind, Sight, change, made, newness, phase, recorded, review, said};

/// One promotion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    pub namespace: String,
    pub name: String,
    pub policy: String,
    pub environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Gerrit's number; of a rollback that of what it goes back to, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Unset: nobody has looked at it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<PromotionPhase>,
    /// Findings that keep it, else the reason of Ready.
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<Timestamp>,
    /// Its directory of code is beyond those that the policy keeps: no way leads back to it.
    pub directory_gone: bool,
}

/// Which promotions are asked for; unset: all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    pub policy: Option<&'a str>,
    pub environment: Option<&'a str>,
}

impl Wanted<'_> {
    /// Whether it is one of them.
    pub fn has(&self, promotion: &Promotion) -> bool {
        let spec = &promotion.spec;
        self.policy.is_none_or(|name| spec.policy_ref.name == name)
            && self.environment.is_none_or(|name| spec.environment == name)
    }
}

/// Rows, newest first.
pub fn rows(sight: &Sight, wanted: Wanted<'_>) -> Vec<Row> {
    let beyond: BTreeMap<_, BTreeSet<String>> = sight
        .policies
        .iter()
        .map(|policy| {
            let key = (policy.namespace(), policy.name_any());
            (key, recorded::beyond(policy, sight))
        })
        .collect();
    let mut all: Vec<&Promotion> = sight
        .promotions
        .iter()
        .filter(|promotion| wanted.has(promotion))
        .collect();
    all.sort_by_cached_key(|promotion| newness(promotion));
    let row = |promotion: &&Promotion| {
        let key = (promotion.namespace(), promotion.spec.policy_ref.name.clone());
        let gone = beyond
            .get(&key)
            .is_some_and(|gone| gone.contains(&promotion.name_any()));
        row(promotion, gone)
    };
    all.iter().map(row).collect()
}

fn row(promotion: &Promotion, directory_gone: bool) -> Row {
    let (change, revision) = change(promotion);
    let (reason, message) = why(promotion);
    Row {
        namespace: promotion.namespace().unwrap_or_default(),
        name: promotion.name_any(),
        policy: promotion.spec.policy_ref.name.clone(),
        environment: promotion.spec.environment.clone(),
        kind: Kind::of(promotion),
        change,
        revision,
        phase: phase(promotion),
        reason,
        message,
        made: made(promotion),
        directory_gone,
    }
}

/// Why it is where it is, in words and in a sentence. What several things keep shows all of them.
pub(super) fn why(promotion: &Promotion) -> (String, String) {
    let kept = matches!(
        phase(promotion),
        Some(PromotionPhase::Waiting | PromotionPhase::Refused)
    );
    let verdict = promotion
        .status
        .as_ref()
        .and_then(|status| status.verdict.as_ref());
    let findings = verdict
        .filter(|_| kept)
        .into_iter()
        .flat_map(|verdict| &verdict.findings);
    let findings: Vec<&str> = findings.map(|finding| finding.kind.as_str()).collect();
    let (reason, message) = said(promotion).unwrap_or_default();
    let mut reason = if findings.is_empty() {
        reason.to_owned()
    } else {
        findings.join(", ")
    };
    if let Some((review, _)) = review(promotion).filter(|(review, _)| !Reason::Succeeded.is(review)) {
        reason = format!("{reason}, {review}");
    }
    (reason, message.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::samples::{Made, at, policy, sight};
    use super::*;

    #[test]
    fn promotions_are_listed_newest_first_and_only_those_asked_for() {
        let promotions = vec![
            Made::deploy("staging", 41).position(1).made("10:00").object(),
            Made::deploy("staging", 42).position(3).made("11:00").object(),
            Made::deploy("staging", 43).position(2).made("11:00").object(),
            Made::deploy("prod", 41).position(1).made("12:00").object(),
        ];
        let sight = sight(vec![policy(json!({}))], promotions);
        let names = |environment| {
            let wanted = Wanted {
                policy: Some("fraud"),
                environment,
            };
            let rows = rows(&sight, wanted);
            rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
        };
        let staging = [
            "fraud.staging.42.89abcdef",
            "fraud.staging.43.89abcdef",
            "fraud.staging.41.89abcdef",
        ];
        assert_eq!(names(Some("staging")), staging);
        assert_eq!(names(None)[0], "fraud.prod.41.89abcdef");
        assert!(
            rows(
                &sight,
                Wanted {
                    policy: Some("other"),
                    environment: None
                }
            )
            .is_empty()
        );
    }

    #[test]
    fn what_waits_shows_every_finding_and_what_ended_its_reason() {
        let waiting = Made::deploy("prod", 42).status(json!({
            "phase": "Waiting",
            "verdict": {"passes": false, "findings": [{"kind": "Soaking", "message": "m"}, {"kind": "OutsideWindow", "message": "w"}]},
        }));
        let ended = Made::deploy("prod", 41).succeeded("09:00");
        let unseen = Made::deploy("prod", 43);
        let sight = sight(
            vec![policy(json!({}))],
            vec![
                waiting.made("10:00").object(),
                ended.made("09:00").object(),
                unseen.made("11:00").object(),
            ],
        );
        let rows = rows(&sight, Wanted::default());
        let reasons: Vec<&str> = rows.iter().map(|row| row.reason.as_str()).collect();
        assert_eq!(reasons, ["", "Soaking, OutsideWindow", "Succeeded"]);
        assert_eq!(rows[0].phase, None);
        assert_eq!(rows[2].made, Some(at("09:00")));
    }

    #[test]
    fn an_override_that_nobody_has_looked_at_says_so() {
        let spec = json!({"policyRef": {"name": "fraud"}, "environment": "prod", "override":
            {"promotion": "fraud.prod.42.89abcdef", "findings": ["Soaking"], "reason": "it burns"}});
        let condition = |kind: &str, reason: &str| {
            json!({"type": kind, "status": "False", "reason": reason, "message": "m",
                   "lastTransitionTime": "2026-07-04T09:00:00Z"})
        };
        let reason = |review: &str| {
            let conditions = [condition("Ready", "Succeeded"), condition("Reviewed", review)];
            let made = Made::new("glass", spec.clone()).status(json!({"conditions": conditions}));
            why(&made.object()).0
        };
        assert_eq!(reason("AfterReviewOverdue"), "Succeeded, AfterReviewOverdue");
        assert_eq!(reason("Succeeded"), "Succeeded");
    }

    #[test]
    fn a_directory_beyond_those_that_are_kept_is_marked_and_never_the_one_that_runs() {
        let promotions = (1..=4)
            .map(|number| {
                let ended = format!("0{number}:00");
                let directory = format!("/Workspace/lockstep/{number}");
                Made::deploy("prod", number)
                    .position(number)
                    .left("code", json!({"directory": directory}))
                    .succeeded(&ended)
                    .made(&ended)
                    .object()
            })
            .collect();
        let status = json!({"environments": [{"name": "prod", "current":
            {"change": 1, "revision": "89abcdef", "promotion": "fraud.prod.1.89abcdef"}}]});
        let mut policy = policy(status);
        policy.spec.history = serde_json::from_value(json!({"directories": 2})).unwrap();
        let sight = sight(vec![policy], promotions);
        let rows = rows(&sight, Wanted::default());
        let gone: Vec<Option<i64>> = rows
            .iter()
            .filter(|row| row.directory_gone)
            .map(|row| row.change)
            .collect();
        assert_eq!(gone, [Some(2)], "1 is in place, 3 and 4 are the newest");
    }
}
