use std::sync::Mutex;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use kube::{Client, Config};
use lockstep_core::domain::ports::{Cluster as _, NoPermit, Permit};
use lockstep_core::domain::promotion::gate::freeze::Exception;

use super::*;
use crate::kubernetes::Store;
use crate::kubernetes::arrival::Arrived;

const PROMOTIONS: &str = "/apis/lockstep.dev/v1alpha1/namespaces/ml/promotions";

/// The promotions of one namespace, as an API server has them.
#[derive(Default)]
struct Server {
    objects: Mutex<BTreeMap<String, Value>>,
    calls: Mutex<Vec<String>>,
}

impl Server {
    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn object(&self, name: &str) -> Value {
        self.objects
            .lock()
            .unwrap()
            .get(name)
            .cloned()
            .unwrap_or_default()
    }
}

fn refused(code: u16, reason: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                        "reason": reason, "message": reason});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}

async fn answer(State(server): State<Arc<Server>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let number = {
        let mut calls = server.calls.lock().unwrap();
        calls.push(format!("{method} {uri}"));
        calls.len()
    };
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    let path = uri.path().strip_prefix(PROMOTIONS).unwrap().trim_matches('/');
    let name = path.trim_end_matches("/status").to_owned();
    let mut objects = server.objects.lock().unwrap();
    match method {
        Method::POST => {
            let name = body["metadata"]["name"].as_str().unwrap().to_owned();
            if objects.contains_key(&name) {
                return refused(409, "AlreadyExists");
            }
            body["metadata"]["uid"] = json!(format!("{name}-{number}"));
            body["metadata"]["resourceVersion"] = json!(number.to_string());
            objects.insert(name, body.clone());
            (StatusCode::CREATED, Json(body)).into_response()
        }
        Method::DELETE => match objects.get(&name) {
            None => refused(404, "NotFound"),
            Some(object) if object["metadata"]["uid"] != body["preconditions"]["uid"] => {
                refused(409, "Conflict")
            }
            Some(_) => {
                objects.remove(&name);
                Json(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})).into_response()
            }
        },
        _ => {
            let Some(object) = objects.get_mut(&name) else {
                return refused(404, "NotFound");
            };
            object["status"] = body["status"].clone();
            object["metadata"]["resourceVersion"] = json!(number.to_string());
            Json(object.clone()).into_response()
        }
    }
}

struct Leads(bool);

impl Permit for Leads {
    fn check(&self, _: Duration) -> Result<(), NoPermit> {
        self.0.then_some(()).ok_or(NoPermit("somebody else leads".into()))
    }
}

async fn cluster(leads: bool) -> (KubeCluster, Arc<Server>) {
    let server = Arc::new(Server::default());
    let router = Router::new().fallback(answer).with_state(server.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::try_from(Config::new(format!("http://{address}").parse().unwrap())).unwrap();
    let (store, _) = Store::new(&client);
    let permit = Arc::new(Leads(leads));
    let cluster = KubeCluster::new(client, store, permit, "lockstep-system".into(), "test".into());
    (cluster, server)
}

fn arrived<K: Kind>(namespace: &str, name: &str, spec: Value) -> Arrived<K> {
    let object = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "spec": spec,
        "metadata": {"namespace": namespace, "name": name, "uid": format!("uid-{name}"), "resourceVersion": "1"},
    });
    serde_json::from_value(object).unwrap()
}

fn policy() -> PromotionPolicy {
    let spec = json!({
        "gerrit": {"connectionRef": {"name": "gerrit"}, "project": "ml/fraud"},
        "gate": {"approval": {"label": "Code-Review", "group": "leads"},
                 "verification": {"label": "Verified", "group": "ci"}},
        "steps": [], "environments": [],
    });
    let object = json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "PromotionPolicy", "spec": spec,
        "metadata": {"namespace": "ml", "name": "fraud", "uid": "u"},
    });
    serde_json::from_value(object).unwrap()
}

fn spec(policy: &str) -> PromotionSpec {
    let spec = json!({
        "policyRef": {"name": policy}, "environment": "prod",
        "deploy": {"change": 42, "revision": "a".repeat(40), "position": 1, "attempt": 1},
    });
    serde_json::from_value(spec).unwrap()
}

fn key(promotion: &Promotion) -> ObjectKey {
    ObjectKey {
        kind: "Promotion".into(),
        namespace: promotion.metadata.namespace.clone().unwrap(),
        name: promotion.metadata.name.clone().unwrap(),
        uid: promotion.metadata.uid.clone().unwrap(),
    }
}

#[tokio::test]
async fn a_promotion_is_made_once_for_its_policy_and_seen_at_once() {
    let (cluster, server) = cluster(true).await;
    for _ in 0..2 {
        cluster.make(&policy(), "one", spec("fraud")).await.unwrap();
    }
    let stored = server.object("one");
    assert_eq!(
        stored["metadata"]["ownerReferences"],
        json!([{"apiVersion": "lockstep.dev/v1alpha1", "kind": "PromotionPolicy", "name": "fraud", "uid": "u",
                "controller": true, "blockOwnerDeletion": false}])
    );
    assert_eq!(
        stored["metadata"]["labels"],
        json!({"lockstep.dev/policy": "fraud", "lockstep.dev/environment": "prod"})
    );
    let seen = cluster.promotion("ml", "one").unwrap();
    assert_eq!(seen.metadata.uid.as_deref(), Some("one-1"), "the first one's");
    cluster.make(&policy(), "other", spec("loans")).await.unwrap();
    let of_fraud = cluster.promotions_of("ml", "fraud");
    assert_eq!(of_fraud.len(), 1);
    assert_eq!(of_fraud[0].spec, spec("fraud"));
    assert!(cluster.promotions_of("elsewhere", "fraud").is_empty());
}

