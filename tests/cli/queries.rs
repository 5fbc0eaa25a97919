//! Answers over a survey that is written down here: no system is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use lockstep::queries::of_person::of_person;
use lockstep::queries::removal::removal;
use lockstep::queries::survey::{Entry, Source, Survey, Surveyed};
use lockstep::queries::who_can::who_can;
use lockstep_core::api::reference::Mode;
use lockstep_core::domain::access::directory::{Account, Directory};
use lockstep_core::domain::access::grant::{Grant, Principal, PrincipalKind, Privilege, System, Target};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::access::observed::{GroupProperties, Observed};
use lockstep_core::domain::access::people::Who;
use lockstep_core::domain::ports::ObjectKey;

fn account_system() -> System {
    System::Account("a".into())
}

fn group(id: &str) -> Target {
    Target::Group {
        system: account_system(),
        id: id.into(),
    }
}

fn job() -> Target {
    Target::Object {
        workspace: "1".into(),
        kind: "jobs".into(),
        id: "77".into(),
    }
}

fn user(id: &str) -> Principal {
    Principal::new(PrincipalKind::User, id, format!("{id}@x"))
}

fn seen(target: Target, name: Option<&str>, rows: &[(Principal, Privilege)]) -> (Target, Arc<Observed>) {
    let observed = Observed {
        present: true,
        rows: rows.iter().cloned().collect(),
        group: name.map(|name| GroupProperties {
            name: name.into(),
            ..GroupProperties::default()
        }),
        ..Observed::absent(target.clone(), Timestamp::UNIX_EPOCH)
    };
    (target, Arc::new(observed))
}

fn person(id: &str) -> Account {
    Account {
        principal: user(id),
        username: Some(format!("{id}@x")),
        emails: vec![format!("{id}@x")],
        aliases: Vec::new(),
        active: true,
        service: false,
    }
}

/// Ada by name and Ben through a source are in the team; Cy was added by hand to a nested group; the team may run a
/// job, and Cy may manage it.
fn survey() -> Survey {
    let level = |word: &str| Privilege::Level(word.into());
    let team = Principal::group("team", "team");
    let inner = Principal::group("inner", "inner");
    let observed = [
        seen(
            group("10"),
            Some("team"),
            &[
                (user("ada"), Privilege::Member),
                (user("ben"), Privilege::Member),
                (inner, Privilege::Member),
            ],
        ),
        seen(group("11"), Some("inner"), &[(user("cy"), Privilege::Member)]),
        seen(
            job(),
            None,
            &[
                (team.clone(), level("CAN_VIEW")),
                (user("cy"), level("CAN_MANAGE")),
            ],
        ),
    ];
    let claim = |target, principal, privilege| Grant {
        target,
        principal,
        privilege,
    };
    let entry = |path: &str, words: &str, source, who: &str| Entry {
        path: path.into(),
        words: words.into(),
        source,
        people: vec![Who::Person {
            email: format!("{who}@x"),
            gerrit_account: None,
            databricks_user: None,
        }],
    };
    let source = Source {
        connection: "GerritConnection n/g".into(),
        group: "leads".into(),
    };
    let means = |who: &str| BTreeMap::from([(account_system(), BTreeSet::from([user(who)]))]);
    let binding = Surveyed {
        key: ObjectKey {
            kind: "AccessBinding".into(),
            namespace: "n".into(),
            name: "b".into(),
            uid: "u".into(),
        },
        mode: Mode::Enforce,
        entries: vec![
            entry("spec.members[0]", "person ada@x", None, "ada"),
            entry("spec.members[1]", "Gerrit group leads", Some(source), "ben"),
        ],
        claims: BTreeSet::from([
            claim(group("10"), user("ada"), Privilege::Member),
            claim(group("10"), user("ben"), Privilege::Member),
            claim(job(), team, level("CAN_VIEW")),
        ]),
        labels: BTreeMap::from([(job(), "jobs train".to_owned())]),
        inventory: Inventory::default(),
        people: vec![means("ada"), means("ben")],
    };
    let people = ["ada", "ben", "cy"].map(person).into();
    let workspace = System::Workspace("1".into());
    let directory = |system: System, people: Vec<Account>| {
        (
            system.clone(),
            Arc::new(Directory::new(system, Timestamp::UNIX_EPOCH, people)),
        )
    };
    Survey {
        bindings: vec![binding],
        directories: BTreeMap::from([directory(account_system(), people)]),
        observed: observed.into(),
        neighbours: vec![BTreeSet::from([account_system(), workspace])],
        ..Survey::default()
    }
}

#[test]
fn who_can_names_the_group_the_entry_and_the_stranger() {
    let answer = who_can(&survey(), &job()).unwrap();
    assert_eq!(answer.label, "jobs train");
    let team = answer.rights.iter().find(|held| held.who == "team").unwrap();
    assert!(!team.foreign);
    let people = team.people.as_ref().unwrap();
    let ben = people.iter().find(|person| person.who == "ben@x").unwrap();
    assert_eq!(ben.given_by[0].members, ["spec.members[1] (Gerrit group leads)"]);
    let cy = people.iter().find(|person| person.who == "cy@x").unwrap();
    assert!(cy.foreign);
    assert_eq!(cy.through.len(), 2, "through the nested group: {:?}", cy.through);
    let own = answer.rights.iter().find(|held| held.who == "cy@x").unwrap();
    assert!(own.foreign && own.people.is_none());
    assert!(who_can(&survey(), &group("99")).is_none());
}

#[test]
fn of_a_person_follows_groups_outwards() {
    let rights = |who: &str| -> Vec<(String, usize, bool)> {
        let rights = of_person(&survey(), who).rights.into_iter();
        rights
            .map(|right| (right.what, right.through.len(), right.foreign))
            .collect()
    };
    assert_eq!(
        rights("Ada@X"),
        [("level CAN_VIEW".into(), 1, false), ("member".into(), 0, false)]
    );
    let cy = rights("cy@x");
    assert!(cy.contains(&("level CAN_MANAGE".into(), 0, true)), "{cy:?}");
    assert!(cy.contains(&("level CAN_VIEW".into(), 2, false)), "{cy:?}");
    assert!(of_person(&survey(), "nobody@x").accounts.is_empty());
}

#[test]
fn a_groups_name_means_nothing_where_its_account_does_not_reach() {
    let mut apart = survey();
    apart.neighbours.clear();
    let answer = who_can(&apart, &job()).unwrap();
    let team = answer.rights.iter().find(|held| held.who == "team").unwrap();
    assert_eq!(team.people, None);
    assert_eq!(of_person(&apart, "ada@x").rights.len(), 1, "the membership alone");
}

#[test]
fn removal_names_entries_sources_and_what_hands_must_do() {
    let ada = removal(&survey(), "ada@x");
    assert_eq!(ada.edits.len(), 1);
    assert_eq!(ada.edits[0].path, "spec.members[0]");
    assert!(ada.sources.is_empty() && ada.foreign.is_empty());
    let ben = removal(&survey(), "BEN@x");
    assert!(ben.edits.is_empty());
    assert_eq!(
        (ben.sources[0].group.as_str(), ben.sources[0].path.as_str()),
        ("leads", "spec.members[1]")
    );
    let cy = removal(&survey(), "cy@x");
    assert!(cy.edits.is_empty() && cy.sources.is_empty());
    assert_eq!(cy.foreign.len(), 2, "{:?}", cy.foreign);
}
