//! A gate that an edit makes weaker waits for a person; whatever is not known to be as strict is weaker.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use lockstep_core::api::promotion_policy::OnUnexplained;
use lockstep_core::api::text::Duration;
use lockstep_core::api::windows::{WindowText, WindowTexts};
use lockstep_core::domain::promotion::gate::in_force::{Decided, InForce, decide, weakens};
use lockstep_core::domain::promotion::gate::people::GroupUuid;
use lockstep_core::domain::promotion::gate::range::BaselineKey;
use lockstep_core::domain::promotion::gate::rules::{AgentIdentity, Rules, TrustedAutomation, Upstream};
use lockstep_core::domain::windows::Windows;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::properties::{config, some_review};
use crate::review::*;

fn gate_of(rules: Rules) -> InForce {
    InForce {
        place: BaselineKey {
            server: "gerrit.example.com".into(),
            project: rules.project.clone(),
            branch: rules.branch.clone(),
            workspace: "123".into(),
        },
        rules,
        windows: WindowTexts::default(),
        on_unexplained: OnUnexplained::Hold,
    }
}

fn window(start: &str, duration: &str) -> WindowText {
    WindowText {
        start: start.into(),
        duration: Duration(duration.into()),
        time_zone: None,
    }
}

fn windows(allow: &[WindowText], deny: &[WindowText]) -> WindowTexts {
    let some = |all: &[WindowText]| (!all.is_empty()).then(|| all.to_vec());
    WindowTexts {
        allow: some(allow),
        deny: some(deny),
    }
}

/// A gate with something of everything.
fn gate() -> InForce {
    let mut rules = reviewed().rules;
    rules.approval.count = 2;
    rules.allow_overridden = BTreeSet::from(["No-Docs".to_owned()]);
    rules.requires = vec![Upstream {
        environment: "staging".into(),
        soak: 3_600,
    }];
    InForce {
        windows: windows(&[window("0 9 * * *", "8h")], &[window("0 12 * * *", "1h")]),
        ..gate_of(rules)
    }
}

/// One edit of a gate.
type Edit = fn(&mut InForce);

/// Edits after which nothing may pass that did not before.
const STRICTER: &[(&str, Edit)] = &[
    ("nothing", |_| {}),
    ("more approvals", |gate| gate.rules.approval.count += 1),
    ("more humans for agents", |gate| gate.rules.agents.count += 1),
    ("another footer", |gate| {
        gate.rules.agents.footers.push("Co-authored-by".into())
    }),
    ("more agents", |gate| {
        gate.rules.agents.identities.push(AgentIdentity {
            group: checks(),
            sponsors: None,
        });
    }),
    ("nobody trusted", |gate| gate.rules.trusted_automation.clear()),
    ("nothing overridden", |gate| gate.rules.allow_overridden.clear()),
    ("another requirement", |gate| {
        gate.rules.required.insert("Docs".into());
    }),
    ("a longer soak", |gate| {
        gate.rules
            .requires
            .iter_mut()
            .for_each(|upstream| upstream.soak += 1)
    }),
    ("another environment before", |gate| {
        gate.rules.requires.push(Upstream {
            environment: "canary".into(),
            soak: 0,
        });
    }),
    ("a shorter window", |gate| {
        gate.windows.allow = Some(vec![window("0 9 * * *", "7h")]);
    }),
    ("a longer time denied", |gate| {
        gate.windows.deny = Some(vec![window("0 12 * * *", "2h"), window("0 15 * * *", "1h")]);
    }),
];

