//! Access-control rule sets: who manages a group, who may use a service principal. A write replaces all rules and
//! must carry the etag of the last read.

use serde_json::{Value, json};

use crate::call::{Call, only};
use crate::error::ApiError;
use crate::route::{Answer, Plane, Reply, Route, read, write};
use crate::state::{RuleSet, Scope, State};

/// Last kind of resource in the name, with the roles that can be given on it
/// [TF docs/resources/access_control_rule_set.md].
const ROLES: &[(&str, &[&str])] = &[
    (
        "account",
        &[
            "roles/servicePrincipal.manager",
            "roles/servicePrincipal.user",
            "roles/group.manager",
            "roles/marketplace.admin",
            "roles/billing.admin",
            "roles/tagPolicy.creator",
            "roles/budgetPolicy.manager",
        ],
    ),
    ("groups", &["roles/group.manager", "roles/group.assumer"]),
    (
        "servicePrincipals",
        &["roles/servicePrincipal.manager", "roles/servicePrincipal.user"],
    ),
    (
        "budgetPolicies",
        &["roles/budgetPolicy.manager", "roles/budgetPolicy.user"],
    ),
    (
        "tagPolicies",
        &["roles/tagPolicy.manager", "roles/tagPolicy.assigner"],
    ),
];

const fn anyone(mut route: Route) -> Route {
    // Managers of one group or service principal are not account admins: the handler decides.
    route.plane = Plane::Account;
    route
}

pub const ROUTES: &[Route] = &[
    anyone(
        read(
            "GET",
            "/api/2.0/preview/accounts/{account}/access-control/rule-sets",
            get,
        )
        .query(&["name", "etag"]),
    ),
    anyone(
        write(
            "PUT",
            "/api/2.0/preview/accounts/{account}/access-control/rule-sets",
            set,
        )
        .body(&["name", "rule_set"]),
    ),
    anyone(
        read(
            "GET",
            "/api/2.0/preview/accounts/{account}/access-control/assignable-roles",
            roles,
        )
        .query(&["resource"]),
    ),
    read("GET", "/api/2.0/preview/accounts/access-control/rule-sets", get).query(&["name", "etag"]),
    write("PUT", "/api/2.0/preview/accounts/access-control/rule-sets", set).body(&["name", "rule_set"]),
    read(
        "GET",
        "/api/2.0/preview/accounts/access-control/assignable-roles",
        roles,
    )
    .query(&["resource"]),
];

type Roles = &'static [&'static str];

/// The roles a resource knows, if the account knows the resource.
fn resource(state: &State, name: &str) -> Result<Roles, ApiError> {
    let parts: Vec<&str> = name.split('/').collect();
    let missing = || ApiError::missing(format!("Resource {name} does not exist."));
    let (account, kind, id) = match parts.as_slice() {
        ["accounts", account] => (*account, "account", ""),
        ["accounts", account, kind, id] => (*account, *kind, *id),
        _ => return Err(ApiError::invalid(format!("Invalid resource name '{name}'"))),
    };
    if account != state.account_id {
        return Err(missing());
    }
    let known = match kind {
        "groups" => id
            .parse()
            .ok()
            .and_then(|id| state.directory.group(id))
            .is_some_and(|group| group.home == Scope::Account),
        "servicePrincipals" => state.directory.application(id).is_some(),
        _ => true,
    };
    let row = ROLES.iter().find(|(name, _)| *name == kind);
    match row {
        Some((_, roles)) if known => Ok(roles),
        Some(_) => Err(missing()),
        None => Err(ApiError::invalid(format!("Invalid resource name '{name}'"))),
    }
}

fn resource_of(name: &str) -> Result<&str, ApiError> {
    name.strip_suffix("/ruleSets/default")
        .ok_or_else(|| ApiError::invalid(format!("Invalid rule set name '{name}'")))
}

/// Whether a principal holds the manager role in a rule set, itself or through its groups.
pub fn manages(state: &State, caller: u64, name: &str) -> bool {
    holds(state, caller, name, |role| role.ends_with(".manager"))
}

/// Whether a principal may act as a service principal: `servicePrincipal.user` on it or in the whole account. The
/// manager role does not include it, and being an administrator does not either
/// [TF docs/resources/service_principal.md, access_control_rule_set.md].
pub fn may_use(state: &State, caller: u64, application: &str) -> bool {
    let account = format!("accounts/{}", state.account_id);
    [
        format!("{account}/servicePrincipals/{application}/ruleSets/default"),
        format!("{account}/ruleSets/default"),
    ]
    .iter()
    .any(|name| holds(state, caller, name, |role| role == "roles/servicePrincipal.user"))
}

