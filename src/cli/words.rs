//! Short words for times, commits, changes and objects.

use jiff::{SignedDuration, Timestamp};

/// Digits of a commit that people compare, as in names of promotions.
const SHORT: usize = 8;

/// The name of an object, also where it is written as kubectl writes it: `promotion/fraud.prod.42.89abcdef`.
pub(super) fn bare(words: &str) -> &str {
    words.rsplit('/').next().unwrap_or(words)
}

pub(super) fn short(commit: &str) -> &str {
    commit.get(..SHORT).unwrap_or(commit)
}

/// `42 89abcdef`; what is unknown is left out.
pub(super) fn brought(change: Option<i64>, revision: Option<&str>) -> String {
    let change = change.map(|change| change.to_string());
    let words: Vec<&str> = [change.as_deref(), revision.map(short)]
        .into_iter()
        .flatten()
        .collect();
    words.join(" ")
}

/// A length of time as kubectl shows ages: its largest unit, two while they are few.
pub(super) fn length(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) if hours < 10 && minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        (0, hours, _) => format!("{hours}h"),
        (days, hours, _) if days < 3 && hours % 24 > 0 => format!("{days}d{}h", hours % 24),
        (days, _, _) => format!("{days}d"),
    }
}

/// How long ago.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    length(now.duration_since(since))
}

/// `in 2h`; what is over is `now`.
pub(super) fn ahead(at: Timestamp, now: Timestamp) -> String {
    if at <= now {
        "now".to_owned()
    } else {
        format!("in {}", length(at.duration_since(now)))
    }
}

/// To the second, which is as exact as anybody reads.
pub(super) fn moment(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_as_kubectl_names_it() {
        assert_eq!(bare("promotion/fraud.prod.42.89abcdef"), "fraud.prod.42.89abcdef");
        assert_eq!(bare("fraud.prod.42.89abcdef"), "fraud.prod.42.89abcdef");
    }

    #[test]
    fn lengths_are_as_short_as_they_can_be_told() {
        for (seconds, told) in [
            (-5, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_599, "59m"),
            (3_600, "1h"),
            (5_400, "1h30m"),
            (36_900, "10h"),
            (90_000, "1d1h"),
            (86_400, "1d"),
            (900_000, "10d"),
        ] {
            assert_eq!(length(SignedDuration::from_secs(seconds)), told, "{seconds}");
        }
    }

    #[test]
    fn a_time_that_is_over_is_now() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let now = at("2026-07-04T12:00:00.5Z");
        assert_eq!(ahead(at("2026-07-04T11:00:00Z"), now), "now");
        assert_eq!(ahead(at("2026-07-04T14:00:00.5Z"), now), "in 2h");
        assert_eq!(moment(now), "2026-07-04T12:00:00Z");
        assert_eq!(brought(Some(42), Some("89abcdef0123")), "42 89abcdef");
        assert_eq!(brought(None, None), "");
    }
}
