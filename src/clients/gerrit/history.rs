//! Who changed a group, so that drift can be told with a name.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lockstep_core::domain::access::drift::Deed;
use lockstep_core::domain::access::grant::{Principal, PrincipalKind};
use lockstep_core::domain::ports::SystemError;

use super::GerritSystem;
use super::names::segment;
use super::wire::AuditEvent;

impl GerritSystem {
    /// Who last added or removed these members: e-mail, user name or number. One call, whatever their number.
    pub(super) async fn read_history(
        &self,
        uuid: &str,
        members: &[(Principal, Deed)],
    ) -> Result<BTreeMap<Principal, String>, SystemError> {
        let path = format!("a/groups/{}/log.audit", segment(uuid));
        let events: Vec<AuditEvent> = self.rest.get("/a/groups/{uuid}/log.audit", path, &[]).await?;
        let named = members.iter().filter_map(|(member, deed)| {
            let last = last(&events, member, *deed)?;
            Some((member.clone(), last.user.shown()))
        });
        Ok(named.collect())
    }
}

/// The newest entry of this deed. What Lockstep did about it since is another deed, so it may stand behind.
fn last<'a>(events: &'a [AuditEvent], member: &Principal, deed: Deed) -> Option<&'a AuditEvent> {
    events
        .iter()
        .filter(|event| is_about(event, member) && event.kind.starts_with("ADD") == (deed == Deed::Added))
        .filter_map(|event| Some((time(&event.date)?, event)))
        // Entries of one second are in no order (Gerrit 3.13.5), so position says nothing.
        .max_by_key(|(when, _)| *when)
        .map(|(_, event)| event)
}

fn is_about(event: &AuditEvent, member: &Principal) -> bool {
    match member.kind {
        PrincipalKind::Account => {
            event.member.account.map(|id| id.to_string()).as_deref() == Some(member.subject.as_str())
        }
        _ => event.member.uuid().as_deref() == Some(member.subject.as_str()),
    }
}

/// Gerrit's times: UTC without saying so.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let civil: DateTime = text.replacen(' ', "T", 1).parse().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        assert_eq!(
            time("2026-11-22 23:12:39.000000000"),
            "2026-11-22T23:12:39Z".parse().ok()
        );
        assert_eq!(time("yesterday"), None);
    }

    #[test]
    fn the_last_hand_of_the_deed_counts_whatever_was_done_since() {
        let events: Vec<AuditEvent> = serde_json::from_str(
            r#"[{"type":"REMOVE_USER","member":{"_account_id":7},"user":{"username":"lockstep"},"date":"2026-11-22 23:00:09.0"},
                {"type":"ADD_USER","member":{"_account_id":7},"user":{"username":"old"},"date":"2026-11-22 23:00:01.0"},
                {"type":"ADD_USER","member":{"_account_id":7},"user":{"username":"mallory"},"date":"2026-11-22 23:00:05.0"},
                {"type":"ADD_USER","member":{"_account_id":8},"user":{"username":"other"},"date":"2026-11-22 23:00:08.0"},
                {"type":"ADD_GROUP","member":{"id":"a%3Ab"},"user":{"_account_id":5},"date":"2026-11-22 23:00:08.0"}]"#,
        )
        .unwrap();
        let who = |member: Principal, deed| last(&events, &member, deed).map(|event| event.user.shown());
        let seven = Principal::account(7, "seven");
        assert_eq!(who(seven.clone(), Deed::Added).as_deref(), Some("mallory"));
        assert_eq!(who(seven, Deed::Removed).as_deref(), Some("lockstep"));
        assert_eq!(who(Principal::account(8, "x"), Deed::Removed), None);
        assert_eq!(
            who(Principal::group("a:b", "x"), Deed::Added).as_deref(),
            Some("5")
        );
    }
}
