//! The outcome of a pass as conditions and as the time to come back; the one place that decides either.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::ports::ErrorClass;
use crate::api::condition::{ConditionType, Reason};

/// Longest message of a condition; the API server refuses more than 32 kB and people read one line.
const MESSAGE: usize = 1_024;

/// What one condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    pub kind: ConditionType,
    /// `None` is Unknown.
    pub status: Option<bool>,
    pub reason: Reason,
    pub message: String,
}

impl Saying {
    pub fn new(kind: ConditionType, status: bool, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: Some(status),
            reason,
            message: message.into(),
        }
    }
}

/// Conditions for status: the times of those that say the same as before are kept, so that an unchanged world is an
/// unchanged status. `Reconciling` and `Stalled` that are not true are left out (kstatus), and `Stalled` wins.
pub fn conditions(
    sayings: &[Saying],
    previous: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let stalled = sayings
        .iter()
        .any(|said| said.kind == ConditionType::Stalled && said.status == Some(true));
    let mut out: Vec<Condition> = sayings
        .iter()
        .filter(|said| match said.kind {
            ConditionType::Reconciling => said.status == Some(true) && !stalled,
            ConditionType::Stalled => said.status == Some(true),
            _ => true,
        })
        .map(|said| {
            let status = match said.status {
                Some(true) => "True",
                Some(false) => "False",
                None => "Unknown",
            };
            let kind = said.kind.to_string();
            let same = previous
                .iter()
                .find(|old| old.type_ == kind && old.status == status);
            Condition {
                type_: kind,
                status: status.into(),
                reason: said.reason.to_string(),
                message: shorten(&said.message),
                // Kubernetes keeps whole seconds; anything finer would differ from what is read back.
                last_transition_time: same
                    .map_or_else(|| Time(whole(now)), |old| old.last_transition_time.clone()),
                observed_generation: generation,
            }
        })
        .collect();
    let ready = ConditionType::Ready.to_string();
    out.sort_by_key(|condition| (condition.type_ != ready, condition.type_.clone()));
    out
}

fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn shorten(message: &str) -> String {
    if message.len() <= MESSAGE {
        return message.to_owned();
    }
    let end = (0..=MESSAGE - 4)
        .rev()
        .find(|at| message.is_char_boundary(*at))
        .unwrap_or(0);
    format!("{} ...", &message[..end])
}

/// The next drift check. All objects of one interval come due together, so that one snapshot serves them all; the
/// moment itself wanders by up to a tenth, so that many operators do not meet at a system on the minute.
pub fn next_check(now: Timestamp, interval: u64) -> Timestamp {
    let interval = whole_seconds(interval);
    let period = now.as_second().div_euclid(interval);
    let at = (period..=period + 2)
        .map(|period| due(period, interval))
        .find(|at| *at > now.as_millisecond() + interval * 250);
    let at = at.unwrap_or_else(|| due(period + 2, interval));
    Timestamp::from_millisecond(at).unwrap_or(now)
}

fn whole_seconds(interval: u64) -> i64 {
    i64::try_from(interval.max(1)).unwrap_or(600)
}

/// When the check of a period is due, in milliseconds.
fn due(period: i64, interval: i64) -> i64 {
    // A fixed scramble of the period's number: every object computes the same moment.
    let scramble = period
        .wrapping_mul(0x5851_f42d_4c95_7f2d)
        .rotate_left(17)
        .rem_euclid(1_000);
    period * interval * 1_000 + interval * (scramble - 500) / 5
}

/// The oldest reading a pass may rest on: a tenth of the interval, or what was read since the last check came due,
/// and never more than a minute. A crowd that comes due together takes longer than a tenth of a short interval; it
/// shares what its first has read all the same.
pub fn freshness(now: Timestamp, interval: u64) -> Timestamp {
    let ago = |seconds| {
        let then = now.checked_sub(SignedDuration::from_secs(seconds));
        then.unwrap_or(now)
    };
    let tolerance = i64::try_from(interval / 10).unwrap_or(60).clamp(1, 60);
    let seconds = whole_seconds(interval);
    let period = now.as_second().div_euclid(seconds);
    let last = (period - 1..=period + 1)
        .rev()
        .filter_map(|period| Timestamp::from_millisecond(due(period, seconds)).ok())
        .find(|due| *due <= now);
    let since = last.map_or(now, |last| last.max(ago(60)));
    ago(tolerance).min(since)
}

/// The most urgent of several classes: whatever can be tried soon decides when we come back.
pub fn most_urgent(classes: impl IntoIterator<Item = ErrorClass>) -> Option<ErrorClass> {
    classes.into_iter().min_by_key(|class| match class {
        ErrorClass::RetrySoon => (0, Timestamp::MIN),
        ErrorClass::RetryAt(at) => (1, *at),
        ErrorClass::WaitSlow => (2, Timestamp::MIN),
        ErrorClass::WaitForChange => (3, Timestamp::MIN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_unchanged_saying_keeps_its_time() {
        let say = |status| [Saying::new(ConditionType::Ready, status, Reason::Succeeded, "")];
        let first = conditions(&say(true), &[], Some(1), at(10));
        let second = conditions(&say(true), &first, Some(1), at(20));
        assert_eq!(first, second);
        let third = conditions(&say(false), &second, Some(1), at(30));
        assert_eq!(third[0].last_transition_time.0, at(30));
    }

    #[test]
    fn stalled_and_reconciling_are_never_both_and_never_false() {
        let sayings = [
            Saying::new(ConditionType::Reconciling, true, Reason::Progressing, ""),
            Saying::new(ConditionType::Stalled, true, Reason::OutOfReach, ""),
            Saying::new(ConditionType::Ready, false, Reason::OutOfReach, ""),
        ];
        let kinds: Vec<_> = conditions(&sayings, &[], None, at(0))
            .into_iter()
            .map(|c| c.type_)
            .collect();
        assert_eq!(kinds, ["Ready", "Stalled"]);
    }

    #[test]
    fn who_was_due_together_may_rest_on_one_reading() {
        let due = next_check(at(1_000_003), 10);
        let later = |seconds| due + SignedDuration::from_secs(seconds);
        assert_eq!(freshness(due, 10), due - SignedDuration::from_secs(1));
        assert_eq!(freshness(later(6), 10), due);
        for interval in [10, 60, 600, 86_400] {
            for second in 0..200 {
                let now = later(second);
                let age = now.duration_since(freshness(now, interval)).as_secs();
                assert!((1..=60).contains(&age), "{interval} {second} {age}");
            }
        }
    }

    #[test]
    fn everybody_is_due_at_the_same_moment_within_the_interval() {
        for interval in [10, 60, 600, 86_400] {
            for now in [0, 17, 1_000_003, 1_750_000_000] {
                let due = next_check(at(now), interval);
                let wait = due.as_millisecond() - at(now).as_millisecond();
                let interval = i64::try_from(interval).unwrap() * 1_000;
                assert!(
                    wait > interval / 5 && wait <= interval * 2,
                    "{now} {interval} {wait}"
                );
                assert_eq!(next_check(at(now), interval.unsigned_abs() / 1_000), due);
            }
        }
    }
}