/// Edits that may let something pass that did not before.
const WEAKER: &[(&str, Edit)] = &[
    ("fewer approvals", |gate| gate.rules.approval.count = 1),
    ("another approvers' group", |gate| {
        gate.rules.approval.group = engineers()
    }),
    ("a group of another name", |gate| {
        gate.rules.approval.group_name = "leads".into()
    }),
    ("another approval label", |gate| {
        gate.rules.approval.label = "Docs".into()
    }),
    ("no verification", |gate| gate.rules.verification = None),
    ("another verification label", |gate| {
        gate.rules
            .verification
            .iter_mut()
            .for_each(|asked| asked.label = "Docs".into());
    }),
    ("other verifiers", |gate| {
        gate.rules
            .verification
            .iter_mut()
            .for_each(|asked| asked.group = leads());
    }),
    ("labels of a shorter range", |gate| {
        gate.rules.labels.values_mut().for_each(|label| label.max = 1);
    }),
    ("labels of another function", |gate| {
        let labels = gate.rules.labels.values_mut();
        labels.for_each(|label| {
            label.functions.insert("MaxWithBlock".into());
        });
    }),
    ("a label not governed", |gate| {
        gate.rules.labels.remove(VERIFIED);
    }),
    ("a requirement gone", |gate| {
        gate.rules.required.pop_first();
    }),
    ("more overridden", |gate| {
        gate.rules.allow_overridden.insert("Lockstep-Approved".into());
    }),
    ("an agent forgotten", |gate| gate.rules.agents.identities.clear()),
    ("sponsors forgotten", |gate| {
        gate.rules
            .agents
            .identities
            .iter_mut()
            .for_each(|agents| agents.sponsors = None);
    }),
    ("other sponsors", |gate| {
        let identities = gate.rules.agents.identities.iter_mut();
        identities.for_each(|agents| agents.sponsors = Some(GroupUuid("x".into())));
    }),
    ("a footer forgotten", |gate| gate.rules.agents.footers.clear()),
    ("no requester", |gate| gate.rules.agents.requester_footer = None),
    ("another requester", |gate| {
        gate.rules.agents.requester_footer = Some("Asked-by".into())
    }),
    ("fewer humans for agents", |gate| gate.rules.agents.count = 1),
    ("another account trusted", |gate| {
        gate.rules.trusted_automation.push(TrustedAutomation {
            account: CI,
            paths: vec!["docs/**".into()],
        });
    }),
    ("more files trusted", |gate| {
        let trusted = gate.rules.trusted_automation.iter_mut();
        trusted.for_each(|trusted| trusted.paths.push("**".into()));
    }),
    ("no environment before", |gate| gate.rules.requires.clear()),
    ("a shorter soak", |gate| {
        gate.rules
            .requires
            .iter_mut()
            .for_each(|upstream| upstream.soak = 0)
    }),
    ("always open", |gate| gate.windows.allow = None),
    ("a longer window", |gate| {
        gate.windows.allow = Some(vec![window("0 9 * * *", "9h")])
    }),
    ("another window", |gate| {
        gate.windows.allow = Some(vec![window("0 9 * * *", "8h"), window("0 20 * * *", "1h")]);
    }),
    ("nothing denied", |gate| gate.windows.deny = None),
    ("less denied", |gate| {
        gate.windows.deny = Some(vec![window("0 12 * * *", "30m")])
    }),
    ("a window of another zone", |gate| {
        let windows = gate.windows.allow.iter_mut().flatten();
        windows.for_each(|window| window.time_zone = Some("Europe/Berlin".into()));
    }),
    ("strangers only reported", |gate| {
        gate.on_unexplained = OnUnexplained::Report
    }),
    ("another branch", |gate| {
        gate.rules.branch = "other".into();
        gate.place.branch = "other".into();
    }),
    ("another project", |gate| gate.rules.project = "ml/other".into()),
    ("another workspace", |gate| gate.place.workspace = "124".into()),
];

/// After some of them.
fn edited(edits: &[(&str, Edit)], chosen: &[prop::sample::Index]) -> InForce {
    let mut gate = gate();
    for index in chosen {
        edits[index.index(edits.len())].1(&mut gate);
    }
    gate
}

#[test]
fn what_makes_a_gate_stricter_needs_nobody() {
    for (name, edit) in STRICTER {
        let mut new = gate();
        edit(&mut new);
        assert_eq!(weakens(&gate(), &new), [], "{name}");
    }
}

