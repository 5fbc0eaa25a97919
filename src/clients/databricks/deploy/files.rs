//! The files step: a commit's tree into a directory of its own. The directory begins with a manifest that says it is
//! begun and ends with one that says it is whole; only then do other steps use it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{FuturesUnordered, StreamExt as _};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::code::tree::{
    Form, MANIFEST, Manifest, Mark, TreeEntry, place, same_source, sha256,
};
use lockstep_core::domain::promotion::machine::state::{Failure, FailureKind, Words};
use lockstep_core::domain::promotion::ports::deployments::{
    DeployError, Files, FilesStep, Key, Progress, Restoration, Tree, words,
};

use super::super::plane::Plane;
use super::super::system::Inner;
use super::folder::{self, Ground};
use crate::clients::http::Call;

/// Files under way at once: with the largest of them still far from what the process may use.
const AT_ONCE: usize = 6;
/// How often a throttled upload is sent again before the whole of it is given up for this pass.
const PATIENCE: usize = 5;
/// Files after which the begun manifest says how far the upload is.
const SAVED_EVERY: usize = 100;
/// Longest wait between two of those.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

const ABSENT: &str = "absent";
const COMPLETE: &str = "complete";

pub(super) struct WorkspaceFiles(Arc<Inner>);

impl WorkspaceFiles {
    pub fn new(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    fn plane(&self) -> &Plane {
        &self.0.workspace.plane
    }

    /// Sends, waiting out being throttled: giving up would begin the whole upload anew.
    async fn patiently(&self, call: Call) -> Result<(), SystemError> {
        for _ in 1..PATIENCE {
            match self.plane().write(call.clone()).await {
                Err(error) if error.kind == SystemErrorKind::Throttled => {
                    let told = error.retry_at.map(|at| at.duration_since(self.0.clock.now()));
                    let wait = told.and_then(|wait| Duration::try_from(wait).ok());
                    let wait = wait.unwrap_or(Duration::from_secs(1));
                    if wait > LONGEST_WAIT {
                        return Err(error);
                    }
                    tokio::time::sleep(wait).await;
                }
                outcome => return outcome.map(|_| ()),
            }
        }
        self.plane().write(call).await.map(|_| ())
    }

    async fn put_manifest(&self, directory: &str, manifest: &Manifest) -> Result<(), DeployError> {
        let bytes = manifest.bytes();
        let file = format!("{directory}/{MANIFEST}");
        let sent = self.patiently(folder::put(&file, bytes)).await;
        sent.map_err(|error| about(error, MANIFEST).into())
    }

    /// One file of the tree; answers with where it lies and what it is.
    async fn upload(&self, directory: &str, entry: TreeEntry) -> Result<(String, Mark), DeployError> {
        let placed = place(&entry).map_err(DeployError::Fails)?;
        let source = &entry.path;
        let call = folder::put(&format!("{directory}/{source}"), placed.bytes.to_vec());
        self.patiently(call).await.map_err(|error| about(error, source))?;
        let mut mark = Mark {
            source: source.clone(),
            form: placed.form,
            sha256: sha256(placed.bytes),
            stored: None,
            size: placed.bytes.len(),
        };
        if placed.form != Form::File {
            let at = format!("{directory}/{}", placed.path);
            let back = folder::export(self.plane(), &at)
                .await
                .map_err(|error| about(error, source))?;
            let back = back.ok_or_else(|| {
                DeployError::fails(
                    FailureKind::Refused,
                    format!("{source} is a notebook, and the workspace did not make one of it at {at}"),
                )
            })?;
            // Jupyter's format comes back as source, so only what was stored can be compared later.
            if placed.form == Form::Source && !same_source(placed.bytes, &back) {
                let message = format!("{source}: the workspace holds another text than was sent");
                return Err(DeployError::fails(FailureKind::CodeTampered, message));
            }
            mark.stored = Some(sha256(&back)).filter(|stored| *stored != mark.sha256);
        }
        Ok((placed.path.to_owned(), mark))
    }

    /// Uploads what is not there yet by what the begun manifest says, and fills the manifest in as it goes, so that an
    /// upload longer than one pass comes to an end. That the manifest speaks the truth is seen when all is verified.
    async fn upload_all(
        &self,
        directory: &str,
        manifest: &mut Manifest,
        tree: &mut dyn Tree,
    ) -> Result<(), DeployError> {
        let before = std::mem::take(&mut manifest.files);
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        let mut folders: BTreeSet<String> = BTreeSet::new();
        let mut under_way = FuturesUnordered::new();
        let mut sent = 0_usize;
        while let Some(entry) = tree.next().await? {
            let placed = place(&entry).map_err(DeployError::Fails)?;
            let (at, source) = (placed.path.to_owned(), entry.path.clone());
            if let Some(other) = taken.insert(at.clone(), source.clone()) {
                let message =
                    format!("{other} and {source} would both lie at {at}, as notebooks lose their extension");
                return Err(DeployError::fails(FailureKind::Refused, message));
            }
            let known = before.get(&at).filter(|known| {
                known.form == Form::File && placed.form == Form::File && known.sha256 == sha256(placed.bytes)
            });
            if let Some(known) = known {
                manifest.files.insert(at, known.clone());
                continue;
            }
            if let Some((parent, _)) = source.rsplit_once('/')
                && folders.insert(parent.to_owned())
            {
                let made = folder::make(self.plane(), &format!("{directory}/{parent}")).await;
                made.map_err(|error| about(error, parent))?;
            }
            if under_way.len() >= AT_ONCE
                && let Some(done) = under_way.next().await
            {
                let (at, mark): (String, Mark) = done?;
                manifest.files.insert(at, mark);
                sent += 1;
                if sent.is_multiple_of(SAVED_EVERY) {
                    self.put_manifest(directory, manifest).await?;
                }
            }
            under_way.push(self.upload(directory, entry));
        }
        while let Some(done) = under_way.next().await {
            let (at, mark) = done?;
            manifest.files.insert(at, mark);
        }
        Ok(())
    }

    /// What every file below a directory of ours holds now, the manifest left out.
    async fn digests(&self, directory: &str) -> Result<BTreeMap<String, String>, DeployError> {
        let root = format!("{}/", folder::bare(directory));
        let (mut folders, mut files) = (vec![directory.to_owned()], Vec::new());
        let mut found = BTreeMap::new();
        while let Some(next) = folders.pop() {
            for row in folder::list(self.plane(), &next).await?.unwrap_or_default() {
                let relative = folder::bare(&row.path)
                    .strip_prefix(&root)
                    .unwrap_or(&row.path)
                    .to_owned();
                match row.object_type.as_str() {
                    "DIRECTORY" => folders.push(format!("{directory}/{relative}")),
                    "FILE" | "NOTEBOOK" if relative == MANIFEST => {}
                    "FILE" | "NOTEBOOK" => files.push(relative),
                    other => {
                        found.insert(relative, other.to_owned());
                    }
                }
            }
        }
        let reads = futures::stream::iter(files).map(|file| async move {
            let bytes = folder::export(self.plane(), &format!("{directory}/{file}")).await?;
            Ok::<_, SystemError>((file, bytes.map(|bytes| sha256(&bytes))))
        });
        let mut reads = reads.buffer_unordered(AT_ONCE);
        while let Some(read) = reads.next().await {
            // One that went in between is as good as missing.
            if let (file, Some(digest)) = read? {
                found.insert(file, digest);
            }
        }
        Ok(found)
    }

    /// The directory's manifest as far as it says that all of this step's tree lies there.
    fn is_whole(manifest: &Manifest, step: &FilesStep) -> Result<bool, DeployError> {
        if manifest.revision != step.revision || manifest.tree != step.tree {
            let message = format!(
                "{} holds revision {}, not {}: put ${{revision}} into the path, so that every revision has its own",
                step.directory, manifest.revision, step.revision
            );
            return Err(DeployError::fails(FailureKind::Refused, message));
        }
        Ok(manifest.complete)
    }
}

/// An error that says which file it is about.
fn about(mut error: SystemError, file: &str) -> SystemError {
    error.message = format!("{file}: {}", error.message);
    error
}

fn foreign(why: String) -> DeployError {
    DeployError::fails(
        FailureKind::Refused,
        format!("{why}: move it away, or choose another path"),
    )
}

/// Paths that are deleted with all below them must be deep enough to be nobody's home.
fn checked(directory: &str) -> Result<(), DeployError> {
    let parts: Vec<&str> = folder::bare(directory).split('/').skip(1).collect();
    let odd = parts.iter().any(|part| matches!(*part, "" | "." | ".."));
    if !directory.starts_with('/') || odd || parts.len() < 2 {
        let message = format!(
            "{directory:?} cannot be a directory of files: give an absolute path of two or more parts"
        );
        return Err(DeployError::fails(FailureKind::Refused, message));
    }
    Ok(())
}

#[async_trait]
impl Files for WorkspaceFiles {
    async fn prepare(&self, step: &FilesStep) -> Result<Words, DeployError> {
        checked(&step.directory)?;
        let was = match folder::ground(self.plane(), &step.directory).await? {
            Ground::Nothing | Ground::Empty => ABSENT,
            Ground::Ours { manifest, .. } if Self::is_whole(&manifest, step)? => COMPLETE,
            Ground::Ours { .. } => ABSENT,
            Ground::Foreign(why) => return Err(foreign(why)),
        };
        Ok([
            (words::WAS.to_owned(), was.to_owned()),
            (words::DIRECTORY.to_owned(), step.directory.clone()),
        ]
        .into())
    }

