//! A policy at a glance: its environments in the order in which changes go through them, and in each what runs, what
//! acts, what waits and what is held.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::promotion_policy::{EnvironmentStatus, PolicyEnvironment};
use lockstep_core::api::reference::Mode;
use lockstep_core::api::{Promotion, PromotionPolicy};
use lockstep_core::domain::defaults;
use lockstep_core::domain::promotion::gate::freeze::{Freeze, Stopped, applying};
use serde::Serialize;

use super::pending::{Pending, pending_of_policy};
use super::rows::why;
use super::{Sight, at_step, change, newness, phase, row};

/// One policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Picture {
    pub namespace: String,
    pub name: String,
    /// Full name of the project in Gerrit.
    pub project: String,
    pub enforces: bool,
    pub suspended: bool,
    /// Why the policy as a whole is not followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<String>,
    /// What stops it now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<Frozen>,
    /// One after the other as `requires` has them.
    pub environments: Vec<Place>,
    /// What waits for people's yes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Pending>,
}

/// A freeze that applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Frozen {
    /// `namespace/name`.
    pub freeze: String,
    pub reason: String,
    pub until: Timestamp,
    /// Whether a rollback waits as well.
    pub rollbacks: bool,
}

/// One environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    pub name: String,
    /// How many environments a change goes through before it, at least.
    pub depth: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<After>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<Brought>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acts: Option<Brought>,
    /// The newest that has not begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<Brought>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// When promotions may begin again; unset while they may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_window: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
    /// Commits between what runs and the tip that nobody accounts for.
    pub unexplained_commits: usize,
}

/// An environment that comes before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct After {
    pub environment: String,
    /// As written: how long its success must have stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soak: Option<String>,
}

/// A promotion and what it brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Brought {
    pub promotion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Of what runs when it came to its end, of what acts when it began, of what waits when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<PromotionPhase>,
    /// Of what acts the step it is at, of what waits why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When it is looked at again by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<Timestamp>,
}

/// Why nothing begins until a person says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// Everything that ran or wrote there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    pub total: i64,
    pub explained: i64,
    pub acknowledged: i64,
    pub unexplained: i64,
    /// Parts that could not be seen.
    pub unseen: usize,
}

/// Pictures of policies, by namespace and name.
pub fn pictures<'a>(
    sight: &'a Sight,
    policies: impl Iterator<Item = &'a PromotionPolicy>,
    now: Timestamp,
) -> Vec<Picture> {
    let mut pictures: Vec<Picture> = policies.map(|policy| picture(sight, policy, now)).collect();
    pictures.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    pictures
}

/// One policy.
fn picture(sight: &Sight, policy: &PromotionPolicy, now: Timestamp) -> Picture {
    let depths = depths(&policy.spec.environments);
    let promotions: Vec<&Promotion> = sight.of(policy).collect();
    let mut environments: Vec<Place> = policy
        .spec
        .environments
        .iter()
        .zip(depths)
        .map(|(environment, depth)| place(environment, depth, row(policy, &environment.name), &promotions))
        .collect();
    environments.sort_by_key(|environment| environment.depth);
    Picture {
        namespace: policy.namespace().unwrap_or_default(),
        name: policy.name_any(),
        project: policy.spec.gerrit.project.clone(),
        enforces: defaults::policy_mode(&policy.spec) == Mode::Enforce,
        suspended: defaults::policy_suspended(&policy.spec),
        not_ready: not_ready(policy),
        frozen: frozen(policy, &sight.freezes, now),
        environments,
        pending: pending_of_policy(policy),
    }
}

fn not_ready(policy: &PromotionPolicy) -> Option<String> {
    let conditions = &policy.status.as_ref()?.conditions;
    let ready = conditions
        .iter()
        .find(|said| ConditionType::Ready.is(&said.type_))?;
    (ready.status != "True").then(|| format!("{}: {}", ready.reason, ready.message))
}

/// Freezes that stop the policy's promotions now.
pub(super) fn frozen(policy: &PromotionPolicy, freezes: &[Freeze], now: Timestamp) -> Vec<Frozen> {
    let labels: &BTreeMap<String, String> = policy.labels();
    let stopped = |rollback| Stopped {
        kind: "PromotionPolicy",
        namespace: policy.metadata.namespace.as_deref().unwrap_or_default(),
        labels,
        rollback,
    };
    let of_rollbacks = applying(freezes, &stopped(true), now);
    applying(freezes, &stopped(false), now)
        .into_iter()
        .map(|freeze| Frozen {
            freeze: format!("{}/{}", freeze.namespace, freeze.name),
            reason: freeze.reason.clone(),
            until: freeze.until,
            rollbacks: of_rollbacks.contains(&freeze),
        })
        .collect()
}

