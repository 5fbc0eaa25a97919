//! What can happen next, and what it does.

use std::collections::BTreeMap;

use stateright::{Model as Checked, Property};

use super::world::{Accident, Frozen, Key, Model, Run, Value, World, name};
use crate::domain::exploring::NO_ACCIDENT;
use crate::domain::promotion::machine::queue::{Want, Wishes};
use crate::domain::promotion::machine::state::{End, Failure, FailureKind, Phase};
use crate::domain::promotion::machine::steps::{Effect, Gate, Seen, next_under};

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Answered,
    Refused,
    /// No answer, and it was done.
    Done,
    /// No answer, and it never will be.
    Lost,
    /// No answer yet, and it may still be done.
    InFlight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Arrive(usize),
    Gate(usize, Gate),
    Queue,
    Resume,
    Pass(usize),
    Call(usize, Call),
    /// The process dies before the pending effect.
    DieBefore(usize),
    /// The process dies after the pending effect, before it writes down what came of it.
    DieAfter(usize),
    Finish(Key, Run),
    Arrives(Key),
    Hand(usize),
    Freeze(Frozen),
    Cancel(usize),
    /// Two people break the glass.
    Lift(usize),
    Forget(usize),
    Tick,
}

impl Checked for Model {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.begin()]
    }

    fn actions(&self, world: &World, out: &mut Vec<Action>) {
        let scene = &self.scene;
        let faulty = world.faults < scene.faults;
        // A story ends with its accident.
        if !world.accidents.is_empty() {
            return;
        }
        out.push(Action::Queue);
        for (n, actor) in world.actors.iter().enumerate() {
            if !actor.arrived {
                out.push(Action::Arrive(n));
                continue;
            }
            let ended = actor.promotion.ended().is_some();
            if scene.forgets && ended && !actor.forgotten && !world.environment.has_turn(&name(n)) {
                out.push(Action::Forget(n));
            }
            if !ended {
                match actor.pending {
                    None => out.push(Action::Pass(n)),
                    Some(effect) => self.calls(world, n, effect, out),
                }
                if scene.gates {
                    out.extend([Gate::Waits, Gate::Passes].map(|gate| Action::Gate(n, gate)));
                    out.push(Action::Gate(n, Gate::Refuses));
                }
                if scene.lifts && actor.promotion.phase == Phase::Waiting && actor.gate == Gate::Waits {
                    out.push(Action::Lift(n));
                }
                if scene.cancels && faulty && !actor.cancel {
                    out.push(Action::Cancel(n));
                }
            }
        }
        for (key, run) in &world.runs {
            match run {
                Run::InFlight => out.push(Action::Arrives(*key)),
                Run::Running => {
                    out.push(Action::Finish(*key, Run::Succeeded));
                    if faulty {
                        out.push(Action::Finish(*key, Run::Failed));
                        if scene.transient {
                            out.push(Action::Finish(*key, Run::Faulted));
                        }
                    }
                }
                _ => {}
            }
        }
        let undoing = |actor: &super::world::Actor| matches!(actor.pending, Some(Effect::Undo { .. }));
        if scene.hands && faulty && !world.actors.iter().any(undoing) {
            let ours = |value: &Value| matches!(value, Value::Of(_));
            let targets = world.targets.iter().enumerate();
            out.extend(
                targets
                    .filter(|(_, value)| ours(value))
                    .map(|(at, _)| Action::Hand(at)),
            );
        }
        if scene.freezes {
            out.extend([Frozen::No, Frozen::ExceptRollback, Frozen::All].map(Action::Freeze));
        }
        if world.holds {
            out.push(Action::Resume);
        }
        // A pass has a deadline and a call needs a permit: what is not sent in time is not sent.
        let about_to_write = |actor: &super::world::Actor| {
            matches!(
                actor.pending,
                Some(Effect::Act { .. } | Effect::Undo { .. } | Effect::Stop { .. })
            )
        };
        if world.tick < scene.ticks && !world.actors.iter().any(about_to_write) {
            out.push(Action::Tick);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        self.happen(&mut world, action)?;
        world.inspect();
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_ACCIDENT, |model: &Model, world: &World| match model.wanted {
                None => world.accidents.is_empty(),
                Some(wanted) => !world.accidents.contains(&wanted),
            }),
            Property::sometimes("something succeeds", |_, world: &World| {
                ends(world, |end| *end == End::Succeeded)
            }),
            Property::sometimes("everything is undone", |_, world: &World| {
                ends(
                    world,
                    |end| matches!(end, End::Failed { left, .. } if left.is_empty()),
                )
            }),
            Property::sometimes("something is left and said", |_, world: &World| {
                ends(
                    world,
                    |end| matches!(end, End::Failed { left, .. } if !left.is_empty()),
                )
            }),
            Property::sometimes("something is superseded", |_, world: &World| {
                ends(world, |end| matches!(end, End::Superseded(_)))
            }),
        ]
    }
}

