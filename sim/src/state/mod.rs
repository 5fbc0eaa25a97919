//! The world the simulator remembers. One value holds everything, so that a snapshot is a rendering, a reset is an
//! assignment, and a stale read is a look at an older value of it.

pub mod admin;
pub mod admissions;
pub mod credentials;
pub mod directory;
pub mod hidden;
pub mod models;
pub mod runs;
pub mod scopes;
pub mod serving;
pub mod sight;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use credentials::Credentials;
pub use models::{Models, Tags};
pub use runs::Runs;
pub use scopes::SecretScopes;
pub use serving::Updates;

pub use directory::{Directory, Group, Principal, ServicePrincipal, SystemGroup, User};

/// Where a thing lives: in the account, or in one workspace only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Account,
    Workspace(u64),
}

impl Scope {
    pub fn workspace(self) -> Option<u64> {
        match self {
            Self::Account => None,
            Self::Workspace(id) => Some(id),
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Account => f.write_str("account"),
            Self::Workspace(id) => write!(f, "workspace/{id}"),
        }
    }
}

/// A job, a directory, an endpoint: what the permissions API can speak about.
#[derive(Debug, Clone)]
pub struct Object {
    pub id: String,
    /// What people call it; for workspace objects and experiments, the path.
    pub name: String,
    /// The vendor's representation, without what is kept beside it (id and name included).
    pub body: Map<String, Value>,
    pub creator: u64,
    /// Direct entries only: principal id to level.
    pub acl: BTreeMap<u64, String>,
}

/// Objects of all workspaces by `(workspace, kind, id)`; a kind is the `{type}` of the permissions API.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    by_id: BTreeMap<(u64, &'static str, String), Arc<Object>>,
    by_name: BTreeMap<(u64, &'static str, String), BTreeSet<String>>,
}

impl Objects {
    pub fn get(&self, workspace: u64, kind: &'static str, id: &str) -> Option<&Object> {
        self.by_id.get(&(workspace, kind, id.to_owned())).map(Arc::as_ref)
    }

    pub fn get_mut(&mut self, workspace: u64, kind: &'static str, id: &str) -> Option<&mut Object> {
        self.by_id
            .get_mut(&(workspace, kind, id.to_owned()))
            .map(Arc::make_mut)
    }

    pub fn named<'a>(
        &'a self,
        workspace: u64,
        kind: &'static str,
        name: &str,
    ) -> impl Iterator<Item = &'a Object> + use<'a> {
        let ids = self.by_name.get(&(workspace, kind, name.to_owned()));
        ids.into_iter()
            .flatten()
            .filter_map(move |id| self.get(workspace, kind, id))
    }

    pub fn insert(&mut self, workspace: u64, kind: &'static str, object: Object) {
        self.remove(workspace, kind, &object.id);
        self.by_name
            .entry((workspace, kind, object.name.clone()))
            .or_default()
            .insert(object.id.clone());
        self.by_id
            .insert((workspace, kind, object.id.clone()), Arc::new(object));
    }

    pub fn rename(&mut self, workspace: u64, kind: &'static str, id: &str, name: &str) {
        if let Some(mut object) = self.remove(workspace, kind, id) {
            name.clone_into(&mut object.name);
            self.insert(workspace, kind, object);
        }
    }

    pub fn remove(&mut self, workspace: u64, kind: &'static str, id: &str) -> Option<Object> {
        let object = self.by_id.remove(&(workspace, kind, id.to_owned()))?;
        let key = (workspace, kind, object.name.clone());
        if let Some(ids) = self.by_name.get_mut(&key) {
            ids.remove(id);
            if ids.is_empty() {
                self.by_name.remove(&key);
            }
        }
        Some(Arc::unwrap_or_clone(object))
    }

    pub fn of_kind<'a>(
        &'a self,
        workspace: u64,
        kind: &'static str,
    ) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.by_id
            .range((workspace, kind, String::new())..)
            .take_while(move |((w, k, _), _)| *w == workspace && *k == kind)
            .map(|(_, object)| object.as_ref())
    }

    pub fn all(&self) -> impl Iterator<Item = (u64, &'static str, &Object)> {
        self.by_id
            .iter()
            .map(|((workspace, kind, _), object)| (*workspace, *kind, object.as_ref()))
    }

    /// What stands below a path, which ends with a slash.
    pub fn below<'a>(
        &'a self,
        workspace: u64,
        kind: &'static str,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.by_name
            .range((workspace, kind, prefix.to_owned())..)
            .take_while(move |((w, k, name), _)| *w == workspace && *k == kind && name.starts_with(prefix))
            .flat_map(|(_, ids)| ids)
            .filter_map(move |id| self.get(workspace, kind, id))
    }

    /// A principal is gone: its rows go from every list, in one workspace or in all.
    pub fn forget_principal(&mut self, workspace: Option<u64>, principal: u64) {
        for ((w, ..), object) in &mut self.by_id {
            if workspace.is_none_or(|wanted| wanted == *w) && object.acl.contains_key(&principal) {
                Arc::make_mut(object).acl.remove(&principal);
            }
        }
    }
}

