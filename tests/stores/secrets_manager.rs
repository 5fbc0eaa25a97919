//! A secret of Secrets Manager as a store: staging labels keep consumers on what they have until the next is there.

use lockstep::clients::aws::AwsAuth;
use lockstep_core::domain::ports::SystemErrorKind;
use lockstep_core::domain::rotation::ports::stores::{Owned, Store as _};
use serde_json::json;

use super::account::{Account, account_or_skip, aws};
use super::echo::Echo;
use super::entries::{PLANTED, absent, generation, holds, owner, plain, put, silent};
use super::stack::{nowhere, unique};

/// What consumers read under a label.
async fn staged(account: &Account, name: &str, stage: &str) -> Option<String> {
    let asked = account
        .secrets
        .get_secret_value()
        .secret_id(name)
        .version_stage(stage);
    let found = asked.send().await.ok()?;
    found.secret_string().map(ToOwned::to_owned)
}

fn text(number: u32) -> String {
    json!(plain(&generation(number))).to_string()
}

fn planted() -> AwsAuth {
    AwsAuth::AccessKey {
        id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret: PLANTED.to_owned().into(),
    }
}

#[tokio::test]
async fn what_is_written_is_current_and_the_last_one_previous() {
    let account = account_or_skip!();
    let name = unique("ml/fraud");
    let store = account.aws(account.administrator()).await.secret(&name);
    assert!(absent(&store.read().await.unwrap()));
    put(&store, 1, "").await.unwrap();
    let version = holds(&store, 1).await;
    assert_eq!(staged(&account, &name, "AWSCURRENT").await, Some(text(1)));
    put(&store, 2, &version).await.unwrap();
    let version = holds(&store, 2).await;
    assert_eq!(staged(&account, &name, "AWSCURRENT").await, Some(text(2)));
    assert_eq!(staged(&account, &name, "AWSPREVIOUS").await, Some(text(1)));
    put(&store, 3, &version).await.unwrap();
    let version = holds(&store, 3).await;
    assert_eq!(staged(&account, &name, "AWSPREVIOUS").await, Some(text(2)));
    store.remove(&version).await.unwrap();
    assert!(absent(&store.read().await.unwrap()));
    store.remove(&version).await.unwrap();
    // At once, and not in thirty days: the name is free.
    put(&store, 4, "").await.unwrap();
    holds(&store, 4).await;
}

