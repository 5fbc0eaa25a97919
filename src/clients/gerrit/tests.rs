//! What a real server does too rarely to be waited for: lost answers, lock failures, sites that demand review or
//! delete no groups. Played by a server that answers by the book.

mod gate;
mod tokens;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use lockstep_core::domain::access::grant::{Principal, Privilege, System, Target};
use lockstep_core::domain::access::observed::{GroupProperties, Located, Named};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{
    AccessSystem, Clock, ErrorClass, NoPermit, Permit, SystemError, SystemErrorKind,
};
use serde_json::{Value, json};

use super::{GerritSettings, GerritSystem};

pub(super) const UUID: &str = "0123456789abcdef0123456789abcdef01234567";

struct Granted;
impl Permit for Granted {
    fn check(&self, _: Duration) -> Result<(), NoPermit> {
        Ok(())
    }
}

struct Now;
impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Answers by `METHOD /path`: in turn, the last one forever.
#[derive(Default)]
pub(super) struct Book {
    answers: Mutex<BTreeMap<String, Vec<(u16, Value)>>>,
    seen: Mutex<Vec<(String, Value)>>,
}

impl Book {
    pub(super) fn on(self, call: &str, status: u16, body: Value) -> Self {
        let mut answers = self.answers.lock().unwrap();
        answers.entry(call.into()).or_default().push((status, body));
        drop(answers);
        self
    }

    pub(super) fn count(&self, call: &str) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|(seen, _)| seen == call)
            .count()
    }

    pub(super) fn body(&self, call: &str) -> Value {
        let seen = self.seen.lock().unwrap();
        seen.iter().find(|(seen, _)| seen == call).unwrap().1.clone()
    }
}

async fn answer(State(book): State<Arc<Book>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let call = format!("{method} {}", uri.path());
    let body = serde_json::from_slice(&body).unwrap_or_default();
    book.seen.lock().unwrap().push((call.clone(), body));
    let mut answers = book.answers.lock().unwrap();
    let (status, body) = match answers.get_mut(&call) {
        None => (404, json!("Not found")),
        Some(turns) if turns.len() > 1 => turns.remove(0),
        Some(turns) => turns[0].clone(),
    };
    let text = body
        .as_str()
        .map_or_else(|| format!(")]}}'\n{body}"), ToOwned::to_owned);
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

pub(super) async fn play(book: Book) -> (GerritSystem, Arc<Book>) {
    let book = book
        .on(
            "GET /a/accounts/self",
            200,
            json!({"_account_id": 1, "username": "lockstep"}),
        )
        .on(
            "GET /a/config/server/version",
            200,
            json!("3.13.5").to_string().into(),
        )
        .on(
            "GET /a/config/server/info",
            200,
            json!({"gerrit": {"instance_id": "site"}}),
        )
        .on(
            "GET /a/accounts/self/capabilities",
            200,
            json!({"administrateServer": true, "queryLimit": {"min": 0, "max": 2}}),
        )
        .on(
            "GET /a/groups/Administrators/detail",
            200,
            json!({"id": "adm", "name": "Administrators"}),
        );
    let book = Arc::new(book);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::clone(&book));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = GerritSettings {
        url: url.parse().unwrap(),
        username: "lockstep".into(),
        password: "planted-s3cr3t".to_owned().into(),
        ca_pem: None,
        aliases: Vec::new(),
        requests_per_second: Some(0),
        concurrency: 8,
        timeout: Duration::from_secs(20),
        allow_loopback: true,
        page: 500,
    };
    let system = GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), None).unwrap();
    (system, book)
}

pub(super) fn team() -> Target {
    Target::GerritGroup {
        server: "site".into(),
        uuid: UUID.into(),
    }
}

fn creation() -> Change {
    let mut change = Change::new(team(), "team");
    change.create = Some(GroupProperties {
        name: "team".into(),
        ..GroupProperties::default()
    });
    change.add = [(Principal::account(7, "ada"), Privilege::Member)].into();
    change
}