/// A Unity Catalog securable, with the privileges granted on it directly.
#[derive(Debug, Clone)]
pub struct Securable {
    pub full_name: String,
    pub owner: String,
    pub body: Map<String, Value>,
    /// Principal as it is written in grants, to privileges.
    pub grants: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug, Clone)]
pub struct RuleSet {
    pub revision: u64,
    /// `{role, principals[]}` as written.
    pub rules: Vec<Value>,
}

/// Objects every workspace has: kind, id, name.
const BUILT_IN: &[(&str, &str, &str)] = &[
    ("directories", "0", "/"),
    ("registered-models", "root", ""),
    ("authorization/tokens", "tokens", "tokens"),
    ("authorization/passwords", "passwords", "passwords"),
];

#[derive(Debug, Clone)]
pub struct State {
    pub account_id: String,
    pub metastore_id: String,
    pub workspaces: BTreeMap<u64, String>,
    pub directory: Directory,
    pub objects: Objects,
    /// By `(securable type, lower-cased full name)`.
    pub securables: BTreeMap<(&'static str, String), Arc<Securable>>,
    pub rule_sets: BTreeMap<String, RuleSet>,
    pub models: Models,
    /// Tags of securables, by the same key as `securables`.
    pub tags: BTreeMap<(&'static str, String), Tags>,
    pub runs: Runs,
    /// Changes of serving endpoints under way.
    pub updates: Updates,
    pub credentials: Credentials,
    pub secret_scopes: SecretScopes,
    /// Settings of workspaces by workspace and key.
    pub workspace_conf: BTreeMap<(u64, String), String>,
    next: u64,
    salt: String,
}

impl State {
    pub fn empty(account_id: &str, metastore_id: &str, workspaces: &[u64], salt: &str) -> Self {
        let mut state = Self {
            account_id: account_id.to_owned(),
            metastore_id: metastore_id.to_owned(),
            workspaces: workspaces
                .iter()
                .map(|id| (*id, format!("workspace-{id}")))
                .collect(),
            directory: Directory::default(),
            objects: Objects::default(),
            securables: BTreeMap::new(),
            rule_sets: BTreeMap::new(),
            models: Models::default(),
            tags: BTreeMap::new(),
            runs: Runs::default(),
            updates: Updates::default(),
            credentials: Credentials::default(),
            secret_scopes: SecretScopes::default(),
            workspace_conf: BTreeMap::new(),
            // Fifteen digits, like the vendor's: too long for an i32, exact in an f64.
            next: 700_000_000_000_000,
            salt: salt.to_owned(),
        };
        for workspace in workspaces {
            for system in [SystemGroup::Admins, SystemGroup::Users] {
                let id = state.new_id();
                state.directory.insert_group(Group {
                    system: Some(system),
                    ..Group::new(id, Scope::Workspace(*workspace), system.name())
                });
            }
            // What is there before anybody makes anything: the root of the tree, and the lists of whole features.
            for (kind, id, name) in BUILT_IN {
                state.objects.insert(
                    *workspace,
                    kind,
                    Object {
                        id: (*id).to_owned(),
                        name: (*name).to_owned(),
                        body: Map::new(),
                        creator: 0,
                        acl: BTreeMap::new(),
                    },
                );
            }
        }
        state
    }

    pub fn new_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A value that is unguessable enough for a stand-in, and differs between runs.
    pub fn new_hex(&mut self) -> String {
        let id = self.new_id();
        hex::encode(Sha256::digest(format!("{}/{id}", self.salt)))[..32].to_owned()
    }

    /// A UUID that follows from the order of creation, so that runs can be compared.
    pub fn new_uuid(&mut self) -> String {
        let id = self.new_id();
        let digest = hex::encode(Sha256::digest(id.to_string()));
        format!(
            "{}-{}-4{}-8{}-{}",
            &digest[..8],
            &digest[8..12],
            &digest[13..16],
            &digest[17..20],
            &digest[20..32]
        )
    }
}
