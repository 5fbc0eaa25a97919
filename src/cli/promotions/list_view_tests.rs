use serde_json::{Value, json};

use super::*;
use crate::queries::promotions::picture::{After, Frozen, Held};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-07-04T12:00:00Z")
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn brings(change: i64) -> Brought {
    Brought {
        promotion: format!("fraud.prod.{change}.89abcdef"),
        change: Some(change),
        revision: Some("89abcdef0123456789abcdef0123456789abcdef".into()),
        since: Some(at("2026-07-04T10:00:00Z")),
        phase: None,
        note: String::new(),
        again: None,
    }
}

fn place(name: &str, depth: usize) -> Place {
    Place {
        name: name.into(),
        depth,
        after: Vec::new(),
        runs: Some(brings(42)),
        acts: None,
        waits: None,
        held: None,
        next_window: None,
        counted: None,
        unexplained_commits: 0,
    }
}

fn fraud(environments: Vec<Place>) -> Picture {
    Picture {
        namespace: "ml-fraud".into(),
        name: "fraud".into(),
        project: "ml/fraud".into(),
        enforces: true,
        suspended: false,
        not_ready: None,
        frozen: Vec::new(),
        environments,
        pending: Vec::new(),
    }
}

#[test]
fn a_policy_is_drawn_from_left_to_right() {
    let prod = Place {
        after: vec![After {
            environment: "staging".into(),
            soak: Some("1h".into()),
        }],
        runs: Some(brings(41)),
        acts: Some(Brought {
            note: "step train (2 of 5)".into(),
            phase: Some(PromotionPhase::Running),
            ..brings(42)
        }),
        waits: Some(Brought {
            note: "Soaking".into(),
            again: Some(at("2026-07-04T12:40:00Z")),
            ..brings(43)
        }),
        ..place("prod", 1)
    };
    let text = plain(&picture(
        &fraud(vec![place("staging", 0), prod]),
        100,
        false,
        now(),
    ));
    assert_eq!(
        text,
        "\
PromotionPolicy ml-fraud/fraud (ml/fraud, enforces)
+- staging -----------------+     +- prod ------------------------------------+
| runs 42 89abcdef since 2h | --> | runs 41 89abcdef since 2h                 |
+---------------------------+     | acts 42 89abcdef: step train (2 of 5), 2h |
                                  | waits 43 89abcdef: Soaking, again in 40m  |
                                  | after staging, soak 1h                    |
                                  +-------------------------------------------+
"
    );
}

#[test]
fn what_stands_still_says_why_and_how_to_go_on() {
    let prod = Place {
        held: Some(Held {
            reason: "promotion fraud.prod.42.89abcdef failed: the run failed".into(),
            promotion: Some("fraud.prod.42.89abcdef".into()),
            since: Some(at("2026-07-04T09:00:00Z")),
        }),
        next_window: Some(at("2026-07-06T07:00:00Z")),
        counted: Some(Counted {
            total: 12,
            explained: 11,
            acknowledged: 0,
            unexplained: 1,
            unseen: 0,
        }),
        unexplained_commits: 2,
        ..place("prod", 0)
    };
    let plan = |plan: Value| serde_json::from_value(plan).unwrap();
    let of = serde_json::from_value(
        json!({"kind": "PromotionPolicy", "namespace": "ml-fraud", "name": "fraud", "uid": "u"}),
    );
    let of: lockstep_core::api::plan_approval::PlanRef = of.unwrap();
    let policy = Picture {
        frozen: vec![Frozen {
            freeze: "ml-fraud/holidays".into(),
            reason: "nobody is here".into(),
            until: at("2026-07-08T00:00:00Z"),
            rollbacks: false,
        }],
        pending: vec![
            Pending {
                of: of.clone(),
                plan: plan(json!({"subject": "Resume", "environment": "prod", "digest": "sha256:a"})),
            },
            Pending {
                of,
                plan: plan(
                    json!({"subject": "WeakerGate", "digest": "sha256:b", "summary": ["one vote less"]}),
                ),
            },
        ],
        ..fraud(vec![prod])
    };
    let text = plain(&picture(&policy, 200, false, now()));
    for said in [
        "frozen until 2026-07-08T00:00:00Z by ChangeFreeze ml-fraud/holidays: nobody is here",
        "lockstep promotions resume fraud prod -n ml-fraud",
        "WeakerGate: one vote less   lockstep approve promotionpolicy/fraud -n ml-fraud --digest sha256:b",
        "HELD since 3h: promotion fraud.prod.42.89abcdef failed: the run failed",
        "next window in 1d19h (2026-07-06T07:00:00Z)",
        "2 commits that nobody accounts for",
        "12 runs, 11 explained, 1 unexplained",
    ] {
        assert!(text.contains(said), "{said} in\n{text}");
    }
}

#[test]
fn a_name_from_elsewhere_cannot_forge_a_line() {
    let held = Held {
        reason: "a\u{1b}[2J\nb".into(),
        promotion: None,
        since: None,
    };
    let prod = Place {
        held: Some(held),
        ..place("prod", 0)
    };
    let text = plain(&picture(&fraud(vec![prod]), 100, false, now()));
    assert!(text.contains("a\\u{1b}[2J\\nb"), "{text}");
}

#[test]
fn the_table_has_a_line_for_each_promotion() {
    let row = |name: &str, gone| Row {
        namespace: "ml-fraud".into(),
        name: name.into(),
        policy: "fraud".into(),
        environment: "prod".into(),
        kind: None,
        change: Some(42),
        revision: Some("89abcdef0123".into()),
        phase: Some(PromotionPhase::Succeeded),
        reason: "Succeeded".into(),
        message: String::new(),
        made: Some(at("2026-07-04T11:15:00Z")),
        directory_gone: gone,
    };
    let rows = [row("one", false), row("two", true)];
    let text = promotions(&rows, false, now());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["NAME", "CHANGE", "REVISION", "PHASE", "REASON", "AGE"]
    );
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>(),
        ["one", "42", "89abcdef", "Succeeded", "Succeeded", "45m"]
    );
    assert!(lines[2].contains("directory gone"), "{text}");
    assert!(promotions(&rows, true, now()).contains("NAMESPACE"));
}