#[tokio::test]
async fn a_write_that_finds_another_version_moves_no_consumer() {
    let account = account_or_skip!();
    let name = unique("moved");
    let store = account.aws(account.administrator()).await.secret(&name);
    put(&store, 1, "").await.unwrap();
    let version = holds(&store, 1).await;
    let by_hand = account.secrets.put_secret_value().secret_id(&name);
    by_hand
        .secret_string(r#"{"client_id":"by hand"}"#)
        .send()
        .await
        .unwrap();
    let error = silent(put(&store, 2, &version).await);
    assert_eq!(error.kind, SystemErrorKind::Stale);
    let contents = store.read().await.unwrap();
    assert_eq!(contents.owned, Owned::By(owner()));
    assert_eq!(plain(&contents.fields), [("client_id", "by hand")].into());
    assert_eq!(silent(store.remove(&version).await).kind, SystemErrorKind::Stale);
    put(&store, 2, &contents.version).await.unwrap();
    holds(&store, 2).await;
}

#[tokio::test]
async fn of_two_who_make_a_secret_one_is_told() {
    let account = account_or_skip!();
    let store = account.aws(account.administrator()).await.secret(&unique("both"));
    put(&store, 1, "").await.unwrap();
    assert_eq!(silent(put(&store, 2, "").await).kind, SystemErrorKind::Stale);
    holds(&store, 1).await;
}

#[tokio::test]
async fn what_others_made_is_theirs_until_they_offer_it() {
    let account = account_or_skip!();
    for (body, fields) in [
        (r#"{"password":"theirs"}"#, vec![("password", "theirs")]),
        ("no JSON at all", vec![]),
    ] {
        let name = unique("theirs");
        let made = account.secrets.create_secret().name(&name);
        made.secret_string(body).send().await.unwrap();
        let store = account.aws(account.administrator()).await.secret(&name);
        let contents = store.read().await.unwrap();
        let Owned::Foreign(how) = contents.owned else {
            panic!("it is not ours");
        };
        assert!(how.contains("describe-secret"), "{how}");
        assert!(how.contains("lockstep.dev/adopt"), "{how}");
        assert_eq!(plain(&contents.fields), fields.into_iter().collect());
        let tag = aws_sdk_secretsmanager::types::Tag::builder()
            .key("lockstep.dev/adopt")
            .value("ml-fraud/dbx")
            .build();
        account
            .secrets
            .tag_resource()
            .secret_id(&name)
            .tags(tag)
            .send()
            .await
            .unwrap();
        let contents = store.read().await.unwrap();
        assert_eq!(contents.owned, Owned::Offered("ml-fraud/dbx".into()));
        put(&store, 1, &contents.version).await.unwrap();
        holds(&store, 1).await;
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_half_way_leaves_consumers_where_they_are() {
    let account = account_or_skip!();
    let name = unique("halfway");
    let store = account.aws(account.administrator()).await.secret(&name);
    put(&store, 1, "").await.unwrap();
    let version = holds(&store, 1).await;
    let auth = account
        .allowed(&[
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "secretsmanager:PutSecretValue",
        ])
        .await;
    let limited = account.aws(auth).await.secret(&name);
    holds(&limited, 1).await;
    let error = silent(put(&limited, 2, &version).await);
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    assert!(error.partly);
    assert!(error.message.contains("UpdateSecretVersionStage"), "{error}");
    let error = silent(limited.remove(&version).await);
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    assert!(error.message.contains("DeleteSecret"), "{error}");
    assert_eq!(staged(&account, &name, "AWSCURRENT").await, Some(text(1)));
    // What waits there stands in nobody's way.
    put(&store, 2, &version).await.unwrap();
    holds(&store, 2).await;
}

#[tokio::test]
async fn what_may_not_be_seen_is_no_absence() {
    let account = account_or_skip!();
    let nobody = account.allowed(&["iam:ListUsers"]).await;
    let store = account.aws(nobody).await.secret(&unique("hidden"));
    for error in [silent(store.read().await), silent(put(&store, 1, "").await)] {
        assert_eq!(error.kind, SystemErrorKind::Forbidden);
        assert!(error.message.contains("not authorized"), "{error}");
    }
}

#[tokio::test]
async fn a_secret_that_is_about_to_go_is_neither_there_nor_absent() {
    let account = account_or_skip!();
    let name = unique("going");
    let store = account.aws(account.administrator()).await.secret(&name);
    put(&store, 1, "").await.unwrap();
    let version = holds(&store, 1).await;
    let deleted = account.secrets.delete_secret().secret_id(&name);
    deleted.recovery_window_in_days(7).send().await.unwrap();
    for error in [silent(store.read().await), silent(store.remove(&version).await)] {
        assert_eq!(error.kind, SystemErrorKind::Refused);
        assert!(error.message.contains("scheduled for deletion"), "{error}");
    }
}

#[tokio::test]
async fn one_that_does_not_answer_is_unreachable_and_nothing_was_sent() {
    let store = aws(&nowhere(), planted()).await.secret("a");
    for error in [silent(store.read().await), silent(put(&store, 1, "").await)] {
        assert_eq!(error.kind, SystemErrorKind::Unreachable);
    }
}

#[tokio::test]
async fn a_key_that_is_refused_is_named_and_not_shown() {
    let account = account_or_skip!();
    let store = account.aws(planted()).await.secret("a");
    let error = silent(store.read().await);
    assert_eq!(error.kind, SystemErrorKind::Unauthorized, "{error}");
}

#[tokio::test]
async fn whatever_a_server_repeats_of_what_it_was_sent_no_error_does() {
    for status in [200, 400, 403, 404, 409, 429, 500, 502, 503] {
        let echo = Echo::start(move |_| Some((status, String::new()))).await;
        let store = aws(&echo.url, planted()).await.secret("a");
        for version in ["", "1 -", &format!("1 {}", owner().uid)] {
            silent(put(&store, 1, version).await);
        }
        silent(store.read().await);
        silent(store.remove("1 -").await);
    }
    // As AWS refuses what it does not like, with the value.
    let body = format!(
        r#"{{"__type":"ValidationException","Message":"Value '{PLANTED}' at 'secretString' failed to satisfy constraint"}}"#
    );
    let echo = Echo::start(move |_| Some((400, body.clone()))).await;
    let store = aws(&echo.url, planted()).await.secret("a");
    let error = silent(put(&store, 1, "").await);
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert!(error.message.contains("ValidationException"), "{error}");
}

#[tokio::test]
async fn a_write_whose_answer_says_nothing_is_looked_for() {
    for status in [200, 500, 503] {
        let echo = Echo::start(move |_| Some((status, String::new()))).await;
        let store = aws(&echo.url, planted()).await.secret("a");
        let error = silent(put(&store, 1, "").await);
        assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown, "{error}");
        // Sent once: a second one might do it twice.
        assert_eq!(echo.asked().len(), 1);
    }
}
