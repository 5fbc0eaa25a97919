//! What promotion asks of the system where changes are reviewed. Reading never writes, what cannot be read is left
//! unknown so that the gate fails closed, and a write that was done before is not done again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::configuration::{Configuring, DefinedLabel, LabelChanges};
use crate::domain::ports::{ConnectionKey, SystemError};
use crate::domain::promotion::gate::GerritVersion;
use crate::domain::promotion::gate::evidence::{
    ChangeNumber, ChangeStatus, CommitId, Evidence, LabelDefinition, PatchId, TreeId,
};
use crate::domain::promotion::gate::people::GroupUuid;
use crate::domain::promotion::gate::range::Commit;
use crate::domain::promotion::proof::hardening::rights::ProjectRights;

/// A branch whose merges are promoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watched {
    pub project: String,
    /// Short name, as `prod`.
    pub branch: String,
}

/// A change that was merged into a watched branch, as a listing shows it: enough to look closer, nothing to judge by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    pub number: ChangeNumber,
    pub on: Watched,
    /// Commit of the last patch set.
    pub revision: CommitId,
    pub submitted: Timestamp,
    /// The same for all that were submitted at once, by a chain or a topic; opaque.
    pub submission: Option<String>,
}

/// What a look at merges found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merges {
    /// Oldest first; what was found before is found again for as long as looks overlap.
    pub found: Vec<Merged>,
    /// The newest time of submit that was seen: where the next look begins. Taken from the data and never from a
    /// clock, since an index lags behind either. `None`: nothing was found.
    pub watermark: Option<Timestamp>,
}

/// A commit without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// All of them, the first one first.
    pub parents: Vec<CommitId>,
}

/// What else must be known of a change than what its own pages say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Groups whose members count: approvers, checks, agents and their sponsors.
    pub groups: BTreeSet<GroupUuid>,
    /// The group of machines, pinned by uuid. `None`: only what the server itself marks as such counts as a machine.
    pub service_users: Option<GroupUuid>,
    /// Since when it matters by whose hand somebody came into a group: when the baseline was recorded.
    pub since: Timestamp,
    /// Groups, accounts and labels are not to be older than this.
    pub fresh: Timestamp,
    /// Whether the branch and the paths are left unknown, because the caller reads them by git.
    pub by_git: bool,
}

/// A change by project and number: found without an index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeRef {
    pub project: String,
    pub number: ChangeNumber,
}

/// What people call a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeName {
    Number(ChangeNumber),
    /// `I` and hex digits: the same on every branch it was picked to.
    Id(String),
}

/// A change as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub number: ChangeNumber,
    pub on: Watched,
    /// Commit of the last patch set.
    pub revision: CommitId,
    /// `None`: a word that this version does not know.
    pub status: Option<ChangeStatus>,
    pub subject: String,
}

/// What is said on a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// Which environment it is about; part of the tag.
    pub environment: String,
    /// The commit it is about.
    pub revision: CommitId,
    /// At most 16 kB; longer text is cut.
    pub text: String,
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Done,
    /// It was so already; nothing was sent.
    Already,
    /// We lack the right, and nothing depends on it.
    NotAllowed,
}

/// A submit requirement as a project defines it. Expressions are Gerrit's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirement {
    pub description: String,
    /// `None`: it applies to every change.
    pub applicable_if: Option<String>,
    pub submittable_if: String,
    /// `None`: nobody can override it.
    pub override_if: Option<String>,
    /// Whether a child project may define it anew.
    pub children_may_override: bool,
}

/// Submit requirements of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Defined by the project itself.
    pub own: BTreeMap<String, Requirement>,
    /// Everything that is defined on the way from the root to the project, the root's first, own ones included.
    pub all: Vec<(String, Requirement)>,
}

/// A planned change of a project's own submit requirements: the definition that shall stand; `None`: none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequirementChanges(pub BTreeMap<String, Option<Requirement>>);

impl RequirementChanges {
    /// Names these changes exactly, so that a review that was asked for before is found again.
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(b"lockstep-requirements-v1\n");
        hash.update(json);
        format!("sha256:{}", hex::encode(hash.finalize()))
    }
}

/// On what the rules of a project's branches stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// The project's own rights first, then those of what it inherits from, up to the root.
    pub rights: Vec<ProjectRights>,
    /// Under which condition votes on a label stay on the next patch set, in Gerrit's own words; labels without are left
    /// out.
    pub copied: BTreeMap<String, String>,
    /// Whether all changes of a topic are submitted at once, whatever their projects. `None`: it is not known.
    pub whole_topic: Option<bool>,
}

/// Where a server posts what happens in a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    pub url: String,
    /// As Gerrit spells them: `change-merged`.
    pub events: BTreeSet<String>,
    /// Whether the certificate of the other side is checked.
    pub verifies: bool,
}

/// One system where changes are reviewed. Errors are those of [`crate::domain::ports::AccessSystem`].
#[async_trait]
pub trait ReviewSystem: Send + Sync {
    /// Which server it is; `None`: it does not say so understandably.
    async fn version(&self) -> Result<Option<GerritVersion>, SystemError>;

    /// What was merged into any of these branches since the watermark, five minutes before it included: an index lags.
    /// One listing for all branches, as long as their names fit into one request.
    async fn merges(&self, watched: &BTreeSet<Watched>, since: Timestamp) -> Result<Merges, SystemError>;

    /// Where these branches stand. A branch that is missing in the answer does not exist or is invisible.
    async fn tips(&self, watched: &BTreeSet<Watched>) -> Result<BTreeMap<Watched, CommitId>, SystemError>;

