//! What is written into stores, and how what lies there is compared with it.

use std::collections::BTreeMap;

use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::rotation::ports::stores::{Contents, Entry, Owned, Owner, Store};
use lockstep_core::domain::rotation::value::{Fields, Value};

/// Stands in every value; an error that holds it has leaked one.
pub const PLANTED: &str = "planted-s3cr3t";

pub fn owner() -> Owner {
    Owner {
        uid: "0f8f2d2c-0a6c-4d7e-9f40-7d0c2f3f8a11".into(),
        name: "ml-fraud/dbx".into(),
    }
}

/// Client id and secret of a generation, with what JSON has to escape.
pub fn generation(number: u32) -> Fields {
    [
        ("client_id".to_owned(), Value::new(format!("client-{number}"))),
        (
            "client_secret".to_owned(),
            Value::new(format!("{PLANTED}-\"\\ü\n{number}")),
        ),
    ]
    .into()
}

pub fn plain(fields: &Fields) -> BTreeMap<&str, &str> {
    fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.expose()))
        .collect()
}

/// Writes a generation in place of a version, as the controller does while the last one still lives.
pub async fn put(store: &dyn Store, number: u32, version: &str) -> Result<(), SystemError> {
    let (fields, previous) = (generation(number), generation(number.saturating_sub(1)));
    let owner = owner();
    let entry = Entry {
        owner: &owner,
        fields: &fields,
        previous: &previous,
    };
    store.write(&entry, version).await
}

/// What lies there is ours, and this generation, whole. Its version.
pub async fn holds(store: &dyn Store, number: u32) -> String {
    let contents = store.read().await.unwrap();
    assert_eq!(contents.owned, Owned::By(owner()));
    assert_eq!(plain(&contents.fields), plain(&generation(number)));
    contents.version
}

pub fn absent(contents: &Contents) -> bool {
    contents.owned == Owned::Absent && contents.version.is_empty() && contents.fields.is_empty()
}

/// The error of what must fail, which tells no value.
pub fn silent<T>(result: Result<T, SystemError>) -> SystemError {
    let error = result.err().expect("it must fail");
    let shown = format!("{error} {error:?}");
    for secret in [PLANTED, "s3cr3t", "client_secret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error
}
