//! What registered models hold beside being securables: versions, aliases, files; and the tags of all securables.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;

/// A tag's value with who set it, and when.
#[derive(Debug, Clone)]
pub struct Tag {
    pub value: String,
    pub updated_by: String,
    pub updated_at: i64,
}

pub type Tags = BTreeMap<String, Tag>;

#[derive(Debug, Clone)]
pub struct Version {
    pub number: u64,
    pub id: String,
    /// PENDING_REGISTRATION until its files are there and it was finalized.
    pub status: &'static str,
    pub source: String,
    pub run_id: Option<String>,
    pub run_workspace: Option<u64>,
    pub model_id: Option<String>,
    pub comment: String,
    pub created_at: i64,
    /// Set from the credential of the caller and from nothing else.
    pub created_by: String,
    pub updated_at: i64,
    pub updated_by: String,
    pub tags: Tags,
    pub files: BTreeMap<String, Bytes>,
}

#[derive(Debug, Clone, Default)]
pub struct Model {
    /// The highest number ever given: a deleted version's number is not given again.
    pub last: u64,
    pub versions: BTreeMap<u64, Version>,
    pub aliases: BTreeMap<String, u64>,
}

/// By full name in lower case.
#[derive(Debug, Clone, Default)]
pub struct Models(BTreeMap<String, Arc<Model>>);

impl Models {
    pub fn get(&self, full_name: &str) -> Option<&Model> {
        self.0.get(&full_name.to_lowercase()).map(Arc::as_ref)
    }

    pub fn edit(&mut self, full_name: &str) -> &mut Model {
        Arc::make_mut(self.0.entry(full_name.to_lowercase()).or_default())
    }

    pub fn remove(&mut self, full_name: &str) {
        self.0.remove(&full_name.to_lowercase());
    }

    pub fn all(&self) -> impl Iterator<Item = (&str, &Model)> {
        self.0.iter().map(|(name, model)| (name.as_str(), model.as_ref()))
    }
}