    /// Every commit that the tip has and `known` do not reach, with all its parents, and as much of what `known` reach
    /// as shows where the two meet. One read for each, 2,000 at most: a longer range is for [`Repository::history`].
    async fn commits(
        &self,
        project: &str,
        tip: &CommitId,
        known: &BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, Lineage>, SystemError>;

    /// The merged changes of a branch whose last patch set is one of these commits. A commit that is missing in the
    /// answer belongs to none.
    async fn changes_of(
        &self,
        on: &Watched,
        commits: &BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, ChangeNumber>, SystemError>;

    /// Changes of this name that we can see, in any project and on any branch.
    async fn find(&self, name: &ChangeName) -> Result<Vec<Listed>, SystemError>;

    /// Everything about one change that this system knows. `tree` and `patch` are [`Repository`]'s to fill, and
    /// `governed_by` of the groups is the caller's: Gerrit does not know who declares them.
    async fn evidence(&self, change: &ChangeRef, inquiry: &Inquiry) -> Result<Evidence, SystemError>;

    /// Says it on the change, once: tagged `autogenerated:lockstep~<environment>`, with mail to nobody and without
    /// anybody's attention. What we said there before in the same words is not said again.
    async fn say(&self, change: &ChangeRef, saying: &Saying) -> Result<Written, SystemError>;

    /// Puts the hashtag `deployed-<environment>` on the change, where we have the right.
    async fn mark_deployed(&self, change: &ChangeRef, environment: &str) -> Result<Written, SystemError>;

    /// Labels on which changes of a project are voted, as they count there: a parent's too, unless redefined.
    async fn labels(&self, project: &str) -> Result<BTreeMap<String, LabelDefinition>, SystemError>;

    /// The same whole, each with the project that defines it.
    async fn defined_labels(&self, project: &str) -> Result<BTreeMap<String, DefinedLabel>, SystemError>;

    /// Makes and removes a project's own labels, in one commit, and reads them back. What is there already stays as it is.
    /// Where the site demands review of its configuration it is as with [`ReviewSystem::write_requirements`].
    async fn write_labels(&self, project: &str, changes: &LabelChanges) -> Result<Written, SystemError>;

    /// What our account can do with a project's configuration.
    async fn configuring(&self, project: &str) -> Result<Configuring, SystemError>;

    /// Submit requirements of a project.
    async fn requirements(&self, project: &str) -> Result<Requirements, SystemError>;

    /// Who may do what with a project's branches; rights are no older than `fresh`.
    async fn ground(&self, project: &str, fresh: Timestamp) -> Result<Ground, SystemError>;

    /// The remote of that name in a project's own webhook configuration.
    async fn remote(&self, project: &str, name: &str) -> Result<Option<Remote>, SystemError>;

    /// Makes the remote of that name so; `None`: there is none. Others stay as they are. Where we may not submit a change of
    /// configuration, or the site demands its review, it is made for people to submit, and the error says so until it is.
    async fn write_remote(
        &self,
        project: &str,
        name: &str,
        wanted: Option<&Remote>,
    ) -> Result<Written, SystemError>;

    /// Makes a project's own submit requirements so, in one commit, and reads them back. Where the site demands review
    /// of its configuration a change is made for people to submit, and the error says so until it is.
    async fn write_requirements(
        &self,
        project: &str,
        changes: &RequirementChanges,
    ) -> Result<Written, SystemError>;
}

/// What stands at a path of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    File,
    Executable,
    /// Its content is where it leads.
    Symlink,
    /// A commit of another repository; there is no content.
    Gitlink,
}

/// One file of a tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeEntry {
    /// From the root, folders separated by `/`. What is no UTF-8 is refused when the tree is listed.
    pub path: String,
    pub kind: EntryKind,
    /// Names the content (git blob id).
    pub id: String,
}

/// History and content of one branch of one project, by git. What it keeps on disk can be thrown away at any time.
#[async_trait]
pub trait Repository: Send + Sync {
    /// Brings everything that the commit reaches, as far as it is not here. Reads only.
    async fn fetch(&self, tip: &CommitId) -> Result<(), SystemError>;

    /// Like [`ReviewSystem::commits`], with trees, and with what merging gives by itself for those with two parents.
    /// Needs a [`Repository::fetch`] of the tip before.
    async fn history(
        &self,
        tip: &CommitId,
        known: &BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, Commit>, SystemError>;

    /// The tree of a commit.
    async fn tree(&self, commit: &CommitId) -> Result<TreeId, SystemError>;

    /// What a commit changes against its first parent. `None`: it has several parents, or none.
    async fn patch(&self, commit: &CommitId) -> Result<Option<PatchId>, SystemError>;

    /// What a commit touches against its first parent; of a renamed file both names.
    async fn paths(&self, commit: &CommitId) -> Result<BTreeSet<String>, SystemError>;

    /// Files of a commit in order of their paths, without content.
    async fn files(&self, commit: &CommitId) -> Result<Vec<TreeEntry>, SystemError>;

    /// The content of one file, at most `limit` bytes; a longer one is refused with its size.
    async fn content(&self, entry: &TreeEntry, limit: u64) -> Result<Vec<u8>, SystemError>;
}

/// One connection's reviews: the system, and its branches by git.
pub trait Review: Send + Sync {
    fn system(&self) -> &dyn ReviewSystem;

    /// A branch by git; whoever asks for the same branch shares what was fetched. Nothing is sent and nothing is
    /// touched before the first call.
    fn repository(&self, on: &Watched) -> Arc<dyn Repository>;
}

/// Opens reviews. They share clients and budgets with everything else of their connection. Whether the caller may use
/// the connection is asked before, by who opens it.
#[async_trait]
pub trait Reviews: Send + Sync {
    async fn open(&self, connection: &ConnectionKey) -> Result<Arc<dyn Review>, SystemError>;
}