    async fn act(&self, key: &Key, step: &FilesStep, tree: &mut dyn Tree) -> Result<(), DeployError> {
        checked(&step.directory)?;
        let begun = match folder::ground(self.plane(), &step.directory).await? {
            Ground::Nothing | Ground::Empty => BTreeMap::new(),
            Ground::Ours { manifest, .. } if Self::is_whole(&manifest, step)? => return Ok(()),
            Ground::Ours { manifest, .. } => manifest.files,
            Ground::Foreign(why) => return Err(foreign(why)),
        };
        folder::make(self.plane(), &step.directory).await?;
        let mut manifest = Manifest {
            format: Manifest::FORMAT,
            promotion: key.promotion.clone(),
            revision: step.revision.clone(),
            tree: step.tree.clone(),
            complete: false,
            files: begun,
        };
        self.put_manifest(&step.directory, &manifest).await?;
        self.upload_all(&step.directory, &mut manifest, tree).await?;
        manifest.complete = true;
        self.put_manifest(&step.directory, &manifest).await
    }

    async fn observe(&self, step: &FilesStep) -> Result<Progress, DeployError> {
        let (manifest, digest) = match folder::ground(self.plane(), &step.directory).await? {
            Ground::Nothing | Ground::Empty => return Ok(Progress::Absent),
            Ground::Ours { manifest, digest } => (manifest, digest),
            Ground::Foreign(why) => return Err(foreign(why)),
        };
        // A begun one is ours to go on with: nobody else is at it, as only one leads.
        if !Self::is_whole(&manifest, step)? {
            return Ok(Progress::Absent);
        }
        let address = super::in_workspace(&self.0, "directories", folder::bare(&step.directory)).await?;
        Ok(Progress::Succeeded(
            [
                (words::DIRECTORY.to_owned(), step.directory.clone()),
                (words::MANIFEST.to_owned(), digest),
                (words::ADDRESS.to_owned(), address),
            ]
            .into(),
        ))
    }

