//! Access keys of an IAM user as an issuer: two at most, each proven by asking STS who it is.

use std::collections::BTreeSet;

use lockstep::clients::aws::AwsAuth;
use lockstep_core::domain::ports::SystemErrorKind;
use lockstep_core::domain::rotation::label::Label;
use lockstep_core::domain::rotation::machine::state::CredentialId;
use lockstep_core::domain::rotation::ports::inventory::Inventory;
use lockstep_core::domain::rotation::ports::issuers::Issuer as _;
use lockstep_core::domain::rotation::value::Value;

use super::account::{account_or_skip, aws};
use super::echo::Echo;
use super::entries::{PLANTED, silent};
use super::stack::{nowhere, unique};

fn label() -> Label {
    Label::new("0f8f2d2c-0a6c-4d7e-9f40-7d0c2f3f8a11", 1)
}

#[tokio::test]
async fn a_key_is_let_in_from_when_it_is_made_until_it_is_revoked() {
    let account = account_or_skip!();
    let user = account.user().await;
    let keys = account
        .aws(account.administrator())
        .await
        .access_keys(&user)
        .await
        .unwrap();
    assert!(
        keys.address().ends_with(&format!("/{user}")),
        "{}",
        keys.address()
    );
    assert!(keys.list().await.unwrap().is_empty());
    let first = keys.mint(&label(), None).await.unwrap();
    assert!(keys.prove(&first.credential).await.unwrap());
    let second = keys.mint(&label(), None).await.unwrap();
    let listed = keys.list().await.unwrap();
    let ids: BTreeSet<&CredentialId> = listed.iter().map(|key| &key.id).collect();
    assert_eq!(ids, [&first.id, &second.id].into());
    assert!(listed.iter().all(|key| key.made.is_some() && key.label.is_none()));
    keys.revoke(&first.id).await.unwrap();
    assert!(!keys.prove(&first.credential).await.unwrap());
    assert!(keys.prove(&second.credential).await.unwrap());
    // Again, and one that never was.
    keys.revoke(&first.id).await.unwrap();
    keys.revoke(&CredentialId("AKIAIOSFODNN7EXAMPLE".into()))
        .await
        .unwrap();
    // What lay in a store is as good as what was minted.
    let value = Value::new(second.credential.value.expose().to_owned());
    assert!(keys.prove(&keys.credential(&second.id, value)).await.unwrap());
}