async fn apply(system: &GerritSystem, change: &Change) -> Result<(), SystemError> {
    system.apply(&[change]).await.map(drop)
}

const CREATE: &str = "PUT /a/groups/team";

fn detail() -> String {
    format!("GET /a/groups/{UUID}/detail")
}

pub(super) fn group(name: &str, members: &[i64]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({"_account_id": id})).collect();
    json!({"id": UUID, "name": name, "owner_id": "adm", "members": members})
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_found_again_and_completed() {
    let add = format!("POST /a/groups/{UUID}/members.add");
    let book = Book::default()
        .on(CREATE, 504, json!("gateway timeout"))
        .on(&detail(), 200, group("team", &[]))
        .on(&add, 200, json!([]));
    let (system, book) = play(book).await;
    apply(&system, &creation()).await.unwrap();
    assert_eq!(book.count(CREATE), 1, "it is never repeated blindly");
    assert_eq!(book.body(&add), json!({"members": ["7"]}));
    let sent = book.body(CREATE);
    assert_eq!((&sent["uuid"], &sent["owner_id"]), (&json!(UUID), &json!("adm")));
    assert_eq!(sent["members"], json!(["7"]), "one write carries the members");
}

#[tokio::test]
async fn a_large_group_is_created_with_its_first_members_and_filled_in_further_calls() {
    let add = format!("POST /a/groups/{UUID}/members.add");
    let book = Book::default()
        .on(CREATE, 201, json!({"id": UUID, "name": "team"}))
        .on(&add, 200, json!([]));
    let (system, book) = play(book).await;
    let mut change = creation();
    change.add = (1..=450)
        .map(|number| (Principal::account(number, "x"), Privilege::Member))
        .collect();
    apply(&system, &change).await.unwrap();
    let sent = |call: &str| book.body(call)["members"].as_array().unwrap().len();
    assert_eq!((sent(CREATE), sent(&add), book.count(&add)), (200, 200, 2));
}

#[tokio::test]
async fn accounts_that_move_to_a_page_already_read_are_found_by_reading_again() {
    let page = |ids: &[i64], more: bool| {
        let mut page: Vec<Value> = ids.iter().map(|id| json!({"_account_id": id})).collect();
        if let Some(last) = page.last_mut().filter(|_| more) {
            last["_more_accounts"] = json!(true);
        }
        Value::Array(page)
    };
    let listing = "GET /a/accounts/";
    let system_of = |server: &str| System::Gerrit(server.into());
    // Between two pages 3 was renamed and moved before 1; the second page begins with who stood before the last.
    let book = Book::default()
        .on(listing, 200, page(&[1, 2], true))
        .on(listing, 200, page(&[1, 2, 4], false))
        .on(listing, 200, page(&[3, 1], true))
        .on(listing, 200, page(&[1, 2, 4], false));
    let (system, book) = play(book).await;
    let directory = system
        .directory(&system_of("site"), Timestamp::now())
        .await
        .unwrap();
    assert_eq!((directory.len(), book.count(listing)), (4, 4));
    // More was promised and nothing came.
    let book = Book::default()
        .on(listing, 200, page(&[1, 2], true))
        .on(listing, 200, page(&[2], false));
    let (system, _) = play(book).await;
    let error = system
        .directory(&system_of("site"), Timestamp::now())
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Stale);
}

#[tokio::test]
async fn a_creation_that_left_no_trace_is_left_to_a_later_pass() {
    let (system, book) = play(Book::default().on(CREATE, 504, json!("gateway timeout"))).await;
    let error = apply(&system, &creation()).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown);
    assert_eq!((book.count(CREATE), book.count(&detail())), (1, 1));
}

