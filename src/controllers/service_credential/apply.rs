//! Moves the machine: what it says is to be written down is written, and only then done. What only looks needs nothing
//! written: whoever comes after a crash looks again.

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::service_credential::StoreRow;
use lockstep_core::api::{FINALIZER, ServiceCredential};
use lockstep_core::domain::ports::{Entry, Event, KeepError, SystemError};
use lockstep_core::domain::rotation::fact::CredentialFact;
use lockstep_core::domain::rotation::machine::state::{Generation, Rotation, StoreName};
use lockstep_core::domain::rotation::machine::{Effect, Seen, next};
use lockstep_core::domain::rotation::ports::issuers::{Issuer, Listed};
use lockstep_core::domain::rotation::rows;
use serde_json::{Value, json};

use super::super::Context;
use super::doing::{Doing, numbers};
use super::gather::{Gathered, problem};
use super::held::Held;
use super::plan::{Going, Planned};
use super::reading::Problem;
use super::{key, leftover};

/// Moves of one pass at most: a rotation into the most stores takes a few dozen, so more is a circle.
const MOVES: usize = 200;

/// How a pass ended.
#[derive(Default)]
pub struct Outcome {
    pub rotation: Option<Rotation>,
    /// What the issuer listed, if it was asked.
    pub listed: Option<Vec<Listed>>,
    pub problems: Vec<Problem>,
    /// Consumers that are not there.
    pub missing: Vec<String>,
    /// What people should hear of besides.
    pub happened: Vec<Problem>,
    pub errors: Vec<SystemError>,
    /// When time alone changes something, the schedule apart.
    pub again: Option<Timestamp>,
    /// The pass changed what is remembered, so that the next one may find more to do.
    pub moved: bool,
    /// What could not be kept.
    pub unkept: Option<KeepError>,
    /// The object was let go.
    pub ended: bool,
}

impl Outcome {
    fn unkept(error: KeepError) -> Self {
        Self {
            unkept: Some(error),
            ..Self::default()
        }
    }
}

/// Moves it as far as it goes now.
pub async fn apply(
    credential: &ServiceCredential,
    gathered: &Gathered,
    planned: &Planned,
    held: &Held,
    context: &Context,
) -> Outcome {
    match (planned, &gathered.issuer) {
        (Planned::LetGo, _) => let_go(credential, context).await,
        (Planned::Look, Ok(issuer)) => look(&**issuer).await,
        (Planned::Go(going), Ok(issuer)) => go(credential, gathered, going, &**issuer, held, context).await,
        _ => Outcome::default(),
    }
}

async fn look(issuer: &dyn Issuer) -> Outcome {
    match issuer.list().await {
        Ok(listed) => Outcome {
            listed: Some(listed),
            ..Outcome::default()
        },
        Err(error) => Outcome {
            problems: vec![problem(&error)],
            errors: vec![error],
            ..Outcome::default()
        },
    }
}

async fn let_go(credential: &ServiceCredential, context: &Context) -> Outcome {
    match context
        .cluster
        .remove_finalizer(&key(credential), FINALIZER)
        .await
    {
        Ok(()) => Outcome {
            ended: true,
            ..Outcome::default()
        },
        Err(error) => Outcome::unkept(error),
    }
}

