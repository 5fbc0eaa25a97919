use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A connection that wants hints, by this token.
fn connection(name: &str, token: &str) -> Arc<GerritConnection> {
    let object = json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "GerritConnection",
        "metadata": {"namespace": "platform", "name": name},
        "spec": {
            "url": "https://gerrit.example.com", "auth": {"basic": {"secretRef": {"name": "gerrit"}}},
            "events": {"webhook": {"publicUrl": "https://lockstep.example.com"}},
        },
        "status": {"webhookPath": format!("/webhooks/gerrit/{token}")},
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

struct World {
    url: String,
    endpoint: Arc<Endpoint>,
    http: reqwest::Client,
}

async fn world() -> World {
    with_limit(OPEN).await
}

async fn with_limit(limit: Duration) -> World {
    let _ = ring::default_provider().install_default();
    let endpoint = Arc::new(Endpoint {
        connections: Box::new(|| {
            vec![
                connection("other", &"f".repeat(DIGITS)),
                connection("gerrit", TOKEN),
            ]
        }),
        hints: Arc::default(),
        metrics: Arc::default(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, endpoint.clone(), limit));
    World {
        url,
        endpoint,
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
    }
}

impl World {
    async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> u16 {
        let url = format!("{}{path}", self.url);
        let answer = self.http.post(url).body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        assert_eq!(answer.text().await.unwrap(), "", "nothing is said to strangers");
        status
    }

    fn counted(&self, word: &str) -> bool {
        let line = format!("lockstep_webhooks_total{{result=\"{word}\"}} 1");
        self.endpoint.metrics.text().contains(&line)
    }
}

fn moved(project: &str, ref_name: &str) -> String {
    json!({"type": "ref-updated", "refUpdate": {"project": project, "refName": ref_name}}).to_string()
}

fn path() -> String {
    format!("/webhooks/gerrit/{TOKEN}")
}

#[tokio::test]
async fn what_is_posted_to_a_connections_path_is_taken_in_for_that_connection() {
    let world = world().await;
    let hearing = world.endpoint.hints.hear();
    assert_eq!(
        world.post(&path(), moved("ml/fraud", "refs/heads/prod")).await,
        202
    );
    assert_eq!(
        world.post(&path(), moved("ml/fraud", "refs/heads/prod")).await,
        202
    );
    let taken = hearing.next().await;
    let connections: Vec<String> = taken.keys().map(ToString::to_string).collect();
    assert_eq!(connections, ["GerritConnection platform/gerrit"]);
    let expected = Hint::Branch {
        project: "ml/fraud".into(),
        branch: "prod".into(),
    };
    assert!(
        taken
            .values()
            .all(|hints| *hints == BTreeSet::from([expected.clone()])),
        "{taken:?}"
    );
    assert!(
        world.counted("accepted") && world.counted("known"),
        "{}",
        world.endpoint.metrics.text()
    );
}

#[tokio::test]
async fn whoever_does_not_know_a_path_finds_nothing() {
    let world = world().await;
    let _hearing = world.endpoint.hints.hear();
    let event = moved("ml/fraud", "refs/heads/prod");
    for path in [
        "/".to_owned(),
        "/webhooks/gerrit/".into(),
        format!("/webhooks/gerrit/{}", "0".repeat(DIGITS)),
        format!("/webhooks/gerrit/{}", &TOKEN[1..]),
        format!("{}/", path()),
        format!("{}?x={TOKEN}", path().replace('a', "b")),
        format!("/webhooks/gerrit/{}", TOKEN.to_uppercase()),
    ] {
        assert_eq!(world.post(&path, event.clone()).await, 404, "{path}");
    }
    let got = world
        .http
        .get(format!("{}{}", world.url, path()))
        .send()
        .await
        .unwrap();
    assert_eq!(got.status(), 404);
}

#[tokio::test]
async fn what_is_no_event_is_not_asked_for_again_and_what_is_too_large_is_refused() {
    let world = world().await;
    let _hearing = world.endpoint.hints.hear();
    assert_eq!(world.post(&path(), "<html>").await, 202);
    assert_eq!(world.post(&path(), "[".repeat(BODY)).await, 202);
    assert_eq!(
        world
            .post(&path(), moved("ml/fraud", "refs/changes/07/7/meta"))
            .await,
        202
    );
    assert!(world.counted("ignored"), "{}", world.endpoint.metrics.text());
    // Not over the wire, where who is refused may not get to read the answer.
    let post = |length: usize| {
        let body = axum::body::Body::from(vec![b' '; length]);
        Request::post(path()).body(body).unwrap()
    };
    assert_eq!(world.endpoint.receive(post(BODY)).await, Received::Unreadable);
    assert_eq!(world.endpoint.receive(post(BODY + 1)).await, Received::TooLarge);
}

#[tokio::test]
async fn a_replica_that_does_not_lead_has_the_sender_try_again() {
    let world = world().await;
    assert_eq!(
        world.post(&path(), moved("ml/fraud", "refs/heads/prod")).await,
        503
    );
    assert!(world.counted("not_leading"), "{}", world.endpoint.metrics.text());
}

#[tokio::test]
async fn a_flood_is_told_to_wait() {
    let world = world().await;
    let _hearing = world.endpoint.hints.hear();
    let flood: Vec<Value> = (0..=256)
        .map(|number| json!({"project": format!("p{number}"), "refName": "refs/heads/prod"}))
        .collect();
    let event = json!({"type": "batch-ref-updated", "refUpdates": flood});
    assert_eq!(world.post(&path(), event.to_string()).await, 429);
    let other = format!("/webhooks/gerrit/{}", "f".repeat(DIGITS));
    assert_eq!(
        world.post(&other, moved("ml/fraud", "refs/heads/prod")).await,
        202
    );
}

#[tokio::test]
async fn a_request_without_an_end_holds_up_nobody_for_long() {
    let world = with_limit(Duration::from_millis(500)).await;
    let _hearing = world.endpoint.hints.hear();
    let address = world.url.trim_start_matches("http://").to_owned();
    let mut slow = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n", path());
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    // It waits until those are cut off, and is answered then.
    assert_eq!(
        world.post(&path(), moved("ml/fraud", "refs/heads/prod")).await,
        202
    );
    let mut rest = Vec::new();
    slow[0].read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}

#[test]
fn no_token_is_drawn_twice() {
    let (one, other) = (draw().unwrap(), draw().unwrap());
    assert_ne!(one, other);
    assert_eq!(token(&format!("/{one}")), Some(one.as_str()));
}
