//! Status, journal, finalizers, approvals, and objects that are not understood.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use lockstep::controllers::{Context, Next, Reconcile};
use lockstep::kubernetes::{KindName, Look};
use lockstep::runtime::{Ended, Metrics, SystemClock, register};
use lockstep_core::api::access_binding::{InventoryRow, Origin};
use lockstep_core::api::condition::Reason;
use lockstep_core::api::{AccessBinding, FINALIZER, PlanApproval};
use lockstep_core::domain::ports::{
    AccessSystem, Cluster as _, ConnectionKey, Entry, EntryId, Journal as _, JournalState, KeepError, Note,
    ObjectKey, Probe, Probes, Record, SystemError, SystemErrorKind, Systems,
};
use lockstep_core::domain::promotion::ports::deployments::{Deployment, Deployments};
use lockstep_core::domain::promotion::ports::reviews::{Review, Reviews};
use lockstep_core::domain::rotation::ports::inventory::{Inventories, Inventory};
use lockstep_core::domain::rotation::ports::issuers::{Aws, Identity, Issuer, Issuers};
use lockstep_core::domain::rotation::ports::stores::{Place, Store, Stores};
use lockstep_core::domain::rotation::value::FingerprintKey;
use serde_json::{Value, json};

use crate::support::{World, answered, eventually};

fn held() -> JournalState {
    JournalState {
        inventory: vec![InventoryRow {
            target: "gerrit://server/groups/u".into(),
            principals: vec!["account:1000001".into()],
            privilege: "member".into(),
            origin: Origin::Created,
            since: Timestamp::UNIX_EPOCH,
            confirming: None,
        }],
        ..JournalState::default()
    }
}

fn said(summary: &[&str]) -> Value {
    json!({
        "observedGeneration": 1,
        "lastHandledRequest": null,
        "plan": {"digest": "sha256:a", "changes": 1, "peopleGaining": 0, "peopleLosing": 0, "summary": summary},
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "Succeeded", "message": "in step",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        }],
    })
}

#[tokio::test]
async fn journal_and_report_never_take_from_each_other_and_write_nothing_twice() {
    let Some(world) = World::new().await else { return };
    let followed = world.follow().await;
    let key = world.bind("fraud", json!({})).await;
    let name = world.name("fraud");
    followed.see(&name).await;
    let now = || followed.store.bindings.get(&name).unwrap();

    followed.journal.write(&key, &held()).await.unwrap();
    assert_eq!(
        now().status.clone().unwrap().inventory,
        Some(held().inventory),
        "seen at once, whatever the watch does"
    );
    followed
        .cluster
        .write_status(&key, said(&["+ somebody"]))
        .await
        .unwrap();
    let version = now().resource_version();
    followed.journal.write(&key, &held()).await.unwrap();
    followed
        .cluster
        .write_status(&key, said(&["+ somebody"]))
        .await
        .unwrap();
    assert_eq!(now().resource_version(), version, "what is so is not written");
    assert!(
        now().status.clone().unwrap().plan.unwrap().summary.is_empty(),
        "not held, and compared all the same"
    );
    followed
        .cluster
        .write_status(&key, said(&["+ somebody else"]))
        .await
        .unwrap();
    assert_ne!(now().resource_version(), version);

    // The report drops a field, and tries to touch the journal's.
    let touched =
        json!({"metadata": {"annotations": {"example.com/note": "the watch may not have seen this yet"}}});
    let api = world.api::<AccessBinding>();
    api.patch("fraud", &PatchParams::default(), &Patch::Merge(touched))
        .await
        .unwrap();
    let mut less = said(&[]);
    less["plan"] = Value::Null;
    less["inventory"] = json!([]);
    followed.cluster.write_status(&key, less).await.unwrap();
    let status = api.get("fraud").await.unwrap().status.unwrap();
    assert_eq!(status.plan, None);
    assert_eq!(status.inventory, Some(held().inventory));
    assert_eq!(status.conditions.len(), 1);

    followed
        .journal
        .write(&key, &JournalState::default())
        .await
        .unwrap();
    let status = api.get("fraud").await.unwrap().status.unwrap();
    assert_eq!(
        status.inventory,
        Some(vec![]),
        "holding nothing is not having lost it"
    );
    assert_eq!(status.conditions.len(), 1);

    // A later object of the same name is another one.
    api.delete("fraud", &DeleteParams::default()).await.unwrap();
    let again = world.bind("fraud", json!({})).await;
    assert!(followed.journal.write(&key, &held()).await.is_err());
    let other = eventually("the new one is seen", || {
        followed
            .store
            .bindings
            .get(&name)
            .filter(|binding| binding.uid().as_deref() == Some(&again.uid))
    });
    assert_eq!(other.await.status, None);
    world.clean().await;
}

