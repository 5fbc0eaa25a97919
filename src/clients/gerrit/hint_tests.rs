//! What a hint makes of what was read before: that alone is read again, and once for everybody.

use jiff::Timestamp;
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::hint::Hint;
use lockstep_core::domain::ports::AccessSystem as _;
use serde_json::json;

use super::tests::{Book, UUID, group, play, team};

/// Whatever was ever read is young enough.
const ANY: Timestamp = Timestamp::UNIX_EPOCH;

fn config(project: &str) -> Hint {
    Hint::Config {
        project: project.into(),
    }
}

fn branch_of(project: &str) -> Target {
    Target::GerritRef {
        server: "site".into(),
        project: project.into(),
        ref_name: "refs/heads/*".into(),
    }
}

#[tokio::test]
async fn a_hint_at_a_group_makes_the_next_who_asks_read_groups_again() {
    let listing = "GET /a/groups/";
    let book = Book::default()
        .on(listing, 200, json!({"team": group("team", &[7])}))
        .on(listing, 200, json!({"team": group("team", &[7, 8])}));
    let (system, book) = play(book).await;
    for _ in 0..2 {
        assert_eq!(system.observe(&team(), ANY).await.unwrap().rows.len(), 1);
    }
    assert_eq!(book.count(listing), 1);

    system.distrust(&config("ml/fraud"));
    assert_eq!(
        system.observe(&team(), ANY).await.unwrap().rows.len(),
        1,
        "groups are not its rights"
    );
    // Whatever uuid a stranger names: they are all of one listing.
    for uuid in [UUID, "nobody"] {
        system.distrust(&Hint::Group { uuid: uuid.into() });
    }
    for _ in 0..2 {
        assert_eq!(system.observe(&team(), ANY).await.unwrap().rows.len(), 2);
    }
    assert_eq!(book.count(listing), 2);
}

#[tokio::test]
async fn a_hint_at_rights_makes_the_next_who_asks_read_that_project_again() {
    let access = |project: &str| format!("GET /a/projects/{project}/access");
    let labels = |project: &str| format!("GET /a/projects/{project}/labels/");
    let rights = json!({"local": {"refs/heads/*": {"permissions": {}}}, "is_owner": true});
    let mut book = Book::default();
    for project in ["p", "q"] {
        book = book
            .on(&access(project), 200, rights.clone())
            .on(&labels(project), 200, json!([]));
    }
    let (system, book) = play(book).await;
    let read = async || {
        for project in ["p", "q"] {
            system.observe(&branch_of(project), ANY).await.unwrap();
            system.labels(&branch_of(project), ANY).await.unwrap();
        }
    };
    let counts = || [access("p"), labels("p"), access("q"), labels("q")].map(|call| book.count(&call));
    read().await;
    read().await;
    assert_eq!(counts(), [1, 1, 1, 1]);
    system.distrust(&config("p"));
    system.distrust(&config("one that was never read"));
    read().await;
    read().await;
    assert_eq!(counts(), [2, 2, 1, 1]);
    assert!(
        !system.touched_projects.since("one that was never read", ANY),
        "nothing is kept of it"
    );
}