fn ends(world: &World, wanted: fn(&End) -> bool) -> bool {
    let mut actors = world.actors.iter();
    actors.any(|actor| actor.promotion.ended().is_some_and(wanted))
}

impl Model {
    /// How the pending effect can go.
    fn calls(&self, world: &World, n: usize, effect: Effect, out: &mut Vec<Action>) {
        let scene = &self.scene;
        out.push(Action::Call(n, Call::Answered));
        if world.faults >= scene.faults {
            return;
        }
        let writes = matches!(
            effect,
            Effect::Act { .. } | Effect::Undo { .. } | Effect::Stop { .. }
        );
        if scene.crashes {
            out.push(Action::DieBefore(n));
            if writes {
                out.push(Action::DieAfter(n));
            }
        }
        if scene.lost_answers {
            out.push(Action::Call(n, Call::Lost));
            if writes {
                out.push(Action::Call(n, Call::Done));
            }
            if matches!(effect, Effect::Act { .. }) {
                out.push(Action::Call(n, Call::InFlight));
            }
        }
        if scene.refusals && writes {
            out.push(Action::Call(n, Call::Refused));
        }
    }

    fn happen(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Arrive(n) => world.actors[n].arrived = true,
            Action::Gate(n, gate) => world.actors[n].gate = gate,
            Action::Queue => self.queue(world, false),
            Action::Resume => {
                self.queue(world, true);
                world.holds = world.environment.held.is_some();
            }
            Action::Pass(n) => self.go(world, n, None, Seen::Pass),
            Action::Call(n, call) => {
                let effect = world.actors[n].pending.take()?;
                world.faults += u8::from(call != Call::Answered);
                let seen = perform(world, n, effect, call);
                self.go(world, n, Some(effect), seen);
            }
            Action::DieBefore(n) => {
                world.actors[n].pending.take()?;
                world.faults += 1;
            }
            Action::DieAfter(n) => {
                let effect = world.actors[n].pending.take()?;
                world.faults += 1;
                perform(world, n, effect, Call::Done);
            }
            Action::Finish(key, run) => {
                world.faults += u8::from(run != Run::Succeeded);
                world.runs.insert(key, run);
                // A run that fails has done half: it shows all the same.
                world.targets[key.1] = Value::Of(key.0);
            }
            Action::Arrives(key) => world.deliver(key),
            Action::Hand(at) => {
                world.faults += 1;
                world.targets[at] = Value::Hand;
            }
            Action::Freeze(frozen) => world.frozen = frozen,
            Action::Cancel(n) => {
                world.faults += 1;
                world.actors[n].cancel = true;
            }
            Action::Lift(n) => {
                world.actors[n].lifted = true;
                world.actors[n].gate = Gate::Passes;
            }
            Action::Forget(n) => world.actors[n].forgotten = true,
            Action::Tick => {
                world.tick += 1;
                // What has not arrived by now does not.
                world.runs.retain(|_, run| *run != Run::InFlight);
            }
        }
        Some(())
    }

    fn queue(&self, world: &mut World, resume: bool) {
        let contenders = self.contenders(world);
        let wishes = Wishes {
            resume,
            unexplained: None,
        };
        let next = world.environment.next_under(&contenders, &wishes, self.guards);
        if next.acting != world.environment.acting
            && let Some(chosen) = &next.acting
            && let Some(n) = (0..world.actors.len()).find(|n| name(*n) == *chosen)
            && let Want::Deploy(place) = self.scene.wants[n]
        {
            if world.holds && !resume {
                world.accidents.insert(Accident::TurnWhileHeld);
            }
            let newer = |m: usize| {
                let actor = &world.actors[m];
                let waits = actor.promotion.phase == Phase::Waiting && actor.gate != Gate::Refuses;
                let theirs = self.scene.wants[m];
                actor.arrived
                    && !actor.forgotten
                    && waits
                    && matches!(theirs, Want::Deploy(theirs) if theirs > place)
            };
            if (0..world.actors.len()).any(newer) {
                world.accidents.insert(Accident::TurnBehindNewer);
            }
        }
        world.environment = next;
    }

    /// One move of a promotion's machine; what it gives is written down before anything else happens.
    fn go(&self, world: &mut World, n: usize, effect: Option<Effect>, seen: Seen) {
        let orders = self.orders(world, n);
        let before = world.actors[n].promotion.clone();
        let next = next_under(before.clone(), effect, seen, &orders, world.now(), self.guards);
        let actor = &mut world.actors[n];
        actor.promotion = next.promotion;
        actor.pending = next.effect;
        world.watch(n, &before, &orders, self.scene.wants[n]);
    }
}

