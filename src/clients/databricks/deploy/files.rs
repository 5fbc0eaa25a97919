//! The files step: a commit's tree into a directory of its own. The directory begins with a manifest that says it is
//! begun and ends with one that says it is whole; only then do other steps use it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{FuturesUnordered, StreamExt as _};
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::promotion::code::tree::{
    Form, MANIFEST, Manifest, Mark, Placed, TreeEntry, place, same_source, sha256,
};
use lockstep_core::domain::promotion::machine::state::{Failure, FailureKind, Words};
use lockstep_core::domain::promotion::ports::deployments::{
    DeployError, Files, FilesStep, Key, Progress, Restoration, Tree, words,
};

use super::super::plane::Plane;
use super::super::system::Inner;
use super::folder::{self, Below, Ground};
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

    /// One file of the tree, unless it lies there as it should; answers with where it lies and what it is.
    async fn bring(
        &self,
        directory: &str,
        entry: TreeEntry,
        is_there: bool,
    ) -> Result<(String, Mark), DeployError> {
        let placed = place(&entry).map_err(DeployError::Fails)?;
        let source = &entry.path;
        let at = format!("{directory}/{}", placed.path);
        let before = if is_there {
            self.read(&at, source).await?
        } else {
            None
        };
        let back = match before.filter(|before| is_as_sent(&placed, before)) {
            Some(before) => Some(before),
            None => self.upload(directory, source, &placed).await?,
        };
        let mut mark = Mark {
            source: source.clone(),
            form: placed.form,
            sha256: sha256(placed.bytes),
            stored: None,
            size: placed.bytes.len(),
        };
        if let Some(back) = back.filter(|_| placed.form != Form::File) {
            // Jupyter's format comes back as source, so only what was stored can be compared later.
            mark.stored = Some(sha256(&back)).filter(|stored| *stored != mark.sha256);
        }
        Ok((placed.path.to_owned(), mark))
    }

    async fn read(&self, at: &str, source: &str) -> Result<Option<Vec<u8>>, SystemError> {
        folder::export(self.plane(), at)
            .await
            .map_err(|error| about(error, source))
    }

    /// Sends one file; of a notebook it answers with what the workspace has made of it.
    async fn upload(
        &self,
        directory: &str,
        source: &str,
        placed: &Placed<'_>,
    ) -> Result<Option<Vec<u8>>, DeployError> {
        let call = folder::put(&format!("{directory}/{source}"), placed.bytes.to_vec());
        self.patiently(call).await.map_err(|error| about(error, source))?;
        if placed.form == Form::File {
            return Ok(None);
        }
        let at = format!("{directory}/{}", placed.path);
        let Some(back) = self.read(&at, source).await? else {
            let message = format!("{source} is a notebook, and the workspace did not make one of it at {at}");
            return Err(DeployError::fails(FailureKind::Refused, message));
        };
        if placed.form == Form::Source && !same_source(placed.bytes, &back) {
            let message = format!("{source}: the workspace holds another text than was sent");
            return Err(DeployError::fails(FailureKind::CodeTampered, message));
        }
        Ok(Some(back))
    }

    /// Uploads what is not there yet, and fills the begun manifest in as it goes, so that an upload longer than one pass
    /// comes to an end. What the manifest names need not be looked at again: that it speaks the truth is seen when all
    /// is verified. What lies there beside it was sent after the manifest was last saved, and is compared.
    async fn upload_all(
        &self,
        directory: &str,
        manifest: &mut Manifest,
        there: Below,
        tree: &mut dyn Tree,
    ) -> Result<(), DeployError> {
        let before = std::mem::take(&mut manifest.files);
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        let Below {
            mut folders,
            files: there,
            others: _,
        } = there;
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
            let is_there = there.contains(&at);
            under_way.push(self.bring(directory, entry, is_there));
        }
        while let Some(done) = under_way.next().await {
            let (at, mark) = done?;
            manifest.files.insert(at, mark);
        }
        Ok(())
    }

    /// What every file below a directory of ours holds now, the manifest left out.
    async fn digests(&self, directory: &str) -> Result<BTreeMap<String, String>, DeployError> {
        let Below {
            folders: _,
            files,
            others: mut found,
        } = folder::below(self.plane(), directory).await?;
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

/// Whether what was read back is what would be sent. Jupyter's format comes back as source, which nobody can compare.
fn is_as_sent(placed: &Placed<'_>, back: &[u8]) -> bool {
    match placed.form {
        Form::File => placed.bytes == back,
        Form::Source => same_source(placed.bytes, back),
        Form::Jupyter => false,
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
            (
                words::ADDRESS.to_owned(),
                super::in_workspace(&self.0, "directories", folder::bare(&step.directory)).await?,
            ),
        ]
        .into())
    }

    async fn act(&self, key: &Key, step: &FilesStep, tree: &mut dyn Tree) -> Result<(), DeployError> {
        checked(&step.directory)?;
        let begun = match folder::ground(self.plane(), &step.directory).await? {
            Ground::Nothing => {
                folder::make(self.plane(), &step.directory).await?;
                None
            }
            Ground::Empty => None,
            Ground::Ours { manifest, .. } if Self::is_whole(&manifest, step)? => return Ok(()),
            Ground::Ours { manifest, .. } => Some(manifest),
            Ground::Foreign(why) => return Err(foreign(why)),
        };
        let there = match &begun {
            Some(_) => folder::below(self.plane(), &step.directory).await?,
            None => Below::default(),
        };
        let mut manifest = Manifest {
            format: Manifest::FORMAT,
            promotion: key.promotion.clone(),
            revision: step.revision.clone(),
            tree: step.tree.clone(),
            complete: false,
            files: begun.iter().flat_map(|begun| begun.files.clone()).collect(),
        };
        if begun.as_ref() != Some(&manifest) {
            self.put_manifest(&step.directory, &manifest).await?;
        }
        self.upload_all(&step.directory, &mut manifest, there, tree)
            .await?;
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
