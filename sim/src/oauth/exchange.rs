//! Workload identity federation: a JWT of somebody else's issuer becomes a Databricks token, if a federation policy
//! says so. The signature is really verified, against the policy's keys or those the issuer publishes.

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use super::token::refuse;
use crate::call::Call;
use crate::error::ApiError;
use crate::state::credentials::FederationPolicy;
use crate::state::{Scope, State};
use crate::world::World;

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

fn grant(message: impl Into<String>) -> ApiError {
    refuse(400, "invalid_grant", message)
}

/// The service principal that the subject token stands for.
pub async fn token_exchange(world: &World, call: &Call, scope: Scope) -> Result<u64, ApiError> {
    if call.form("subject_token_type") != Some(JWT) {
        return Err(refuse(
            400,
            "invalid_request",
            format!("subject_token_type must be {JWT}"),
        ));
    }
    let jwt = call
        .form("subject_token")
        .ok_or_else(|| refuse(400, "invalid_request", "subject_token is missing"))?;
    let client = call.form("client_id").map(str::trim).filter(|id| !id.is_empty());
    let (header, claims) = unverified(jwt)?;
    let issuer = claims["iss"].as_str().unwrap_or_default().to_owned();
    let (policies, audiences) = candidates(&world.state(), call, scope, client, &issuer)?;
    let mut refusal = grant(format!("No federation policy accepts issuer '{issuer}'"));
    for policy in policies {
        match accepts(world, call, jwt, &header, &policy, &audiences).await {
            Ok(subject) => return principal(&world.state(), &policy, &subject),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

fn unverified(jwt: &str) -> Result<(jsonwebtoken::Header, Value), ApiError> {
    let header =
        decode_header(jwt).map_err(|error| grant(format!("The subject token is not a JWT: {error}")))?;
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(jwt)
        .map_err(|error| grant(format!("The subject token is not a JWT: {error}")))?
        .claims;
    Ok((header, claims))
}

/// Policies that name this issuer: the client's own, else those of the account. And the audiences that count
/// where a policy names none.
fn candidates(
    state: &State,
    call: &Call,
    scope: Scope,
    client: Option<&str>,
    issuer: &str,
) -> Result<(Vec<FederationPolicy>, Vec<String>), ApiError> {
    let whose = match client {
        None => None,
        Some(app) => Some(
            state
                .directory
                .application(app)
                .map(|sp| sp.id)
                .ok_or_else(|| refuse(401, "invalid_client", "Client authentication failed"))?,
        ),
    };
    let policies = state
        .credentials
        .policies
        .values()
        .filter(|policy| policy.service_principal == whose && policy.oidc["issuer"].as_str() == Some(issuer))
        .cloned()
        .collect();
    let mut audiences = vec![state.account_id.clone()];
    if scope != Scope::Account {
        // The SDK asks its identity source for the token endpoint when it speaks to a workspace.
        audiences.push(format!("{}/oidc/v1/token", call.base));
    }
    Ok((policies, audiences))
}

async fn accepts(
    world: &World,
    call: &Call,
    jwt: &str,
    header: &jsonwebtoken::Header,
    policy: &FederationPolicy,
    audiences: &[String],
) -> Result<String, ApiError> {
    let issuer = policy.oidc["issuer"].as_str().unwrap_or_default();
    let keys = keys(world, policy, issuer).await?;
    let wanted: Vec<&Jwk> = keys
        .keys
        .iter()
        .filter(|key| header.kid.is_none() || key.common.key_id == header.kid)
        .collect();
    let verified = wanted
        .iter()
        .find_map(|key| verify(jwt, header.alg, key))
        .ok_or_else(|| grant("The signature of the subject token does not verify"))?;
    check_claims(call, policy, &verified, audiences)
}

fn verify(jwt: &str, algorithm: Algorithm, key: &Jwk) -> Option<Value> {
    if matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
        // A published key must never double as a shared secret.
        return None;
    }
    let mut validation = Validation::new(algorithm);
    // Times are checked against the simulator's own clock below.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    decode::<Value>(jwt, &DecodingKey::from_jwk(key).ok()?, &validation)
        .ok()
        .map(|token| token.claims)
}

fn check_claims(
    call: &Call,
    policy: &FederationPolicy,
    claims: &Value,
    default_audiences: &[String],
) -> Result<String, ApiError> {
    let now = call.now / 1000;
    if claims["exp"].as_i64().is_none_or(|exp| exp <= now) {
        return Err(grant("The subject token has expired"));
    }
    if claims["nbf"].as_i64().is_some_and(|nbf| nbf > now + 60) {
        return Err(grant("The subject token is not valid yet"));
    }
    if claims["iss"] != policy.oidc["issuer"] {
        return Err(grant(
            "The issuer of the subject token does not match the federation policy",
        ));
    }
    let strings = |value: &Value| -> Vec<String> {
        match value {
            Value::String(one) => vec![one.clone()],
            Value::Array(many) => many
                .iter()
                .filter_map(Value::as_str)
                .map(ToOwned::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    };
    let mut wanted = strings(&policy.oidc["audiences"]);
    if wanted.is_empty() {
        wanted = default_audiences.to_vec();
    }
    if !strings(&claims["aud"])
        .iter()
        .any(|audience| wanted.contains(audience))
    {
        return Err(grant(
            "The audience of the subject token does not match the federation policy",
        ));
    }
    let claim = policy.oidc["subject_claim"].as_str().unwrap_or("sub");
    let subject = claims[claim].as_str().unwrap_or_default();
    if policy.service_principal.is_some() && policy.oidc["subject"].as_str() != Some(subject) {
        return Err(grant(
            "The subject of the subject token does not match the federation policy",
        ));
    }
    Ok(subject.to_owned())
}

/// An account-wide policy takes the subject for the name of a user or service principal.
fn principal(state: &State, policy: &FederationPolicy, subject: &str) -> Result<u64, ApiError> {
    policy
        .service_principal
        .or_else(|| state.directory.user_named(subject).map(|user| user.id))
        .or_else(|| state.directory.application(subject).map(|sp| sp.id))
        .ok_or_else(|| grant("The subject of the subject token is not known to the account"))
}

async fn keys(world: &World, policy: &FederationPolicy, issuer: &str) -> Result<JwkSet, ApiError> {
    if let Some(json) = policy.oidc["jwks_json"].as_str() {
        return serde_json::from_str(json)
            .map_err(|error| grant(format!("jwks_json of the policy: {error}")));
    }
    let uri = if let Some(uri) = policy.oidc["jwks_uri"].as_str() {
        uri.to_owned()
    } else {
        let discovery = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let found: Value = fetch(world, &discovery).await?;
        found["jwks_uri"]
            .as_str()
            .map(ToOwned::to_owned)
            .ok_or_else(|| grant(format!("{discovery} names no jwks_uri")))?
    };
    fetch(world, &uri).await
}

async fn fetch<T: serde::de::DeserializeOwned>(world: &World, url: &str) -> Result<T, ApiError> {
    let wrong = |error: reqwest::Error| grant(format!("Cannot read {url}: {error:?}"));
    world
        .http
        .get(url)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(wrong)?
        .json()
        .await
        .map_err(wrong)
}
