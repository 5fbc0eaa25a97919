//! Answers about tokens that a real server gives too rarely to be waited for.

use lockstep_core::domain::rotation::label::Label;
use lockstep_core::domain::rotation::machine::state::CredentialId;
use lockstep_core::domain::rotation::ports::issuers::Issuer;

use super::*;

const TOKENS: &str = "GET /a/accounts/7/tokens";
const MINT: &str = "PUT /a/accounts/7/tokens/lockstep-0f8f2d2c-3";
const REVOKE: &str = "DELETE /a/accounts/7/tokens/lockstep-0f8f2d2c-3";

fn label() -> Label {
    Label::new("0f8f2d2c", 3)
}

async fn issuer(book: Book) -> (Arc<dyn Issuer>, Arc<Book>) {
    let bot = json!({"_account_id": 7, "username": "bot"});
    let (system, book) = play(book.on("GET /a/accounts/bot", 200, bot)).await;
    (Arc::new(system).auth_tokens("bot").await.unwrap(), book)
}

#[tokio::test]
async fn a_mint_without_an_answer_leaves_open_what_exists_and_is_sent_once() {
    let unreadable = json!(")]}'\n{\"id\": \"lockstep-0f8f2d2c-3\", \"token\": \"planted");
    let login = json!("<html>please log in, planted</html>");
    for (status, body) in [
        (500, json!("internal server error, planted")),
        (503, json!("planted")),
        (408, json!("planted")),
        // What 3.13.5 says to an id that is there already.
        (404, json!("Not found: /")),
        (409, json!("exists")),
        (201, unreadable),
        (200, login),
    ] {
        let (issuer, book) = issuer(Book::default().on(MINT, status, body)).await;
        let minted = issuer.mint(&label(), Some(3600)).await;
        let error = minted.err().expect("nothing was minted");
        assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown, "{status}: {error}");
        assert_eq!(book.count(MINT), 1, "{status}");
        assert_eq!(book.body(MINT), json!({"lifetime": "60min"}));
        if status == 201 {
            assert!(!format!("{error:?}").contains("planted"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_refused_mint_is_refused_in_gerrits_words() {
    let full = json!("Maximum number of tokens (10) already reached.");
    let (issuer, _) = issuer(Book::default().on(MINT, 400, full)).await;
    let error = issuer.mint(&label(), None).await.err().unwrap();
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert!(error.message.contains("Maximum number of tokens (10)"), "{error}");
}

#[tokio::test]
async fn a_404_revokes_only_what_the_list_does_not_show() {
    let there = json!([{"id": "initialToken"}, {"id": "lockstep-0f8f2d2c-3"}]);
    let gone = json!([{"id": "initialToken"}]);
    let book = Book::default()
        .on(REVOKE, 404, json!("Not found"))
        .on(TOKENS, 200, there)
        .on(TOKENS, 200, gone);
    let (issuer, _) = issuer(book).await;
    let id = CredentialId(label().to_string());
    let error = issuer.revoke(&id).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::NotFound);
    issuer.revoke(&id).await.unwrap();
}

#[tokio::test]
async fn an_account_is_taken_by_its_exact_user_name_alone() {
    let named = json!({"_account_id": 8, "username": "somebody-else", "name": "Build Bot"});
    let book = Book::default().on("GET /a/accounts/Build%20Bot", 200, named);
    let (system, _) = play(book).await;
    let system = Arc::new(system);
    for name in ["Build Bot", "nobody"] {
        let error = system.auth_tokens(name).await.err().unwrap();
        assert_eq!(error.kind, SystemErrorKind::NotFound);
        assert!(error.message.contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_by_its_number() {
    for version in ["3.12.6", "3.13.2", "3.13-rc1"] {
        let old = json!(version).to_string();
        let (system, _) = play(Book::default().on("GET /a/config/server/version", 200, old.into())).await;
        let system = Arc::new(system);
        let error = system.auth_tokens("bot").await.err().unwrap();
        assert_eq!(error.kind, SystemErrorKind::Refused);
        assert!(
            error.message.contains("3.13.3") && error.message.contains(version),
            "{error}"
        );
        let everything = system.everything().await.unwrap();
        assert!(everything.unseen[0].contains(version), "{everything:?}");
    }
}

#[tokio::test]
async fn a_cap_on_lifetimes_is_known() {
    let info = json!({"gerrit": {"instance_id": "site"}, "auth": {"max_token_lifetime": 120}});
    let (issuer, _) = issuer(Book::default().on("GET /a/config/server/info", 200, info)).await;
    assert_eq!(issuer.allowed().longest_lifetime, Some(7_200));
    let (issuer, _) = self::issuer(Book::default()).await;
    assert!(issuer.allowed().longest_lifetime > Some(365 * 86_400));
}

#[tokio::test]
async fn whoever_may_not_see_others_tokens_says_so_and_shows_its_own() {
    let accounts = json!([
        {"_account_id": 7, "username": "bot"}, {"_account_id": 1, "username": "lockstep"},
        {"_account_id": 9, "username": "left", "inactive": true},
    ]);
    let book = Book::default()
        .on("GET /a/accounts/", 200, accounts)
        .on("GET /a/accounts/1/tokens", 200, json!([{"id": "initialToken"}]))
        .on(TOKENS, 403, json!("modify account not permitted"));
    let (system, book) = play(book).await;
    let everything = Arc::new(system).everything().await.unwrap();
    let held: Vec<&str> = everything.held.iter().map(|held| held.owner.as_str()).collect();
    assert_eq!(held, ["lockstep"]);
    assert!(
        everything.unseen[0].contains("modify account not permitted"),
        "{everything:?}"
    );
    assert_eq!(book.count("GET /a/accounts/9/tokens"), 0);
}
