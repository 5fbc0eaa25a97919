//! Federation policies: which foreign tokens stand for which service principal, or for anybody in the account.

use serde_json::{Value, json};

use crate::call::{Call, only, page};
use crate::error::ApiError;
use crate::route::{Answer, Reply, Route, read, write};
use crate::state::State;
use crate::state::credentials::FederationPolicy;
use crate::world::rfc3339;

/// docs.databricks.com/aws/en/dev-tools/auth/oauth-federation-policy
const MAX_PER_PRINCIPAL: usize = 20;

const FIELDS: &[&str] = &[
    "name",
    "policy_id",
    "uid",
    "service_principal_id",
    "description",
    "oidc_policy",
    "create_time",
    "update_time",
];

const SP: &str = "/api/2.0/accounts/{account}/servicePrincipals/{sp}/federationPolicies";
const SP_ONE: &str = "/api/2.0/accounts/{account}/servicePrincipals/{sp}/federationPolicies/{policy}";
const ACCOUNT: &str = "/api/2.0/accounts/{account}/federationPolicies";
const ACCOUNT_ONE: &str = "/api/2.0/accounts/{account}/federationPolicies/{policy}";

pub const ROUTES: &[Route] = &[
    write("POST", SP, create)
        .account()
        .query(&["policy_id"])
        .body(FIELDS),
    read("GET", SP, list)
        .account()
        .query(&["page_size", "page_token"]),
    read("GET", SP_ONE, get).account(),
    write("PATCH", SP_ONE, update)
        .account()
        .query(&["update_mask"])
        .body(FIELDS),
    write("DELETE", SP_ONE, delete).account(),
    write("POST", ACCOUNT, create)
        .account()
        .query(&["policy_id"])
        .body(FIELDS),
    read("GET", ACCOUNT, list)
        .account()
        .query(&["page_size", "page_token"]),
    read("GET", ACCOUNT_ONE, get).account(),
    write("PATCH", ACCOUNT_ONE, update)
        .account()
        .query(&["update_mask"])
        .body(FIELDS),
    write("DELETE", ACCOUNT_ONE, delete).account(),
];

fn whose(call: &Call, state: &State) -> Result<Option<u64>, ApiError> {
    if call.param("sp").is_empty() {
        return Ok(None);
    }
    let id = call.number("sp")?;
    if state.directory.service_principals.contains_key(&id) {
        return Ok(Some(id));
    }
    Err(ApiError::missing(format!(
        "Service principal {id} does not exist."
    )))
}

fn check(oidc: &Value, whose: Option<u64>) -> Result<(), ApiError> {
    let fields = oidc
        .as_object()
        .ok_or_else(|| ApiError::invalid("Missing required field: oidc_policy"))?;
    only(
        fields,
        &[
            "issuer",
            "subject",
            "audiences",
            "subject_claim",
            "jwks_json",
            "jwks_uri",
        ],
    )?;
    if !oidc["issuer"]
        .as_str()
        .is_some_and(|issuer| issuer.starts_with("https://") || issuer.starts_with("http://"))
    {
        return Err(ApiError::invalid("oidc_policy.issuer must be an https URL"));
    }
    match (whose, oidc["subject"].as_str()) {
        (Some(_), None | Some("")) => Err(ApiError::invalid(
            "oidc_policy.subject is required for a service principal",
        )),
        (None, Some(_)) => Err(ApiError::invalid(
            "oidc_policy.subject is not allowed in an account policy",
        )),
        _ => Ok(()),
    }
}

fn render(state: &State, policy: &FederationPolicy) -> Value {
    let account = &state.account_id;
    let mut oidc = policy.oidc.clone();
    if oidc["audiences"].is_null() {
        oidc["audiences"] = json!([account]);
    }
    let mut body = json!({
        "policy_id": policy.id, "uid": policy.uid, "description": policy.description, "oidc_policy": oidc,
        "create_time": rfc3339(policy.created), "update_time": rfc3339(policy.updated),
    });
    match policy.service_principal {
        Some(sp) => {
            body["service_principal_id"] = json!(sp);
            body["name"] = json!(format!(
                "accounts/{account}/servicePrincipals/{sp}/federationPolicies/{}",
                policy.id
            ));
        }
        None => body["name"] = json!(format!("accounts/{account}/federationPolicies/{}", policy.id)),
    }
    body
}

