//! The world around the machines: an environment with targets that runs write to, and what people and networks do.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use crate::domain::promotion::machine::attempt::{Cause, PromotionName, StepName, Subject};
use crate::domain::promotion::machine::guards::Guards;
use crate::domain::promotion::machine::learn::SETTLE;
use crate::domain::promotion::machine::queue::{Contender, Contenders, Environment, Place, Want};
use crate::domain::promotion::machine::state::{End, OnFailure, Phase, Promotion, Step, StepState};
use crate::domain::promotion::machine::steps::{Effect, Gate, Orders};

/// What went wrong, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Accident {
    TwoAct,
    TwoRunsOfOneStep,
    TooManyTries,
    RunOutlivesPromotion,
    RunOutlivesItsTime,
    OlderBeganAfterNewer,
    TurnBehindNewer,
    TurnWhileHeld,
    BeganWithoutTurn,
    BeganAgainstGate,
    RepeatedBlindly,
    ActedWhileFrozen,
    UndidWhileFrozen,
    ActedAfterCancel,
    SucceededWithoutEffect,
    LeftUnsaid,
    OthersOverwritten,
    UndoneOutOfOrder,
    UndoneWhileRunning,
}

/// What a target holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Before,
    Of(usize),
    Hand,
}

impl Value {
    pub fn word(self) -> String {
        format!("{self:?}")
    }
}

/// Where a run stands. One that is in flight is a call that has not arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Run {
    InFlight,
    Running,
    Succeeded,
    Failed,
    Faulted,
    Stopped,
}

/// A run by promotion, step and try.
pub type Key = (usize, usize, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Frozen {
    No,
    ExceptRollback,
    All,
}

/// One promotion and the pass that works on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    pub promotion: Promotion,
    pub arrived: bool,
    /// History limits deleted the object after it ended.
    pub forgotten: bool,
    pub gate: Gate,
    pub cancel: bool,
    /// People let it pass freezes, before it began.
    pub lifted: bool,
    /// The effect that the pass is about to have.
    pub pending: Option<Effect>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// In units of the time after which an unanswered call no longer arrives.
    pub tick: i64,
    pub actors: Vec<Actor>,
    pub environment: Environment,
    pub targets: Vec<Value>,
    pub runs: BTreeMap<Key, Run>,
    pub frozen: Frozen,
    /// A promotion failed after it began, and nobody has resumed.
    pub holds: bool,
    /// The newest deploy that began.
    pub begun: Option<Place>,
    /// Calls sent and not looked for since.
    pub unlooked: BTreeSet<Key>,
    pub faults: u8,
    pub accidents: BTreeSet<Accident>,
}

/// What can happen in one exploration.
#[derive(Clone, Debug)]
pub struct Scene {
    pub wants: Vec<Want>,
    pub steps: usize,
    pub attempts: u32,
    pub on_failure: OnFailure,
    pub ticks: i64,
    /// How many things may go wrong, of the kinds below.
    pub faults: u8,
    pub crashes: bool,
    pub lost_answers: bool,
    pub refusals: bool,
    pub transient: bool,
    pub hands: bool,
    pub cancels: bool,
    pub freezes: bool,
    /// Whether people may lift freezes and what else only asks to wait.
    pub lifts: bool,
    pub gates: bool,
    pub forgets: bool,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub scene: Scene,
    pub guards: Guards,
    /// The accident that is looked for; `None`: any.
    pub wanted: Option<Accident>,
}

pub fn name(n: usize) -> PromotionName {
    PromotionName(format!("p{n}"))
}

impl Model {
    pub fn begin(&self) -> World {
        let scene = &self.scene;
        let steps = (0..scene.steps)
            .map(|n| {
                Step::new(
                    StepName(format!("s{n}")),
                    2 * SETTLE.unsigned_abs(),
                    scene.attempts,
                )
            })
            .collect::<Vec<_>>();
        let actors = (0..scene.wants.len())
            .map(|n| Actor {
                promotion: Promotion {
                    name: name(n),
                    subject: Subject {
                        policy_uid: String::new(),
                        environment: String::new(),
                        change: ChangeNumber(n as u64),
                        revision: CommitId(String::new()),
                        cause: Cause::Deploy { attempt: 1 },
                    },
                    on_failure: scene.on_failure,
                    phase: Phase::Waiting,
                    steps: steps.clone(),
                },
                arrived: scene.wants.len() == 1,
                forgotten: false,
                gate: if scene.gates { Gate::Waits } else { Gate::Passes },
                cancel: false,
                lifted: false,
                pending: None,
            })
            .collect();
        World {
            tick: 0,
            actors,
            environment: Environment::default(),
            targets: vec![Value::Before; scene.steps],
            runs: BTreeMap::new(),
            frozen: Frozen::No,
            holds: false,
            begun: None,
            unlooked: BTreeSet::new(),
            faults: 0,
            accidents: BTreeSet::new(),
        }
    }

    pub fn contenders(&self, world: &World) -> Contenders {
        world
            .actors
            .iter()
            .enumerate()
            .filter(|(_, actor)| actor.arrived && !actor.forgotten)
            .map(|(n, actor)| {
                (
                    name(n),
                    Contender::new(&actor.promotion, self.scene.wants[n], actor.gate),
                )
            })
            .collect()
    }

