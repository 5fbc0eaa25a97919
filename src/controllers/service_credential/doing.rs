//! What each move of the machine does outside, and what its answer means. Values are found by their fingerprints, never by
//! what somebody wrote beside them.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::api::ServiceCredential;
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::label::Label;
use lockstep_core::domain::rotation::machine::state::{
    CredentialId, Generation, GenerationState, Rotation, StoreName, Why,
};
use lockstep_core::domain::rotation::machine::{Effect, Issued, Seen};
use lockstep_core::domain::rotation::ports::issuers::{Issuer, Listed};
use lockstep_core::domain::rotation::ports::stores::{Contents, Entry, Owned, Owner, Place, Store};
use lockstep_core::domain::rotation::rendering;
use lockstep_core::domain::rotation::value::{Fields, Value};

use super::super::Context;
use super::gather::{Gathered, Open, problem};
use super::held::Values;
use super::key;
use super::reading::Problem;

/// A pass at work.
pub struct Doing<'a> {
    context: &'a Context,
    credential: &'a ServiceCredential,
    gathered: &'a Gathered,
    issuer: &'a dyn Issuer,
    lifetime: Option<u64>,
    owner: Owner,
    /// Places that were written to before.
    known: BTreeSet<String>,
    /// Values that are in memory now.
    pub values: Values,
    /// What the stores held when they were read last in this pass.
    contents: BTreeMap<StoreName, Contents>,
    /// What the issuer listed last in this pass.
    pub listed: Option<Vec<Listed>>,
    /// What did not do what was asked, in order.
    pub problems: Vec<Problem>,
    /// Consumers that are not there.
    pub missing: Vec<String>,
    /// What people should hear of besides.
    pub happened: Vec<Problem>,
    /// Errors among the problems.
    pub errors: Vec<SystemError>,
}

