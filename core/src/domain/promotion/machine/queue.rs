//! The queue of one environment: who has the turn, who steps aside, and what holds it. One promotion acts at a time; a
//! newer merged change supersedes those that have not begun; what is older than anything that ever began never does.
//!
//! A turn is never taken back from one that has not ended: whoever reads an old copy of this state may only be later
//! than it thinks, never beside another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attempt::PromotionName;
use super::guards::{Guard, Guards};
use super::state::{End, Phase, Promotion};
use super::steps::Gate;
use crate::domain::promotion::gate::evidence::CommitId;

/// Place of a deploy in its branch: commits from the baseline along first parents, then the try of that commit. A
/// break-glass promotion is a further try of the one it lifts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    pub position: u64,
    pub attempt: u32,
}

/// What a promotion wants of the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// To bring what merged.
    Deploy(Place),
    /// To go back, because a person says so; it waits for nobody but the one that acts, and passes a hold.
    Rollback,
}

/// One promotion as the queue sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contender {
    pub want: Want,
    pub gate: Gate,
    pub phase: Phase,
}

impl Contender {
    pub fn new(promotion: &Promotion, want: Want, gate: Gate) -> Self {
        Self {
            want,
            gate,
            phase: promotion.phase.clone(),
        }
    }

    fn waits(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// Whether it runs, ran or may still run: a refused or cancelled one takes nobody's place.
    fn is_viable(&self) -> bool {
        match &self.phase {
            Phase::Waiting => matches!(self.gate, Gate::Passes | Gate::Waits),
            Phase::Running | Phase::Undoing(_) => true,
            Phase::Ended(end) => !end.without_effect(),
        }
    }
}

/// All promotions of one environment by name.
pub type Contenders = BTreeMap<PromotionName, Contender>;

/// Why nothing begins until a person says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Whose failure it was; `None`: something else than a promotion, as an unexplained run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionName>,
    pub reason: String,
}

/// The newest deploy that ever had the turn; it may be forgotten as an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reached {
    pub place: Place,
    pub promotion: PromotionName,
}

/// From where places are counted, once that is no longer the first baseline: they must go on rising.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    pub from: CommitId,
    /// Position of that commit.
    pub position: u64,
}

/// What an environment remembers; written before anybody acts on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Who has the turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acting: Option<PromotionName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Hold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<Reached>,
    /// The promotion whose outcome is in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<PromotionName>,
    /// Unset: from the baseline, which is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
}

/// What people and the count of runs say about the environment now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wishes {
    /// A PlanApproval ends the hold as it stands.
    pub resume: bool,
    /// Something unexplained was seen and the policy says `onUnexplained: Hold`.
    pub unexplained: Option<String>,
}

impl Environment {
    /// One move of the queue: gives back the turn of who ended, and gives it to whom it belongs.
    #[must_use]
    pub fn next(&self, contenders: &Contenders, wishes: &Wishes) -> Self {
        self.next_under(contenders, wishes, Guards::ALL)
    }

    pub(super) fn next_under(&self, contenders: &Contenders, wishes: &Wishes, guards: Guards) -> Self {
        let mut next = self.clone();
        if wishes.resume {
            next.held = None;
        }
        next.release(contenders, guards);
        if let Some(reason) = &wishes.unexplained
            && next.held.is_none()
        {
            next.held = Some(Hold {
                promotion: None,
                reason: reason.clone(),
            });
        }
        if next.acting.is_none() || !guards.hold(Guard::OneAtATime) {
            next.give_turn(contenders, guards);
        }
        next
    }

    /// Takes the turn from a promotion that has ended.
    fn release(&mut self, contenders: &Contenders, guards: Guards) {
        let Some(acting) = &self.acting else { return };
        let hold = |reason: String| {
            guards.hold(Guard::FailureHolds).then(|| Hold {
                promotion: Some(acting.clone()),
                reason,
            })
        };
        match contenders.get(acting).map(|contender| &contender.phase) {
            // It could have been anywhere in its steps; only a person can tell what is in place.
            None => self.held = hold(format!("promotion {acting} was deleted while it had the turn")),
            Some(Phase::Ended(End::Succeeded)) => self.current = Some(acting.clone()),
            Some(Phase::Ended(End::Failed { why, left })) => {
                let what = if left.is_empty() {
                    "everything was undone".to_owned()
                } else {
                    let left: Vec<String> = left.iter().map(|(step, why)| format!("{step}: {why}")).collect();
                    format!("still in place: {}", left.join("; "))
                };
                self.held = hold(format!("promotion {acting} failed: {}; {what}", why.message));
            }
            Some(Phase::Ended(_)) => {}
            Some(Phase::Undoing(_)) if !guards.hold(Guard::ReleasedWhenEnded) => {}
            Some(_) => return,
        }
        self.acting = None;
    }