    pub fn orders(&self, world: &World, n: usize) -> Orders {
        let actor = &world.actors[n];
        Orders {
            gate: actor.gate,
            turn: world.environment.has_turn(&name(n)),
            superseded_by: world.environment.superseded_by_under(
                &name(n),
                &self.contenders(world),
                self.guards,
            ),
            cancel: actor.cancel,
            frozen: !actor.lifted && world.frozen != Frozen::No,
            undo_frozen: !actor.lifted && world.frozen == Frozen::All,
        }
    }
}

impl World {
    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.tick * SETTLE).unwrap()
    }

    pub fn lives(run: Run) -> bool {
        matches!(run, Run::InFlight | Run::Running)
    }

    /// A call arrives: the token starts a run unless it has one.
    pub fn deliver(&mut self, key: Key) {
        if !matches!(self.runs.get(&key), None | Some(Run::InFlight)) {
            return;
        }
        let (n, step, attempt) = key;
        let others = self.runs.iter().filter(|(other, _)| **other != key);
        for ((m, their_step, theirs), run) in others {
            if (*m, *their_step) == (n, step) && !(*theirs < attempt && *run == Run::Faulted) {
                self.accidents.insert(Accident::TwoRunsOfOneStep);
            }
        }
        if attempt > self.actors[n].promotion.steps[step].attempts {
            self.accidents.insert(Accident::TooManyTries);
        }
        self.runs.insert(key, Run::Running);
    }

    /// Looks for accidents that show in the state alone.
    pub fn inspect(&mut self) {
        if self.actors.iter().filter(|actor| actor.promotion.acts()).count() > 1 {
            self.accidents.insert(Accident::TwoAct);
        }
        for (n, actor) in self.actors.iter().enumerate() {
            let Some(end) = actor.promotion.ended() else {
                continue;
            };
            if self
                .runs
                .iter()
                .any(|((m, ..), run)| *m == n && Self::lives(*run))
            {
                self.accidents.insert(Accident::RunOutlivesPromotion);
            }
            for (step, value) in self.targets.iter().enumerate() {
                let shows = *value == Value::Of(n);
                let said = match end {
                    End::Succeeded => true,
                    End::Failed { left, .. } => left.contains_key(&actor.promotion.steps[step].name),
                    _ => false,
                };
                if shows && !said {
                    self.accidents.insert(Accident::LeftUnsaid);
                }
            }
        }
    }

    /// What a machine's move gave away about itself.
    pub fn watch(&mut self, n: usize, before: &Promotion, orders: &Orders, want: Want) {
        let actor = &self.actors[n];
        let (promotion, effect) = (&actor.promotion, actor.pending);
        let mut found = Vec::new();
        if before.phase == Phase::Waiting && promotion.acts() {
            if !orders.turn {
                found.push(Accident::BeganWithoutTurn);
            }
            if orders.gate != Gate::Passes {
                found.push(Accident::BeganAgainstGate);
            }
            if let Want::Deploy(place) = want {
                if self.begun.is_some_and(|begun| place < begun) {
                    found.push(Accident::OlderBeganAfterNewer);
                }
                self.begun = self.begun.max(Some(place));
            }
        }
        if before.acts()
            && let Some(end) = promotion.ended()
        {
            match end {
                End::Failed { .. } => self.holds = true,
                End::Succeeded => {
                    let done = |step: usize| {
                        let runs = self.runs.range((n, step, 0)..(n, step + 1, 0));
                        runs.into_iter().any(|(_, run)| *run == Run::Succeeded)
                    };
                    if !(0..self.targets.len()).all(done) {
                        found.push(Accident::SucceededWithoutEffect);
                    }
                }
                _ => {}
            }
        }
        match effect {
            Some(Effect::Act { .. }) => {
                if self.frozen != Frozen::No && !actor.lifted {
                    found.push(Accident::ActedWhileFrozen);
                }
                if orders.cancel {
                    found.push(Accident::ActedAfterCancel);
                }
            }
            Some(Effect::Undo { step }) => {
                if self.frozen == Frozen::All && !actor.lifted {
                    found.push(Accident::UndidWhileFrozen);
                }
                if self
                    .runs
                    .iter()
                    .any(|((m, ..), run)| *m == n && Self::lives(*run))
                {
                    found.push(Accident::UndoneWhileRunning);
                }
                let still = |at: usize| {
                    self.targets[at] == Value::Of(n)
                        && !matches!(promotion.steps[at].state, StepState::NotUndone(_))
                };
                if (step + 1..self.targets.len()).any(still) {
                    found.push(Accident::UndoneOutOfOrder);
                }
            }
            _ => {}
        }
        let limit = 2 * SETTLE;
        let late = |step: &Step| match step.state {
            StepState::Acting {
                since, sent: Some(_), ..
            } => self.now().as_second() >= since.as_second() + limit,
            _ => false,
        };
        // A pass looks first; at its end what is late is on its way to be stopped.
        if effect.is_none() && promotion.phase == Phase::Running && promotion.steps.iter().any(late) {
            found.push(Accident::RunOutlivesItsTime);
        }
        self.accidents.extend(found);
    }
}
