use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::kubernetes::Store;
use crate::kubernetes::arrival::{Arrived, Kind};
use crate::kubernetes::cache::Cache;

/// Caches that nobody fills but the test.
struct Caches {
    store: std::sync::Arc<Store>,
    woken: UnboundedReceiver<Subject>,
    version: u64,
}

impl Caches {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let nowhere = Config::new("http://127.0.0.1:9".parse().unwrap());
        let (store, woken) = Store::new(&Client::try_from(nowhere).unwrap());
        Self {
            store,
            woken,
            version: 0,
        }
    }

    /// Shows an object as it is from now on, and answers who is woken.
    fn show<K: Kind>(
        &mut self,
        cache: impl Fn(&Store) -> &Cache<K>,
        name: &str,
        body: Value,
    ) -> BTreeSet<String> {
        self.version += 1;
        let mut object = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"namespace": "ml", "name": name, "uid": name, "generation": 1,
                         "resourceVersion": self.version.to_string()},
        });
        let fields = object.as_object_mut().unwrap();
        fields.extend(body.as_object().unwrap().clone());
        let arrived: Arrived<K> = serde_json::from_value(object).unwrap();
        let cache = cache(&self.store);
        if cache.names().contains(&Name::new("ml", name)) {
            cache.learn(arrived);
        } else {
            cache.learn_made(arrived);
        }
        let mut woken = BTreeSet::new();
        while let Ok(subject) = self.woken.try_recv() {
            woken.insert(subject.name.name().to_owned());
        }
        woken
    }

    fn policy(&mut self, status: Value) -> BTreeSet<String> {
        let spec = json!({
            "gerrit": {"connectionRef": {"name": "gerrit"}, "project": "ml/fraud"},
            "gate": {"approval": {"label": "Code-Review", "group": "leads"},
                     "verification": {"label": "Verified", "group": "ci"}},
            "steps": [], "environments": [],
        });
        self.show(
            |store| &store.policies,
            "fraud",
            json!({"spec": spec, "status": status}),
        )
    }

    fn promotion(&mut self, name: &str, status: Value) -> BTreeSet<String> {
        let spec = json!({"policyRef": {"name": "fraud"}, "environment": "prod"});
        self.show(
            |store| &store.promotions,
            name,
            json!({"spec": spec, "status": status}),
        )
    }

    fn override_of(&mut self, target: &str, status: Value) -> BTreeSet<String> {
        let wish = json!({"promotion": target, "findings": ["Frozen"], "reason": "it burns"});
        let spec = json!({"policyRef": {"name": "fraud"}, "environment": "prod", "override": wish});
        self.show(
            |store| &store.promotions,
            "glass",
            json!({"spec": spec, "status": status}),
        )
    }

    fn freeze(&mut self) -> BTreeSet<String> {
        let spec = json!({"reason": "quarter end", "until": "2026-04-01T00:00:00Z"});
        self.show(|store| &store.freezes, "freeze", json!({"spec": spec}))
    }
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(ToOwned::to_owned).collect()
}

fn environment(fields: Value) -> Value {
    let mut environment = json!({"name": "prod", "acting": "going"});
    let all = environment.as_object_mut().unwrap();
    all.extend(fields.as_object().unwrap().clone());
    json!({"environments": [environment]})
}

