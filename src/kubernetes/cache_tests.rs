use std::sync::Mutex;

use super::*;
use lockstep_core::api::AccessBinding;
use serde_json::json;

fn arrived(uid: &str, version: u64, note: &str) -> Arrived<AccessBinding> {
    serde_json::from_value(json!({
        "apiVersion": "lockstep.dev/v1alpha1",
        "kind": "AccessBinding",
        "metadata": {"name": "fraud", "namespace": "ml", "uid": uid, "resourceVersion": version.to_string()},
        "spec": {},
        "status": {"lastHandledRequest": note},
    }))
    .unwrap()
}

fn name() -> Name {
    Name::new("ml", "fraud")
}

fn note(cache: &Cache<AccessBinding>) -> Option<String> {
    cache.get(&name())?.status.clone()?.last_handled_request
}

fn cache() -> (Arc<Cache<AccessBinding>>, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let ear = told.clone();
    let cache = Cache::new(
        move |_: &Name, old: Option<&Held<AccessBinding>>, new: Option<&Held<AccessBinding>>| {
            ear.lock()
                .unwrap()
                .push(format!("{}{}", u8::from(old.is_some()), u8::from(new.is_some())));
        },
    );
    (cache, told)
}

fn listed(cache: &Cache<AccessBinding>, objects: Vec<Arrived<AccessBinding>>) {
    cache.observe(Event::Init);
    for object in objects {
        cache.observe(Event::InitApply(object));
    }
    cache.observe(Event::InitDone);
}

#[test]
fn what_was_just_written_is_seen_before_the_watch_shows_it() {
    let (cache, told) = cache();
    listed(&cache, vec![arrived("u", 1, "a")]);
    cache.learn(arrived("u", 3, "c"));
    cache.observe(Event::Apply(arrived("u", 2, "b")));
    assert_eq!(note(&cache).as_deref(), Some("c"));
    cache.observe(Event::Apply(arrived("u", 3, "c")));
    assert_eq!(*told.lock().unwrap(), ["01", "11"], "nobody is told twice");
}

#[test]
fn a_late_answer_does_not_raise_the_dead() {
    let (cache, _) = cache();
    listed(&cache, vec![arrived("u", 1, "a")]);
    cache.observe(Event::Delete(arrived("u", 2, "a")));
    cache.learn(arrived("u", 2, "b"));
    assert!(cache.get(&name()).is_none());
    cache.observe(Event::Apply(arrived("v", 3, "new")));
    cache.learn(arrived("u", 2, "b"));
    assert_eq!(note(&cache).as_deref(), Some("new"));
}

#[test]
fn what_was_just_made_is_seen_unless_the_watch_has_gone_past_it() {
    let (cache, told) = cache();
    listed(&cache, vec![]);
    cache.learn_made(arrived("u", 3, "made"));
    cache.observe(Event::Apply(arrived("u", 3, "made")));
    assert_eq!(note(&cache).as_deref(), Some("made"));
    assert_eq!(*told.lock().unwrap(), ["01"], "nobody is told twice");
    cache.observe(Event::Delete(arrived("u", 5, "made")));
    cache.learn_made(arrived("u", 3, "made"));
    assert!(cache.get(&name()).is_none(), "made, seen and deleted by now");
    cache.learn_made(arrived("v", 6, "again"));
    assert_eq!(note(&cache).as_deref(), Some("again"));
    cache.learn_made(arrived("u", 7, "other"));
    assert_eq!(
        note(&cache).as_deref(),
        Some("again"),
        "the watch shows who took a name"
    );
    listed(&cache, vec![]);
    assert!(cache.is_empty());
}

#[test]
fn a_listing_forgets_what_is_gone_and_keeps_what_was_written_since_it_began() {
    let (cache, told) = cache();
    listed(&cache, vec![arrived("u", 5, "a")]);
    cache.observe(Event::Init);
    cache.learn(arrived("u", 7, "written"));
    cache.observe(Event::InitApply(arrived("u", 5, "a")));
    cache.observe(Event::InitDone);
    assert_eq!(note(&cache).as_deref(), Some("written"));
    listed(&cache, vec![]);
    assert!(cache.is_empty());
    assert_eq!(*told.lock().unwrap(), ["01", "11", "10"]);
}

#[test]
fn a_restored_cluster_counts_from_an_older_version_and_is_believed() {
    let (cache, _) = cache();
    listed(&cache, vec![arrived("u", 50, "after")]);
    listed(&cache, vec![arrived("u", 20, "before")]);
    assert_eq!(note(&cache).as_deref(), Some("before"));
}

#[test]
fn an_object_that_stops_decoding_is_not_worked_on_but_its_claims_stay() {
    let (cache, _) = cache();
    listed(&cache, vec![arrived("u", 1, "a")]);
    let broken = serde_json::from_value(json!({
        "metadata": {"name": "fraud", "namespace": "ml", "uid": "u", "resourceVersion": "2"},
        "spec": {"mode": "Sometimes"},
    }))
    .unwrap();
    cache.observe(Event::Apply(broken));
    assert!(matches!(cache.look(&name()), Look::Undecodable(_)));
    assert!(cache.last_known(&name()).is_some());
    cache.observe(Event::Apply(arrived("u", 3, "c")));
    assert_eq!(note(&cache).as_deref(), Some("c"));
}