async fn go(
    credential: &ServiceCredential,
    gathered: &Gathered,
    going: &Going,
    issuer: &dyn Issuer,
    held: &Held,
    context: &Context,
) -> Outcome {
    let uid = credential.uid().unwrap_or_default();
    let mut doing = Doing::new(
        context,
        credential,
        gathered,
        issuer,
        going.lifetime,
        held.take(&uid),
    );
    let mut keeping = Keeping::new(credential, going, context);
    let mut orders = going.orders.clone();
    let mut rotation = going.rotation.clone();
    let (mut effect, mut seen) = (None, Seen::Pass);
    let mut outcome = Outcome::default();
    for _ in 0..MOVES {
        orders.held = numbers(&doing.values);
        let step = next(rotation, effect.as_ref(), seen, &orders, context.clock.now());
        rotation = step.rotation;
        outcome.again = step.again;
        // What was asked for by hand was begun, or needs no more than this.
        if rotation.coming().is_some() {
            orders.due = false;
        }
        let writes = step.effect.as_ref().is_none_or(writes);
        if writes && let Err(error) = keeping.keep(&rotation, step.effect.as_ref()).await {
            // What is not written down must not happen.
            held.keep(&uid, doing.values, &rotation);
            return Outcome::unkept(error);
        }
        let Some(todo) = step.effect else {
            outcome.ended = step.ended;
            break;
        };
        seen = doing.does(&todo, &rotation).await;
        effect = Some(todo);
    }
    outcome.moved = keeping.moved;
    let mut left = None;
    if going.orders.ending.is_some() == outcome.ended {
        left = leftover::take_out(credential, gathered, &rotation, context, &mut doing).await;
    }
    if let Err(error) = keeping.stores(left, &rotation).await {
        outcome.unkept = Some(error);
    }
    held.keep(&uid, std::mem::take(&mut doing.values), &rotation);
    outcome.listed = doing.listed;
    outcome.problems = doing.problems;
    outcome.missing = doing.missing;
    outcome.happened = doing.happened;
    outcome.happened.extend(happened(going, &rotation));
    outcome.errors = doing.errors;
    if outcome.ended && outcome.unkept.is_none() && outcome.problems.is_empty() {
        let gone = let_go(credential, context).await;
        outcome.unkept = gone.unkept;
    }
    outcome.rotation = Some(rotation);
    outcome
}

/// What became of the credential that was current, where nobody asked for it.
fn happened(going: &Going, after: &Rotation) -> Vec<Problem> {
    let mut said = Vec::new();
    let was = going.rotation.current().map(|one| one.number);
    let is = after.current().map(|one| one.number);
    if let Some(was) = was
        && is != Some(was)
        && going.orders.ending.is_none()
    {
        if going.orders.compromised.contains(&was) {
            let message = format!(
                "generation {was} is compromised and was revoked first: consumers have none that works until the next one \
                 is current"
            );
            said.push((Reason::Revoking, message));
        } else if !going.orders.due {
            let message = format!(
                "generation {was} is not at the issuer any more, or in no store, by another hand: a new one is minted at \
                 once"
            );
            said.push((Reason::Drifted, message));
        }
    }
    if let Some(is) = is.filter(|is| Some(*is) != was) {
        said.push((Reason::Succeeded, format!("generation {is} is current")));
    }
    said
}

/// Whether it changes something outside.
fn writes(effect: &Effect) -> bool {
    match effect {
        Effect::List | Effect::Prove { .. } | Effect::Read { .. } | Effect::TakeBack { .. } => false,
        Effect::Mint { .. }
        | Effect::Write { .. }
        | Effect::Restart { .. }
        | Effect::Revoke { .. }
        | Effect::Remove { .. } => true,
    }
}

/// What is written down, in the status and in the record.
struct Keeping<'a> {
    credential: &'a ServiceCredential,
    context: &'a Context,
    rotate_for: Option<&'a String>,
    /// Which generation was current when the pass began.
    current: Option<u64>,
    rotated_for: Option<String>,
    stores: Vec<StoreRow>,
    /// As it stands in the status.
    written: Value,
    holds: bool,
    moved: bool,
}

impl<'a> Keeping<'a> {
    fn new(credential: &'a ServiceCredential, going: &'a Going, context: &'a Context) -> Self {
        let status = credential.status.clone().unwrap_or_default();
        let stores = status.stores.clone().unwrap_or_default();
        let mut keeping = Self {
            credential,
            context,
            rotate_for: going.rotate_for.as_ref(),
            current: going.rotation.current().map(|one| one.number),
            rotated_for: status.rotated_for.clone(),
            stores,
            written: Value::Null,
            holds: credential.finalizers().iter().any(|held| held == FINALIZER),
            moved: false,
        };
        keeping.written = keeping.fields(&going.rotation);
        // Nothing is kept yet where the record had to be asked.
        if status.generations.is_none() {
            keeping.written = Value::Null;
        }
        keeping
    }

