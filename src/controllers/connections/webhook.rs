//! The path at which Gerrit may tell of changes to what is behind a connection. Nothing signs what comes there, so its
//! last part is a secret of its own: who knows it can make us look at Gerrit sooner than we would, and no more.
//!
//! It is drawn once and lives in the connection's status. Lost, or wanted anew by unsetting `spec.events.webhook` for a
//! moment, it is drawn again, and until Gerrit is told of the new one polling sees everything.

use lockstep_core::api::GerritConnection;

/// What stands before the token in a status.
pub const PREFIX: &str = "/webhooks/gerrit/";
/// Hexadecimal digits of a token: 256 bits.
pub const DIGITS: usize = 64;

/// Where tokens come from; `None`: from nowhere now.
pub type Draw = fn() -> Option<String>;

/// The token at the end of a path. What stands before it is not looked at: a proxy in front may add to it or strip it.
pub fn token(path: &str) -> Option<&str> {
    let (_, last) = path.rsplit_once('/')?;
    let drawn = last.len() == DIGITS && last.bytes().all(|byte| byte.is_ascii_hexdigit());
    drawn.then_some(last)
}

/// The token by which a connection is hinted at; `None`: it wants no hints, or none was drawn yet.
pub fn token_of(connection: &GerritConnection) -> Option<&str> {
    connection.spec.events.as_ref()?.webhook.as_ref()?;
    token(connection.status.as_ref()?.webhook_path.as_deref()?)
}

/// The path for a connection's status.
pub(super) fn path(connection: &GerritConnection, draw: Draw) -> Option<String> {
    connection.spec.events.as_ref()?.webhook.as_ref()?;
    let token = token_of(connection).map(ToOwned::to_owned).or_else(draw)?;
    Some(format!("{PREFIX}{token}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn connection(events: Value, path: Option<&str>) -> GerritConnection {
        serde_json::from_value(json!({
            "apiVersion": "lockstep.dev/v1alpha1", "kind": "GerritConnection", "metadata": {"name": "gerrit"},
            "spec": {
                "url": "https://gerrit.example.com", "auth": {"basic": {"secretRef": {"name": "gerrit"}}}, "events": events,
            },
            "status": {"webhookPath": path},
        }))
        .unwrap()
    }

    #[allow(clippy::unnecessary_wraps)]
    fn drawn() -> Option<String> {
        Some("d".repeat(DIGITS))
    }

    #[test]
    fn a_path_is_drawn_once_for_whoever_wants_hints() {
        let webhook = json!({"webhook": {"publicUrl": "https://lockstep.example.com"}});
        let new = format!("{PREFIX}{}", "d".repeat(DIGITS));
        let kept = format!("{PREFIX}{}", "0123456789abcdef".repeat(4));
        for (events, before, after) in [
            (webhook.clone(), None, Some(&new)),
            (webhook.clone(), Some(kept.as_str()), Some(&kept)),
            // What could be guessed is not kept.
            (webhook.clone(), Some(PREFIX), Some(&new)),
            (webhook.clone(), Some("/webhooks/gerrit/lockstep"), Some(&new)),
            (webhook.clone(), Some(""), Some(&new)),
            (json!({"poll": "5s"}), Some(kept.as_str()), None),
            (Value::Null, Some(kept.as_str()), None),
        ] {
            let connection = connection(events, before);
            assert_eq!(path(&connection, drawn).as_ref(), after, "{before:?}");
        }
        assert_eq!(path(&connection(webhook, None), || None), None);
    }

    #[test]
    fn who_wants_no_hints_is_known_by_no_token() {
        let kept = format!("{PREFIX}{}", "0123456789abcdef".repeat(4));
        assert_eq!(token_of(&connection(Value::Null, Some(&kept))), None);
        let webhook = json!({"webhook": {"publicUrl": "https://lockstep.example.com"}});
        assert_eq!(token_of(&connection(webhook, Some(&kept))), token(&kept));
    }

    #[test]
    fn a_token_stands_at_the_end_of_whatever_path() {
        let digits = "0123456789abcdef".repeat(4);
        for (path, found) in [
            (format!("{PREFIX}{digits}"), true),
            (format!("/{digits}"), true),
            (format!("/lockstep/webhooks/gerrit/{digits}"), true),
            (format!("{PREFIX}{digits}/"), false),
            (format!("{PREFIX}{}", &digits[1..]), false),
            (format!("{PREFIX}{}é", &digits[2..]), false),
            (format!("{PREFIX}{}g", &digits[1..]), false),
            (digits.clone(), false),
            ("/".into(), false),
        ] {
            assert_eq!(token(&path), found.then_some(digits.as_str()), "{path}");
        }
    }
}