#[tokio::test]
async fn a_lock_failure_is_tried_again() {
    let created = json!({"id": UUID, "name": "team"});
    let book = Book::default()
        .on(CREATE, 503, json!("Lock failure"))
        .on(CREATE, 503, json!("Lock failure"))
        .on(CREATE, 201, created);
    let (system, book) = play(book).await;
    apply(&system, &creation()).await.unwrap();
    assert_eq!(book.count(CREATE), 3);
}

#[tokio::test]
async fn a_server_that_deletes_no_groups_keeps_an_empty_one() {
    let name = format!("PUT /a/groups/{UUID}/name");
    let gone = format!("POST /a/groups/{UUID}/members.delete");
    let book = Book::default()
        .on(&detail(), 200, group("team", &[7, 8]))
        .on(
            &format!("DELETE /a/groups/{UUID}"),
            404,
            json!("Deletion of Group is not enabled"),
        )
        .on(&gone, 204, json!(""))
        .on(&name, 200, json!("x"));
    let (system, book) = play(book).await;
    let mut change = Change::new(team(), "team");
    change.delete = true;
    apply(&system, &change).await.unwrap();
    assert_eq!(book.body(&gone), json!({"members": ["7", "8"]}));
    assert_eq!(
        book.body(&name),
        json!({"name": "zz-lockstep-deleted-01234567-team"})
    );
}

#[tokio::test]
async fn what_the_listing_misses_is_looked_for_elsewhere_before_it_is_gone() {
    let book = Book::default()
        .on("GET /a/groups/", 200, json!({}))
        .on(&detail(), 200, group("team", &[7]));
    let (system, _) = play(book).await;
    assert!(system.observe(&team(), Timestamp::now()).await.unwrap().present);
    let listed = json!([{"id": UUID, "name": "team"}]);
    let book = Book::default()
        .on("GET /a/groups/", 200, json!({}))
        .on("GET /a/groups/", 200, listed);
    let (system, _) = play(book).await;
    let error = system.observe(&team(), Timestamp::now()).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Stale);
}

#[tokio::test]
async fn pages_are_as_long_as_the_server_gives_them() {
    let other = |id: &str| json!({"id": id});
    let book = Book::default()
        .on("GET /a/groups/", 200, json!({"a": other("1"), "b": other("2")}))
        .on("GET /a/groups/", 200, json!({"team": group("team", &[])}));
    let (system, book) = play(book).await;
    assert!(system.observe(&team(), Timestamp::now()).await.unwrap().present);
    assert_eq!((book.count("GET /a/groups/"), book.count(&detail())), (2, 0));
}

#[tokio::test]
async fn a_page_that_is_too_long_is_asked_for_in_halves() {
    let long = Value::String("x".repeat(crate::clients::http::BODY_LIMIT + 1));
    let book = Book::default()
        .on("GET /a/groups/", 200, long)
        .on("GET /a/groups/", 200, json!({"team": group("team", &[])}))
        .on("GET /a/groups/", 200, json!({}));
    let (system, book) = play(book).await;
    assert!(system.observe(&team(), Timestamp::now()).await.unwrap().present);
    assert_eq!((book.count("GET /a/groups/"), book.count(&detail())), (3, 0));
}

#[tokio::test]
async fn a_name_given_by_ourselves_is_found_in_no_older_listing() {
    let named = Named::Group {
        system: System::Gerrit("site".into()),
        name: "team".into(),
    };
    let book = Book::default()
        .on("GET /a/groups/", 200, json!({}))
        .on("GET /a/groups/", 200, json!({"team": group("team", &[7])}))
        .on(CREATE, 201, json!({"id": UUID, "name": "team"}));
    let (system, book) = play(book).await;
    let any = Timestamp::UNIX_EPOCH;
    assert_eq!(system.locate(&named, any).await, Ok(Located::Absent));
    apply(&system, &creation()).await.unwrap();
    assert_eq!(system.locate(&named, any).await, Ok(Located::At(team())));
    assert_eq!(system.locate(&named, any).await, Ok(Located::At(team())));
    assert_eq!(book.count("GET /a/groups/"), 2);
}