/// Has the effect, and gives what is seen of it.
fn perform(world: &mut World, n: usize, effect: Effect, call: Call) -> Seen {
    let refused = || Seen::Refused(Failure::new(FailureKind::Refused, "no"));
    let done = matches!(call, Call::Answered | Call::Done);
    let answer = match call {
        Call::Answered => Seen::Accepted,
        Call::Refused => refused(),
        _ => Seen::Unknown,
    };
    let saved = |world: &World, step: usize| {
        let undo = world.actors[n].promotion.steps[step].undo.as_ref();
        undo.and_then(|words| words.get("value"))
            .cloned()
            .unwrap_or_default()
    };
    match effect {
        _ if matches!(
            effect,
            Effect::Prepare { .. } | Effect::Look { .. } | Effect::LookUndone { .. }
        ) && call != Call::Answered =>
        {
            Seen::Unknown
        }
        Effect::Prepare { step } => {
            Seen::Prepared(BTreeMap::from([("value".to_owned(), world.targets[step].word())]))
        }
        Effect::Look { step, attempt } => {
            world.unlooked.remove(&(n, step, attempt));
            match world.runs.get(&(n, step, attempt)) {
                None | Some(Run::InFlight) => Seen::Absent,
                Some(Run::Running) => Seen::Going,
                Some(Run::Succeeded) => Seen::Succeeded(BTreeMap::new()),
                Some(Run::Failed | Run::Stopped) => Seen::Failed(Failure::new(FailureKind::Failed, "failed")),
                Some(Run::Faulted) => Seen::Failed(Failure::new(FailureKind::InternalError, "fault")),
            }
        }
        Effect::Act { step, attempt } => {
            let key = (n, step, attempt);
            if !world.unlooked.insert(key) {
                world.accidents.insert(Accident::RepeatedBlindly);
            }
            if done {
                world.deliver(key);
            } else if call == Call::InFlight {
                world.runs.entry(key).or_insert(Run::InFlight);
            }
            answer
        }
        Effect::Stop { step, attempt } => {
            if done && world.runs.get(&(n, step, attempt)) == Some(&Run::Running) {
                world.runs.insert((n, step, attempt), Run::Stopped);
                world.targets[step] = Value::Of(n);
            }
            answer
        }
        Effect::LookUndone { step } => match world.targets[step] {
            value if value.word() == saved(world, step) => Seen::Undone,
            Value::Of(m) if m == n => Seen::NotUndone,
            _ => Seen::TakenByOthers("a hand".into()),
        },
        Effect::Undo { step } => {
            if done {
                if world.targets[step] == Value::Hand {
                    world.accidents.insert(Accident::OthersOverwritten);
                }
                let before = saved(world, step);
                let values = (0..world.actors.len()).map(Value::Of);
                let mut values = values.chain([Value::Before, Value::Hand]);
                world.targets[step] = values
                    .find(|value| value.word() == before)
                    .unwrap_or(Value::Before);
            }
            answer
        }
    }
}