#[tokio::test]
async fn nothing_is_made_deleted_or_kept_without_a_permit() {
    let (cluster, server) = cluster(false).await;
    let made = cluster.make(&policy(), "one", spec("fraud")).await;
    assert!(made.unwrap_err().message.contains("somebody else leads"));
    cluster
        .store
        .promotions
        .learn_made(arrived("ml", "two", json!(spec("fraud"))));
    let two = key(&cluster.promotion("ml", "two").unwrap());
    assert!(cluster.delete(&two).await.is_err());
    assert!(cluster.keep(&two, json!({"machine": {}})).await.is_err());
    assert_eq!(server.calls(), 0);
    assert!(cluster.promotion("ml", "two").is_some());
}

#[tokio::test]
async fn this_very_promotion_is_deleted_and_no_other_of_its_name() {
    let (cluster, server) = cluster(true).await;
    cluster.make(&policy(), "one", spec("fraud")).await.unwrap();
    let one = key(&cluster.promotion("ml", "one").unwrap());
    let before = ObjectKey {
        uid: "before".into(),
        ..one.clone()
    };
    cluster.delete(&before).await.unwrap();
    assert!(cluster.promotion("ml", "one").is_some());
    assert_ne!(server.object("one"), Value::Null);
    cluster.delete(&one).await.unwrap();
    assert_eq!(server.object("one"), Value::Null);
    assert!(cluster.promotion("ml", "one").is_none(), "seen at once");
    cluster.delete(&one).await.unwrap();
}

#[tokio::test]
async fn what_is_kept_is_written_once_and_the_report_leaves_it_alone() {
    let (cluster, server) = cluster(true).await;
    cluster.make(&policy(), "one", spec("fraud")).await.unwrap();
    let one = key(&cluster.promotion("ml", "one").unwrap());
    let machine = json!({"promotion": {"phase": "waiting", "left": null}, "share": 1.0});
    let kept = json!({"machine": machine, "taken": null});
    cluster.keep(&one, kept.clone()).await.unwrap();
    assert_eq!(server.object("one")["status"], json!({"machine": machine}));
    assert!(server.calls.lock().unwrap()[1].contains("fieldManager=lockstep%2Fjournal"));
    let calls = server.calls();
    let same = json!({"machine": {"promotion": {"phase": "waiting"}, "share": 1}});
    for again in [kept, same] {
        cluster.keep(&one, again).await.unwrap();
    }
    assert_eq!(server.calls(), calls, "what is so is not written");
    let more = json!({"machine": machine, "taken": {"steps": []}});
    cluster.keep(&one, more).await.unwrap();
    assert_eq!(server.object("one")["status"]["taken"], json!({"steps": []}));
    cluster.keep(&one, json!({"machine": machine})).await.unwrap();
    assert_eq!(
        server.object("one")["status"],
        json!({"machine": machine}),
        "all that is kept"
    );

    let refused = cluster.keep(&one, json!({"phase": "Running"})).await.unwrap_err();
    assert!(refused.message.contains("status.phase"), "{refused}");
    let calls = server.calls();
    cluster
        .write_status(&one, json!({"machine": {}, "phase": "Waiting"}))
        .await
        .unwrap();
    assert_eq!(server.calls(), calls + 1);
    // The server here forgets what it is not told, so this is what was sent.
    assert_eq!(server.object("one")["status"], json!({"phase": "Waiting"}));
    let binding = ObjectKey {
        kind: "AccessBinding".into(),
        ..one
    };
    assert!(cluster.keep(&binding, json!({})).await.is_err());
}

#[tokio::test]
async fn a_freeze_holds_where_it_stands_and_one_that_nobody_understands_holds_all() {
    let (cluster, _) = cluster(true).await;
    let freezes = &cluster.store.freezes;
    let until = "2026-04-01T00:00:00Z";
    let whole = json!({"reason": "quarter end", "until": until, "kinds": ["PromotionPolicy", "ServiceCredential"],
                       "selector": {"tier": "one"}, "except": ["Rollback"]});
    freezes.learn_made(arrived("lockstep-system", "all", whole));
    freezes.learn_made(arrived("ml", "some", json!({"reason": "audit", "until": until})));
    freezes.learn_made(arrived("ml", "odd", json!({"reason": "audit", "until": "soon"})));
    let mut found = cluster.freezes();
    found.sort_by_key(|freeze| freeze.name.clone());
    let [all, odd, some] = found.as_slice() else {
        panic!("{found:?}");
    };
    let set = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<BTreeSet<_>>();
    assert!(all.everywhere && !some.everywhere && !odd.everywhere);
    assert_eq!(all.until, until.parse().unwrap());
    assert_eq!(all.reason, "quarter end");
    assert_eq!(all.kinds, Some(set(&["PromotionPolicy", "ServiceCredential"])));
    assert_eq!(
        all.selector,
        Some(BTreeMap::from([("tier".to_owned(), "one".to_owned())]))
    );
    assert_eq!(all.except, BTreeSet::from([Exception::Rollback]));
    assert_eq!(
        (&some.kinds, &some.selector, some.except.len()),
        (&None, &None, 0)
    );
    assert_eq!((&*odd.namespace, odd.until), ("ml", Timestamp::MAX));
    assert!(odd.reason.contains("does not understand"), "{}", odd.reason);
}
