//! What is known of one plane: its people and groups, each in a reading that everybody shares.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, System, Target};
use lockstep_core::domain::access::observed::{GroupProperties, Located, Observed};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{Clock, SystemError, SystemErrorKind};

use super::groups::{self, Group, Groups};
use super::membership::{Creations, Desk};
use super::people::People;
use super::plane::Plane;
use super::scim::Scope;
use super::snapshot::{Reading, Readings, Snapshot};

/// Most groups that are read one by one and kept: the vendor's own limit per account is half of it.
const KEPT_GROUPS: usize = 10_000;
/// The workspace's group of everybody: listings leave its members out.
const EVERYBODY: &str = "users";
/// How long names and numbers of people are good for.
const NAMES: SignedDuration = SignedDuration::from_mins(10);
/// Key of readings that a change of the workspace's own rows voids.
const ENTITLEMENTS: &str = "entitlements";

pub(super) struct Side {
    pub plane: Plane,
    pub scope: Scope,
    clock: Arc<dyn Clock>,
    people: Arc<Snapshot<People>>,
    groups: Arc<Snapshot<Groups>>,
    single: Readings<Option<Group>>,
    /// Whether listings leave members out, as those of accounts made since 2025-08-22 do.
    bare: AtomicBool,
    creations: Creations,
}

fn id_key(id: &str) -> String {
    format!("id {id}")
}

fn name_key(name: &str) -> String {
    format!("name {}", name.to_lowercase())
}

impl Side {
    pub fn new(plane: Plane, scope: Scope, clock: &Arc<dyn Clock>) -> Self {
        Self {
            plane,
            scope,
            people: Arc::new(Snapshot::new(Arc::clone(clock))),
            groups: Arc::new(Snapshot::new(Arc::clone(clock))),
            single: Readings::new(Arc::clone(clock), KEPT_GROUPS),
            bare: AtomicBool::new(false),
            creations: Creations::default(),
            clock: Arc::clone(clock),
        }
    }

    pub async fn people(
        self: &Arc<Self>,
        system: &System,
        fresh: Timestamp,
    ) -> Result<Reading<People>, SystemError> {
        let (side, system) = (Arc::clone(self), system.clone());
        self.people
            .get(fresh, &[ENTITLEMENTS], |taken| async move {
                People::read(&side.plane, &side.scope, system, taken).await
            })
            .await
    }

    async fn groups_for(
        self: &Arc<Self>,
        fresh: Timestamp,
        keys: &[&str],
    ) -> Result<Reading<Groups>, SystemError> {
        let side = Arc::clone(self);
        self.groups
            .get(fresh, keys, |_| async move {
                Groups::read(&side.plane, &side.scope).await
            })
            .await
    }

    /// Groups with their entitlements.
    pub async fn groups(self: &Arc<Self>, fresh: Timestamp) -> Result<Reading<Groups>, SystemError> {
        self.groups_for(fresh, &[ENTITLEMENTS]).await
    }

    /// Entitlements of anybody were written.
    pub fn stain_entitlements(&self) {
        self.groups.stain(ENTITLEMENTS);
        self.people.stain(ENTITLEMENTS);
    }

    /// People for putting names to what an access list shows: good for a while, since no right hangs on it.
    pub async fn names(self: &Arc<Self>, system: &System) -> Result<Arc<People>, SystemError> {
        let fresh = self.clock.now().checked_sub(NAMES).unwrap_or(Timestamp::MIN);
        Ok(self.people(system, fresh).await?.value)
    }

