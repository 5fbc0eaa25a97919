use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn moment() -> impl Strategy<Value = Timestamp> {
    (0i64..4_000_000_000).prop_map(|seconds| Timestamp::from_second(seconds).unwrap())
}

fn why() -> impl Strategy<Value = Why> {
    (0..WHYS.len()).prop_map(|at| WHYS[at].0)
}

fn ids() -> impl Strategy<Value = BTreeSet<CredentialId>> {
    prop::collection::btree_set("[a-z]{1,6}".prop_map(CredentialId), 0..4)
}

fn state() -> impl Strategy<Value = GenerationState> {
    prop_oneof![
        (ids(), prop::option::of(moment()))
            .prop_map(|(before, sent)| GenerationState::Planned { before, sent }),
        any::<bool>().prop_map(|proven| GenerationState::Minted { proven }),
        Just(GenerationState::Verified),
        Just(GenerationState::Current),
        moment().prop_map(|until| GenerationState::Draining { until }),
        (why(), prop::option::of(moment())).prop_map(|(why, asked)| GenerationState::Revoking { why, asked }),
        why().prop_map(GenerationState::Revoked),
        Just(GenerationState::NeverMinted),
    ]
}

fn one() -> impl Strategy<Value = Generation> {
    let times = prop::array::uniform5(prop::option::of(moment()));
    (state(), times, prop::option::of("[a-z]{1,6}")).prop_map(|(state, times, id)| Generation {
        number: 0,
        state,
        fingerprint: id.clone().map(Fingerprint),
        id: id.map(CredentialId),
        minted: times[0],
        verified: times[1],
        current: times[2],
        revoked: times[3],
        expires: times[4],
    })
}

fn any_rotation() -> impl Strategy<Value = Rotation> {
    let blocked = prop_oneof![
        Just(None),
        (any::<u32>(), ids()).prop_map(|(limit, strangers)| Some(Blocked::NoSlot { limit, strangers })),
        ids().prop_map(|candidates| Some(Blocked::Stray { candidates })),
    ];
    (prop::collection::vec(one(), 0..25), blocked).prop_map(|(mut generations, blocked)| {
        for (at, one) in generations.iter_mut().enumerate() {
            one.number = at as u64 + 1;
        }
        Rotation {
            generations,
            blocked,
            known: Known::default(),
        }
    })
}

proptest! {
    /// Through the status and back nothing that may live is lost, and nothing else is made of it.
    #[test]
    fn what_may_live_is_kept(before in any_rotation()) {
        let status = ServiceCredentialStatus {
            generations: Some(rows(&before)),
            blocked: blocked_row(&before),
            ..ServiceCredentialStatus::default()
        };
        let text = serde_json::to_string(&status).unwrap();
        let after = rotation(&serde_json::from_str(&text).unwrap()).unwrap();
        prop_assert_eq!(&after.blocked, &before.blocked);
        let is_kept = |one: &&Generation| after.generations.contains(one);
        prop_assert!(before.generations.iter().filter(|one| one.may_live()).all(|one| is_kept(&one)));
        prop_assert!(after.generations.iter().all(|one| before.generations.contains(one)));
        let ended = |one: &&Generation| matches!(one.state, GenerationState::Revoked(_) | GenerationState::NeverMinted);
        let shown = after.generations.iter().filter(ended).count();
        prop_assert!(shown >= before.generations.iter().filter(ended).count().min(1));
        // A number is never used twice, however much is forgotten.
        prop_assert_eq!(after.generations.last().map(|one| one.number), before.generations.last().map(|one| one.number));
    }
}

#[test]
fn what_is_not_understood_is_no_fresh_start() {
    let row = GenerationRow {
        number: 3,
        state: "Resting".into(),
        ..GenerationRow::default()
    };
    let status = ServiceCredentialStatus {
        generations: Some(vec![row.clone()]),
        ..ServiceCredentialStatus::default()
    };
    let told = rotation(&status).unwrap_err().to_string();
    assert!(
        told.contains("generation 3") && told.contains("\"Resting\""),
        "{told}"
    );
    let draining = GenerationRow {
        state: "Draining".into(),
        ..row
    };
    let status = ServiceCredentialStatus {
        generations: Some(vec![draining]),
        ..ServiceCredentialStatus::default()
    };
    assert_eq!(
        rotation(&status),
        Err(BadRow::Missing {
            number: 3,
            state: "Draining".into(),
            field: "until"
        })
    );
}
