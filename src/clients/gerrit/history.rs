//! Who changed a group, so that drift can be told with a name.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lockstep_core::domain::access::grant::{Principal, PrincipalKind};

use super::GerritSystem;
use super::names::segment;
use super::wire::AuditEvent;

/// The last hand on a membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// Who did it: e-mail, user name or number.
    pub who: String,
    /// To the second.
    pub when: Timestamp,
    /// Whether the member was added; else removed.
    pub added: bool,
}

impl GerritSystem {
    /// Who last added or removed this member. Best effort: what cannot be read is not known.
    pub async fn who_changed(&self, uuid: &str, member: &Principal) -> Option<Attribution> {
        let path = format!("a/groups/{}/log.audit", segment(uuid));
        let events: Vec<AuditEvent> = self
            .rest
            .get("/a/groups/{uuid}/log.audit", path, &[])
            .await
            .ok()?;
        events
            .iter()
            .filter(|event| is_about(event, member))
            .filter_map(|event| {
                Some(Attribution {
                    who: event.user.shown(),
                    when: time(&event.date)?,
                    added: event.kind.starts_with("ADD"),
                })
            })
            // Entries of one second are in no order (Gerrit 3.13.5), so position says nothing.
            .max_by_key(|found| found.when)
    }
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
}
