//! Labels of the projects on whose labels somebody declares a right, each project's own and those it inherits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use lockstep_core::domain::access::labels::Labels;
use lockstep_core::domain::ports::{Clock, SystemError};
use reqwest::StatusCode;

use super::GerritSystem;
use super::names::segment;
use super::rest::parse;
use super::shared::Shared;
use super::wire::LabelInfo;

/// What one project's labels are; `None`: it does not tell.
type Known = Option<Arc<Labels>>;

/// Readings by project.
#[derive(Default)]
pub(super) struct ByProject(Mutex<BTreeMap<String, Arc<Shared<Known>>>>);

impl ByProject {
    fn of(&self, project: &str, clock: &Arc<dyn Clock>) -> Arc<Shared<Known>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = all
            .entry(project.to_owned())
            .or_insert_with(|| Arc::new(Shared::new(Arc::clone(clock))));
        Arc::clone(shared)
    }
}

impl GerritSystem {
    /// A project's labels, from memory if they are young enough. One read serves all who declare rights there.
    pub(super) async fn labels_of(&self, project: &str, fresh: Timestamp) -> Result<Known, SystemError> {
        let shared = self.labels.of(project, &self.clock);
        let reading = shared.at_least(fresh, |_| self.read_labels(project)).await?;
        Ok(reading.value.clone())
    }

    async fn read_labels(&self, project: &str) -> Result<Known, SystemError> {
        let path = format!("a/projects/{}/labels/", segment(project));
        let inherited = [("inherited", "true".to_owned())];
        let answer = self
            .rest
            .ask("/a/projects/{project}/labels/", path, &inherited)
            .await?;
        // No such project, which its rights say better; or the configuration of it or of a parent is hidden from us.
        if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) {
            return Ok(None);
        }
        let found: Vec<LabelInfo> = parse(&answer.success()?)?;
        Ok(Some(Arc::new(in_force(found))))
    }
}

/// Labels as they count: parents come first, and a child redefines what they leave open.
fn in_force(found: Vec<LabelInfo>) -> Labels {
    let mut labels = Labels::new();
    let mut closed = BTreeSet::new();
    for LabelInfo {
        name,
        values,
        can_override,
    } in found
    {
        if closed.contains(&name) {
            continue;
        }
        if !can_override {
            closed.insert(name.clone());
        }
        // ` 0`, `+1`, `-1`.
        let values = values.keys().filter_map(|value| value.trim().parse().ok());
        labels.insert(name, values.collect());
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_redefines_a_label_only_where_its_parent_lets_it() {
        let found: Vec<LabelInfo> = serde_json::from_str(
            r#"[{"name":"Code-Review","values":{"-1":"a"," 0":"b","+1":"c"},"can_override":true},
                {"name":"Verified","values":{"0":"a","+1":"b"}},
                {"name":"Code-Review","values":{"-2":"a"," 0":"b","+2":"c"},"can_override":true},
                {"name":"Verified","values":{"0":"a","+5":"b"},"can_override":true}]"#,
        )
        .unwrap();
        let expected = Labels::from([
            ("Code-Review".to_owned(), [-2, 0, 2].into()),
            ("Verified".to_owned(), [0, 1].into()),
        ]);
        assert_eq!(in_force(found), expected);
    }
}