#[tokio::test]
async fn a_turn_wakes_all_promotions_and_what_they_are_judged_by_those_that_have_not_ended() {
    let mut caches = Caches::new();
    caches.promotion("going", json!({"phase": "Running"}));
    caches.promotion("done", json!({"phase": "Succeeded"}));
    let (both, going) = (names(["going", "done"]), names(["going"]));
    let first = caches.policy(environment(json!({})));
    assert_eq!(first, names(["fraud", "going", "done"]), "somebody made it");
    for (what, whom) in [
        (json!({"acting": "done"}), &both),
        (json!({"held": {"reason": "it failed"}}), &both),
        (
            json!({"current": {"change": 1, "revision": "a", "promotion": "done"}}),
            &both,
        ),
        (
            json!({"reached": {"position": 1, "attempt": 1, "promotion": "done"}}),
            &both,
        ),
        (json!({"tip": "a"}), &going),
        (json!({"baseline": "b"}), &going),
        (
            json!({"runs": {"total": 1, "explained": 1, "acknowledged": 0, "unexplained": 0}}),
            &names([]),
        ),
        (json!({"watermark": "2026-01-01T00:00:00Z"}), &names([])),
    ] {
        assert_eq!(&caches.policy(environment(what.clone())), whom, "{what}");
        assert_eq!(&caches.policy(environment(json!({}))), whom, "{what} and back");
    }
    let mut other = environment(json!({}));
    other["gate"] = json!({"digest": "sha256:a"});
    assert_eq!(caches.policy(other.clone()), going);
    other["nextAction"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(caches.policy(other), names([]));
}

#[tokio::test]
async fn where_a_promotion_stands_wakes_its_policy_and_its_steps_wake_nobody() {
    let mut caches = Caches::new();
    assert_eq!(
        caches.promotion("one", json!({})),
        names(["one", "fraud"]),
        "somebody made it"
    );
    let finding = |kind: &str, message: &str| json!({"findings": [{"kind": kind, "message": message}]});
    let mut status = json!({});
    for (field, value, wakes) in [
        ("phase", json!("Waiting"), true),
        ("judgedAt", json!("2026-01-01T00:00:00Z"), true),
        ("judgedAt", json!("2026-01-02T00:00:00Z"), false),
        ("verdict", finding("Frozen", "until noon"), true),
        ("verdict", finding("Frozen", "until one"), false),
        ("verdict", finding("Vetoed", "by Ada"), true),
        ("verdict", json!({}), true),
        (
            "machine",
            json!({"promotion": {"phase": "running", "steps": []}}),
            true,
        ),
        (
            "machine",
            json!({"promotion": {"phase": "running", "steps": [{"name": "train"}]}}),
            false,
        ),
        (
            "steps",
            json!([{"name": "train", "kind": "job", "state": "Acting"}]),
            false,
        ),
        (
            "machine",
            json!({"promotion": {"phase": {"ended": "succeeded"}, "steps": []}}),
            true,
        ),
        ("phase", json!("Succeeded"), true),
        ("nextAction", json!("2026-01-01T00:00:00Z"), false),
    ] {
        status[field] = value;
        let woken = if wakes { names(["fraud"]) } else { names([]) };
        assert_eq!(
            caches.promotion("one", status.clone()),
            woken,
            "{field}: {}",
            status[field]
        );
    }
}

#[tokio::test]
async fn a_freeze_concerns_whoever_has_not_ended() {
    let mut caches = Caches::new();
    caches.policy(json!({}));
    caches.promotion("waiting", json!({"phase": "Waiting"}));
    caches.promotion("done", json!({"phase": "Refused"}));
    assert_eq!(caches.freeze(), names(["freeze", "fraud", "waiting"]));
}

#[tokio::test]
async fn an_override_and_what_it_lifts_wake_each_other() {
    let mut caches = Caches::new();
    caches.promotion("one", json!({}));
    assert_eq!(
        caches.override_of("one", json!({})),
        names(["glass", "fraud", "one"])
    );
    assert_eq!(
        caches.promotion("other", json!({"phase": "Waiting"})),
        names(["other", "fraud"])
    );
    assert_eq!(
        caches.promotion("one", json!({"phase": "Waiting"})),
        names(["fraud", "glass"])
    );
    let lifted = json!({"glass": {"liftedAt": "2026-01-01T00:00:00Z"}});
    assert_eq!(caches.override_of("one", lifted.clone()), names(["one"]));
    assert_eq!(caches.override_of("one", lifted), names([]));
}