    fn give_turn(&mut self, contenders: &Contenders, guards: Guards) {
        let rollback = contenders
            .iter()
            .find(|(_, contender)| {
                contender.want == Want::Rollback && contender.waits() && contender.gate == Gate::Passes
            })
            .map(|(name, _)| name.clone());
        if rollback.is_some() {
            self.acting = rollback;
            return;
        }
        if self.held.is_some() && guards.hold(Guard::HoldStops) {
            return;
        }
        let deploys = contenders
            .iter()
            .filter_map(|(name, contender)| match contender.want {
                Want::Deploy(place) => Some((place, name, contender)),
                Want::Rollback => None,
            });
        // Once for all: a crowd that asked each other one by one would take its own square.
        let newest = newest(contenders).map(|(place, _)| place);
        let eligible = deploys.filter(|(place, _, contender)| {
            contender.waits()
                && contender.gate == Gate::Passes
                && (!self.has_passed(*place) || !guards.hold(Guard::NoneOlder))
                && (newest.is_none_or(|newest| newest <= *place) || !guards.hold(Guard::NewestFirst))
        });
        // A machine without the rule would serve in the order of arrival.
        let chosen = if guards.hold(Guard::NewestFirst) {
            eligible.max_by_key(|(place, ..)| *place)
        } else {
            eligible.min_by_key(|(place, ..)| *place)
        };
        if let Some((place, name, _)) = chosen {
            if !self.has_passed(place) {
                self.reached = Some(Reached {
                    place,
                    promotion: name.clone(),
                });
            }
            self.acting = Some(name.clone());
        }
    }

    /// Whether something as new, or newer, has had the turn.
    fn has_passed(&self, place: Place) -> bool {
        self.reached
            .as_ref()
            .is_some_and(|reached| place <= reached.place)
    }

    /// Whether it is this promotion's turn.
    pub fn has_turn(&self, name: &PromotionName) -> bool {
        self.acting.as_ref() == Some(name)
    }

    /// Who supersedes this promotion; `None` while it has the turn or nobody is newer. It is judged all the same, and
    /// its verdict stands beside its end.
    pub fn superseded_by(&self, name: &PromotionName, contenders: &Contenders) -> Option<PromotionName> {
        self.superseded_by_under(name, contenders, Guards::ALL)
    }

    pub(super) fn superseded_by_under(
        &self,
        name: &PromotionName,
        contenders: &Contenders,
        guards: Guards,
    ) -> Option<PromotionName> {
        let contender = contenders.get(name)?;
        let Want::Deploy(place) = contender.want else {
            return None;
        };
        let begun = self.has_turn(name) || !contender.waits();
        if begun && (guards.hold(Guard::SupersedeWaitingOnly) || contender.waits()) {
            return None;
        }
        let passed = || {
            let reached = self.reached.as_ref();
            let reached = reached.filter(|reached| place <= reached.place && reached.promotion != *name);
            reached.map(|reached| reached.promotion.clone())
        };
        newer(place, contenders).cloned().or_else(passed)
    }
}

/// Who takes the place of everything that is older: the newest that may still run, or did.
fn newest(contenders: &Contenders) -> Option<(Place, &PromotionName)> {
    contenders
        .iter()
        .filter(|(_, contender)| contender.is_viable())
        .filter_map(|(name, contender)| match contender.want {
            Want::Deploy(place) => Some((place, name)),
            Want::Rollback => None,
        })
        .max()
}

/// Who takes the place of what stands here.
fn newer(place: Place, contenders: &Contenders) -> Option<&PromotionName> {
    let (_, name) = newest(contenders).filter(|(theirs, _)| *theirs > place)?;
    Some(name)
}
