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
type Known = Option<Arc<Defined>>;

/// Labels of one project.
pub(super) struct Defined {
    values: Arc<Labels>,
    pub definitions: BTreeMap<String, LabelInfo>,
}

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

    /// What was read of a project before this time counts no longer.
    pub fn distrust(&self, project: &str, before: Timestamp) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.get(project) {
            shared.distrust(before);
        }
    }
}

impl GerritSystem {
    /// A project's labels, from memory if they are young enough. One read serves all who declare rights there.
    pub(super) async fn labels_of(
        &self,
        project: &str,
        fresh: Timestamp,
    ) -> Result<Option<Arc<Labels>>, SystemError> {
        let known = self.definitions_of(project, fresh).await?;
        Ok(known.map(|defined| Arc::clone(&defined.values)))
    }

    /// The same with what else is said of them.
    pub(super) async fn definitions_of(&self, project: &str, fresh: Timestamp) -> Result<Known, SystemError> {
        let shared = self.labels.of(project, &self.clock);
        let reading = shared.at_least(fresh, |_| self.read_labels(project)).await?;
        Ok(reading.value.clone())
    }

    async fn read_labels(&self, project: &str) -> Result<Known, SystemError> {
        let defined = self.read_label_definitions(project).await?;
        let defined = defined.map(|definitions| Defined {
            values: Arc::new(values(&definitions)),
            definitions,
        });
        Ok(defined.map(Arc::new))
    }

    /// A project's labels as they are defined now; `None`: it does not tell.
    pub(super) async fn read_label_definitions(
        &self,
        project: &str,
    ) -> Result<Option<BTreeMap<String, LabelInfo>>, SystemError> {
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
        Ok(Some(in_force(found)))
    }
}

/// Labels as they count: parents come first, and a child redefines what they leave open.
fn in_force(found: Vec<LabelInfo>) -> BTreeMap<String, LabelInfo> {
    let mut labels = BTreeMap::new();
    let mut closed = BTreeSet::new();
    for label in found {
        if closed.contains(&label.name) {
            continue;
        }
        if !label.can_override {
            closed.insert(label.name.clone());
        }
        labels.insert(label.name.clone(), label);
    }
    labels
}

fn values(defined: &BTreeMap<String, LabelInfo>) -> Labels {
    let values = |(name, label): (&String, &LabelInfo)| (name.clone(), label.values().collect());
    defined.iter().map(values).collect()
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
        assert_eq!(values(&in_force(found)), expected);
    }
}
