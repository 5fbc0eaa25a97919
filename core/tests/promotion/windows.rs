//! Windows, minute by minute over the days on which clocks change.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use lockstep_core::api::text::Duration;
use lockstep_core::domain::windows::{Window, WindowText, Windows};

fn text(start: &str, duration: &str, zone: Option<&str>) -> WindowText {
    WindowText {
        start: start.into(),
        duration: Duration(duration.into()),
        time_zone: zone.map(str::to_owned),
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// The days around both changes of 2026, in zones that change on different days.
const CHANGES: [(&str, &str, &str); 4] = [
    ("Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"),
    ("Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z"),
    ("America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T12:00:00Z"),
    ("America/New_York", "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z"),
];

/// Minutes at which a daily window opens, found by looking at a clock in that zone every minute: the first minute of a
/// day at which the clock shows the time, or has jumped over it.
fn openings(zone: &TimeZone, hour: i8, minute: i8, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let mut openings = Vec::new();
    let mut at = from;
    while at < to {
        let now = at.to_zoned(zone.clone()).datetime();
        let before = (at - MINUTE).to_zoned(zone.clone()).datetime();
        let start = now.date().at(hour, minute, 0, 0);
        let first_of_day = openings
            .last()
            .is_none_or(|last: &Timestamp| last.to_zoned(zone.clone()).date() != now.date());
        if now >= start && before < start && first_of_day {
            openings.push(at);
        }
        at += MINUTE;
    }
    openings
}

#[test]
fn a_daily_window_opens_once_a_day_and_stays_open_for_its_length_over_every_change() {
    for (name, from, to) in CHANGES {
        for (hour, minute, lengths) in [
            (0, 0, [1, 23]),
            (1, 30, [1, 8]),
            (2, 0, [1, 8]),
            (2, 30, [1, 23]),
            (3, 0, [1, 8]),
            (23, 30, [4, 8]),
        ] {
            for hours in lengths {
                let start = format!("{minute} {hour} * * *");
                let window = text(&start, &format!("{hours}h"), Some(name));
                let windows = Windows::parse(&[window], &[]).unwrap();
                let (zone, from, to) = (zone(name), time(from), time(to));
                let length = SignedDuration::from_hours(hours);
                let known = openings(
                    &zone,
                    hour,
                    minute,
                    from - SignedDuration::from_hours(48),
                    to + SignedDuration::from_hours(48),
                );
                let mut at = from;
                while at < to {
                    let open = known.iter().any(|opened| *opened <= at && at < *opened + length);
                    assert_eq!(windows.open_at(at), open, "{name} {start} for {hours}h at {at}");
                    if at.as_second() % 420 == 0 {
                        let next = known.iter().find(|opened| **opened > at).copied();
                        let next = if open { Some(at) } else { next };
                        assert_eq!(
                            windows.next_opening(at),
                            next,
                            "{name} {start} for {hours}h after {at}"
                        );
                    }
                    at += MINUTE;
                }
            }
        }
    }
}

#[test]
fn working_hours_follow_the_clock_of_their_zone() {
    let windows = Windows::parse(&[text("0 9 * * MON-THU", "8h", Some("Europe/Berlin"))], &[]).unwrap();
    for (at, open) in [
        // Thursday before and Monday after the change in spring: nine o'clock is an hour earlier in UTC.
        ("2026-03-26T07:59:00Z", false),
        ("2026-03-26T08:00:00Z", true),
        ("2026-03-26T15:59:59Z", true),
        ("2026-03-26T16:00:00Z", false),
        ("2026-03-30T06:59:59Z", false),
        ("2026-03-30T07:00:00Z", true),
        // Friday.
        ("2026-03-27T10:00:00Z", false),
    ] {
        assert_eq!(windows.open_at(time(at)), open, "{at}");
    }
    assert_eq!(
        windows.next_opening(time("2026-03-27T10:00:00Z")),
        Some(time("2026-03-30T07:00:00Z"))
    );
}

#[test]
fn denied_beats_allowed() {
    let windows = Windows::parse(
        &[text("0 9 * * *", "8h", None), text("0 20 * * *", "1h", None)],
        &[text("0 12 * * *", "1h", None), text("30 12 * * *", "8h", None)],
    )
    .unwrap();
    for (at, open) in [
        ("11:59", true),
        ("12:00", false),
        ("13:30", false),
        ("20:15", false),
        ("20:30", true),
    ] {
        assert_eq!(
            windows.open_at(time(&format!("2026-11-23T{at}:00Z"))),
            open,
            "{at}"
        );
    }
    assert_eq!(
        windows.next_opening(time("2026-11-23T12:00:00Z")),
        Some(time("2026-11-23T20:30:00Z"))
    );
}

#[test]
fn without_windows_it_is_always_open() {
    let now = time("2026-11-23T12:00:00Z");
    assert!(Windows::default().open_at(now));
    assert_eq!(Windows::default().next_opening(now), Some(now));
}

#[test]
fn a_denial_alone_leaves_the_rest_open() {
    let windows = Windows::parse(&[], &[text("0 0 * * FRI", "72h", None)]).unwrap();
    let friday = time("2026-11-27T10:00:00Z");
    assert!(!windows.open_at(friday));
    assert_eq!(windows.next_opening(friday), Some(time("2026-11-30T00:00:00Z")));
}

#[test]
fn what_is_always_denied_never_opens_and_says_so() {
    let windows = Windows::parse(&[], &[text("0 0 * * *", "24h", None)]).unwrap();
    assert_eq!(windows.next_opening(time("2026-11-23T12:00:00Z")), None);
}

#[test]
fn a_window_that_cannot_be_is_refused_with_what_to_write() {
    for (start, duration, zone) in [
        ("0 9 * *", "8h", None),
        ("0 0 9 * * *", "8h", None),
        ("@daily", "8h", None),
        ("0 9 L * *", "8h", None),
        ("0 9 * * MON#1", "8h", None),
        ("0 25 * * *", "8h", None),
        ("0 9 30 2 *", "8h", None),
        ("0 9 * * *", "8", None),
        ("0 9 * * *", "0s", None),
        ("0 9 * * *", "32d", None),
        ("0 9 * * *", "8h", Some("Berlin")),
        ("0 9 * * *", "8h", Some("")),
        ("", "8h", None),
    ] {
        let window = Window::parse(&text(start, duration, zone));
        assert!(window.is_err(), "{start:?} {duration} {zone:?}");
    }
}
