//! What is remembered reads back as it was written, and fits where it is kept.

use jiff::Timestamp;
use lockstep_core::api::access_binding::Origin;
use lockstep_core::domain::access::catalog::{MAX_MEMBERS, too_large_a_team};
use lockstep_core::domain::access::decide::{intent, written};
use lockstep_core::domain::access::grant::{Grant, Principal, PrincipalKind, Privilege, System, Target};
use lockstep_core::domain::access::inventory::{Held, Inventory};
use lockstep_core::domain::access::observed::GroupProperties;
use lockstep_core::domain::access::people::pin_name;
use lockstep_core::domain::access::pins::{self, Pin};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::JournalState;
use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::sample::select;

/// Any status must stay below this.
const LIMIT: usize = 256 * 1_024;

fn held() -> impl Strategy<Value = Held> {
    let origin = select(vec![Origin::Created, Origin::Adopted]);
    // Rows of one target, privilege, origin and confirmation share one time.
    let confirming = select(vec![None, Some(Timestamp::UNIX_EPOCH)]);
    (origin, confirming).prop_map(|(origin, confirming)| Held {
        origin,
        since: Timestamp::UNIX_EPOCH,
        confirming,
    })
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        "\\PC{0,6}".prop_map(|uuid| Target::GerritGroup {
            server: "g".into(),
            uuid
        }),
        "\\PC{0,6}".prop_map(|ref_name| Target::GerritRef {
            server: "g".into(),
            project: "a/b c".into(),
            ref_name
        }),
        "[0-9]{1,4}".prop_map(|id| Target::Group {
            system: System::Workspace("1".into()),
            id
        }),
    ]
}

fn grant() -> impl Strategy<Value = Grant> {
    let kind = select(vec![
        PrincipalKind::Account,
        PrincipalKind::Group,
        PrincipalKind::User,
        PrincipalKind::ServicePrincipal,
    ]);
    let privilege = select(vec![
        "member",
        "push BLOCK",
        "label-Code-Review -2..+2",
        "level CAN_VIEW",
        "role roles/servicePrincipal.user",
    ]);
    (target(), kind, "\\PC{0,6}", privilege).prop_map(|(target, kind, subject, privilege)| Grant {
        target,
        principal: Principal::new(kind, subject.clone(), subject),
        privilege: privilege.parse().unwrap(),
    })
}

proptest! {
    #[test]
    fn an_inventory_reads_back_as_written(
        rows in btree_map(grant(), held(), 0..20),
        groups in btree_map(target(), held(), 0..4),
    ) {
        let authoritative = groups.keys().take(1).cloned().collect();
        let inventory = Inventory { rows, groups, authoritative };
        let (read, unreadable) = Inventory::read(&inventory.write());
        prop_assert_eq!(unreadable, Vec::<String>::new());
        prop_assert_eq!(read, inventory);
    }
}

/// The first fill of a group in each system by the largest team, with ids as long as real ones.
fn first_fill() -> Vec<Change> {
    let fill = |target, principal: &dyn Fn(usize) -> Principal| {
        let mut change = Change::new(target, "team");
        change.create = Some(GroupProperties {
            name: "team".into(),
            ..GroupProperties::default()
        });
        change.add = (0..MAX_MEMBERS)
            .map(|n| (principal(n), Privilege::Member))
            .collect();
        change
    };
    let gerrit = Target::GerritGroup {
        server: "gerrit.example.com".into(),
        uuid: "0123456789abcdef0123456789abcdef01234567".into(),
    };
    let account = Target::Group {
        system: System::Account("01234567-89ab-cdef-0123-456789abcdef".into()),
        id: "1234567890123456".into(),
    };
    vec![
        fill(gerrit, &|n| {
            Principal::account(1_000_000 + i64::try_from(n).unwrap(), "")
        }),
        fill(account, &|n| {
            Principal::new(PrincipalKind::User, format!("{}", 1_234_567_890_000_000 + n), "")
        }),
    ]
}

/// One pin for each person and system.
fn pins_of(inventory: &Inventory) -> Vec<Pin> {
    let people = inventory.rows.keys();
    people
        .map(|grant| Pin {
            system: grant.target.system().to_string(),
            name: pin_name(&grant.principal.to_string()),
            means: grant.principal.to_string(),
        })
        .collect()
}

#[test]
fn a_team_in_too_many_systems_is_too_large() {
    assert_eq!(too_large_a_team(MAX_MEMBERS, 2), None);
    assert!(
        too_large_a_team(MAX_MEMBERS, 3)
            .unwrap()
            .contains("2000 members in 3 systems")
    );
    assert!(
        too_large_a_team(MAX_MEMBERS + 1, 1)
            .unwrap()
            .contains("2001 members")
    );
}

#[test]
fn the_largest_team_in_two_systems_fits_into_a_status() {
    let now = Timestamp::from_second(1_750_000_000).unwrap();
    let changes = first_fill();
    let mut inventory = Inventory::default();
    for change in &changes {
        written(&mut inventory, change, &change.target, true, now);
    }
    assert_eq!(inventory.rows.len(), 2 * MAX_MEMBERS);
    let intents = changes.iter().map(|change| intent(change, true, now)).collect();
    for state in [
        JournalState {
            inventory: inventory.write(),
            ..JournalState::default()
        },
        JournalState {
            intents,
            ..JournalState::default()
        },
    ] {
        let mut size = serde_json::to_vec(&(&state.inventory, &state.intents))
            .unwrap()
            .len();
        // Everybody is pinned in both systems, as the status holds it.
        size += serde_json::to_vec(&pins::write(&pins_of(&inventory)))
            .unwrap()
            .len();
        assert!(size < LIMIT, "{size} bytes");
        assert_eq!(Inventory::read(&state.inventory).1, Vec::<String>::new());
    }
    assert_eq!(Inventory::read(&inventory.write()).0, inventory);
}