/// How deep each environment stands below those that require nothing. A policy that goes in circles is refused by the
/// operator; here it only must not hang.
fn depths(environments: &[PolicyEnvironment]) -> Vec<usize> {
    let mut depths = vec![0; environments.len()];
    for _ in 0..environments.len() {
        for (at, environment) in environments.iter().enumerate() {
            let required = environment.requires.iter().flatten();
            let deepest = required
                .filter_map(|upstream| {
                    let above = environments
                        .iter()
                        .position(|known| known.name == upstream.environment)?;
                    Some(depths[above] + 1)
                })
                .max();
            depths[at] = deepest.unwrap_or(0).min(environments.len());
        }
    }
    depths
}

fn place(
    environment: &PolicyEnvironment,
    depth: usize,
    row: Option<&EnvironmentStatus>,
    promotions: &[&Promotion],
) -> Place {
    let after = environment.requires.iter().flatten().map(|upstream| After {
        environment: upstream.environment.clone(),
        soak: upstream.soak.as_ref().map(|soak| soak.0.clone()),
    });
    let find = |name: &str| promotions.iter().find(|promotion| promotion.name_any() == name);
    let runs = row.and_then(|row| row.current.as_ref()).map(|current| Brought {
        promotion: current.promotion.clone(),
        change: Some(current.change),
        revision: Some(current.revision.clone()),
        since: find(&current.promotion).and_then(|found| found.status.as_ref()?.ended_at),
        phase: None,
        note: String::new(),
        again: None,
    });
    let acting = row.and_then(|row| row.acting.as_deref());
    let waiting = promotions
        .iter()
        .filter(|promotion| promotion.spec.environment == environment.name)
        .filter(|promotion| matches!(phase(promotion), None | Some(PromotionPhase::Waiting)))
        .filter(|promotion| acting != Some(promotion.name_any().as_str()))
        .min_by_key(|promotion| newness(promotion));
    let unexplained = row.map_or(0, |row| {
        let beyond = row.unexplained_commits_beyond.unwrap_or_default();
        row.unexplained_commits.len() + usize::try_from(beyond).unwrap_or_default()
    });
    Place {
        name: environment.name.clone(),
        depth,
        after: after.collect(),
        runs,
        acts: acting.map(|name| acts(name, find(name).copied())),
        waits: waiting.map(|promotion| waits(promotion)),
        held: row.and_then(|row| row.held.as_ref()).map(|held| Held {
            reason: held.reason.clone(),
            promotion: held.promotion.clone(),
            since: held.since,
        }),
        next_window: row.and_then(|row| row.next_window),
        counted: row.and_then(|row| row.runs.as_ref()).map(|runs| Counted {
            total: runs.total,
            explained: runs.explained,
            acknowledged: runs.acknowledged,
            unexplained: runs.unexplained,
            unseen: runs.unseen.len(),
        }),
        unexplained_commits: unexplained,
    }
}

/// What has the turn; one that is gone is named all the same.
fn acts(name: &str, promotion: Option<&Promotion>) -> Brought {
    let status = promotion.and_then(|promotion| promotion.status.as_ref());
    let (change, revision) = promotion.map(change).unwrap_or_default();
    Brought {
        promotion: name.to_owned(),
        change,
        revision,
        since: status.and_then(|status| status.started_at),
        phase: promotion.and_then(phase),
        note: status
            .and_then(|status| at_step(&status.steps))
            .unwrap_or_default(),
        again: None,
    }
}

