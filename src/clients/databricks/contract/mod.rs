//! What Lockstep takes for granted about Databricks, tried on scratch groups, scratch jobs, a scratch directory and a
//! scratch schema that the suite makes and deletes. `groups` tries SCIM, `objects` the permissions API and `lookups` the
//! names that go with it, `grants` Unity Catalog, `account` groups and roles of the account, `entry` who may enter the
//! workspace. What promotions rely on is tried by `files`, `runs` and `models`, what rotations rely on by
//! `credentials`.

mod account;
mod credentials;
mod entry;
mod files;
mod grants;
mod groups;
mod lookups;
mod models;
mod objects;
mod rows;
mod runs;

use std::time::Duration;

use lockstep_core::domain::ports::SystemError;
use reqwest::Method;
use serde_json::{Value, json};

use super::limits::Family;
use super::plane::{Plane, Response};
use super::scim::equals;
use super::system::DatabricksSystem;
use crate::clients::contract::{Broken, Fact, Finding, Made, Tell, demand, run};
use crate::clients::http::{Call, Effect};

const ROUTE: &str = "/probe";
const GROUPS: &str = "/api/2.0/preview/scim/v2/Groups";
const USERS: &str = "/api/2.0/preview/scim/v2/Users";
const PRINCIPALS: &str = "/api/2.0/preview/scim/v2/ServicePrincipals";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// How long the vendor takes at most to show a write (vendor's page on SCIM).
const PROPAGATION: Duration = Duration::from_mins(1);
/// How often it is looked meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// What the rows work on.
struct Bench<'a> {
    system: &'a DatabricksSystem,
    plane: &'a Plane,
    account: Option<(&'a str, &'a Plane)>,
    workspace: String,
    prefix: String,
    group: Fact,
    principal: Fact,
    application: Fact,
    job: Fact,
    directory: Fact,
    schema: Fact,
    running_job: Fact,
    run: Fact,
    model: Fact,
    account_group: Fact,
    account_principal: Fact,
    /// Objects of other people that listings showed, by type: for questions that change nothing.
    seen: Made<(&'static str, String)>,
    made: Made<Undo>,
}

/// How something goes again.
#[derive(Clone, Debug)]
struct Undo {
    what: String,
    account: bool,
    method: Method,
    path: String,
    body: Option<Value>,
}

/// An answer with its status, whatever it is.
struct Said {
    status: u16,
    json: Value,
    words: String,
    /// Somebody who was named is not known, in words that the adapter understands.
    unknown_principal: bool,
    /// What was asked for does not exist, in words that the adapter understands.
    absent: bool,
}

impl Said {
    fn show(&self) -> String {
        format!("{} {}", self.status, self.words).trim().to_owned()
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn word(&self, path: &str) -> String {
        match self.json.pointer(path) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// What was made, or why there is nothing to try on.
    fn made(&self, what: &str) -> Result<(), Broken> {
        if matches!(self.status, 401 | 403 | 404) {
            return Err(Broken::Skipped(format!(
                "the identity may not make {what}: {}",
                self.show()
            )));
        }
        demand(self.is_success(), || self.show())
    }
}

impl Bench<'_> {
    async fn call(
        &self,
        plane: &Plane,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Said, SystemError> {
        let of_account = path.contains("/accounts/") && path.contains("/scim/v2/");
        let (effect, family) = match method {
            Method::GET if of_account => (Effect::Read, Family::AccountScimList),
            Method::GET => (Effect::Read, Family::Other),
            Method::PATCH if of_account => (Effect::Once, Family::AccountScimPatch),
            Method::PATCH if path.starts_with(GROUPS) => (Effect::Once, Family::GroupPatch),
            _ if of_account => (Effect::Once, Family::AccountScimWrite),
            _ => (Effect::Once, Family::Other),
        };
        let mut call = Call::new(method, ROUTE, path, family.name(), effect);
        for (key, value) in query {
            call = call.query(*key, *value);
        }
        if let Some(body) = body {
            call = call.json(body);
        }
        Ok(said(&plane.send(call).await?))
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Said, SystemError> {
        self.call(self.plane, Method::GET, path, query, None).await
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Said, SystemError> {
        self.call(self.plane, method, path, &[], Some(body)).await
    }

    fn undo(&self, what: &str, method: Method, path: String, body: Option<Value>) {
        self.made.remember(Undo {
            what: what.to_owned(),
            account: false,
            method,
            path,
            body,
        });
    }

    /// Makes a group, and remembers to delete it.
    async fn make_group(&self, name: &str) -> Result<Said, SystemError> {
        let said = self
            .send(Method::POST, GROUPS, &json!({"displayName": name}))
            .await?;
        if said.is_success() {
            let id = said.word("/id");
            self.undo(
                &format!("group {name}"),
                Method::DELETE,
                format!("{GROUPS}/{id}"),
                None,
            );
        }
        Ok(said)
    }

    async fn find_groups(&self, name: &str) -> Result<Vec<String>, Broken> {
        let filter = equals("displayName", name);
        let said = self.get(GROUPS, &[("filter", &filter)]).await?;
        demand(said.is_success(), || said.show())?;
        let found = said.json["Resources"].as_array().cloned().unwrap_or_default();
        Ok(found
            .iter()
            .map(|group| group["displayName"].as_str().unwrap_or_default().to_owned())
            .collect())
    }
}

fn said(response: &Response) -> Said {
    Said {
        status: response.status(),
        json: serde_json::from_slice(&response.answer.body).unwrap_or_default(),
        words: response.refusal.to_string(),
        unknown_principal: response.refusal.misses_principal(response.status()),
        absent: response.proves_absence(),
    }
}

impl DatabricksSystem {
    /// Tries every assumption under a prefix of its own, and cleans up.
    pub async fn contract(
        &self,
        prefix: &str,
        tell: &Tell<'_>,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<Vec<Finding>, SystemError> {
        // Who we are comes first: a credential that is refused deviates from nothing.
        let facts = self.0.facts().await?;
        let bench = Bench {
            system: self,
            plane: &self.0.workspace.plane,
            account: self
                .0
                .account
                .as_ref()
                .map(|(id, side)| (id.as_str(), &side.plane)),
            workspace: facts.workspace.clone(),
            prefix: prefix.to_owned(),
            group: Fact::default(),
            principal: Fact::default(),
            application: Fact::default(),
            job: Fact::default(),
            directory: Fact::default(),
            schema: Fact::default(),
            running_job: Fact::default(),
            run: Fact::default(),
            model: Fact::default(),
            account_group: Fact::default(),
            account_principal: Fact::default(),
            seen: Made::default(),
            made: Made::default(),
        };
        let rows = rows::rows();
        let mut findings = tokio::select! {
            findings = run(&rows, &bench, tell) => findings,
            () = stop => Vec::new(),
        };
        tell("cleaning up");
        findings.extend(clean_up(&bench).await);
        Ok(findings)
    }
}

async fn clean_up(b: &Bench<'_>) -> Vec<Finding> {
    let mut left = Vec::new();
    for Undo {
        what,
        account,
        method,
        path,
        body,
    } in b.made.take()
    {
        let plane = match b.account {
            Some((_, plane)) if account => plane,
            _ => b.plane,
        };
        match b.call(plane, method, &path, &[], body.as_ref()).await {
            // Gone already is gone.
            Ok(said) if said.is_success() || said.status == 404 || said.absent => {}
            Ok(said) => left.push(Finding::left_behind(&what, &said.show())),
            Err(error) => left.push(Finding::left_behind(&what, &error.to_string())),
        }
    }
    left
}
