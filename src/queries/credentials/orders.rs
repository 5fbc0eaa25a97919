//! What rotating a credential or revoking one of its values would do, in sentences for whoever is about to; and why it
//! makes no sense, where it makes none.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use lockstep_core::api::reference::Mode;
use lockstep_core::api::service_credential::GenerationRow;
use lockstep_core::api::{COMPROMISED, ServiceCredential};
use lockstep_core::domain::defaults;
use lockstep_core::domain::rotation::rows;

/// Why an order would do nothing now, if it would not.
fn idle(credential: &ServiceCredential) -> Option<String> {
    let name = credential.name_any();
    if defaults::credential_mode(&credential.spec) == Mode::Observe {
        return Some(format!(
            "ServiceCredential {name} observes and mints nothing: set spec.mode to Enforce"
        ));
    }
    credential
        .metadata
        .deletion_timestamp
        .is_some()
        .then(|| format!("ServiceCredential {name} is being deleted: its values are revoked anyway"))
}

fn live(credential: &ServiceCredential) -> Result<Vec<GenerationRow>, String> {
    let status = credential.status.clone().unwrap_or_default();
    let rotation = rows::rotation(&status).map_err(|why| why.to_string())?;
    let live: BTreeSet<u64> = rotation
        .generations
        .iter()
        .filter(|one| one.may_live())
        .map(|one| one.number)
        .collect();
    let rows = status.generations.into_iter().flatten();
    Ok(rows.filter(|row| live.contains(&row.number)).collect())
}

/// What becomes of a credential that is rotated now.
pub fn rotating(credential: &ServiceCredential) -> Result<Vec<String>, String> {
    if let Some(why) = idle(credential) {
        return Err(why);
    }
    if defaults::credential_suspended(&credential.spec) {
        return Err(format!(
            "ServiceCredential {} is suspended: set spec.suspend to false",
            credential.name_any()
        ));
    }
    let status = credential.status.clone().unwrap_or_default();
    let overlap = credential.spec.overlap.clone();
    let overlap = overlap.map_or_else(|| format!("{} s", defaults::OVERLAP), |overlap| overlap.0.clone());
    let mut told = vec![format!(
        "a new value is minted and written into {} stores; nothing that works stops working",
        credential.spec.stores.len()
    )];
    match status.current {
        Some(current) => told.push(format!(
            "generation {current} lives on for {overlap} after the new one is everywhere, and is revoked then"
        )),
        None => told.push("no generation is current: this is the first".to_owned()),
    }
    let restarts = credential.spec.restart.iter().flatten();
    told.extend(restarts.map(|what| format!("{} {} is started anew", what.kind.as_str(), what.name)));
    Ok(told)
}

/// What becomes of a credential one of whose values is revoked first, and the annotation that asks for it.
pub fn revoking(
    credential: &ServiceCredential,
    generation: Option<u64>,
) -> Result<(String, Vec<String>), String> {
    if let Some(why) = idle(credential) {
        return Err(why);
    }
    let name = credential.name_any();
    let current = credential.status.as_ref().and_then(|status| status.current);
    let number = generation.or(current).ok_or_else(|| {
        format!("ServiceCredential {name} has no current generation: name the one to revoke")
    })?;
    let live = live(credential)?;
    let Some(row) = live.iter().find(|row| row.number == number) else {
        let numbers: Vec<String> = live.iter().map(|row| row.number.to_string()).collect();
        return Err(format!(
            "generation {number} of ServiceCredential {name} does not live: {}",
            if numbers.is_empty() {
                "none does".to_owned()
            } else {
                format!("those that may are {}", numbers.join(", "))
            }
        ));
    };
    let mut told = vec![format!(
        "generation {number}{} is revoked at the issuer at once, and never handed out again",
        row.id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default()
    )];
    if current == Some(number) {
        told.push(
            "it is the current one: until the next one is in every store NOTHING that uses this credential gets in"
                .to_owned(),
        );
    }
    let known = credential.annotations().get(COMPROMISED);
    let mut numbers: BTreeSet<u64> = known
        .iter()
        .flat_map(|text| text.split(','))
        .filter_map(|word| word.trim().parse().ok())
        .collect();
    // What does not live any more need not be named for ever.
    numbers.retain(|known| live.iter().any(|row| row.number == *known));
    numbers.insert(number);
    let text: Vec<String> = numbers.iter().map(u64::to_string).collect();
    Ok((text.join(","), told))
}

#[cfg(test)]
#[path = "orders_tests.rs"]
mod tests;