    fn fields(&self, rotation: &Rotation) -> Value {
        json!({
            "generations": rows::rows(rotation),
            "blocked": rows::blocked_row(rotation),
            "stores": self.stores,
            "rotatedFor": self.rotated_for,
        })
    }

    /// Writes the state down, and what is about to be done.
    async fn keep(&mut self, rotation: &Rotation, effect: Option<&Effect>) -> Result<(), KeepError> {
        let object = key(self.credential);
        let live = rotation.generations.iter().any(Generation::may_live);
        if live && !self.holds {
            self.context.cluster.add_finalizer(&object, FINALIZER).await?;
            self.holds = true;
        }
        // One that was begun and lost on its way is no answer to whoever asked.
        let current = rotation.current().map(|one| one.number);
        if current.is_some()
            && current != self.current
            && let Some(wish) = self.rotate_for
        {
            self.rotated_for = Some(wish.clone());
        }
        if let Some(Effect::Write { store, .. }) = effect {
            self.remember(store);
        }
        let fields = self.fields(rotation);
        let changed = fields != self.written;
        if (changed && self.written != Value::Null) || effect.is_some() {
            let entry = self.entry(rotation, effect);
            self.context.record.append(entry).await?;
        }
        if changed {
            self.context.objects.keep(&object, fields.clone()).await?;
            self.moved |= self.written != Value::Null || !rotation.generations.is_empty();
            self.written = fields;
        }
        Ok(())
    }

    fn remember(&mut self, store: &StoreName) {
        if !self.stores.iter().any(|row| row.name == store.0) {
            self.stores.push(StoreRow {
                name: store.0.clone(),
                holds: None,
            });
        }
    }

    /// Writes down where it lies. `gone`: places that hold nothing of ours any more.
    async fn stores(&mut self, gone: Option<Vec<StoreName>>, rotation: &Rotation) -> Result<(), KeepError> {
        for name in gone.into_iter().flatten() {
            self.stores.retain(|row| row.name != name.0);
        }
        for row in &mut self.stores {
            let seen = rotation.known.stores.get(&StoreName(row.name.clone()));
            if let Some(seen) = seen {
                row.holds = *seen;
            }
        }
        let fields = self.fields(rotation);
        if fields == self.written || self.written == Value::Null {
            return Ok(());
        }
        self.written = fields.clone();
        self.context.objects.keep(&key(self.credential), fields).await
    }

    fn entry(&self, rotation: &Rotation, effect: Option<&Effect>) -> Entry {
        let (event, note) = match effect {
            Some(effect) => (Event::Intent, told(effect)),
            None => (Event::Succeeded, String::new()),
        };
        Entry {
            time: self.context.clock.now(),
            actor: self.context.actor.clone(),
            object: key(self.credential),
            event,
            changes: Vec::new(),
            digest: None,
            gained: Vec::new(),
            gave_up: Vec::new(),
            promotion: None,
            credential: Some(CredentialFact {
                generations: rows::rows(rotation),
            }),
            note,
        }
    }
}

/// What is about to be done, for people.
fn told(effect: &Effect) -> String {
    match effect {
        Effect::List => "list".into(),
        Effect::Mint { generation } => format!("mint generation {generation}"),
        Effect::Prove { generation } => format!("log in with generation {generation}"),
        Effect::Read { store } => format!("read {}", store.0),
        Effect::TakeBack { generation, store } => format!("take generation {generation} out of {}", store.0),
        Effect::Write { generation, store } => format!("write generation {generation} to {}", store.0),
        Effect::Restart { generation } => format!("start consumers anew for generation {generation}"),
        Effect::Revoke { generation } => format!("revoke generation {generation}"),
        Effect::Remove { store } => format!("take everything out of {}", store.0),
    }
}

/// What keeps a pass from doing anything, said once for all.
pub fn stuck(planned: &Planned) -> Option<(Reason, &str)> {
    match planned {
        Planned::Stuck(reason, message) => Some((*reason, message)),
        Planned::Go(going) => {
            let (reason, message) = going.held_back.as_ref()?;
            Some((*reason, message))
        }
        Planned::Look | Planned::LetGo => None,
    }
}
