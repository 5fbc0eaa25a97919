//! The tree of a commit, read from git one file after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec;

use async_trait::async_trait;
use lockstep_core::domain::ports::SystemError;
use lockstep_core::domain::promotion::code::links;
use lockstep_core::domain::promotion::code::tree::{Content, LARGEST, TreeEntry};
use lockstep_core::domain::promotion::gate::evidence::CommitId;
use lockstep_core::domain::promotion::ports::deployments::Tree;
use lockstep_core::domain::promotion::ports::reviews::{EntryKind, Repository, TreeEntry as Listed};

/// Longest content of a symbolic link: bytes (Linux, PATH_MAX).
const LONGEST_LINK: u64 = 4096;

/// Hands out the files of one commit.
pub(super) struct CommitTree {
    repository: Arc<dyn Repository>,
    left: vec::IntoIter<Listed>,
    /// Everything by path, for links to be followed.
    by_path: BTreeMap<String, Listed>,
    /// Where each link leads.
    links: BTreeMap<String, String>,
}

impl CommitTree {
    /// Lists the commit; its files are read when their turn comes.
    pub(super) async fn of(repository: Arc<dyn Repository>, commit: &CommitId) -> Result<Self, SystemError> {
        let listed = repository.files(commit).await?;
        let mut links = BTreeMap::new();
        for entry in listed.iter().filter(|entry| entry.kind == EntryKind::Symlink) {
            let content = repository.content(entry, LONGEST_LINK).await?;
            let content = String::from_utf8_lossy(&content).into_owned();
            links.insert(entry.path.clone(), content);
        }
        let by_path = if links.is_empty() {
            BTreeMap::new()
        } else {
            listed
                .iter()
                .map(|entry| (entry.path.clone(), entry.clone()))
                .collect()
        };
        Ok(Self {
            repository,
            left: listed.into_iter(),
            by_path,
            links,
        })
    }

    async fn file(&self, entry: &Listed) -> Result<Content, SystemError> {
        let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX);
        Ok(Content::File(self.repository.content(entry, limit).await?))
    }
}

#[async_trait]
impl Tree for CommitTree {
    async fn next(&mut self) -> Result<Option<TreeEntry>, SystemError> {
        let Some(entry) = self.left.next() else {
            return Ok(None);
        };
        let content = match entry.kind {
            EntryKind::File | EntryKind::Executable => self.file(&entry).await?,
            EntryKind::Gitlink => Content::Gitlink,
            EntryKind::Symlink => match links::resolve(&entry.path, &self.by_path, &self.links) {
                Some(file) => self.file(file).await?,
                None => Content::Link(self.links.get(&entry.path).cloned().unwrap_or_default()),
            },
        };
        Ok(Some(TreeEntry {
            path: entry.path,
            content,
        }))
    }
}
