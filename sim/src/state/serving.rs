//! Changes of serving endpoints that are under way, by workspace and id of the endpoint.

use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub struct Update {
    /// `None` while a script holds it.
    pub due: Option<i64>,
    /// Why it will fail, if it will.
    pub fails: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Updates(pub BTreeMap<(u64, String), Update>);

impl Updates {
    pub fn next(&self) -> Option<i64> {
        self.0.values().filter_map(|update| update.due).min()
    }

    pub fn due(&self, at: i64) -> Vec<(u64, String)> {
        self.0
            .iter()
            .filter(|(_, update)| update.due.is_some_and(|due| due <= at))
            .map(|(key, _)| key.clone())
            .collect()
    }
}
