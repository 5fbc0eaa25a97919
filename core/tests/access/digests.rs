//! A person says yes to a digest, so it must stand for the effects: all of them, and nothing else.

use std::collections::BTreeSet;

use lockstep_core::domain::access::grant::{Principal, PrincipalKind, Privilege, System, Target};
use lockstep_core::domain::access::observed::GroupProperties;
use lockstep_core::domain::plan::{Change, EffectDigest};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Words among which some try to look like the end of one field and the begin of the next.
fn word() -> impl Strategy<Value = String> {
    select(vec![
        "a",
        "b",
        "a\tb",
        "a\tgroup:b",
        "b\nadd",
        "",
        "a member",
        "level",
        "\u{0}",
    ])
    .prop_map(Into::into)
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        word().prop_map(|uuid| Target::GerritGroup {
            server: "g".into(),
            uuid
        }),
        word().prop_map(|name| Target::NewGroup {
            system: System::Account("a".into()),
            name
        }),
        word().prop_map(|id| Target::Object {
            workspace: "1".into(),
            kind: "jobs".into(),
            id
        }),
    ]
}

fn right() -> impl Strategy<Value = (Principal, Privilege)> {
    let kind = select(vec![PrincipalKind::Group, PrincipalKind::User]);
    let privilege = prop_oneof![
        Just(Privilege::Member),
        word().prop_map(Privilege::Level),
        word().prop_map(Privilege::Securable),
    ];
    (kind, word(), "[a-z]{0,3}", privilege)
        .prop_map(|(kind, subject, name, privilege)| (Principal::new(kind, subject, name), privilege))
}

fn properties() -> impl Strategy<Value = GroupProperties> {
    (
        word(),
        option::of(word()),
        option::of(word()),
        any::<Option<bool>>(),
    )
        .prop_map(|(name, description, owner, visible_to_all)| GroupProperties {
            name,
            description,
            owner,
            visible_to_all,
        })
}

fn change() -> impl Strategy<Value = Change> {
    let rights = || btree_set(right(), 0..3);
    let group = (
        option::weighted(0.2, properties()),
        option::weighted(0.2, properties()),
        prop::bool::weighted(0.1),
    );
    (target(), group, rights(), rights(), "[a-z]{0,3}").prop_map(
        |(target, (create, describe, delete), add, remove, label)| Change {
            target,
            create,
            describe,
            add,
            remove,
            delete,
            label,
        },
    )
}

/// What a plan does, as a set to compare.
type Effect = (
    Target,
    u8,
    Option<GroupProperties>,
    Option<(PrincipalKind, String, Privilege)>,
);

fn effects(plan: &[Change]) -> BTreeSet<Effect> {
    let mut effects = BTreeSet::new();
    for change in plan {
        let mut put = |verb, properties, right: Option<&(Principal, Privilege)>| {
            let right = right.map(|(who, what)| (who.kind, who.subject.clone(), what.clone()));
            effects.insert((change.target.clone(), verb, properties, right));
        };
        change.create.iter().for_each(|is| put(0, Some(is.clone()), None));
        change
            .describe
            .iter()
            .for_each(|is| put(1, Some(is.clone()), None));
        change.add.iter().for_each(|right| put(2, None, Some(right)));
        change.remove.iter().for_each(|right| put(3, None, Some(right)));
        if change.delete {
            put(4, None, None);
        }
    }
    effects
}

/// The same effects under other names, in another order.
fn renamed(plan: &[Change]) -> Vec<Change> {
    let anew = |rights: &BTreeSet<(Principal, Privilege)>| {
        let rename = |(who, what): &(Principal, Privilege)| {
            (
                Principal::new(who.kind, who.subject.clone(), "somebody"),
                what.clone(),
            )
        };
        rights.iter().map(rename).collect()
    };
    let changes = plan.iter().rev().map(|change| Change {
        add: anew(&change.add),
        remove: anew(&change.remove),
        label: "something".into(),
        ..change.clone()
    });
    changes.collect()
}

proptest! {
    #[test]
    fn names_of_people_and_things_are_no_effects(plan in vec(change(), 0..4)) {
        prop_assert_eq!(EffectDigest::of(&plan), EffectDigest::of(&renamed(&plan)));
    }

    #[test]
    fn every_other_effect_is_another_digest(plan in vec(change(), 0..3), other in vec(change(), 0..3)) {
        // Single effects moved between two plans make neighbours that differ in one word.
        let mut moved = plan.clone();
        for (one, two) in moved.iter_mut().zip(&other) {
            one.add.clone_from(&two.add);
        }
        for (a, b) in [(&plan, &other), (&plan, &moved), (&moved, &other)] {
            // Two changes may say the same of one target: a plan has one change for each.
            let one_each = |plan: &[Change]| plan.iter().map(|change| &change.target).collect::<BTreeSet<_>>().len() == plan.len();
            prop_assume!(one_each(a) && one_each(b));
            prop_assert_eq!(effects(a) == effects(b), EffectDigest::of(a) == EffectDigest::of(b));
        }
    }
}