    /// People who can name everybody of these, read again only if the kept reading cannot.
    pub async fn people_for<'a>(
        self: &Arc<Self>,
        system: &System,
        who: impl Iterator<Item = &'a Principal>,
    ) -> Result<Arc<People>, SystemError> {
        let persons: Vec<&Principal> = who.filter(|who| who.kind != PrincipalKind::Group).collect();
        if persons.is_empty() {
            let newest = self.people.newest().map(|reading| reading.value);
            return Ok(newest.unwrap_or_else(|| Arc::new(People::nobody(system.clone()))));
        }
        let kept = self.people(system, Timestamp::MIN).await?;
        if persons.iter().any(|who| kept.value.directory.get(who).is_none()) {
            return Ok(self.people(system, self.clock.now()).await?.value);
        }
        Ok(kept.value)
    }

    /// Groups that hold all of these names; none at all where no name is asked for.
    pub async fn groups_named<'a>(
        self: &Arc<Self>,
        who: impl Iterator<Item = &'a Principal>,
    ) -> Result<Arc<Groups>, SystemError> {
        let wanted: Vec<&Principal> = who.filter(|who| who.kind == PrincipalKind::Group).collect();
        if wanted.is_empty() {
            return Ok(self
                .groups
                .newest()
                .map(|reading| reading.value)
                .unwrap_or_default());
        }
        let kept = self.groups_for(Timestamp::MIN, &[]).await?;
        if wanted
            .iter()
            .all(|who| !kept.value.named(&who.subject).is_empty())
        {
            return Ok(kept.value);
        }
        Ok(self.groups_for(self.clock.now(), &[]).await?.value)
    }

    /// What a group's name means. A group of ours that no listing shows yet is there all the same.
    pub async fn locate(
        self: &Arc<Self>,
        system: &System,
        name: &str,
        fresh: Timestamp,
    ) -> Result<Located, SystemError> {
        let reading = self.groups_for(fresh, &[&name_key(name)]).await?;
        let at = |id: &str| Target::Group {
            system: system.clone(),
            id: id.to_owned(),
        };
        match reading.value.named(name).as_slice() {
            [group] => Ok(Located::At(at(&group.id))),
            [] => {
                if let Some(id) = self.creations.recent(name, self.clock.now()) {
                    return Ok(Located::At(at(&id)));
                }
                if !self.creations.is_unknown(name) {
                    return Ok(Located::Absent);
                }
                let found = groups::read_named(&self.plane, &self.scope, name).await?;
                Ok(found
                    .first()
                    .map_or(Located::Absent, |group| Located::At(at(&group.id))))
            }
            several => Ok(Located::Ambiguous(
                several.iter().map(|group| at(&group.id)).collect(),
            )),
        }
    }

    /// One group's members, from the listing wherever that carries them.
    pub async fn observe(
        self: &Arc<Self>,
        system: &System,
        id: &str,
        fresh: Timestamp,
        me: Principal,
    ) -> Result<Observed, SystemError> {
        let key = id_key(id);
        let bare = self.bare.load(Ordering::Relaxed);
        let listing = if bare {
            // Good for names alone; the members are read below, as fresh as asked.
            self.groups_for(Timestamp::MIN, &[]).await?
        } else {
            self.groups_for(fresh, &[&key]).await?
        };
        let members = listing.value.with_members || self.scope == Scope::Workspace;
        let listed = listing.value.by_id(id);
        let whole = listed.filter(|group| members && !bare && group.name.as_ref() != EVERYBODY);
        let alone = whole.is_none();
        let (group, taken) = match whole {
            Some(group) => (Some(Arc::clone(group)), listing.taken),
            // Either the listing says nothing about members, or it lacks a group that we know of: one listing is
            // no proof that a group is gone.
            None => {
                let (side, wanted) = (Arc::clone(self), id.to_owned());
                let reading = self
                    .single
                    .of(id)
                    .get(fresh, &[""], |_| async move {
                        groups::read_one(&side.plane, &side.scope, &wanted).await
                    })
                    .await?;
                let group = (*reading.value).clone().map(Arc::new);
                let proof = group.as_ref().is_some_and(|group| !group.member_ids().is_empty());
                // Until some group is seen to have members that the listing left out, all may just be empty.
                self.bare.store(
                    !members && (bare || (listed.is_some() && proof)),
                    Ordering::Relaxed,
                );
                (group, reading.taken)
            }
        };
        let target = Target::Group {
            system: system.clone(),
            id: id.to_owned(),
        };
        let Some(group) = group else {
            return Ok(Observed::absent(target, taken));
        };
        let mut people = self.people(system, Timestamp::MIN).await?;
        if group.has_strangers(&people.value) {
            people = self.people(system, fresh).await?;
        }
        Ok(Observed {
            target,
            taken,
            present: true,
            rows: group.rows(&people.value, &listing.value),
            protected: BTreeSet::from([me]),
            group: Some(GroupProperties {
                name: group.name.to_string(),
                ..GroupProperties::default()
            }),
            external: group.is_external(&self.scope),
            alone,
        })
    }

    /// Nobody edits here what an identity provider or the account fills: it would come back, or be refused.
    fn refuse_external(&self, change: &Change) -> Result<(), SystemError> {
        let Target::Group { id, .. } = &change.target else {
            return Ok(());
        };
        let newest = self.groups.newest();
        let known = newest.as_ref().and_then(|reading| reading.value.by_id(id));
        match known.filter(|group| group.is_external(&self.scope)) {
            None => Ok(()),
            Some(group) => {
                let message = format!(
                    "group {:?} is filled elsewhere and is never edited here",
                    group.name
                );
                Err(self.plane.error(SystemErrorKind::Refused, message))
            }
        }
    }

    /// Writes one change of a group and says where it is now.
    pub async fn apply(self: &Arc<Self>, system: &System, change: &Change) -> Result<Target, SystemError> {
        let who = || change.add.iter().chain(&change.remove).map(|(who, _)| who);
        self.refuse_external(change)?;
        let people = self.people_for(system, who()).await?;
        let groups = self.groups_named(who()).await?;
        let desk = Desk {
            plane: &self.plane,
            scope: &self.scope,
            people: &people,
            groups: &groups,
            creations: &self.creations,
            now: self.clock.now(),
        };
        let names = [&change.create, &change.describe]
            .into_iter()
            .flatten()
            .map(|properties| properties.name.as_str());
        let void = |id: Option<&str>| {
            names.clone().for_each(|name| self.groups.stain(&name_key(name)));
            if let Some(id) = id {
                self.groups.stain(&id_key(id));
                self.single.stain(id);
            }
        };
        let at = |id: String| Target::Group {
            system: system.clone(),
            id,
        };
        match &change.target {
            Target::Group { id, .. } => {
                // The old name means nothing any more after a rename or a deletion.
                let old = self.groups.newest();
                let old = old.as_ref().and_then(|reading| reading.value.by_id(id));
                let done = if change.delete {
                    desk.delete(id).await
                } else {
                    desk.change(id, change).await
                };
                void(Some(id));
                if let Some(group) = old {
                    self.groups.stain(&name_key(&group.name));
                }
                done.map(|()| at(id.clone()))
            }
            Target::NewGroup { name, .. } => {
                if change.create.is_none() {
                    // Nothing was to be made of it: what does not exist is deleted.
                    return Ok(change.target.clone());
                }
                let made = desk.create(name, &change.add).await;
                self.groups.stain(&name_key(name));
                void(made.as_deref().ok());
                made.map(at)
            }
            other => Ok(other.clone()),
        }
    }
}