fn prod(right: &str) -> Change {
    let target = Target::GerritRef {
        server: "site".into(),
        project: "p".into(),
        ref_name: "refs/heads/prod".into(),
    };
    let mut change = Change::new(target, "prod");
    change.add = [(Principal::group(UUID, "team"), right.parse().unwrap())].into();
    change
}

#[tokio::test]
async fn where_configuration_is_reviewed_one_change_is_proposed() {
    let review = "PUT /a/projects/p/access:review";
    let book = Book::default()
        .on("GET /a/projects/p/access", 200, json!({"is_owner": true}))
        .on(
            "POST /a/projects/p/access",
            405,
            json!("direct update not allowed"),
        )
        .on("GET /a/changes/", 200, json!([]))
        .on(review, 201, json!({"_number": 42, "project": "p"}));
    let (system, book) = play(book).await;
    let error = apply(&system, &prod("push")).await.unwrap_err();
    assert!(error.message.contains("pending until change 42"), "{error}");
    assert!(matches!(error.class(), ErrorClass::RetryAt(_)));
    let subject = book.body(review)["message"].clone();
    let open = json!([{"_number": 42, "project": "p", "branch": "refs/meta/config", "subject": subject}]);
    book.answers
        .lock()
        .unwrap()
        .insert("GET /a/changes/".into(), vec![(200, open)]);
    let error = apply(&system, &prod("push")).await.unwrap_err();
    assert!(error.message.contains("pending until change 42"), "{error}");
    assert_eq!(book.count(review), 1);
}

#[tokio::test]
async fn rights_that_are_not_as_written_are_planned_again() {
    let blocked = json!({"is_owner": true, "local": {"refs/heads/prod": {"permissions": {
        "push": {"rules": {UUID: {"action": "BLOCK"}}}}}}});
    let book = Book::default()
        .on("GET /a/projects/p/access", 200, json!({"is_owner": true}))
        .on("POST /a/projects/p/access", 200, blocked);
    let (system, _) = play(book).await;
    let error = apply(&system, &prod("push")).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Stale);
}

#[tokio::test]
async fn the_same_rights_are_not_written_twice() {
    let already = json!({"is_owner": true, "local": {"refs/heads/prod": {"permissions": {
        "push": {"rules": {UUID: {"action": "ALLOW", "force": false}}}}}}});
    let book = Book::default().on("GET /a/projects/p/access", 200, already);
    let (system, book) = play(book).await;
    apply(&system, &prod("push")).await.unwrap();
    assert_eq!(book.count("POST /a/projects/p/access"), 0);
}

#[tokio::test]
async fn labels_of_a_project_are_read_once_for_all_who_ask_and_hidden_ones_are_not_known() {
    let labels = json!([{"name": "Verified", "values": {"-1": "no", " 0": "-", "+1": "yes"}}]);
    let hidden = "GET /a/projects/hidden/labels/";
    let book =
        Book::default()
            .on("GET /a/projects/p/labels/", 200, labels)
            .on(hidden, 403, json!("not permitted"));
    let (system, book) = play(book).await;
    let on = |project: &str, ref_name: &str| Target::GerritRef {
        server: "site".into(),
        project: project.into(),
        ref_name: ref_name.into(),
    };
    let fresh = Timestamp::now();
    let (heads, tags) = (on("p", "refs/heads/*"), on("p", "refs/tags/*"));
    let labels = async |on: &Target| AccessSystem::labels(&system, on, fresh).await;
    let (one, two) = futures::join!(labels(&heads), labels(&tags));
    assert_eq!(one, two);
    assert_eq!(one.unwrap().unwrap()["Verified"], (-1..=1).collect());
    assert_eq!(book.count("GET /a/projects/p/labels/"), 1);
    assert_eq!(labels(&on("hidden", "refs/*")).await, Ok(None));
    assert_eq!(book.count(hidden), 1);
}
