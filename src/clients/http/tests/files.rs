//! Calls that send or fetch a file.

use std::time::Duration;

use lockstep_core::domain::ports::SystemErrorKind;

use super::super::Effect;
use super::server::{Reply, Server, ok, reply};
use super::{client, fails, read, write};

#[tokio::test]
async fn a_call_that_expects_a_file_says_how_long_it_may_be() {
    let server = Server::start(vec![ok("[1,2,3,4,5]"), ok("[1,2]")]).await;
    let http = client(&server.url);
    let error = http.send(read().longest(5)).await.unwrap_err();
    assert!(error.message.contains("longer than 5 bytes"), "{error}");
    let answer = http.send(read().longest(5)).await.unwrap();
    assert_eq!(answer.body, b"[1,2]");
}

#[tokio::test]
async fn a_file_is_sent_as_it_is() {
    let server = Server::start(vec![ok("{}")]).await;
    let call = write(Effect::Repeatable).bytes(b"print(1)".to_vec());
    client(&server.url).send(call).await.unwrap();
    let seen = server.first();
    assert!(seen.contains("content-type: application/octet-stream"), "{seen}");
    assert!(seen.ends_with("print(1)"), "{seen}");
}

#[tokio::test]
async fn a_long_answer_goes_to_a_file_and_a_refusal_does_not() {
    let refusal = reply("403 Forbidden", "", "not for you");
    let server = Server::start(vec![Reply::Huge(10_000_000), refusal]).await;
    let http = client(&server.url);
    let path = std::env::temp_dir().join(format!("lockstep-spool-{}", std::process::id()));
    let call = || read().spool(&path, Duration::from_mins(1));
    let answer = http.send(call()).await.unwrap().success().unwrap();
    assert!(answer.body.is_empty());
    assert!(std::fs::metadata(&path).unwrap().len() >= 10_000_000);
    std::fs::remove_file(&path).unwrap();
    let error = fails(&http, call()).await;
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    assert!(!path.exists());
}