impl<'a> Doing<'a> {
    pub fn new(
        context: &'a Context,
        credential: &'a ServiceCredential,
        gathered: &'a Gathered,
        issuer: &'a dyn Issuer,
        lifetime: Option<u64>,
        values: Values,
    ) -> Self {
        let object = key(credential);
        let known = credential
            .status
            .iter()
            .flat_map(|status| status.stores.iter().flatten());
        Self {
            context,
            credential,
            gathered,
            issuer,
            lifetime,
            owner: Owner {
                uid: object.uid,
                name: format!("{}/{}", object.namespace, object.name),
            },
            known: known.map(|row| row.name.clone()).collect(),
            values,
            contents: BTreeMap::new(),
            listed: None,
            problems: Vec::new(),
            missing: Vec::new(),
            happened: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub async fn does(&mut self, effect: &Effect, rotation: &Rotation) -> Seen {
        match effect {
            Effect::List => self.list().await,
            Effect::Mint { generation } => self.mint(*generation).await,
            Effect::Prove { generation } => self.prove(*generation, rotation).await,
            Effect::Read { store } => self.read(store, rotation).await,
            Effect::TakeBack { generation, .. } => {
                // A value that was read lies in memory already.
                if self.values.contains_key(generation) {
                    Seen::Accepted
                } else {
                    Seen::Refused
                }
            }
            Effect::Write { generation, store } => self.write(*generation, store, rotation).await,
            Effect::Restart { generation } => self.restart(*generation).await,
            Effect::Revoke { generation } => self.revoke(*generation, rotation).await,
            Effect::Remove { store } => self.remove(store).await,
        }
    }

    /// Notes what went wrong; whether it certainly did nothing.
    fn fails(&mut self, error: SystemError) -> Seen {
        let seen = match error.kind {
            SystemErrorKind::OutcomeUnknown | SystemErrorKind::BadAnswer => Seen::Unknown,
            SystemErrorKind::Unauthorized
            | SystemErrorKind::Forbidden
            | SystemErrorKind::NotFound
            | SystemErrorKind::Refused
            | SystemErrorKind::Stale
            | SystemErrorKind::Throttled
            | SystemErrorKind::Unreachable
            | SystemErrorKind::NoPermit
            | SystemErrorKind::Connection(_) => {
                if error.partly {
                    Seen::Unknown
                } else {
                    Seen::Refused
                }
            }
        };
        self.problems.push(problem(&error));
        self.errors.push(error);
        seen
    }

    /// The same of a store, which is named as the spec names it.
    fn store_fails(&mut self, name: &StoreName, error: SystemError) -> Seen {
        let (reason, message) = problem(&error);
        let seen = self.fails(error);
        if let Some(open) = self.gathered.stores.get(name)
            && let Place::CredentialStore { namespace, name, .. } = &open.lies.place
        {
            self.problems.pop();
            self.problems
                .push((reason, format!("CredentialStore {namespace}/{name}: {message}")));
        }
        seen
    }

    /// A question that was not answered.
    fn unanswered(&mut self, error: SystemError) -> Seen {
        self.fails(error);
        Seen::Unknown
    }

    async fn list(&mut self) -> Seen {
        match self.issuer.list().await {
            Ok(listed) => {
                let uid = &self.owner.uid;
                let generation = |one: &Listed| {
                    let label = one.label.as_ref().filter(|label| label.is_of(uid))?;
                    Some(label.generation)
                };
                let seen = listed
                    .iter()
                    .map(|one| (one.id.clone(), generation(one)))
                    .collect();
                self.listed = Some(listed);
                Seen::Listed(seen)
            }
            Err(error) => self.unanswered(error),
        }
    }

    async fn mint(&mut self, generation: u64) -> Seen {
        let label = Label::new(&self.owner.uid, generation);
        match self.issuer.mint(&label, self.lifetime).await {
            Ok(minted) => {
                let value = minted.credential.value;
                let fingerprint = self.context.fingerprints.fingerprint(&value);
                self.values.insert(generation, value);
                Seen::Minted(Issued {
                    id: minted.id,
                    fingerprint,
                    expires: minted.expires,
                })
            }
            Err(error) => self.fails(error),
        }
    }

    async fn prove(&mut self, generation: u64, rotation: &Rotation) -> Seen {
        let Some((id, value)) = self.whole(generation, rotation) else {
            return Seen::Unknown;
        };
        let credential = self.issuer.credential(&id, value);
        match self.issuer.prove(&credential).await {
            Ok(true) => Seen::Accepted,
            Ok(false) => {
                let message = format!(
                    "{} does not let generation {generation} in yet, which it minted itself",
                    self.issuer.address()
                );
                self.problems.push((Reason::Progressing, message));
                Seen::Refused
            }
            Err(error) => self.unanswered(error),
        }
    }

    fn whole(&self, generation: u64, rotation: &Rotation) -> Option<(CredentialId, Value)> {
        let id = rotation.generation(generation)?.id.clone()?;
        Some((id, self.values.get(&generation)?.clone()))
    }

    fn open(&mut self, name: &StoreName) -> Option<(&'a Open, &'a dyn Store)> {
        let open = self.gathered.stores.get(name)?;
        match &open.store {
            Ok(store) => Some((open, &**store)),
            Err(why) => {
                self.problems.push(why.clone());
                None
            }
        }
    }

    async fn read(&mut self, name: &StoreName, rotation: &Rotation) -> Seen {
        let Some((open, store)) = self.open(name) else {
            return Seen::Unknown;
        };
        let contents = match store.read().await {
            Ok(contents) => contents,
            Err(error) => {
                self.store_fails(name, error);
                return Seen::Unknown;
            }
        };
        if let Some(other) = self.taken(&contents) {
            let message = format!("{} is {other}", store.address());
            self.problems.push((Reason::ClaimedByAnother, message));
            return Seen::Unknown;
        }
        let held = self.holds(open, &contents, rotation);
        self.contents.insert(name.clone(), contents);
        Seen::Holds(held)
    }

    /// Whose it is, where it is not ours to write.
    fn taken(&self, contents: &Contents) -> Option<String> {
        match &contents.owned {
            Owned::Absent => None,
            Owned::By(owner) if owner.uid == self.owner.uid => None,
            // Who deleted and made the object anew under its old name goes on where it was.
            Owned::By(owner) if owner.name == self.owner.name => None,
            Owned::By(owner) => Some(format!(
                "written by ServiceCredential {}: choose another place",
                owner.name
            )),
            Owned::Offered(name) if *name == self.owner.name => None,
            Owned::Offered(name) => Some(format!(
                "offered to ServiceCredential {name}, which is another one"
            )),
            Owned::Foreign(who) => Some(who.clone()),
        }
    }

    /// Which generation lies there just as it should. Values of ours that are found are taken into memory, however they
    /// stand there.
    fn holds(&mut self, open: &Open, contents: &Contents, rotation: &Rotation) -> Option<u64> {
        let mut found = Vec::new();
        for value in rendering::candidates(&contents.fields) {
            if let Some(number) = self.generation_of(&value, rotation) {
                self.values.entry(number).or_insert(value);
                found.push(number);
            }
        }
        let last = rendering::candidates(&contents.previous);
        let last: Vec<u64> = last
            .iter()
            .filter_map(|value| self.generation_of(value, rotation))
            .collect();
        // What stands there of an older value goes when that value does.
        let is_stale = !contents.previous.is_empty()
            && !last
                .iter()
                .any(|number| rotation.generation(*number).is_some_and(lives_on));
        found.into_iter().find(|number| {
            let Some((id, value)) = self.whole(*number, rotation) else {
                return false;
            };
            let wanted = rendering::render(&open.lies.shape, &self.issuer.credential(&id, value));
            !is_stale && rendering::same(&wanted, &contents.fields)
        })
    }

    fn generation_of(&self, value: &Value, rotation: &Rotation) -> Option<u64> {
        let fingerprint = self.context.fingerprints.fingerprint(value);
        let mut generations = rotation.generations.iter();
        let found = generations.find(|one| one.fingerprint.as_ref() == Some(&fingerprint))?;
        Some(found.number)
    }

    async fn write(&mut self, generation: u64, name: &StoreName, rotation: &Rotation) -> Seen {
        let Some((open, store)) = self.open(name) else {
            return Seen::Unknown;
        };
        let (Some((id, value)), Some(contents)) =
            (self.whole(generation, rotation), self.contents.remove(name))
        else {
            return Seen::Unknown;
        };
        let fields = rendering::render(&open.lies.shape, &self.issuer.credential(&id, value));
        let previous = self.previous(generation, open, &contents, rotation);
        let differs = !rendering::same(&fields, &contents.fields);
        let entry = Entry {
            owner: &self.owner,
            fields: &fields,
            previous: &previous,
        };
        match store.write(&entry, &contents.version).await {
            Ok(()) => {
                // What was ours there, and somebody changed. What only drops the last value is our own doing.
                let was_there = self.known.contains(&name.0);
                if was_there && differs && rotation.current().is_some_and(|one| one.number == generation) {
                    let message = format!("generation {generation} was put back into {}", store.address());
                    self.happened.push((Reason::Repaired, message));
                }
                Seen::Accepted
            }
            Err(error) => self.store_fails(name, error),
        }
    }

    /// What stands beside the new value: the one that it replaces, while that lives on.
    fn previous(&self, generation: u64, open: &Open, contents: &Contents, rotation: &Rotation) -> Fields {
        let values = rendering::candidates(&contents.fields);
        let older = rendering::candidates(&contents.previous);
        let last = values.iter().chain(&older).find_map(|value| {
            let number = self.generation_of(value, rotation)?;
            let one = rotation.generation(number)?;
            (number != generation && lives_on(one)).then(|| (one.id.clone(), value.clone()))
        });
        let Some((Some(id), value)) = last else {
            return Fields::new();
        };
        rendering::render(&open.lies.shape, &self.issuer.credential(&id, value))
    }

    async fn restart(&mut self, generation: u64) -> Seen {
        let object = key(self.credential);
        let restarts = self.gathered.declared.as_ref().map(|declared| &declared.restarts);
        let mark = format!("{}-{generation}", object.name);
        for what in restarts.into_iter().flatten() {
            let asked = self
                .context
                .credentials
                .restart(&object.namespace, what, &mark)
                .await;
            match asked {
                Ok(()) => {}
                // Who is not there uses nothing: the others must not wait for it.
                Err(error) if error.kind == SystemErrorKind::NotFound => {
                    self.missing.push(error.to_string());
                }
                Err(error) => return self.fails(error),
            }
        }
        Seen::Accepted
    }

    async fn revoke(&mut self, generation: u64, rotation: &Rotation) -> Seen {
        let id = rotation.generation(generation).and_then(|one| one.id.clone());
        let Some(id) = id else { return Seen::Accepted };
        match self.issuer.revoke(&id).await {
            Ok(()) => Seen::Accepted,
            Err(error) => self.fails(error),
        }
    }

    async fn remove(&mut self, name: &StoreName) -> Seen {
        let Some((_, store)) = self.open(name) else {
            return Seen::Unknown;
        };
        match take_out(store, &self.owner).await {
            Ok(()) => Seen::Accepted,
            Err(error) => self.store_fails(name, error),
        }
    }
}

/// Takes out of a store what is this owner's; what is somebody else's stays.
pub async fn take_out(store: &dyn Store, owner: &Owner) -> Result<(), SystemError> {
    let contents = store.read().await?;
    match &contents.owned {
        Owned::By(by) if by.uid == owner.uid => store.remove(&contents.version).await,
        _ => Ok(()),
    }
}

/// Whether a value may still be used by whoever has it.
fn lives_on(one: &Generation) -> bool {
    let known = matches!(
        one.state,
        GenerationState::Revoking {
            why: Why::Compromised,
            ..
        }
    );
    one.may_live() && !known
}

/// Values in memory, for the machine.
pub fn numbers(values: &Values) -> BTreeSet<u64> {
    values.keys().copied().collect()
}
