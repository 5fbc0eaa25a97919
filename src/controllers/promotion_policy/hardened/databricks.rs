//! What an environment's holes in Databricks are read from: one look at each thing that its steps move, and at whom they run
//! as. What cannot be read is said.

use std::collections::BTreeMap;

use futures::future::join_all;
use jiff::Timestamp;
use lockstep_core::domain::access::grant::Principal;
use lockstep_core::domain::ports::{ConnectionKey, SystemError};
use lockstep_core::domain::promotion::policy::Recipe;
use lockstep_core::domain::promotion::proof::completeness::Unseen;
use lockstep_core::domain::promotion::proof::hardening::Hardening;
use lockstep_core::domain::promotion::proof::hardening::databricks::{Ground, Sight, Thing, open, things};

use super::super::super::Context;

/// What is open, and what could not be read. No reading is older than `fresh`.
pub async fn look(recipe: &Recipe, fresh: Timestamp, context: &Context) -> (Hardening, Vec<SystemError>) {
    let place = place(&recipe.databricks);
    let mut errors = Vec::new();
    match read(recipe, fresh, context, &mut errors).await {
        Ok((ourselves, seen)) => {
            let hardening = open(&Ground {
                place: &place,
                ourselves: &ourselves,
                run_as: &recipe.run_as,
                seen: &seen,
            });
            (hardening, errors)
        }
        Err(error) => {
            let unseen = Unseen::new(format!("rights in {place}"), error.to_string());
            let hardening = Hardening {
                unseen: vec![unseen],
                ..Hardening::default()
            };
            (hardening, vec![error])
        }
    }
}

fn place(connection: &ConnectionKey) -> String {
    format!("{}/{}", connection.namespace, connection.name)
}

type Seen = (Principal, BTreeMap<Thing, Sight>);

async fn read(
    recipe: &Recipe,
    fresh: Timestamp,
    context: &Context,
    errors: &mut Vec<SystemError>,
) -> Result<Seen, SystemError> {
    let deployment = context.deployments.open(&recipe.databricks).await?;
    let holders = deployment.holders();
    let ourselves = holders.ourselves().await?;
    // At once, as far as the connection lets them: the policy waits for it.
    let looks = things(recipe).into_iter().map(|thing| async move {
        let held = holders.of(&thing, fresh).await;
        (thing, held)
    });
    let mut seen = BTreeMap::new();
    for (thing, held) in join_all(looks).await {
        let sight = held.map_err(|error| {
            let why = error.to_string();
            errors.push(error);
            why
        });
        seen.insert(thing, sight);
    }
    Ok((ourselves, seen))
}
