//! A team on the real Gerrit: people with accounts of their own, and the base of projects whose rules are known. What
//! the rules forbid elsewhere is allowed here, so that it can be done and must be found out.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use lockstep::clients::gerrit::{GerritSettings, GerritSystem};
use lockstep_core::domain::promotion::gate::people::{AccountId, GroupUuid};
use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Granted, Now, Server, plain};
use super::yard::Yard;

pub const PASSWORD: &str = "house-s3cret";
/// Author, her other account, two leads, an engineer, and the checks.
const PEOPLE: [&str; 6] = ["ada", "ada-admin", "bob", "cy", "eve", "ci"];

/// What all tests share.
pub struct House {
    pub url: String,
    pub admin: (String, String),
    pub prefix: String,
    ids: BTreeMap<&'static str, AccountId>,
    pub leads: GroupUuid,
    pub checks: GroupUuid,
    /// When the groups were complete.
    pub born: Timestamp,
}

impl House {
    pub async fn build() -> Option<Arc<Self>> {
        let Server { url, admin } = Server::find()?;
        let house = Arc::new(Self {
            url,
            admin,
            prefix: format!("h{:x}", Timestamp::now().as_microsecond()),
            ids: BTreeMap::new(),
            leads: GroupUuid(String::new()),
            checks: GroupUuid(String::new()),
            born: Timestamp::now(),
        });
        let yard = Yard::of(&house, house.base());
        let mut ids = BTreeMap::new();
        for name in PEOPLE {
            let username = house.username(name);
            let groups = if name == "ci" {
                vec!["Service Users"]
            } else {
                vec![]
            };
            let body = json!({"name": name, "email": house.email(name), "http_password": PASSWORD, "groups": groups});
            let made = yard
                .admin(Method::PUT, &format!("accounts/{username}"), body)
                .await;
            ids.insert(name, AccountId(made["_account_id"].as_u64().unwrap()));
        }
        let mut uuids = Vec::new();
        for (group, members) in [
            ("leads", &["ada", "ada-admin", "bob", "cy", "ci"][..]),
            ("checks", &["ci"][..]),
        ] {
            let members: Vec<String> = members.iter().map(|name| house.username(name)).collect();
            let body = json!({"owner_id": "Administrators", "visible_to_all": true, "members": members});
            let path = format!("groups/{}-{group}", house.prefix);
            let made = yard.admin(Method::PUT, &path, body).await;
            uuids.push(GroupUuid(made["id"].as_str().unwrap().to_owned()));
        }
        let rules = Self::base_rights(&uuids);
        let body = json!({"permissions_only": true});
        yard.admin(Method::PUT, &yard.project_path(), body).await;
        let values = json!({"-1": "Fails", " 0": "Not run", "+1": "Works"});
        let copy = "changekind:NO_CHANGE OR changekind:TRIVIAL_REBASE OR changekind:NO_CODE_CHANGE";
        yard.admin(
            Method::PUT,
            &format!("{}/labels/Verified", yard.project_path()),
            json!({"values": values, "copy_condition": copy, "commit_message": "Add the label of the checks"}),
        )
        .await;
        yard.admin(
            Method::POST,
            &format!("{}/access", yard.project_path()),
            json!({"add": rules}),
        )
        .await;
        for (name, submittable) in [
            ("Lockstep-Approved", "label:Code-Review=MAX"),
            ("Lockstep-Verified", "label:Verified=MAX"),
            // As of All-Projects, except that a veto does not keep a change from being submitted.
            ("Code-Review", "label:Code-Review=MAX"),
        ] {
            yard.admin(
                Method::PUT,
                &format!("{}/submit_requirements/{name}", yard.project_path()),
                json!({"name": name, "submittability_expression": submittable,
                    "applicability_expression": "-branch:refs/meta/config",
                    "override_expression": "hashtag:urgent", "allow_override_in_child_projects": false}),
            )
            .await;
        }
        // The audit log has whole seconds: what was done in this one must not look as if it came after `born`.
        let built = Timestamp::now().as_second();
        while Timestamp::now().as_second() == built {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let mut uuids = uuids.into_iter();
        Some(Arc::new(Self {
            url: house.url.clone(),
            admin: house.admin.clone(),
            prefix: house.prefix.clone(),
            ids,
            leads: uuids.next().unwrap(),
            checks: uuids.next().unwrap(),
            born: Timestamp::now(),
        }))
    }

    fn base_rights(uuids: &[GroupUuid]) -> Value {
        let (leads, checks) = (uuids[0].0.as_str(), uuids[1].0.as_str());
        let everybody = "global:Registered-Users";
        let allow = |group: &str| json!({"rules": {group: {"action": "ALLOW"}}});
        let range = |group: &str, min: i32, max: i32| json!({"rules": {group: {"action": "ALLOW", "min": min, "max": max}}});
        json!({
            "refs/heads/*": {"permissions": {
                "label-Code-Review": range(leads, -2, 2),
                "label-Verified": range(checks, -1, 1),
                "labelAs-Code-Review": range(leads, -2, 2),
                "submit": allow(everybody),
                "push": allow(leads),
                "editHashtags": allow(leads),
                "rebase": allow(everybody),
                "abandon": allow(everybody),
                "revert": allow(everybody),
            }},
            "refs/for/refs/heads/*": {"permissions": {
                "submit": allow(everybody),
                "push": allow(everybody),
                "pushMerge": allow(everybody),
                "addPatchSet": allow(everybody),
            }},
        })
    }

    pub fn base(&self) -> String {
        format!("{}/base", self.prefix)
    }

    pub fn username(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    pub fn email(&self, name: &str) -> String {
        format!("{}@example.com", self.username(name))
    }

    pub fn id(&self, name: &str) -> AccountId {
        self.ids[name]
    }

    /// A client of its own, as the server's administrator.
    pub fn system(&self, settings: impl FnOnce(&mut GerritSettings)) -> Arc<GerritSystem> {
        let mut plain = plain(&self.url, &self.admin.0, &self.admin.1);
        plain.aliases = vec![(
            self.email("ada"),
            vec![self.username("ada"), self.username("ada-admin")],
        )];
        settings(&mut plain);
        Arc::new(GerritSystem::new(plain, Arc::new(Granted), Arc::new(Now), None).unwrap())
    }

    /// As one of the people.
    pub fn system_of(&self, name: &str) -> Arc<GerritSystem> {
        let plain = plain(&self.url, &self.username(name), PASSWORD);
        Arc::new(GerritSystem::new(plain, Arc::new(Granted), Arc::new(Now), None).unwrap())
    }
}
