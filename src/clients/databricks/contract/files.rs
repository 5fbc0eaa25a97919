//! Code in the workspace, in a folder of the scratch directory.

use super::super::deploy::folder;
use super::Bench;
use crate::clients::contract::{Broken, Held, demand};

const PLAIN: &[u8] = b"a,b\n1,2\n";
const NOTEBOOK: &[u8] = b"# Databricks notebook source\nprint(1)";

fn folder_of(b: &Bench<'_>) -> Result<String, Broken> {
    b.directory.get("scratch directory")?;
    Ok(format!("/Shared/{}/code", b.prefix))
}

pub(super) async fn make(b: &Bench<'_>) -> Result<Held, Broken> {
    let code = folder_of(b)?;
    let deep = format!("{code}/a/b");
    for _ in 0..2 {
        folder::make(b.plane, &deep).await?;
    }
    let rows = folder::list(b.plane, &code).await?.unwrap_or_default();
    let shown: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row.path.as_str(), row.object_type.as_str()))
        .collect();
    let above = format!("{code}/a");
    demand(shown == [(above.as_str(), "DIRECTORY")], || format!("{shown:?}"))?;
    Ok(None)
}

pub(super) async fn put(b: &Bench<'_>) -> Result<Held, Broken> {
    let code = folder_of(b)?;
    // Put where another version lies already, as an upload that is begun again finds it.
    for (name, old, new, lies) in [
        ("data.csv", &b"old"[..], PLAIN, "data.csv"),
        (
            "train.py",
            b"# Databricks notebook source\nold",
            NOTEBOOK,
            "train",
        ),
    ] {
        let file = format!("{code}/{name}");
        for bytes in [old, new] {
            b.plane.write(folder::put(&file, bytes.to_vec())).await?;
        }
        let back = folder::export(b.plane, &format!("{code}/{lies}")).await?;
        demand(back.as_deref() == Some(new), || {
            let back = back.map(|bytes| bytes.escape_ascii().to_string());
            format!("{lies} reads {back:?}")
        })?;
    }
    let rows = folder::list(b.plane, &code).await?.unwrap_or_default();
    let kind = |name: &str| {
        let path = format!("{code}/{name}");
        rows.iter()
            .find(|row| row.path == path)
            .map(|row| row.object_type.as_str())
    };
    let kinds = (kind("data.csv"), kind("train"), kind("train.py"));
    demand(kinds == (Some("FILE"), Some("NOTEBOOK"), None), || {
        format!("{rows:?}")
    })?;
    Ok(None)
}

pub(super) async fn delete(b: &Bench<'_>) -> Result<Held, Broken> {
    let code = folder_of(b)?;
    for _ in 0..2 {
        folder::delete(b.plane, &code).await?;
    }
    let listed = folder::list(b.plane, &code).await?;
    let read = folder::export(b.plane, &format!("{code}/data.csv")).await?;
    demand(listed.is_none() && read.is_none(), || {
        format!(
            "listed {listed:?}, a file {}",
            if read.is_some() { "there" } else { "gone" }
        )
    })?;
    Ok(None)
}