#[tokio::test]
async fn a_third_key_is_refused_with_what_to_do() {
    let account = account_or_skip!();
    let user = account.user().await;
    let keys = account
        .aws(account.administrator())
        .await
        .access_keys(&user)
        .await
        .unwrap();
    assert_eq!(keys.allowed().limit, Some(2));
    keys.mint(&label(), None).await.unwrap();
    keys.mint(&label(), None).await.unwrap();
    let error = silent(keys.mint(&label(), None).await);
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert!(error.message.contains("two access keys"), "{error}");
    assert_eq!(keys.list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_wrong_value_and_somebody_elses_key_prove_nothing() {
    let account = account_or_skip!();
    let (user, other) = (account.user().await, account.user().await);
    let aws = account.aws(account.administrator()).await;
    let (keys, others) = (
        aws.access_keys(&user).await.unwrap(),
        aws.access_keys(&other).await.unwrap(),
    );
    let minted = keys.mint(&label(), None).await.unwrap();
    let wrong = keys.credential(&minted.id, Value::new(PLANTED.into()));
    assert!(!keys.prove(&wrong).await.unwrap());
    assert!(!others.prove(&minted.credential).await.unwrap());
    assert!(keys.prove(&minted.credential).await.unwrap());
}

#[tokio::test]
async fn an_inactive_key_is_listed_as_that() {
    let account = account_or_skip!();
    let user = account.user().await;
    let keys = account
        .aws(account.administrator())
        .await
        .access_keys(&user)
        .await
        .unwrap();
    let minted = keys.mint(&label(), None).await.unwrap();
    account
        .iam
        .update_access_key()
        .user_name(&user)
        .access_key_id(&minted.id.0)
        .status(aws_sdk_iam::types::StatusType::Inactive)
        .send()
        .await
        .unwrap();
    let listed = keys.list().await.unwrap();
    assert_eq!(listed[0].comment, "inactive");
}

#[tokio::test]
async fn a_user_that_does_not_exist_is_named() {
    let account = account_or_skip!();
    let user = unique("nobody");
    let keys = account
        .aws(account.administrator())
        .await
        .access_keys(&user)
        .await
        .unwrap();
    for error in [silent(keys.list().await), silent(keys.mint(&label(), None).await)] {
        assert_eq!(error.kind, SystemErrorKind::NotFound);
        assert!(error.message.contains(&user), "{error}");
    }
}

#[tokio::test]
async fn who_may_not_mint_is_told_so() {
    let account = account_or_skip!();
    let user = account.user().await;
    let auth = account.allowed(&["iam:ListAccessKeys"]).await;
    let keys = account.aws(auth).await.access_keys(&user).await.unwrap();
    assert!(keys.list().await.unwrap().is_empty());
    let error = silent(keys.mint(&label(), None).await);
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    assert!(error.message.contains("CreateAccessKey"), "{error}");
}

#[tokio::test]
async fn the_operators_own_identity_is_found_where_the_sdk_finds_it() {
    let account = account_or_skip!();
    if std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
        eprintln!("skipped: AWS_ACCESS_KEY_ID is not set (source dev/.state/env)");
        return;
    }
    let user = account.user().await;
    let keys = account.aws(AwsAuth::Ambient).await.access_keys(&user).await;
    assert!(keys.unwrap().list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_mint_whose_answer_says_nothing_is_looked_for() {
    let identity = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/a</Arn>\
        <Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
    for status in [200, 500, 503] {
        let first = std::sync::atomic::AtomicBool::new(true);
        let echo = Echo::start(move |_| {
            let first = first.swap(false, std::sync::atomic::Ordering::Relaxed);
            Some(if first {
                (200, identity.to_owned())
            } else {
                (status, String::new())
            })
        })
        .await;
        let key = AwsAuth::AccessKey {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: PLANTED.to_owned().into(),
        };
        let keys = aws(&echo.url, key).await.access_keys("a").await.unwrap();
        let error = silent(keys.mint(&label(), None).await);
        assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown, "{error}");
        assert_eq!(echo.asked().len(), 2);
    }
}

#[tokio::test]
async fn without_an_answer_there_is_no_account() {
    let key = AwsAuth::AccessKey {
        id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret: PLANTED.to_owned().into(),
    };
    let keys = aws(&nowhere(), key).await.access_keys("a").await;
    assert_eq!(silent(keys).kind, SystemErrorKind::Unreachable);
}

#[tokio::test]
async fn everybodys_keys_are_listed_and_without_that_right_those_of_the_users_one_names() {
    let account = account_or_skip!();
    let user = account.user().await;
    let administrator = account.aws(account.administrator()).await;
    let keys = administrator.access_keys(&user).await.unwrap();
    let key = keys.mint(&label(), None).await.unwrap();
    let all = administrator.everything(&[]).await.unwrap();
    assert_eq!(all.unseen, Vec::<String>::new());
    let ours = |inventory: &Inventory| {
        let mut held = inventory.held.iter().filter(|held| held.owner == user);
        held.next()
            .map(|held| (held.address.clone(), held.listed.id.clone()))
    };
    assert_eq!(ours(&all), Some((keys.address().to_owned(), key.id.clone())));
    assert!(
        all.held.iter().any(|held| held.owner != user),
        "others have keys as well"
    );

    let auth = account
        .allowed(&["iam:ListAccessKeys", "iam:GetAccessKeyLastUsed"])
        .await;
    let some = account.aws(auth).await;
    let some = some.everything(std::slice::from_ref(&user)).await.unwrap();
    assert_eq!(some.held.len(), 1);
    assert_eq!(ours(&some), ours(&all));
    assert!(
        some.unseen.len() == 1 && some.unseen[0].contains("ListUsers"),
        "{:?}",
        some.unseen
    );
}