#[tokio::test]
async fn finalizers_come_and_go_beside_those_of_others() {
    let Some(world) = World::new().await else { return };
    let followed = world.follow().await;
    let api = world.api::<AccessBinding>();
    let key = world.bind("fraud", json!({})).await;
    let name = world.name("fraud");
    followed.see(&name).await;
    let cluster = &followed.cluster;
    cluster.add_finalizer(&key, FINALIZER).await.unwrap();
    cluster.add_finalizer(&key, FINALIZER).await.unwrap();
    let other = json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/other"}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(other).unwrap());
    api.patch("fraud", &PatchParams::default(), &patch).await.unwrap();
    eventually("the other one is seen", || {
        (followed.store.bindings.get(&name)?.finalizers().len() == 2).then_some(())
    })
    .await;
    cluster.remove_finalizer(&key, FINALIZER).await.unwrap();
    assert_eq!(
        api.get("fraud").await.unwrap().finalizers(),
        ["example.com/other"]
    );

    cluster.add_finalizer(&key, FINALIZER).await.unwrap();
    cluster.remove_finalizer(&key, "example.com/other").await.unwrap();
    api.delete("fraud", &DeleteParams::default()).await.unwrap();
    eventually("its deletion is seen", || {
        let binding = followed.store.bindings.get(&name)?;
        binding.metadata.deletion_timestamp.clone()
    })
    .await;
    cluster.remove_finalizer(&key, FINALIZER).await.unwrap();
    assert!(
        followed.store.bindings.get(&name).is_none(),
        "gone at once, whatever the watch says"
    );
    assert!(api.get_opt("fraud").await.unwrap().is_none());
    world.clean().await;
}

#[tokio::test]
async fn an_approval_is_used_once() {
    let Some(world) = World::new().await else { return };
    let followed = world.follow().await;
    let approval: PlanApproval = serde_json::from_value(json!({
        "apiVersion": "lockstep.dev/v1alpha1",
        "kind": "PlanApproval",
        "metadata": {"name": "yes"},
        "spec": {
            "planRef": {"kind": "AccessBinding", "namespace": world.namespace, "name": "fraud", "uid": format!("uid-{}", world.namespace)},
            "digest": format!("sha256:{}", "a".repeat(64)), "approver": world.me().await, "reason": "seen",
        },
    }))
    .unwrap();
    let api = world.api::<PlanApproval>();
    api.create(&PostParams::default(), &approval).await.unwrap();
    let object = ObjectKey {
        kind: "AccessBinding".into(),
        namespace: world.namespace.clone(),
        name: "fraud".into(),
        uid: format!("uid-{}", world.namespace),
    };
    let approval = eventually("the approval is seen", || {
        followed.cluster.approvals(&object).pop()
    })
    .await;
    let (one, two) = (EntryId("1-aa".into()), EntryId("2-bb".into()));
    let at = Timestamp::now();
    let both = tokio::join!(
        followed.cluster.use_approval(&approval, &one, at),
        followed.cluster.use_approval(&approval, &two, at),
    );
    assert_eq!(
        [both.0.is_ok(), both.1.is_ok()]
            .iter()
            .filter(|used| **used)
            .count(),
        1,
        "{both:?}"
    );
    let used = followed.cluster.approvals(&object).pop().unwrap();
    let status = used.status.clone().unwrap();
    assert_eq!(
        status.used_by,
        Some(if both.0.is_ok() { one.0.clone() } else { two.0 })
    );
    assert_eq!(status.conditions[0].reason, "Used");
    let third = followed.cluster.use_approval(&used, &one, at).await;
    assert!(third.unwrap_err().message.contains("was used by"));
    world.clean().await;
}

/// A controller that must not be called.
struct Never;

#[async_trait::async_trait]
impl Reconcile for Never {
    type Object = AccessBinding;

    async fn reconcile(&self, object: Arc<AccessBinding>, _: &Context) -> Next {
        panic!("{} was worked on", object.name_any());
    }
}

/// Ports that nobody uses here.
struct Unused;

#[async_trait::async_trait]
impl Systems for Unused {
    async fn open(&self, _: &ConnectionKey) -> Result<Arc<dyn AccessSystem>, SystemError> {
        Err(SystemError::new("unused", SystemErrorKind::Refused, "unused"))
    }
}

#[async_trait::async_trait]
impl Reviews for Unused {
    async fn open(&self, _: &ConnectionKey) -> Result<Arc<dyn Review>, SystemError> {
        Err(SystemError::new("unused", SystemErrorKind::Refused, "unused"))
    }
}

#[async_trait::async_trait]
impl Deployments for Unused {
    async fn open(&self, _: &ConnectionKey) -> Result<Arc<dyn Deployment>, SystemError> {
        Err(SystemError::new("unused", SystemErrorKind::Refused, "unused"))
    }
}

#[async_trait::async_trait]
impl Issuers for Unused {
    async fn open(&self, _: &Identity, _: bool) -> Result<Arc<dyn Issuer>, SystemError> {
        unreachable!("nothing is rotated here")
    }
}

#[async_trait::async_trait]
impl Inventories for Unused {
    async fn everything(&self, _: &ConnectionKey) -> Result<Inventory, SystemError> {
        unreachable!("nothing is rotated here")
    }

