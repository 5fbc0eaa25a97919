//! What Lockstep takes for granted about Databricks, tried on scratch groups, a scratch job and a scratch directory
//! that the suite makes and deletes. `groups` tries SCIM, `objects` the permissions API and `lookups` the names that
//! go with it, `grants` Unity Catalog, `account` groups and roles of the account, `entry` who may enter the workspace.

mod account;
mod entry;
mod grants;
mod groups;
mod lookups;
mod objects;

use std::time::Duration;

use futures::FutureExt as _;
use lockstep_core::domain::ports::SystemError;
use reqwest::Method;
use serde_json::{Value, json};

use super::limits::Family;
use super::plane::{Plane, Response};
use super::scim::equals;
use super::system::DatabricksSystem;
use crate::clients::contract::{Assumption, Broken, Fact, Finding, Made, Tell, demand, run};
use crate::clients::http::{Call, Effect};

const ROUTE: &str = "/probe";
const GROUPS: &str = "/api/2.0/preview/scim/v2/Groups";
const USERS: &str = "/api/2.0/preview/scim/v2/Users";
const PRINCIPALS: &str = "/api/2.0/preview/scim/v2/ServicePrincipals";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// How long the vendor takes at most to show a write (databricks.md 1.8).
const PROPAGATION: Duration = Duration::from_mins(1);
/// How often it is looked meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// What the rows work on.
struct Bench<'a> {
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
            account_group: Fact::default(),
            account_principal: Fact::default(),
            seen: Made::default(),
            made: Made::default(),
        };
        let rows = rows();
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
            Ok(said) if said.is_success() || said.status == 404 => {}
            Ok(said) => left.push(Finding::left_behind(&what, &said.show())),
            Err(error) => left.push(Finding::left_behind(&what, &error.to_string())),
        }
    }
    left
}

/// One row per assumption. Not a constant, because the bench borrows.
fn rows<'b>() -> Vec<Assumption<Bench<'b>>> {
    macro_rules! row {
        ($check:path, $source:literal, $name:literal, $expected:literal) => {
            Assumption {
                name: $name,
                source: $source,
                expected: $expected,
                check: |b| $check(b).boxed(),
            }
        };
    }
    vec![
        row!(
            groups::create,
            "SCIM API",
            "a group is created under its display name",
            "201 with an id"
        ),
        row!(groups::twin, "SCIM API", "a taken group name is refused", "409"),
        row!(
            groups::filter,
            "SCIM API",
            "a filter finds a group by its exact name",
            "that group alone"
        ),
        row!(
            groups::quotes,
            "Terraform provider issue 3136: only double quotes, escaped with a backslash",
            "a filter holds a name with quotes",
            "that group alone"
        ),
        row!(
            groups::lower_case,
            "Terraform provider: user names come back in lower case",
            "user names are kept in lower case",
            "the name in lower case"
        ),
        row!(
            groups::principal,
            "SCIM API",
            "a service principal gets an application id",
            "201 with id and application id"
        ),
        row!(
            groups::add_twice,
            "SCIM API",
            "adding a member twice is adding it once",
            "2xx twice, one member"
        ),
        row!(
            groups::seen_after,
            "databricks.md: reads may lag up to 60 s",
            "a member that was added is seen within a minute",
            "seen within 60 s"
        ),
        row!(
            groups::remove_by_filter,
            "SCIM API: members[value eq \"…\"]",
            "one member is removed by a filter and the others stay",
            "2xx, the other member alone"
        ),
        row!(
            groups::listing,
            "accounts made since 2025-08-22 list groups without members",
            "a listing shows the group, with members or consistently without",
            "the group is in the listing"
        ),
        row!(
            groups::paging,
            "SCIM API",
            "pages do not overlap",
            "two pages of one, two different groups"
        ),
        row!(
            groups::missing,
            "SCIM API",
            "a missing group is a 404 in the vendor's own words",
            "404 that says so"
        ),
        row!(
            objects::job,
            "Jobs API 2.2",
            "a job without tasks can be made, and its maker owns it",
            "exactly one IS_OWNER"
        ),
        row!(
            objects::raise,
            "Permissions API",
            "PATCH of a job's permissions adds, and raises in place",
            "one level of the group, the higher one"
        ),
        row!(
            objects::no_owner,
            "Databricks CLI issue 3849",
            "a list without an owner is refused",
            "400"
        ),
        row!(
            objects::replace,
            "Permissions API",
            "PUT replaces the direct entries and leaves the administrators'",
            "the group is gone, admins stay"
        ),
        row!(
            objects::wrong_level,
            "Permissions API",
            "a level that the type does not have is refused",
            "400"
        ),
        row!(
            objects::unknown,
            "Terraform provider: the message begins with Principal",
            "a group that does not exist is named as such by the permissions API",
            "404 that names the principal"
        ),
        row!(
            objects::directory,
            "Permissions API",
            "a directory has permissions under its object id",
            "the level that was given"
        ),
        row!(
            lookups::found,
            "SDK, one call or listing per type",
            "a job and a directory are found by name",
            "their ids alone"
        ),
        row!(
            lookups::absent,
            "SDK, one call or listing per type",
            "for each type, a name that nothing has is answered with nothing",
            "no object, and no error"
        ),
        row!(
            lookups::levels,
            "Terraform provider: permission_definitions.go; permissionLevels",
            "each type has the levels that bindings may give",
            "every level of Lockstep's table"
        ),
        row!(
            entry::entitlement,
            "SCIM API; Terraform provider: taking from nobody is refused with \"No such attribute\"",
            "an entitlement of a group is given, seen, and taken twice",
            "2xx, or 400 with those words the second time"
        ),
        row!(
            grants::schema,
            "Unity Catalog API",
            "a schema can be made in some catalog",
            "a schema to try on"
        ),
        row!(
            grants::twice,
            "Unity Catalog API: PATCH changes",
            "granting and revoking twice is doing it once",
            "200 four times, and nothing left"
        ),
        row!(
            grants::pages,
            "Unity Catalog API: max_results=0 and page_token",
            "grants are read page by page to the end",
            "every principal once, and a last page"
        ),
        row!(
            grants::unknown,
            "Unity Catalog API: PRINCIPAL_DOES_NOT_EXIST",
            "a grant to somebody unknown names the principal",
            "404 that names the principal"
        ),
        row!(
            account::rule_set,
            "Account access control API",
            "a rule set written with an old etag is refused",
            "409"
        ),
        row!(
            account::create,
            "Account SCIM API",
            "a group of the account is created once under a name",
            "201 with an id, then 409"
        ),
        row!(
            account::fill,
            "Account SCIM API",
            "a member of an account group is added twice as once, and seen",
            "2xx twice, one member within 60 s"
        ),
        row!(
            account::listing,
            "accounts made since 2025-08-22 list groups without members",
            "a listing of the account shows the group, with members or consistently without",
            "the group is in the listing"
        ),
        row!(
            entry::permission,
            "Account API: workspace assignment; Terraform provider: permission assignment of the workspace",
            "somebody enters the workspace, is seen there, and leaves it twice",
            "2xx and USER, then nothing"
        ),
        row!(
            account::clear,
            "Account SCIM API: members[value eq \"…\"]",
            "the member of an account group is taken out by a filter",
            "2xx, no member within 60 s"
        ),
    ]
}
