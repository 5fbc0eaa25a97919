use super::*;

const DAY: u64 = 86_400;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn windows(allow: &[(&str, &str)]) -> Windows {
    let texts: Vec<_> = allow
        .iter()
        .map(|(start, duration)| WindowText {
            start: (*start).into(),
            duration: Duration((*duration).into()),
            time_zone: None,
        })
        .collect();
    Windows::parse(&texts, &[]).unwrap()
}

fn every(seconds: u64, allow: &[(&str, &str)]) -> Schedule {
    let now = time("2026-11-02T00:00:00Z");
    Schedule::new(
        Pace::Every(seconds),
        windows(allow),
        7_200,
        Some(3 * seconds),
        Slack::MissesOne,
        now,
    )
    .unwrap()
}

fn cron(line: &str, overlap: u64, lifetime: Option<u64>) -> Result<Schedule, BadSchedule> {
    let cron = Cron::parse(line, Some("Europe/Berlin")).unwrap();
    let now = time("2026-11-02T00:00:00Z");
    Schedule::new(
        Pace::Cron(cron),
        Windows::default(),
        overlap,
        lifetime,
        Slack::MissesOne,
        now,
    )
}

#[test]
fn the_next_one_is_due_an_interval_after_the_last_was_minted() {
    let minted = time("2026-11-02T10:00:00Z");
    let next = every(7 * DAY, &[]).next(minted, None, 0);
    assert_eq!(next, time("2026-11-09T10:00:00Z"));
}

#[test]
fn what_is_due_together_is_spread_the_same_way_every_time() {
    let minted = time("2026-11-02T10:00:00Z");
    let schedule = every(7 * DAY, &[]);
    let times: std::collections::BTreeSet<_> =
        (0..500).map(|seed| schedule.next(minted, None, seed)).collect();
    assert_eq!(times.len(), 500);
    assert!(*times.last().unwrap() <= time("2026-11-09T10:10:00Z"));
    assert_eq!(schedule.next(minted, None, 77), schedule.next(minted, None, 77));
}

#[test]
fn a_window_delays_it() {
    let minted = time("2026-11-02T10:00:00Z");
    let next = every(DAY, &[("0 3 * * SUN", "2h")]).next(minted, None, 0);
    assert_eq!(next, time("2026-11-08T03:00:00Z"));
}

#[test]
fn no_window_delays_it_past_the_time_that_consumers_need_before_the_end() {
    let minted = time("2026-11-02T10:00:00Z");
    let expires = time("2026-11-05T10:00:00Z");
    let next = every(DAY, &[("0 3 * * SUN", "2h")]).next(minted, Some(expires), 0);
    assert_eq!(next, time("2026-11-05T08:00:00Z"));
}

#[test]
fn nothing_makes_it_wait_past_that_time_either() {
    let schedule = every(DAY, &[]);
    let expires = Some(time("2026-11-05T10:00:00Z"));
    assert!(schedule.may_wait(expires, time("2026-11-05T07:59:59Z")));
    assert!(!schedule.may_wait(expires, time("2026-11-05T08:00:00Z")));
    assert!(!schedule.may_wait(expires, time("2026-11-06T00:00:00Z")));
    // What does not run out leaves nobody without.
    assert!(schedule.may_wait(None, time("2036-11-05T08:00:00Z")));
}

#[test]
fn a_cron_line_goes_by_the_clock_of_its_zone() {
    let schedule = cron("0 3 * * MON", 7_200, None).unwrap();
    let before = time("2027-03-23T12:00:00Z");
    assert_eq!(schedule.next(before, None, 0), time("2027-03-29T01:00:00Z"));
}

#[test]
fn an_overlap_as_long_as_the_shortest_gap_is_refused_with_the_numbers() {
    let now = time("2026-11-02T00:00:00Z");
    let refused = Schedule::new(
        Pace::Every(3_600),
        Windows::default(),
        3_600,
        None,
        Slack::MissesOne,
        now,
    )
    .unwrap_err();
    assert!(
        refused.to_string().contains("3600 s is not shorter than"),
        "{refused}"
    );
    // Twice a day, an hour apart.
    let refused = cron("0 3,4 * * *", 7_200, None).unwrap_err();
    let expected = BadSchedule::OverlapTooLong {
        overlap: 7_200,
        shortest: 3_600,
    };
    assert_eq!(refused, expected);
}

#[test]
fn a_life_that_does_not_outlast_a_missed_rotation_is_refused_with_the_numbers() {
    let now = time("2026-11-02T00:00:00Z");
    let schedule = |lifetime| {
        Schedule::new(
            Pace::Every(7 * DAY),
            Windows::default(),
            7_200,
            Some(lifetime),
            Slack::MissesOne,
            now,
        )
    };
    assert!(schedule(14 * DAY + 7_200).is_ok());
    let refused = schedule(14 * DAY + 7_199).unwrap_err().to_string();
    assert!(refused.contains("2 x 604800 s + 7200 s = 1216800 s"), "{refused}");
    // On the first of a month: from the first of October are 31 days, and the hour that the clocks go back.
    assert!(cron("0 3 1 * *", 7_200, Some(2 * (31 * DAY + 3_600) + 7_200)).is_ok());
    assert!(cron("0 3 1 * *", 7_200, Some(2 * 31 * DAY + 7_200)).is_err());
}