    async fn access_keys(&self, _: &Aws, _: &[String]) -> Result<Inventory, SystemError> {
        unreachable!("nothing is rotated here")
    }
}

#[async_trait::async_trait]
impl Stores for Unused {
    async fn open(&self, _: &Place) -> Result<Arc<dyn Store>, SystemError> {
        unreachable!("nothing is rotated here")
    }

    async fn probe(&self, _: &str, _: &str) -> Result<(), SystemError> {
        unreachable!("nothing is rotated here")
    }
}

#[async_trait::async_trait]
impl Probes for Unused {
    async fn probe(&self, _: &ConnectionKey) -> Result<Probe, SystemError> {
        Err(SystemError::new("unused", SystemErrorKind::Refused, "unused"))
    }
}

#[async_trait::async_trait]
impl Record for Unused {
    async fn append(&self, _: Entry) -> Result<EntryId, KeepError> {
        Ok(EntryId("unused".into()))
    }
    async fn inventory_of(&self, _: &str, _: &str) -> Result<Option<Vec<InventoryRow>>, KeepError> {
        Ok(None)
    }
}

#[tokio::test]
async fn an_object_that_is_not_understood_is_told_so_and_harms_no_other() {
    let Some(world) = World::new().await else { return };
    let api = world.api::<AccessBinding>();
    world.bind("odd", json!({})).await;
    // A time that the API server takes for one, and no clock ever showed.
    let odd = json!({"status": {"inventory": [{
        "target": "gerrit://s/groups/u", "privilege": "member", "origin": "Created", "since": "2026-11-22T00:00:00+99:99",
    }]}});
    api.patch_status("odd", &PatchParams::default(), &Patch::Merge(&odd))
        .await
        .unwrap_err();
    let raw: kube::Api<kube::core::DynamicObject> = kube::Api::namespaced_with(
        world.client.clone(),
        &world.namespace,
        &kube::core::ApiResource::erase::<AccessBinding>(&()),
    );
    let stored = raw.get("odd").await.unwrap();
    assert_eq!(
        stored.data["status"]["inventory"][0]["since"],
        "2026-11-22T00:00:00+99:99"
    );

    let followed = world.follow().await;
    let Look::Undecodable(broken) = followed.store.bindings.look(&world.name("odd")) else {
        panic!("it must not decode");
    };
    assert!(broken.message.contains("offset"), "{}", broken.message);
    world.bind("fine", json!({})).await;
    followed.see(&world.name("fine")).await;

    let cluster = Arc::new(followed.cluster);
    let unused = Arc::new(Unused);
    let context = Arc::new(Context {
        cluster: cluster.clone(),
        objects: cluster.clone(),
        systems: unused.clone(),
        reviews: unused.clone(),
        deployments: unused.clone(),
        credentials: cluster.clone(),
        issuers: unused.clone(),
        stores: unused.clone(),
        inventories: unused.clone(),
        fingerprints: Arc::new(FingerprintKey::new(String::new().into())),
        home: world.namespace.clone(),
        probes: unused.clone(),
        journal: Arc::new(followed.journal),
        record: unused,
        clock: Arc::new(SystemClock),
        tally: Arc::new(Metrics::default()),
        actor: "test".into(),
    });
    let passes = register(
        KindName::AccessBinding,
        Never,
        &followed.store.bindings,
        &followed.store,
        &context,
    );
    let mut versions = Vec::new();
    for _ in 0..2 {
        let ended = passes.pass(&world.name("odd")).await;
        assert_eq!(ended, Ended::Said(Next::AwaitChange));
        versions.push(raw.get("odd").await.unwrap().resource_version());
    }
    assert_eq!(versions[0], versions[1], "said once");
    let stored = raw.get("odd").await.unwrap();
    let conditions = stored.data["status"]["conditions"].as_array().unwrap();
    assert_eq!(conditions.len(), 2);
    assert_eq!(
        (&conditions[0]["type"], &conditions[0]["reason"]),
        (&json!("Ready"), &json!("InvalidSpec"))
    );
    assert_eq!(
        stored.data["status"]["inventory"].as_array().unwrap().len(),
        1,
        "nothing it holds is lost"
    );
    world.clean().await;
}

#[tokio::test]
async fn a_note_is_written_once_as_an_event() {
    let Some(world) = World::new().await else { return };
    let followed = world.follow().await;
    let key = world.bind("fraud", json!({})).await;
    let note = |message: &str| Note {
        reason: Reason::Drifted,
        message: message.into(),
        warning: true,
    };
    for message in ["one", "one", "two"] {
        followed.cluster.note(&key, note(message)).await;
    }
    let events = world.api::<Event>();
    let notes = answered("the events are written", || async {
        let list = events.list(&ListParams::default()).await.unwrap();
        let notes: Vec<_> = list
            .iter()
            .map(|event| event.note.clone().unwrap_or_default())
            .collect();
        notes.contains(&"two".to_owned()).then_some(notes)
    })
    .await;
    assert_eq!(notes.iter().filter(|note| *note == "one").count(), 1);
    world.clean().await;
}