fn waits(promotion: &Promotion) -> Brought {
    let (change, revision) = change(promotion);
    Brought {
        promotion: promotion.name_any(),
        change,
        revision,
        since: super::made(promotion),
        phase: phase(promotion),
        note: why(promotion).0,
        again: promotion.status.as_ref().and_then(|status| status.next_action),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::samples::{Made, at, environments, freeze, policy, sight};
    use super::*;

    fn of(sight: &Sight) -> Picture {
        pictures(sight, sight.policies.iter(), at("12:00")).remove(0)
    }

    #[test]
    fn environments_stand_in_the_order_in_which_changes_go_through_them() {
        let mut policy = policy(json!({}));
        policy.spec.environments = environments(&[
            ("prod", &["staging", "qa"]),
            ("qa", &["dev"]),
            ("dev", &[]),
            ("staging", &["qa"]),
            ("lab", &[]),
        ]);
        let picture = of(&sight(vec![policy], vec![]));
        let order: Vec<(&str, usize)> = picture
            .environments
            .iter()
            .map(|place| (place.name.as_str(), place.depth))
            .collect();
        assert_eq!(
            order,
            [("dev", 0), ("lab", 0), ("qa", 1), ("staging", 2), ("prod", 3)]
        );
        assert_eq!(picture.environments[4].after[0].environment, "staging");
    }

    #[test]
    fn environments_in_a_circle_end() {
        let mut policy = policy(json!({}));
        policy.spec.environments = environments(&[("a", &["b"]), ("b", &["a"])]);
        assert_eq!(of(&sight(vec![policy], vec![])).environments.len(), 2);
    }

    #[test]
    fn each_environment_says_what_runs_acts_waits_and_is_held() {
        let ran = Made::deploy("prod", 41).succeeded("09:00").made("08:00").object();
        let acting = Made::deploy("prod", 42)
            .made("10:00")
            .status(json!({
                "phase": "Running", "startedAt": "2026-07-04T10:30:00Z",
                "steps": [{"name": "code", "kind": "files", "state": "Done"},
                          {"name": "train", "kind": "job", "state": "Acting"}],
            }))
            .object();
        let newest = Made::deploy("prod", 43)
            .made("11:00")
            .status(json!({
                "phase": "Waiting", "nextAction": "2026-07-04T13:00:00Z",
                "verdict": {"passes": false, "findings": [{"kind": "Soaking", "message": "not yet"}]},
            }))
            .object();
        let status = json!({"environments": [{
            "name": "prod",
            "current": {"change": 41, "revision": "89abcdef", "promotion": "fraud.prod.41.89abcdef"},
            "acting": "fraud.prod.42.89abcdef",
            "held": {"reason": "it failed", "since": "2026-07-04T09:30:00Z"},
            "nextWindow": "2026-07-05T09:00:00Z",
            "unexplainedCommits": ["a", "b"], "unexplainedCommitsBeyond": 3,
        }]});
        let picture = of(&sight(vec![policy(status)], vec![newest, ran, acting]));
        let [staging, prod] = &picture.environments[..] else {
            panic!("{picture:#?}")
        };
        assert_eq!(
            (&staging.runs, &staging.acts, &staging.waits),
            (&None, &None, &None)
        );
        assert_eq!(prod.runs.as_ref().unwrap().since, Some(at("09:00")));
        let acts = prod.acts.as_ref().unwrap();
        assert_eq!(
            (acts.change, acts.note.as_str()),
            (Some(42), "step train (2 of 2)")
        );
        assert_eq!(acts.since, Some(at("10:30")));
        let waits = prod.waits.as_ref().unwrap();
        assert_eq!((waits.change, waits.note.as_str()), (Some(43), "Soaking"));
        assert_eq!(waits.again, Some(at("13:00")));
        assert_eq!(prod.held.as_ref().unwrap().reason, "it failed");
        assert_eq!(prod.unexplained_commits, 5);
        assert!(prod.next_window.is_some());
    }

    #[test]
    fn a_freeze_says_whether_it_stops_rollbacks_too() {
        let mut sight = sight(vec![policy(json!({}))], vec![]);
        sight.freezes = vec![
            freeze(
                "soft",
                json!({"reason": "r", "until": "2026-07-05T00:00:00Z", "except": ["Rollback"]}),
            ),
            freeze("hard", json!({"reason": "r", "until": "2026-07-05T00:00:00Z"})),
            freeze("over", json!({"reason": "r", "until": "2026-07-04T00:00:00Z"})),
            freeze(
                "else",
                json!({"reason": "r", "until": "2026-07-05T00:00:00Z", "kinds": ["AccessBinding"]}),
            ),
        ];
        let frozen = of(&sight).frozen;
        let frozen: Vec<(&str, bool)> = frozen
            .iter()
            .map(|frozen| (frozen.freeze.as_str(), frozen.rollbacks))
            .collect();
        assert_eq!(frozen, [("ml/hard", true), ("ml/soft", false)]);
    }
}
