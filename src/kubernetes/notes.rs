//! Notes on objects, as Kubernetes Events. Best effort: a full queue drops them, a repeated one is said once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use lockstep_core::api::{GROUP, VERSION};
use lockstep_core::domain::ports::{Note, ObjectKey};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, timeout};

/// What reports events, as Kubernetes shows it.
const REPORTER: &str = "lockstep.dev/controller";
/// How long a note is not repeated.
const QUIET: Duration = Duration::from_mins(10);
/// How many notes wait to be written.
const QUEUE: usize = 512;
/// The API server refuses longer ones.
const LONGEST: usize = 1000;

/// A queue of notes that are written one after another.
pub(super) struct Notes {
    queue: Sender<(ObjectKey, Note)>,
}

impl Notes {
    /// Must be called inside a runtime; ends when dropped.
    pub(super) fn start(client: Client, instance: String) -> Self {
        let (queue, mut waiting) = channel::<(ObjectKey, Note)>(QUEUE);
        tokio::spawn(async move {
            let mut said: HashMap<u64, Instant> = HashMap::new();
            while let Some((object, note)) = waiting.recv().await {
                let now = Instant::now();
                if said.len() >= 8 * QUEUE {
                    said.retain(|_, at| now.duration_since(*at) < QUIET);
                }
                let key = key(&object, &note);
                if said.get(&key).is_some_and(|at| now.duration_since(*at) < QUIET) {
                    continue;
                }
                said.insert(key, now);
                let events: Api<Event> = Api::namespaced(client.clone(), &object.namespace);
                let event = event(&object, &note, &instance);
                let params = PostParams::default();
                match timeout(Duration::from_secs(5), events.create(&params, &event)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::debug!(%object, %error, "event not written"),
                    Err(_) => tracing::debug!(%object, "event not written in time"),
                }
            }
        });
        Self { queue }
    }

    pub(super) fn say(&self, object: &ObjectKey, note: Note) {
        if self.queue.try_send((object.clone(), note)).is_err() {
            tracing::debug!(%object, "event dropped: too many are waiting");
        }
    }
}

fn key(object: &ObjectKey, note: &Note) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&object.uid, note.reason, &note.message, note.warning).hash(&mut hasher);
    hasher.finish()
}

fn event(object: &ObjectKey, note: &Note, instance: &str) -> Event {
    let now = Timestamp::now();
    Event {
        metadata: ObjectMeta {
            namespace: Some(object.namespace.clone()),
            name: Some(format!("{}.{:x}", object.name, now.as_nanosecond())),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".into()),
        event_time: Some(MicroTime(now)),
        note: Some(note.message.chars().take(LONGEST).collect()),
        reason: Some(note.reason.to_string()),
        regarding: Some(ObjectReference {
            api_version: Some(format!("{GROUP}/{VERSION}")),
            kind: Some(object.kind.clone()),
            namespace: Some(object.namespace.clone()),
            name: Some(object.name.clone()),
            uid: Some(object.uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(REPORTER.into()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(if note.warning { "Warning" } else { "Normal" }.into()),
        ..Event::default()
    }
}
