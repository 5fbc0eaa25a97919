//! For whom an identity token must never be: the API server itself. Whoever receives such a token could act as the
//! ServiceAccount in this cluster, so a connection must not be able to have one sent away.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// What the kubelet gives every pod to speak to the API server with.
const OWN_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Host names under which every cluster knows its API server; an audience of that name is its own by default.
const SERVICE: &str = "kubernetes.default";

/// Audiences of the API server, as the operator's own token names them; outside a pod there is none.
static OF_THIS_CLUSTER: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let token = std::fs::read_to_string(Path::new(OWN_TOKEN)).unwrap_or_default();
    Claims::of(&token).map_or_else(BTreeSet::new, |claims| claims.aud.into_set())
});

/// What a token says of itself. It is ours or fresh from the API server, so no signature is checked.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    #[serde(default)]
    aud: Audiences,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Audiences {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl Audiences {
    fn into_set(self) -> BTreeSet<String> {
        match self {
            Self::None => BTreeSet::new(),
            Self::One(one) => [one].into(),
            Self::Many(many) => many.into_iter().collect(),
        }
    }
}

impl Claims {
    fn of(token: &str) -> Option<Self> {
        let payload = token.trim().split('.').nth(1)?;
        let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

/// Whether an audience is the API server's, as far as can be known before a token is asked for.
pub(super) fn is_the_api_servers(audience: &str) -> bool {
    OF_THIS_CLUSTER.contains(audience) || is_its_service(audience)
}

/// Whether a token's audience is its own issuer, which the API server accepts unless it is told otherwise.
pub(super) fn is_the_issuers(audience: &str, token: &str) -> bool {
    Claims::of(token).is_some_and(|claims| !claims.iss.is_empty() && claims.iss == audience)
}

fn is_its_service(audience: &str) -> bool {
    let name = audience.trim().to_lowercase();
    let host = name.split_once("://").map_or(name.as_str(), |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    host == SERVICE
        || host
            .strip_prefix(SERVICE)
            .is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_api_servers_service_is_known_by_every_name() {
        for (audience, own) in [
            ("https://kubernetes.default.svc", true),
            ("https://kubernetes.default.svc.cluster.local", true),
            ("https://Kubernetes.Default.svc:443/", true),
            ("kubernetes.default.svc", true),
            ("https://kubernetes.default", true),
            ("https://kubernetes.default-tenant.example.com", false),
            ("https://dbc-1.cloud.databricks.com/oidc/v1/token", false),
            ("11111111-2222-3333-4444-555555555555", false),
        ] {
            assert_eq!(is_the_api_servers(audience), own, "{audience}");
        }
    }

    #[test]
    fn a_token_for_its_own_issuer_is_one_for_the_api_server() {
        let minted =
            token(r#"{"iss":"https://oidc.example.com/id/7","aud":["https://oidc.example.com/id/7"]}"#);
        assert!(is_the_issuers("https://oidc.example.com/id/7", &minted));
        assert!(!is_the_issuers("databricks", &minted));
        assert!(!is_the_issuers("", "no token"));
    }

    #[test]
    fn audiences_are_one_or_many() {
        for (claims, expected) in [
            (r#"{"aud":"k3s"}"#, vec!["k3s"]),
            (
                r#"{"aud":["https://kubernetes.default.svc","k3s"]}"#,
                vec!["https://kubernetes.default.svc", "k3s"],
            ),
            (r#"{"iss":"x"}"#, vec![]),
        ] {
            let read = Claims::of(&token(claims)).unwrap().aud.into_set();
            assert_eq!(read.into_iter().collect::<Vec<_>>(), expected);
        }
    }
}
