//! Each way a system can misbehave, played by a server of a few lines, and what becomes of it.

mod files;
mod server;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_core::domain::ports::{Clock, ErrorClass, NoPermit, Permit, SystemError, SystemErrorKind};
use prometheus_client::registry::Registry;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use tokio::net::TcpListener;

use server::{Reply, Server, ok, reply};

use super::{BODY_LIMIT, Call, Effect, FamilyLimit, Http, HttpMetrics, HttpOptions};

const SECRET: &str = "planted-s3cr3t";

struct Granted;
impl Permit for Granted {
    fn check(&self, _: Duration) -> Result<(), NoPermit> {
        Ok(())
    }
}

struct Withheld;
impl Permit for Withheld {
    fn check(&self, _: Duration) -> Result<(), NoPermit> {
        Err(NoPermit("another replica leads".into()))
    }
}

struct Noon;
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }
}

fn options(url: &Url) -> HttpOptions {
    HttpOptions {
        base: url.clone(),
        ca_pem: None,
        timeout: Duration::from_secs(20),
        concurrency: 4,
        limits: vec![FamilyLimit::lifted("read")],
        allow_loopback: true,
        user_agent: "lockstep-test".into(),
        kind: "test",
        body_limit: BODY_LIMIT,
    }
}

fn client(url: &Url) -> Http {
    Http::new(options(url), Arc::new(Granted), Arc::new(Noon), None).unwrap()
}

fn basic() -> HeaderValue {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("admin:{SECRET}"));
    HeaderValue::from_str(&format!("Basic {pair}")).unwrap()
}

fn read() -> Call {
    Call::get("/things/{id}", "things/1", "read").auth(basic())
}

fn write(effect: Effect) -> Call {
    Call::new(Method::POST, "/things", "things", "write", effect)
        .auth(basic())
        .json(&serde_json::json!({"a": 1}))
}

