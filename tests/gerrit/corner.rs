//! A run's own corner of the server: names under a prefix, clients, and what somebody else does there by hand.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use lockstep::clients::gerrit::{GerritSettings, GerritSystem};
use lockstep_core::domain::access::grant::{Principal, Privilege, Right, System, Target};
use lockstep_core::domain::access::names::gerrit_group_uuid;
use lockstep_core::domain::access::observed::{GroupProperties, Located, Named, Observed};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{AccessSystem as _, SystemError, SystemErrorKind};
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Granted, Now, Server, plain};

/// A run's own corner of the server.
pub struct Corner {
    pub system: GerritSystem,
    pub server: String,
    pub url: String,
    pub admin: (String, String),
    pub prefix: String,
    pub raw: reqwest::Client,
}

/// A corner under a prefix that nobody else uses, or `None` where there is no server.
pub async fn corner(settings: impl FnOnce(&mut GerritSettings)) -> Option<Corner> {
    static RUN: AtomicU32 = AtomicU32::new(0);
    let Server { url, admin } = Server::find()?;
    let mut plain = plain(&url, &admin.0, &admin.1);
    settings(&mut plain);
    let system = GerritSystem::new(plain, Arc::new(Granted), Arc::new(Now), None).unwrap();
    let server = system.server().await.unwrap().to_owned();
    let run = RUN.fetch_add(1, Ordering::SeqCst);
    let prefix = format!("t{:x}-{run}", Timestamp::now().as_microsecond());
    let raw = reqwest::Client::new();
    Some(Corner {
        system,
        server,
        url,
        admin,
        prefix,
        raw,
    })
}

impl Corner {
    /// What somebody else does to the server.
    pub async fn by_hand(&self, method: Method, path: &str, body: Value) -> (u16, String) {
        let (user, password) = &self.admin;
        let mut request = self
            .raw
            .request(method, format!("{}/a/{path}", self.url))
            .basic_auth(user, Some(password));
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn put(&self, path: &str, body: Value) {
        let (status, text) = self.by_hand(Method::PUT, path, body).await;
        assert!(status < 300, "{path}: {status} {text}");
    }

    pub async fn account(&self, name: &str) -> Principal {
        let username = format!("{}-{name}", self.prefix);
        let path = format!("accounts/{username}");
        let body = json!({"name": name, "email": format!("{username}@example.com")});
        let (status, text) = self.by_hand(Method::PUT, &path, body).await;
        assert_eq!(status, 201, "{text}");
        let id: Value = serde_json::from_str(text.split_once('\n').unwrap().1).unwrap();
        Principal::account(id["_account_id"].as_i64().unwrap(), username)
    }

    pub async fn deactivate(&self, account: &Principal) {
        let path = format!("accounts/{}/active", account.subject);
        self.by_hand(Method::DELETE, &path, Value::Null).await;
    }

    pub async fn project(&self, name: &str) -> String {
        let project = format!("{}/{name}", self.prefix);
        self.put(
            &format!("projects/{}", project.replace('/', "%2F")),
            json!({"create_empty_commit": true}),
        )
        .await;
        project
    }

    pub fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    pub fn group(&self, name: &str) -> (Target, String) {
        let uuid = gerrit_group_uuid(&self.server, &self.name(name));
        let target = Target::GerritGroup {
            server: self.server.clone(),
            uuid: uuid.clone(),
        };
        (target, uuid)
    }

    pub fn on(&self, project: &str, ref_name: &str) -> Target {
        Target::GerritRef {
            server: self.server.clone(),
            project: project.into(),
            ref_name: ref_name.into(),
        }
    }

    pub fn creation(&self, name: &str, members: &[&Principal]) -> Change {
        let mut change = Change::new(self.group(name).0, name);
        change.create = Some(GroupProperties {
            name: self.name(name),
            description: Some("made by a test".into()),
            owner: None,
            visible_to_all: Some(true),
        });
        change.add = members.iter().map(|who| member(who)).collect();
        change
    }

    pub async fn create(&self, name: &str, members: &[&Principal]) -> (Target, String) {
        self.apply(&self.creation(name, members)).await.unwrap();
        self.group(name)
    }

    pub async fn apply(&self, change: &Change) -> Result<(), SystemError> {
        self.system.apply(&[change]).await.map(drop)
    }

    pub async fn delete(&self, target: &Target) -> Result<(), SystemError> {
        let mut change = Change::new(target.clone(), "x");
        change.delete = true;
        // Gerrit 3.13.5 looks through all groups before it deletes one, and answers 500 if another is deleted meanwhile.
        for _ in 0..4 {
            match self.apply(&change).await {
                Err(error) if error.kind == SystemErrorKind::OutcomeUnknown => {}
                answer => return answer,
            }
        }
        self.apply(&change).await
    }

    /// Any age will do, except for what this client wrote itself.
    pub async fn see(&self, target: &Target) -> Arc<Observed> {
        self.system.observe(target, Timestamp::UNIX_EPOCH).await.unwrap()
    }

    pub async fn see_now(&self, target: &Target) -> Arc<Observed> {
        self.system.observe(target, Timestamp::now()).await.unwrap()
    }

    pub async fn locate(&self, name: &str) -> Located {
        let named = Named::Group {
            system: System::Gerrit(self.server.clone()),
            name: name.into(),
        };
        self.system.locate(&named, Timestamp::now()).await.unwrap()
    }

    /// Rights as `group right`, names of groups without their prefix.
    pub async fn rights(&self, target: &Target) -> Vec<String> {
        let seen = self.see(target).await;
        let shown = |(group, right): &Right| {
            let name = group
                .name
                .strip_prefix(&format!("{}-", self.prefix))
                .unwrap_or(&group.name)
                .to_owned();
            format!("{name} {right}")
        };
        let mut rights: Vec<String> = seen.rows.iter().map(shown).collect();
        rights.sort();
        rights
    }

    pub async fn change_rights(
        &self,
        target: &Target,
        add: &[(&str, &str)],
        remove: &[(&str, &str)],
    ) -> Result<(), SystemError> {
        let rows = |rows: &[(&str, &str)]| -> BTreeSet<Right> {
            rows.iter()
                .map(|(uuid, right)| (Principal::group(*uuid, *uuid), right.parse().unwrap()))
                .collect()
        };
        let mut change = Change::new(target.clone(), "x");
        change.add = rows(add);
        change.remove = rows(remove);
        self.apply(&change).await
    }

    pub async fn project_config(&self, project: &str) -> String {
        use base64::Engine as _;
        let project = project.replace('/', "%2F");
        let path = format!("projects/{project}/branches/refs%2Fmeta%2Fconfig/files/project.config/content");
        let (_, text) = self.by_hand(Method::GET, &path, Value::Null).await;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

pub fn member(who: &Principal) -> Right {
    (who.clone(), Privilege::Member)
}

pub fn members(observed: &Observed) -> BTreeSet<String> {
    observed.rows.iter().map(|(who, _)| who.to_string()).collect()
}

pub fn subjects(all: &[&Principal]) -> BTreeSet<String> {
    all.iter().map(ToString::to_string).collect()
}

macro_rules! corner_or_skip {
    () => {
        $crate::corner::corner_or_skip!(|_| {})
    };
    ($settings:expr) => {
        match $crate::corner::corner($settings).await {
            Some(corner) => corner,
            None => return,
        }
    };
}

pub(crate) use corner_or_skip;