fn holds(state: &State, caller: u64, name: &str, wanted: impl Fn(&str) -> bool) -> bool {
    let directory = &state.directory;
    let mine: Vec<String> = directory
        .ancestors(caller)
        .into_iter()
        .filter_map(|id| directory.principal(id))
        .map(|who| {
            let (field, name) = who.acl_name();
            let prefix = match field {
                "user_name" => "users",
                "group_name" => "groups",
                _ => "servicePrincipals",
            };
            format!("{prefix}/{name}")
        })
        .collect();
    state.rule_sets.get(name).is_some_and(|set| {
        set.rules
            .iter()
            .filter(|rule| rule["role"].as_str().is_some_and(&wanted))
            .flat_map(|rule| rule["principals"].as_array().into_iter().flatten())
            .any(|principal| {
                principal
                    .as_str()
                    .is_some_and(|one| mine.iter().any(|own| own == one))
            })
    })
}

/// Admins, and whoever holds the manager role on the resource.
fn allowed(call: &Call, state: &State, name: &str) -> Result<(), ApiError> {
    let directory = &state.directory;
    let admin = directory.is_account_admin(call.caller)
        || matches!(call.scope, Scope::Workspace(id) if directory.is_workspace_admin(id, call.caller));
    if admin || manages(state, call.caller, name) {
        return Ok(());
    }
    Err(ApiError::denied("User is not authorized to access the rule set."))
}

/// The etag names the revision, so that a replayed one is recognised as stale.
fn etag(revision: u64) -> String {
    format!("RENUAAABgAAA{revision:08}")
}

fn render(name: &str, set: Option<&RuleSet>) -> Value {
    let rules = set.map(|set| set.rules.clone()).unwrap_or_default();
    let mut body = json!({"name": name, "etag": etag(set.map_or(0, |set| set.revision))});
    if !rules.is_empty() {
        body["grant_rules"] = json!(rules);
    }
    body
}

fn get(call: &Call, state: &State) -> Answer {
    let name = call.text("name")?;
    if call.query("etag").is_none() {
        // [GO service/iam/impl.go]: required; empty on the first read.
        return Err(ApiError::invalid("Missing required field: etag"));
    }
    resource(state, resource_of(&name)?)?;
    allowed(call, state, &name)?;
    Ok(Reply::ok(render(&name, state.rule_sets.get(&name))))
}

fn roles(call: &Call, state: &State) -> Answer {
    let roles: Vec<Value> = resource(state, &call.text("resource")?)?
        .iter()
        .map(|role| json!({"name": role}))
        .collect();
    Ok(Reply::ok(json!({"roles": roles})))
}

fn set(call: &Call, state: &mut State) -> Answer {
    let name = call.text("name")?;
    let body = call
        .object()?
        .get("rule_set")
        .and_then(Value::as_object)
        .ok_or_else(|| ApiError::invalid("Missing required field: rule_set"))?;
    only(body, &["name", "etag", "grant_rules"])?;
    if body.get("name").and_then(Value::as_str) != Some(name.as_str()) {
        return Err(ApiError::invalid("name and rule_set.name differ"));
    }
    let roles = resource(state, resource_of(&name)?)?;
    allowed(call, state, &name)?;
    let revision = state.rule_sets.get(&name).map_or(0, |set| set.revision);
    if body.get("etag").and_then(Value::as_str) != Some(etag(revision).as_str()) {
        return Err(ApiError::new(
            409,
            "RESOURCE_CONFLICT",
            format!("The rule set {name} was changed: the etag is stale"),
        ));
    }
    let rules = body
        .get("grant_rules")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for rule in &rules {
        check(state, roles, rule)?;
    }
    state.rule_sets.insert(
        name.clone(),
        RuleSet {
            revision: revision + 1,
            rules,
        },
    );
    Ok(Reply::ok(render(&name, state.rule_sets.get(&name))))
}

fn check(state: &State, roles: Roles, rule: &Value) -> Result<(), ApiError> {
    let fields = rule
        .as_object()
        .ok_or_else(|| ApiError::malformed("A grant rule must be an object"))?;
    only(fields, &["role", "principals"])?;
    let role = rule["role"].as_str().unwrap_or_default();
    if !roles.contains(&role) {
        return Err(ApiError::invalid(format!(
            "Role {role} cannot be assigned on this resource"
        )));
    }
    for principal in rule["principals"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let known = match principal.split_once('/') {
            Some(("users", name)) => state.directory.user_named(name).is_some(),
            Some(("groups", name)) => state.directory.group_named(Scope::Account, name).is_some(),
            Some(("servicePrincipals", app)) => state.directory.application(app).is_some(),
            _ => return Err(ApiError::invalid(format!("Invalid principal '{principal}'"))),
        };
        if !known {
            return Err(ApiError::missing(format!(
                "Principal {principal} does not exist."
            )));
        }
    }
    Ok(())
}