async fn fails(http: &Http, call: Call) -> SystemError {
    match http.send(call).await.and_then(super::Answer::success) {
        Ok(answer) => panic!("{answer:?}"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn an_answer_comes_with_status_headers_and_body() {
    let server = Server::start(vec![ok(r#"{"name":"x"}"#)]).await;
    let http = client(&server.url);
    let call = read().query("q", "a b&c=d/ü");
    let value: serde_json::Value = http.send(call).await.unwrap().success().unwrap().json().unwrap();
    assert_eq!(value["name"], "x");
    let seen = server.first();
    assert!(
        seen.starts_with("GET /base/things/1?q=a+b%26c%3Dd%2F%C3%BC HTTP/1.1"),
        "{seen}"
    );
    assert!(seen.contains("user-agent: lockstep-test"), "{seen}");
}

#[tokio::test]
async fn a_login_page_is_no_answer() {
    let page = reply(
        "200 OK",
        "Content-Type: text/html\r\n",
        "<!DOCTYPE html><title>Sign in</title>",
    );
    let server = Server::start(vec![page]).await;
    let answer = client(&server.url).send(read()).await.unwrap();
    let error = answer.json::<serde_json::Value>().unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::BadAnswer);
    assert!(error.message.contains("HTML"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start(vec![reply("302 Found", "Location: /login\r\n", "")]).await;
    let error = fails(&client(&server.url), read()).await;
    assert_eq!(error.kind, SystemErrorKind::BadAnswer);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_cut() {
    let server = Server::start(vec![Reply::Huge(10_000_000)]).await;
    let error = fails(&client(&server.url), read()).await;
    assert_eq!(error.kind, SystemErrorKind::BadAnswer);
    assert!(error.message.contains("longer than 8388608 bytes"), "{error}");
}

#[tokio::test]
async fn an_answer_cut_short_is_asked_for_again_only_by_a_read() {
    let torn = Reply::Torn("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\"");
    let server = Server::start(vec![torn.clone(), torn.clone(), ok("{}")]).await;
    assert!(client(&server.url).send(read()).await.is_ok());
    assert_eq!(server.count(), 3);
    let server = Server::start(vec![torn]).await;
    let error = fails(&client(&server.url), write(Effect::Once)).await;
    assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_not_repeated() {
    let server = Server::start(vec![Reply::Drop]).await;
    let error = fails(&client(&server.url), write(Effect::Once)).await;
    assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_write_that_may_be_repeated_is() {
    let server = Server::start(vec![Reply::Drop, reply("502 Bad Gateway", "", ""), ok("{}")]).await;
    let answer = client(&server.url).send(write(Effect::Repeatable)).await.unwrap();
    assert!(answer.status.is_success());
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_server_error_leaves_the_outcome_of_a_write_open() {
    for status in [
        "500 Internal Server Error",
        "503 Service Unavailable",
        "504 Gateway Timeout",
    ] {
        let server = Server::start(vec![reply(status, "", "oops")]).await;
        let error = fails(&client(&server.url), write(Effect::Once)).await;
        assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown, "{status}");
        assert_eq!(server.count(), 1, "{status}");
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let server = Server::start(vec![Reply::Silence]).await;
    let mut options = options(&server.url);
    options.timeout = Duration::from_millis(50);
    let http = Http::new(options, Arc::new(Granted), Arc::new(Noon), None).unwrap();
    assert_eq!(fails(&http, read()).await.kind, SystemErrorKind::Unreachable);
    let error = fails(&http, write(Effect::Once)).await;
    assert_eq!(error.kind, SystemErrorKind::OutcomeUnknown);
    assert!(error.message.contains("no complete answer"), "{error}");
}

#[tokio::test]
async fn nobody_listening_means_nothing_was_sent() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let http = client(&format!("http://{free}/").parse().unwrap());
    let error = fails(&http, write(Effect::Once)).await;
    assert_eq!(error.kind, SystemErrorKind::Unreachable, "{error}");
    assert_eq!(error.class(), ErrorClass::RetrySoon);
}

#[tokio::test]
async fn a_long_retry_after_is_passed_on_and_kept_for_the_family() {
    let limited = reply("429 Too Many Requests", "Retry-After: 120\r\n", "slow down");
    let server = Server::start(vec![limited, ok("{}")]).await;
    let http = client(&server.url);
    for _ in 0..2 {
        let error = fails(&http, read()).await;
        assert_eq!(error.kind, SystemErrorKind::Throttled);
        let wait = error.retry_at.unwrap().duration_since(Noon.now()).as_secs();
        assert!((118..=120).contains(&wait), "{wait}");
    }
    assert_eq!(server.count(), 1, "the second call was not even sent");
    assert!(
        http.send(write(Effect::Once)).await.is_ok(),
        "other families go on"
    );
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for_even_by_a_write() {
    let limited = reply("429 Too Many Requests", "Retry-After: 0\r\n", "");
    let server = Server::start(vec![limited, ok("{}")]).await;
    assert!(client(&server.url).send(write(Effect::Once)).await.is_ok());
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn the_vendors_limit_in_a_server_error_is_a_limit() {
    let body = r#"{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"limit"}"#;
    let limited = reply("500 Internal Server Error", "Retry-After: 60\r\n", body);
    let server = Server::start(vec![limited]).await;
    let error = fails(&client(&server.url), write(Effect::Once)).await;
    assert_eq!(error.kind, SystemErrorKind::Throttled);
}

#[tokio::test]
async fn writes_need_a_permit_and_reads_do_not() {
    let server = Server::start(vec![ok("{}")]).await;
    let http = Http::new(options(&server.url), Arc::new(Withheld), Arc::new(Noon), None).unwrap();
    assert!(http.send(read()).await.is_ok());
    for effect in [Effect::Repeatable, Effect::Once] {
        let error = fails(&http, write(effect)).await;
        assert_eq!(error.kind, SystemErrorKind::NoPermit);
        assert!(error.message.contains("another replica leads"), "{error}");
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_system_that_is_down_is_left_alone() {
    let server = Server::start(vec![reply("502 Bad Gateway", "", "")]).await;
    let mut registry = Registry::default();
    let metrics = HttpMetrics::register(&mut registry);
    let http = Http::new(
        options(&server.url),
        Arc::new(Granted),
        Arc::new(Noon),
        Some(metrics),
    )
    .unwrap();
    let mut refused = None;
    for _ in 0..6 {
        refused = Some(fails(&http, read()).await);
    }
    assert_eq!(server.count(), 5, "after five failures nothing is sent");
    let error = refused.unwrap();
    assert_eq!(error.kind, SystemErrorKind::Unreachable);
    assert!(matches!(error.class(), ErrorClass::RetryAt(_)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let host = http.host();
    for line in [
        format!(r#"lockstep_client_breaker_state{{system_kind="test",host="{host}"}} 2"#),
        format!(r#"lockstep_client_in_flight{{system_kind="test",host="{host}"}} 0"#),
        r#"lockstep_client_requests_total{system_kind="test",route="/things/{id}",method="GET",code="Unreachable"} 5"#.into(),
    ] {
        assert!(text.contains(&line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn nothing_is_quoted_from_a_host_that_refused_the_login() {
    let body = format!("you sent {SECRET} dapi0123456789abcdef");
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let server = Server::start(vec![reply(status, "", &body)]).await;
        let error = fails(&client(&server.url), read()).await;
        assert!(!error.to_string().contains("you sent"), "{error}");
    }
}

#[tokio::test]
async fn a_refusal_is_quoted_without_the_credential() {
    let body = format!(
        "administrate server not permitted for {SECRET} in {}",
        basic().to_str().unwrap()
    );
    let server = Server::start(vec![ok("{}"), reply("403 Forbidden", "", &body)]).await;
    let http = client(&server.url);
    http.send(read()).await.unwrap();
    let error = fails(&http, read()).await;
    assert_eq!(error.kind, SystemErrorKind::Forbidden);
    assert!(
        error.message.contains("administrate server not permitted"),
        "{error}"
    );
    assert!(
        !format!("{error} {error:?} {:?}", read()).contains(SECRET),
        "{error}"
    );
    let pair = basic();
    let pair = pair.to_str().unwrap().strip_prefix("Basic ").unwrap();
    assert!(
        !format!("{error} {error:?} {:?}", read()).contains(pair),
        "{error}"
    );
}

#[tokio::test]
async fn the_servers_clock_is_compared_with_ours() {
    let date = "Date: Sun, 22 Nov 2026 12:07:00 GMT\r\n";
    let server = Server::start(vec![reply("200 OK", date, "{}")]).await;
    let http = client(&server.url);
    assert_eq!(http.clock_skew(), None);
    assert_eq!(http.clock_is_off(), None);
    http.send(read()).await.unwrap();
    assert_eq!(http.clock_skew().map(|skew| skew.as_secs()), Some(420));
    assert!(http.clock_is_off().unwrap().contains("420 s"));
}

#[tokio::test]
async fn a_path_that_would_become_another_is_refused() {
    let server = Server::start(vec![ok("{}")]).await;
    let http = client(&server.url);
    for path in [
        "a/../b",
        "a/%2E%2E/b",
        "groups/..",
        "groups/%2e",
        "a?b",
        "a#b",
        "a\nb",
        "a b",
    ] {
        let error = fails(&http, Call::get("/x", path, "read")).await;
        assert_eq!(error.kind, SystemErrorKind::Refused, "{path}");
    }
    for path in ["groups/a%2Fb%0A%22'", "groups/..a", "groups/%E2%82%AC~x"] {
        assert!(http.send(Call::get("/x", path, "read")).await.is_ok(), "{path}");
    }
}

#[tokio::test]
async fn hosts_that_must_not_be_called_are_not() {
    for url in [
        "http://gerrit.example.com/",
        "https://169.254.169.254/",
        "https://[::1]/",
    ] {
        let mut options = options(&url.parse().unwrap());
        options.allow_loopback = false;
        let refused = Http::new(options, Arc::new(Granted), Arc::new(Noon), None)
            .err()
            .unwrap();
        assert!(matches!(refused.kind, SystemErrorKind::Connection(_)), "{url}");
    }
}

#[tokio::test]
async fn a_ca_bundle_that_cannot_be_read_is_refused() {
    let mut options = options(&"https://gerrit.example.com/".parse().unwrap());
    options.ca_pem = Some(b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n".to_vec());
    let refused = Http::new(options, Arc::new(Granted), Arc::new(Noon), None)
        .err()
        .unwrap();
    assert!(refused.message.contains("caBundle"), "{refused}");
}

/// What a process of its own does for the test below: one call to the host that its environment names.
#[tokio::test]
#[ignore = "run by the test below, which gives it an environment"]
async fn a_call_from_an_environment() {
    let url = Url::parse(&std::env::var("LOCKSTEP_TEST_URL").unwrap()).unwrap();
    let options = HttpOptions {
        timeout: Duration::from_secs(2),
        ..options(&url)
    };
    let http = Http::new(options, Arc::new(Granted), Arc::new(Noon), None).unwrap();
    fails(&http, read()).await;
}

#[tokio::test]
async fn proxies_of_the_environment_are_followed_but_not_to_what_they_leave_out() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    for (url, left_out, asked) in [
        (
            "https://gerrit.invalid/r/",
            "",
            Some("CONNECT gerrit.invalid:443 HTTP/1.1"),
        ),
        (
            "https://gerrit.invalid/r/",
            "other.invalid",
            Some("CONNECT gerrit.invalid:443 HTTP/1.1"),
        ),
        ("https://gerrit.invalid/r/", ".invalid", None),
        ("http://127.0.0.1:9/", "", None),
    ] {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", proxy.local_addr().unwrap());
        // It hears the first line and hangs up.
        let heard = tokio::spawn(async move {
            let (stream, _) = proxy.accept().await.unwrap();
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).await.unwrap();
            line
        });
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap());
        for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
            child.env(name, &address);
        }
        for name in ["NO_PROXY", "no_proxy"] {
            child.env(name, left_out);
        }
        let name = "clients::http::tests::a_call_from_an_environment";
        let done = child
            .args(["--exact", name, "--ignored", "--nocapture"])
            .env("LOCKSTEP_TEST_URL", url)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        let heard = tokio::time::timeout(Duration::from_millis(100), heard).await;
        let heard = heard.ok().map(Result::unwrap);
        assert_eq!(heard.as_deref().map(str::trim), asked, "{url} {left_out:?}");
    }
}