    async fn undo(&self, step: &FilesStep, undo: &Words) -> Result<(), DeployError> {
        if undo.get(words::WAS).map(String::as_str) == Some(COMPLETE) {
            return Ok(());
        }
        self.delete(&step.directory).await
    }

    async fn undone(&self, step: &FilesStep, undo: &Words) -> Result<Restoration, DeployError> {
        if undo.get(words::WAS).map(String::as_str) == Some(COMPLETE) {
            return Ok(Restoration::Undone);
        }
        Ok(match folder::ground(self.plane(), &step.directory).await? {
            Ground::Nothing => Restoration::Undone,
            Ground::Empty => Restoration::NotUndone,
            Ground::Ours { manifest, .. } if manifest.revision == step.revision => Restoration::NotUndone,
            Ground::Ours { manifest, .. } => Restoration::TakenByOthers(format!(
                "{} holds revision {} now",
                step.directory, manifest.revision
            )),
            Ground::Foreign(why) => Restoration::TakenByOthers(why),
        })
    }

    async fn verify(&self, outputs: &Words) -> Result<(), DeployError> {
        let tampered = |why: String| DeployError::Fails(Failure::new(FailureKind::CodeTampered, why));
        let (Some(directory), Some(expected)) = (outputs.get(words::DIRECTORY), outputs.get(words::MANIFEST))
        else {
            return Err(tampered(
                "the files step left no directory and manifest to compare with".into(),
            ));
        };
        let manifest = match folder::ground(self.plane(), directory).await? {
            Ground::Ours { manifest, digest } if digest == *expected => manifest,
            Ground::Ours { .. } => return Err(tampered(format!("{directory}/{MANIFEST} has changed"))),
            Ground::Nothing => return Err(tampered(format!("{directory} is gone"))),
            Ground::Empty | Ground::Foreign(_) => {
                return Err(tampered(format!("{directory}/{MANIFEST} is gone")));
            }
        };
        let found = self.digests(directory).await?;
        manifest
            .tampered(directory, &found)
            .map_or(Ok(()), |why| Err(DeployError::Fails(why)))
    }

    async fn standing(&self, directories: &BTreeSet<String>) -> Result<BTreeSet<String>, DeployError> {
        let mut standing = BTreeSet::new();
        for directory in directories {
            if let Ground::Ours { manifest, .. } = folder::ground(self.plane(), directory).await?
                && manifest.complete
            {
                standing.insert(directory.clone());
            }
        }
        Ok(standing)
    }

    async fn delete(&self, directory: &str) -> Result<(), DeployError> {
        checked(directory)?;
        match folder::ground(self.plane(), directory).await? {
            Ground::Nothing => Ok(()),
            Ground::Empty | Ground::Ours { .. } => Ok(folder::delete(self.plane(), directory).await?),
            Ground::Foreign(why) => Err(foreign(why)),
        }
    }
}
