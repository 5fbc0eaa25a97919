//! Gerrit as the place where changes are reviewed: what was merged, what is known of it, and what is said back. Nothing
//! is judged here; what cannot be read is left unknown.
//!
//! `merges`, `tips` and `commits` see what happened to branches (`walk` says which commits matter, `query` how to ask),
//! `evidence` reads one change with `votes`, `groups` and `people`, `say`, `labels` and `requirements` write. `ground` has the rights
//! that branches stand on, `git` has trees.

mod commits;
mod evidence;
mod git;
mod ground;
mod groups;
mod labels;
mod merges;
mod people;
mod query;
mod remote;
mod requirements;
mod say;
mod tips;
mod votes;
mod walk;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::promotion::gate::GerritVersion;
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId, Evidence, LabelDefinition};
use lockstep_core::domain::promotion::ports::configuration::{Configuring, DefinedLabel, LabelChanges};
use lockstep_core::domain::promotion::ports::reviews::{
    ChangeName, ChangeRef, Ground, Inquiry, Lineage, Listed, Merges, Remote, Repository, RequirementChanges,
    Requirements, Review, ReviewSystem, Saying, Watched, Written,
};

use super::GerritSystem;
use super::facts::version;

pub use git::{GitCache, Mirror};
pub(super) use groups::Logs;

/// One connection's Gerrit, as promotions see it.
pub struct GerritReview {
    system: Arc<GerritSystem>,
    cache: Arc<GitCache>,
    connection: String,
}

impl GerritSystem {
    /// The same connection for promotions: client, permit and budgets are shared. `connection` is a name that no other
    /// connection ever has.
    pub fn review(self: &Arc<Self>, cache: Arc<GitCache>, connection: impl Into<String>) -> GerritReview {
        GerritReview {
            system: Arc::clone(self),
            cache,
            connection: connection.into(),
        }
    }
}

impl Review for GerritReview {
    fn system(&self) -> &dyn ReviewSystem {
        &*self.system
    }

    fn repository(&self, on: &Watched) -> Arc<dyn Repository> {
        Arc::new(self.system.mirror(on, &self.cache, &self.connection))
    }
}

#[async_trait]
impl ReviewSystem for GerritSystem {
    async fn version(&self) -> Result<Option<GerritVersion>, SystemError> {
        let facts = self.facts().await?;
        Ok(version(&facts.version).map(|(major, minor, patch)| GerritVersion(major, minor, patch)))
    }

    async fn merges(&self, watched: &BTreeSet<Watched>, since: Timestamp) -> Result<Merges, SystemError> {
        self.read_merges(watched, since).await
    }

    async fn tips(&self, watched: &BTreeSet<Watched>) -> Result<BTreeMap<Watched, CommitId>, SystemError> {
        self.read_tips(watched).await
    }

    async fn commits(
        &self,
        project: &str,
        tip: &CommitId,
        known: &BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, Lineage>, SystemError> {
        self.read_commits(project, tip, known).await
    }

    async fn changes_of(
        &self,
        on: &Watched,
        commits: &BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, ChangeNumber>, SystemError> {
        self.read_changes_of(on, commits).await
    }

    async fn find(&self, name: &ChangeName) -> Result<Vec<Listed>, SystemError> {
        self.find_changes(name).await
    }

    async fn evidence(&self, change: &ChangeRef, inquiry: &Inquiry) -> Result<Evidence, SystemError> {
        self.read_evidence(change, inquiry).await
    }

    async fn say(&self, change: &ChangeRef, saying: &Saying) -> Result<Written, SystemError> {
        self.write_message(change, saying).await
    }

    async fn mark_deployed(&self, change: &ChangeRef, environment: &str) -> Result<Written, SystemError> {
        self.write_hashtag(change, environment).await
    }

    async fn labels(&self, project: &str) -> Result<BTreeMap<String, LabelDefinition>, SystemError> {
        self.read_definitions(project).await
    }

    async fn defined_labels(&self, project: &str) -> Result<BTreeMap<String, DefinedLabel>, SystemError> {
        self.read_defined_labels(project).await
    }

    async fn write_labels(&self, project: &str, changes: &LabelChanges) -> Result<Written, SystemError> {
        self.change_labels(project, changes).await
    }

    async fn configuring(&self, project: &str) -> Result<Configuring, SystemError> {
        self.read_configuring(project).await
    }

    async fn requirements(&self, project: &str) -> Result<Requirements, SystemError> {
        self.read_requirements(project).await
    }

    async fn remote(&self, project: &str, name: &str) -> Result<Option<Remote>, SystemError> {
        self.read_remote(project, name).await
    }

    async fn write_remote(
        &self,
        project: &str,
        name: &str,
        wanted: Option<&Remote>,
    ) -> Result<Written, SystemError> {
        self.change_remote(project, name, wanted).await
    }

    async fn ground(&self, project: &str, fresh: Timestamp) -> Result<Ground, SystemError> {
        self.read_ground(project, fresh).await
    }

    async fn write_requirements(
        &self,
        project: &str,
        changes: &RequirementChanges,
    ) -> Result<Written, SystemError> {
        self.change_requirements(project, changes).await
    }
}
