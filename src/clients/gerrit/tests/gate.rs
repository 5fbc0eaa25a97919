//! What a gate needs of labels and submit requirements.

use lockstep_core::domain::promotion::gate::evidence::LabelDefinition;
use lockstep_core::domain::promotion::ports::reviews::{Requirement, RequirementChanges, ReviewSystem};

use super::*;

#[tokio::test]
async fn a_gate_is_told_the_range_of_each_label_and_refused_where_they_are_hidden() {
    let labels = json!([
        {"name": "Verified", "function": "NoBlock", "values": {"-1": "no", " 0": "-", "+2": "yes"}},
        {"name": "Empty", "values": {}},
    ]);
    let book = Book::default().on("GET /a/projects/p/labels/", 200, labels).on(
        "GET /a/projects/hidden/labels/",
        403,
        json!("not permitted"),
    );
    let (system, _) = play(book).await;
    let told = ReviewSystem::labels(&system, "p").await.unwrap();
    let verified = LabelDefinition {
        min: -1,
        max: 2,
        function: "NoBlock".into(),
    };
    assert_eq!(told, BTreeMap::from([("Verified".to_owned(), verified)]));
    let refused = ReviewSystem::labels(&system, "hidden").await.unwrap_err();
    assert_eq!(refused.kind, SystemErrorKind::NotFound);
    assert!(refused.message.contains("project hidden"), "{refused}");
}

#[tokio::test]
async fn requirements_wait_for_reviewers_where_the_site_demands_them() {
    let review = "POST /a/projects/p/submit_requirements:review";
    let book = Book::default()
        .on("GET /a/projects/p/submit_requirements/", 200, json!([]))
        .on(
            "POST /a/projects/p/submit_requirements/",
            405,
            json!("direct update not allowed"),
        )
        .on("GET /a/changes/", 200, json!([]))
        .on(review, 201, json!({"_number": 43, "project": "p"}));
    let (system, book) = play(book).await;
    let wanted = Requirement {
        submittable_if: "label:Code-Review=MAX".into(),
        ..Requirement::default()
    };
    let changes = RequirementChanges(BTreeMap::from([("Gate".to_owned(), Some(wanted))]));
    let error = system.write_requirements("p", &changes).await.unwrap_err();
    assert!(error.message.contains("pending until change 43"), "{error}");
    assert!(matches!(error.class(), ErrorClass::RetryAt(_)) && error.partly);
    let subject = book.body(review)["commit_message"].clone();
    let open = json!([{"_number": 43, "project": "p", "branch": "refs/meta/config", "subject": subject}]);
    book.answers
        .lock()
        .unwrap()
        .insert("GET /a/changes/".into(), vec![(200, open)]);
    let error = system.write_requirements("p", &changes).await.unwrap_err();
    assert!(error.message.contains("pending until change 43"), "{error}");
    assert_eq!(book.count(review), 1);
}
