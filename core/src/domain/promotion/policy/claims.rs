//! What only one environment of all policies may move. Whoever holds a thing keeps it; what nobody holds goes to the
//! policy that was first. Who lost something runs nothing at all, as half a promotion is none.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::{Aim, Recipe};
use crate::domain::ports::ObjectKey;

/// One thing of one workspace, by whichever connection it is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// Id of the workspace; of a model's alias that of the metastore, where it is known.
    place: String,
    aim: Aim,
}

/// The canonical address, by which a status remembers what is held.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, aim } = self;
        match aim {
            Aim::Directory(path) => write!(f, "databricks://{place}/directories{path}"),
            Aim::Job(name) => write!(f, "databricks://{place}/jobs/{name}"),
            Aim::Alias { model, alias } => write!(f, "unity://{place}/models/{model}@{alias}"),
            Aim::Endpoint(name) => write!(f, "databricks://{place}/serving-endpoints/{name}"),
        }
    }
}

impl Claim {
    /// Everything that a recipe moves.
    pub fn of(recipe: &Recipe, workspace: &str, metastore: Option<&str>) -> BTreeSet<Self> {
        let claim = |aim| match aim {
            // Unity Catalog tells no two names apart by their case, and shares them among workspaces.
            Aim::Alias { model, alias } => Self {
                place: metastore.unwrap_or(workspace).to_owned(),
                aim: Aim::Alias {
                    model: model.to_lowercase(),
                    alias: alias.to_lowercase(),
                },
            },
            aim => Self {
                place: workspace.to_owned(),
                aim,
            },
        };
        recipe.aims().into_iter().map(claim).collect()
    }