#[test]
fn what_could_let_more_pass_is_named() {
    for (name, edit) in WEAKER {
        let mut new = gate();
        edit(&mut new);
        let found = weakens(&gate(), &new);
        assert!(!found.is_empty(), "{name}");
        assert!(
            found.iter().all(|weakening| weakening.from != weakening.to),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn a_weakening_says_from_what_to_what() {
    let mut new = gate();
    new.rules.approval.count = 1;
    let found = weakens(&gate(), &new);
    assert_eq!(found[0].to_string(), "gate.approval.count: 2 -> 1");
}

#[test]
fn a_gate_reads_back_what_a_status_keeps_of_it() {
    for gate in [gate(), gate_of(reviewed().rules)] {
        let kept = serde_json::to_value(&gate).unwrap();
        let empty = kept.as_object().unwrap().values();
        let empty = empty.filter(|value| value.as_object().is_some_and(serde_json::Map::is_empty));
        assert_eq!(empty.count(), 0, "{kept}");
        assert_eq!(serde_json::from_value::<InForce>(kept).unwrap(), gate);
    }
}

#[test]
fn the_first_gate_is_in_force_at_once() {
    let decided = decide(None, &gate());
    assert_eq!((decided.in_force, decided.weakens.len()), (gate(), 0));
}

#[test]
fn what_gerrit_no_longer_says_waits_and_keeps_nothing_else_from_becoming_stricter() {
    let mut declared = gate();
    declared.rules.labels.get_mut(APPROVAL).unwrap().max = 1;
    declared.rules.required.clear();
    declared.rules.approval.count = 3;
    let Decided { in_force, weakens } = decide(Some(&gate()), &declared);
    assert_eq!(in_force.rules.approval.count, 3);
    assert_eq!(in_force.rules.labels, gate().rules.labels);
    assert_eq!(in_force.rules.required, gate().rules.required);
    assert_eq!(weakens.len(), 2, "{weakens:?}");
}

#[test]
fn an_edit_that_is_both_stricter_and_weaker_waits_as_a_whole() {
    let mut declared = gate();
    declared.rules.approval.count = 1;
    declared.rules.agents.count = 5;
    let decided = decide(Some(&gate()), &declared);
    assert_eq!(decided.in_force, gate());
    assert_eq!(decided.weakens.len(), 1);
}

fn some_windows() -> impl Strategy<Value = WindowTexts> {
    let one = (
        select(vec!["0 9 * * *", "0 12 * * *", "30 11 * * MON-THU"]),
        select(vec!["1h", "2h", "26h"]),
    )
        .prop_map(|(start, duration)| window(start, duration));
    let all = || vec(one.clone(), 0..3);
    (all(), all()).prop_map(|(allow, deny)| windows(&allow, &deny))
}

fn open(texts: &WindowTexts, at: Timestamp) -> bool {
    let all = |texts: &Option<Vec<WindowText>>| texts.clone().unwrap_or_default();
    Windows::parse(&all(&texts.allow), &all(&texts.deny))
        .unwrap()
        .open_at(at)
}

proptest! {
    #![proptest_config(config(2_048))]

    #[test]
    fn no_gate_weakens_itself(chosen in vec(any::<prop::sample::Index>(), 0..4)) {
        let all: Vec<(&str, Edit)> = STRICTER.iter().chain(WEAKER).copied().collect();
        let gate = edited(&all, &chosen);
        prop_assert_eq!(weakens(&gate, &gate), []);
    }

    #[test]
    fn becoming_stricter_step_by_step_never_needs_anybody(chosen in vec(any::<prop::sample::Index>(), 0..6)) {
        prop_assert_eq!(weakens(&gate(), &edited(STRICTER, &chosen)), []);
    }

    #[test]
    fn whatever_is_declared_what_is_in_force_never_becomes_weaker_by_itself(
        before in vec(any::<prop::sample::Index>(), 0..4), after in vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let all: Vec<(&str, Edit)> = STRICTER.iter().chain(WEAKER).copied().collect();
        let (before, declared) = (edited(&all, &before), edited(&all, &after));
        let decided = decide(Some(&before), &declared);
        prop_assert_eq!(weakens(&before, &decided.in_force), []);
        prop_assert_eq!(&decided.weakens, &weakens(&decided.in_force, &declared));
    }

    /// The one that matters: it is held against the gate itself.
    #[test]
    fn what_passes_a_gate_that_is_not_weaker_passed_the_old_one(
        review in some_review(), chosen in vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let mut judged = review.clone();
        judged.now = at(120);
        judged.rules.requires = gate().rules.requires;
        judged.surroundings.upstream.insert("staging".into(), vec![success(&review, 21)]);
        let old = gate_of(judged.rules.clone());
        let all: Vec<(&str, Edit)> = STRICTER.iter().chain(WEAKER).copied().collect();
        let mut new = old.clone();
        for index in chosen {
            all[index.index(all.len())].1(&mut new);
        }
        let passed = judged.findings().is_empty();
        judged.rules = new.rules.clone();
        let passes = judged.findings().is_empty();
        prop_assert!(!passes || passed || !weakens(&old, &new).is_empty());
    }

    #[test]
    fn when_a_gate_that_is_not_weaker_is_open_the_old_one_was(
        old in some_windows(), new in some_windows(), hour in 0..24 * 14_i64,
    ) {
        let with = |windows: &WindowTexts| InForce { windows: windows.clone(), ..gate() };
        let now = at(0) + SignedDuration::from_mins(hour * 60 + 17);
        if weakens(&with(&old), &with(&new)).is_empty() && open(&new, now) {
            prop_assert!(open(&old, now));
        }
    }
}
