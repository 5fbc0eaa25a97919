//! What names of objects mean, and which levels their types have.

use lockstep_core::domain::access::catalog::{OBJECT_TYPES, object_type};
use lockstep_core::domain::ports::SystemErrorKind;
use tokio::time::Instant;

use super::super::{lookup, segment};
use super::{Bench, LOOK, PROPAGATION};
use crate::clients::contract::{Broken, Held, demand};

pub(super) async fn found(b: &Bench<'_>) -> Result<Held, Broken> {
    let made = [
        ("jobs", b.prefix.clone(), b.job.get("scratch job")?),
        (
            "directories",
            format!("/Shared/{}", b.prefix),
            b.directory.get("scratch directory")?,
        ),
    ];
    let end = Instant::now() + PROPAGATION;
    for (kind, name, id) in made {
        loop {
            let names = lookup::read(b.plane, kind, &name).await?;
            let ids = names.get(&name).cloned().unwrap_or_default();
            if ids == [id.clone()] {
                break;
            }
            demand(ids.is_empty() && Instant::now() < end, || {
                format!("{kind} {ids:?}")
            })?;
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(None)
}

/// The name of nothing. Types that live in the workspace tree have paths.
fn nothing(b: &Bench<'_>, kind: &str) -> String {
    match object_type(kind).map(|row| row.reach) {
        Some("paths" | "experiments") => format!("/Shared/{}-nothing", b.prefix),
        _ => format!("{}-nothing", b.prefix),
    }
}

pub(super) async fn absent(b: &Bench<'_>) -> Result<Held, Broken> {
    let mut closed = Vec::new();
    for row in OBJECT_TYPES {
        // Their names are their ids, which no call answers for.
        if ["authorization", "database-projects"].contains(&row.path) {
            continue;
        }
        let name = nothing(b, row.path);
        match lookup::read(b.plane, row.path, &name).await {
            Ok(names) => {
                demand(!names.contains_key(&name), || format!("{}: {names:?}", row.path))?;
                if let Some(id) = names.into_values().flatten().next() {
                    b.seen.remember((row.path, id));
                }
            }
            Err(error) if matches!(error.kind, SystemErrorKind::Forbidden | SystemErrorKind::NotFound) => {
                closed.push(row.path);
            }
            Err(error) => return Err(Broken::Seen(format!("{}: {error}", row.path))),
        }
    }
    Ok((!closed.is_empty()).then(|| format!("not to be had here: {}", closed.join(", "))))
}

pub(super) async fn levels(b: &Bench<'_>) -> Result<Held, Broken> {
    let mut objects = b.seen.take();
    objects.extend(["tokens", "passwords"].map(|word| ("authorization", word.to_owned())));
    for (kind, fact) in [("jobs", &b.job), ("directories", &b.directory)] {
        objects.extend(fact.get("object").ok().map(|id| (kind, id)));
    }
    let (mut tried, mut more) = (0, Vec::new());
    for (kind, id) in objects {
        let path = format!("/api/2.0/permissions/{kind}/{}/permissionLevels", segment(&id));
        let said = b.get(&path, &[]).await?;
        // Not ours to see, or a list that is born with the first token.
        if matches!(said.status, 403 | 404) {
            continue;
        }
        demand(said.is_success(), || format!("{kind}: {}", said.show()))?;
        let rows = said.json["permission_levels"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let has: Vec<&str> = rows
            .iter()
            .filter_map(|row| row["permission_level"].as_str())
            .collect();
        let table = object_type(kind).map_or(&[][..], |row| row.levels);
        let missing: Vec<&&str> = table.iter().filter(|level| !has.contains(level)).collect();
        demand(missing.is_empty(), || {
            format!("{kind} has no {missing:?} but {has:?}")
        })?;
        let unknown: Vec<&&str> = has.iter().filter(|level| !table.contains(level)).collect();
        if !unknown.is_empty() {
            more.push(format!("{kind} also has {unknown:?}, which no binding can give"));
        }
        tried += 1;
    }
    if tried == 0 {
        return Err(Broken::Skipped("no object is in sight".into()));
    }
    Ok((!more.is_empty()).then(|| more.join("; ")))
}
