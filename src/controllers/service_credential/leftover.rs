//! Places that the spec no longer names: what is ours there is taken out once consumers have a current value where the spec
//! says.

use lockstep_core::api::ServiceCredential;
use lockstep_core::domain::rotation::machine::state::{Rotation, StoreName};
use lockstep_core::domain::rotation::ports::stores::{Owner, Place};

use super::super::Context;
use super::doing::{self, Doing};
use super::gather::{Gathered, problem};
use super::key;

/// Takes ours out; the names of the places that hold nothing of it any more.
pub async fn take_out(
    credential: &ServiceCredential,
    gathered: &Gathered,
    rotation: &Rotation,
    context: &Context,
    doing: &mut Doing<'_>,
) -> Option<Vec<StoreName>> {
    let rows = credential.status.as_ref()?.stores.as_ref()?;
    let going = credential.metadata.deletion_timestamp.is_some();
    let left: Vec<StoreName> = rows
        .iter()
        .map(|row| StoreName(row.name.clone()))
        .filter(|name| !gathered.stores.contains_key(name))
        .collect();
    if left.is_empty() || (rotation.current().is_none() && !going) {
        return None;
    }
    let object = key(credential);
    let owner = Owner {
        name: format!("{}/{}", object.namespace, object.name),
        uid: object.uid,
    };
    let mut gone = Vec::new();
    for name in left {
        let Some(place) = Place::parse(&name, &object.namespace) else {
            continue;
        };
        let taken = match context.stores.open(&place).await {
            Ok(store) => doing::take_out(&*store, &owner).await,
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) => gone.push(name),
            Err(error) => {
                doing.problems.push(problem(&error));
                doing.errors.push(error);
            }
        }
    }
    Some(gone)
}
