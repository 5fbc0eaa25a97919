//! What the user guide says is so: its YAML is accepted, its links lead somewhere, its commands and make targets exist,
//! and every reason, field, level, metric and value that people meet is explained.
//!
//! Each check answers with complaints, so that the last test of its file can hold it to texts that are wrong on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/links.rs"]
mod links;
#[path = "crds/offline.rs"]
mod offline;
#[path = "docs/pages.rs"]
mod pages;
#[path = "docs/words.rs"]
mod words;
#[path = "docs/yaml.rs"]
mod yaml;