    /// Whether moving one moves the other.
    pub fn meets(&self, other: &Self) -> bool {
        let nested = |one: &str, other: &str| {
            let (mut one, mut other) = (parts(one), parts(other));
            loop {
                match (one.next(), other.next()) {
                    (Some(one), Some(other)) if one == other => {}
                    (None, _) | (_, None) => return true,
                    _ => return false,
                }
            }
        };
        self.place == other.place
            && match (&self.aim, &other.aim) {
                (Aim::Directory(one), Aim::Directory(other)) => nested(one, other),
                (one, other) => one == other,
            }
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

/// Who was first: when the policy was made, its uid, and the place of the environment in it.
pub type Order = (Timestamp, String, usize);

/// An environment of another policy, or another environment of the same.
#[derive(Clone, Debug)]
pub struct Rival {
    pub policy: ObjectKey,
    pub order: Order,
    /// Whether it takes up what it does not hold yet: it is enforced, and nothing stops it.
    pub takes: bool,
    pub claims: BTreeSet<Claim>,
    /// Addresses that it holds; `None`: it has not said yet.
    pub holds: Option<BTreeSet<String>>,
}

/// How it was settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// What the environment holds from now on.
    pub holds: BTreeSet<String>,
    /// What another holds: nothing begins in the environment.
    pub lost: Vec<String>,
    /// What another aims at in vain.
    pub kept: Vec<String>,
}

/// Settles who moves what. `held`: addresses that the environment holds so far; `takes`: whether it takes up more.
pub fn settle(
    claims: &BTreeSet<Claim>,
    held: &BTreeSet<String>,
    takes: bool,
    order: &Order,
    rivals: &[Rival],
) -> Settled {
    let mut settled = Settled::default();
    for claim in claims {
        let is_held = held.contains(&claim.to_string());
        for rival in rivals {
            let Some(theirs) = rival.claims.iter().find(|theirs| claim.meets(theirs)) else {
                continue;
            };
            let they_hold = rival
                .holds
                .as_ref()
                .is_some_and(|holds| holds.contains(&theirs.to_string()));
            if !they_hold && !rival.takes {
                continue;
            }
            let first = *order < rival.order;
            let own = match (is_held, they_hold) {
                (true, false) => true,
                (false, true) => false,
                (true, true) => first,
                // Whoever has not said what it holds may hold it.
                (false, false) => first && rival.holds.is_some(),
            };
            let (aim, policy) = (&claim.aim, &rival.policy);
            if own {
                settled.kept.push(format!(
                    "{aim}: {policy} aims at it too; this policy holds it and goes on"
                ));
            } else {
                settled
                    .lost
                    .push(format!("{aim}: {policy} has it already: nothing runs here"));
            }
        }
    }
    let takes = takes && settled.lost.is_empty();
    let addresses = claims.iter().map(ToString::to_string);
    settled.holds = addresses
        .filter(|address| takes || held.contains(address))
        .collect();
    settled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(aim: Aim) -> Claim {
        Claim {
            place: "123".into(),
            aim,
        }
    }

    fn job(name: &str) -> Claim {
        claim(Aim::Job(name.into()))
    }

    fn order(second: i64) -> Order {
        (
            Timestamp::from_second(second).unwrap(),
            format!("uid-{second}"),
            0,
        )
    }

    fn rival(second: i64, claims: &[Claim], holds: Option<&[Claim]>) -> Rival {
        Rival {
            policy: ObjectKey {
                kind: "PromotionPolicy".into(),
                namespace: "ml".into(),
                name: format!("made-{second}"),
                uid: format!("uid-{second}"),
            },
            order: order(second),
            takes: true,
            claims: claims.iter().cloned().collect(),
            holds: holds.map(|held| held.iter().map(ToString::to_string).collect()),
        }
    }

    fn settled(held: &[Claim], rivals: &[Rival]) -> Settled {
        let claims = BTreeSet::from([job("train"), job("smoke")]);
        let held = held.iter().map(ToString::to_string).collect();
        settle(&claims, &held, true, &order(10), rivals)
    }

    #[test]
    fn what_nobody_else_aims_at_is_taken() {
        let settled = settled(&[], &[rival(1, &[job("other")], Some(&[job("other")]))]);
        assert_eq!(settled.holds.len(), 2);
        assert_eq!((settled.lost.len(), settled.kept.len()), (0, 0));
    }

    #[test]
    fn the_holder_keeps_it_whoever_was_first() {
        let older = rival(1, &[job("train")], Some(&[]));
        assert_eq!(settled(&[job("train")], &[older]).kept.len(), 1);
        let younger = rival(20, &[job("train")], Some(&[job("train")]));
        let lost = settled(&[], &[younger]);
        assert!(
            lost.lost[0].contains("job train: PromotionPolicy ml/made-20 has it already"),
            "{lost:?}"
        );
        assert!(lost.holds.is_empty(), "who lost one takes none");
    }

    #[test]
    fn what_nobody_holds_goes_to_the_first_once_the_other_has_said_so() {
        assert_eq!(
            settled(&[], &[rival(20, &[job("train")], Some(&[]))]).holds.len(),
            2
        );
        assert_eq!(settled(&[], &[rival(20, &[job("train")], None)]).lost.len(), 1);
        assert_eq!(
            settled(&[], &[rival(1, &[job("train")], Some(&[]))]).lost.len(),
            1
        );
    }

    #[test]
    fn of_two_that_both_hold_it_exactly_one_goes_on() {
        let theirs = rival(20, &[job("train")], Some(&[job("train")]));
        assert!(settled(&[job("train")], &[theirs]).lost.is_empty());
        let theirs = rival(1, &[job("train")], Some(&[job("train")]));
        assert_eq!(settled(&[job("train")], &[theirs]).lost.len(), 1);
    }

    #[test]
    fn who_only_observes_has_what_it_holds_and_takes_nothing() {
        let mut other = rival(1, &[job("train")], Some(&[]));
        other.takes = false;
        assert!(settled(&[], &[other.clone()]).lost.is_empty());
        other.holds = Some(BTreeSet::from([job("train").to_string()]));
        assert_eq!(settled(&[], &[other]).lost.len(), 1);
        let claims = BTreeSet::from([job("train")]);
        let observing = settle(&claims, &BTreeSet::new(), false, &order(10), &[]);
        assert!(observing.holds.is_empty());
    }

    #[test]
    fn a_directory_within_another_is_the_others_too() {
        let directory = |path: &str| claim(Aim::Directory(path.into()));
        for (one, other, meet) in [
            ("/Workspace/a/*", "/Workspace/a/*", true),
            ("/Workspace/a/*", "/Workspace/a/*/b", true),
            ("/Workspace/a/*", "/Workspace/b/*", false),
            ("/Workspace/a/*", "/Workspace/ab/*", false),
        ] {
            assert_eq!(directory(one).meets(&directory(other)), meet, "{one} {other}");
            assert_eq!(directory(other).meets(&directory(one)), meet, "{other} {one}");
        }
    }

    #[test]
    fn an_alias_is_one_thing_in_all_workspaces_of_a_metastore() {
        let recipe = |model: &str| {
            let mut recipe = super::super::tests::recipe();
            recipe
                .steps
                .retain(|step| matches!(step.action, super::super::Action::ModelAlias { .. }));
            for step in &mut recipe.steps {
                if let super::super::Action::ModelAlias { model: named, .. } = &mut step.action {
                    *named = model.to_owned();
                }
            }
            recipe
        };
        let one = Claim::of(&recipe("ml.fraud.scorer"), "1", Some("m"));
        assert_eq!(one, Claim::of(&recipe("ML.Fraud.Scorer"), "2", Some("m")));
        assert_ne!(one, Claim::of(&recipe("ml.fraud.scorer"), "1", Some("n")));
    }
}
