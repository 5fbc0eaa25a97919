//! Whether the environments before this one have run the same change, long enough.

use jiff::{SignedDuration, Timestamp};

use super::super::finding::{Finding, FindingKind};
use super::super::rules::Upstream;
use super::super::{Case, Success};

/// What an environment says about a change.
enum Seen<'a> {
    /// It ran exactly this, since then.
    Since(Timestamp),
    /// It ran something of the same name with another content.
    Other(&'a Success),
    Nothing,
    Unknown,
}

fn seen<'a>(case: &Case<'a>, required: &Upstream) -> Seen<'a> {
    let Some(successes) = case.surroundings.upstream.get(&required.environment) else {
        return Seen::Unknown;
    };
    let change = case.change;
    let mut since: Option<Timestamp> = None;
    let mut other = None;
    for success in successes.iter().filter(|success| !success.taken_back) {
        let same_name = success.change_id == change.change_id
            || change.cherry_pick_of == Some(success.change)
            || success.cherry_pick_of == Some(change.number);
        // Two unknown patches are not two equal ones.
        let same_patch = change.patch.is_some() && success.patch == change.patch;
        if success.revision == change.revision || (same_name && same_patch) {
            since = Some(since.map_or(success.at, |known| known.min(success.at)));
        } else if same_name {
            other = Some(success);
        }
    }
    match (since, other) {
        (Some(since), _) => Seen::Since(since),
        (None, Some(other)) => Seen::Other(other),
        (None, None) => Seen::Nothing,
    }
}

pub fn differs_from_upstream(case: &Case<'_>) -> Option<Finding> {
    all(case, FindingKind::DiffersFromUpstream, |required| {
        let Seen::Other(other) = seen(case, required) else {
            return None;
        };
        let message = format!(
            "environment {} ran {} at {}, which has the same name but another patch than {} at {}: bring the same \
             patch here, or this one there",
            required.environment,
            other.change,
            other.revision.short(),
            case.change.number,
            case.change.revision.short()
        );
        Some((message, None))
    })
}

pub fn upstream_missing(case: &Case<'_>) -> Option<Finding> {
    all(case, FindingKind::UpstreamMissing, |required| {
        let number = case.change.number;
        let environment = &required.environment;
        let message = match seen(case, required) {
            Seen::Nothing => format!("{number} has not succeeded in environment {environment}"),
            Seen::Unknown => {
                format!("it is unknown whether {number} has succeeded in environment {environment}")
            }
            Seen::Since(_) | Seen::Other(_) => return None,
        };
        Some((message, None))
    })
}

pub fn soaking(case: &Case<'_>) -> Option<Finding> {
    all(case, FindingKind::Soaking, |required| {
        let Seen::Since(since) = seen(case, required) else {
            return None;
        };
        let soak = SignedDuration::from_secs(i64::try_from(required.soak).unwrap_or(i64::MAX));
        let over = since.checked_add(soak).unwrap_or(Timestamp::MAX);
        (case.now < over).then(|| {
            let message = format!(
                "{} succeeded in environment {} at {since} and soaks there until {over}",
                case.change.number, required.environment
            );
            (message, Some(over))
        })
    })
}

/// One finding for all required environments; it is over when the last is.
fn all(
    case: &Case<'_>,
    kind: FindingKind,
    check: impl Fn(&Upstream) -> Option<(String, Option<Timestamp>)>,
) -> Option<Finding> {
    let found: Vec<_> = case.rules.requires.iter().filter_map(check).collect();
    let again = found.iter().filter_map(|(_, again)| *again).max();
    let messages: Vec<String> = found.into_iter().map(|(message, _)| message).collect();
    (!messages.is_empty()).then(|| Finding::new(kind, messages.join("; ")).again(again))
}