fn find<'a>(call: &Call, state: &'a State) -> Result<&'a FederationPolicy, ApiError> {
    let id = call.param("policy");
    state
        .credentials
        .policies
        .get(&(whose(call, state)?, id.to_owned()))
        .ok_or_else(|| ApiError::missing(format!("Federation policy {id} does not exist.")))
}

fn create(call: &Call, state: &mut State) -> Answer {
    let whose = whose(call, state)?;
    let oidc = call.body.get("oidc_policy").cloned().unwrap_or_default();
    check(&oidc, whose)?;
    if state
        .credentials
        .policies
        .keys()
        .filter(|(sp, _)| *sp == whose)
        .count()
        >= MAX_PER_PRINCIPAL
    {
        return Err(ApiError::new(
            400,
            "QUOTA_EXCEEDED",
            format!("At most {MAX_PER_PRINCIPAL} federation policies are allowed"),
        ));
    }
    let uid = state.new_uuid();
    let id = call
        .query("policy_id")
        .filter(|id| !id.is_empty())
        .unwrap_or(&uid)
        .to_owned();
    if state.credentials.policies.contains_key(&(whose, id.clone())) {
        return Err(ApiError::new(
            409,
            "ALREADY_EXISTS",
            format!("Federation policy {id} already exists"),
        ));
    }
    let policy = FederationPolicy {
        id: id.clone(),
        uid,
        service_principal: whose,
        description: call.body["description"].as_str().unwrap_or_default().to_owned(),
        oidc,
        created: call.now,
        updated: call.now,
    };
    let body = render(state, &policy);
    state.credentials.policies.insert((whose, id), policy);
    Ok(Reply::ok(body))
}

fn get(call: &Call, state: &State) -> Answer {
    find(call, state).map(|policy| Reply::ok(render(state, policy)))
}

fn list(call: &Call, state: &State) -> Answer {
    let whose = whose(call, state)?;
    let all: Vec<Value> = state
        .credentials
        .policies
        .values()
        .filter(|policy| policy.service_principal == whose)
        .map(|policy| render(state, policy))
        .collect();
    let (rows, next) = page(call, all, call.query_number("page_size")?, 100, 1000)?;
    let mut body = json!({"policies": rows});
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

fn update(call: &Call, state: &mut State) -> Answer {
    let mut policy = find(call, state)?.clone();
    let mask: Vec<&str> = call.query("update_mask").unwrap_or("*").split(',').collect();
    let named = |field: &str| {
        mask.iter()
            .any(|name| *name == "*" || *name == field || name.starts_with(&format!("{field}.")))
    };
    if named("description")
        && let Some(text) = call.body["description"].as_str()
    {
        text.clone_into(&mut policy.description);
    }
    if named("oidc_policy")
        && let Some(new) = call.body.get("oidc_policy").and_then(Value::as_object)
    {
        let whole = mask.iter().any(|name| matches!(*name, "*" | "oidc_policy"));
        if whole {
            policy.oidc = Value::Object(new.clone());
        } else {
            for (field, value) in new {
                policy.oidc[field] = value.clone();
            }
        }
    }
    check(&policy.oidc, policy.service_principal)?;
    policy.updated = call.now;
    let body = render(state, &policy);
    state
        .credentials
        .policies
        .insert((policy.service_principal, policy.id.clone()), policy);
    Ok(Reply::ok(body))
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let policy = find(call, state)?;
    let key = (policy.service_principal, policy.id.clone());
    state.credentials.policies.remove(&key);
    Ok(Reply::empty())
}
