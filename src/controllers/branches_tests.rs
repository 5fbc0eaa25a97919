use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use lockstep_core::domain::ports::ConnectionKind;
use lockstep_core::domain::promotion::gate::GerritVersion;
use lockstep_core::domain::promotion::gate::evidence::{LabelDefinition, PatchId, TreeId};
use lockstep_core::domain::promotion::ports::configuration::{Configuring, DefinedLabel, LabelChanges};
use lockstep_core::domain::promotion::ports::reviews::{
    ChangeName, ChangeRef, Ground, Inquiry, Lineage, Listed, Remote, Repository, RequirementChanges,
    Requirements, ReviewSystem, Saying, TreeEntry, Written,
};

use super::*;

/// A Gerrit in which nothing merges while somebody looks, and that counts how often somebody does.
#[derive(Default)]
struct Quiet {
    looks: AtomicUsize,
    /// The one branch, from its first commit on, each the merged revision of a change.
    branch: Vec<CommitId>,
    /// Of which commits the changes were asked for, call by call.
    asked: Mutex<Vec<BTreeSet<CommitId>>>,
}

fn unasked<T>() -> Result<T, SystemError> {
    Err(SystemError::new(
        "quiet",
        SystemErrorKind::Refused,
        "nobody should ask for this",
    ))
}

#[async_trait]
impl ReviewSystem for Quiet {
    async fn version(&self) -> Result<Option<GerritVersion>, SystemError> {
        unasked()
    }
    async fn merges(&self, _: &BTreeSet<Watched>, _: Timestamp) -> Result<Merges, SystemError> {
        Ok(Merges {
            found: Vec::new(),
            watermark: None,
        })
    }
    async fn tips(&self, _: &BTreeSet<Watched>) -> Result<BTreeMap<Watched, CommitId>, SystemError> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        Ok(BTreeMap::new())
    }
    async fn commits(
        &self,
        _: &str,
        _: &CommitId,
        _: &BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, Lineage>, SystemError> {
        unasked()
    }
    async fn changes_of(
        &self,
        _: &Watched,
        commits: &BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, ChangeNumber>, SystemError> {
        self.asked.lock().unwrap().push(commits.clone());
        let changes = self
            .branch
            .iter()
            .zip(1..)
            .map(|(commit, number)| (commit.clone(), ChangeNumber(number)));
        Ok(changes.filter(|(commit, _)| commits.contains(commit)).collect())
    }
    async fn find(&self, _: &ChangeName) -> Result<Vec<Listed>, SystemError> {
        unasked()
    }
    async fn evidence(&self, _: &ChangeRef, _: &Inquiry) -> Result<Evidence, SystemError> {
        unasked()
    }
    async fn say(&self, _: &ChangeRef, _: &Saying) -> Result<Written, SystemError> {
        unasked()
    }
    async fn mark_deployed(&self, _: &ChangeRef, _: &str) -> Result<Written, SystemError> {
        unasked()
    }
    async fn labels(&self, _: &str) -> Result<BTreeMap<String, LabelDefinition>, SystemError> {
        unasked()
    }
    async fn defined_labels(&self, _: &str) -> Result<BTreeMap<String, DefinedLabel>, SystemError> {
        unasked()
    }
    async fn write_labels(&self, _: &str, _: &LabelChanges) -> Result<Written, SystemError> {
        unasked()
    }
    async fn configuring(&self, _: &str) -> Result<Configuring, SystemError> {
        unasked()
    }
    async fn requirements(&self, _: &str) -> Result<Requirements, SystemError> {
        unasked()
    }
    async fn remote(&self, _: &str, _: &str) -> Result<Option<Remote>, SystemError> {
        unasked()
    }
    async fn write_remote(&self, _: &str, _: &str, _: Option<&Remote>) -> Result<Written, SystemError> {
        unasked()
    }
    async fn ground(&self, _: &str, _: Timestamp) -> Result<Ground, SystemError> {
        unasked()
    }
    async fn write_requirements(&self, _: &str, _: &RequirementChanges) -> Result<Written, SystemError> {
        unasked()
    }
}

impl Review for Quiet {
    fn system(&self) -> &dyn ReviewSystem {
        self
    }
    fn repository(&self, _: &Watched) -> Arc<dyn Repository> {
        Arc::new(Line(self.branch.clone()))
    }
}

/// Commits, each on top of the one before.
struct Line(Vec<CommitId>);

#[async_trait]
impl Repository for Line {
    async fn fetch(&self, _: &CommitId) -> Result<(), SystemError> {
        Ok(())
    }
    async fn history(
        &self,
        _: &CommitId,
        known: &BTreeSet<CommitId>,
    ) -> Result<BTreeMap<CommitId, Commit>, SystemError> {
        let begins = self.0.iter().rposition(|commit| known.contains(commit));
        let steps = self.0[begins.unwrap()..].windows(2);
        Ok(steps.map(|pair| (pair[1].clone(), on_top_of(&pair[0]))).collect())
    }
    async fn tree(&self, _: &CommitId) -> Result<TreeId, SystemError> {
        unasked()
    }
    async fn patch(&self, _: &CommitId) -> Result<Option<PatchId>, SystemError> {
        unasked()
    }
    async fn paths(&self, _: &CommitId) -> Result<BTreeSet<String>, SystemError> {
        unasked()
    }
    async fn files(&self, _: &CommitId) -> Result<Vec<TreeEntry>, SystemError> {
        unasked()
    }
    async fn content(&self, _: &TreeEntry, _: u64) -> Result<Vec<u8>, SystemError> {
        unasked()
    }
}

fn on_top_of(parent: &CommitId) -> Commit {
    Commit {
        parents: vec![parent.clone()],
        tree: TreeId("t".into()),
        automatic_merge: None,
        reverts: None,
        hands: BTreeSet::new(),
    }
}

fn second(at: i64) -> Timestamp {
    Timestamp::from_second(at).unwrap()
}

fn connection(name: &str) -> ConnectionKey {
    ConnectionKey {
        kind: ConnectionKind::Gerrit,
        namespace: "platform".into(),
        name: name.into(),
    }
}

fn branch() -> Hint {
    Hint::Branch {
        project: "ml/fraud".into(),
        branch: "prod".into(),
    }
}

fn config() -> Hint {
    Hint::Config {
        project: "ml/fraud".into(),
    }
}

#[tokio::test]
async fn after_a_hint_tips_are_read_again_however_old_a_reading_somebody_accepts() {
    let (branches, gerrit, key) = (Branches::default(), Quiet::default(), connection("gerrit"));
    let looks = async |now: i64| {
        let old = second(0);
        let tips = branches
            .tips(&key, &gerrit, &BTreeSet::new(), old, old, second(now))
            .await;
        assert!(tips.unwrap().taken <= second(now));
        gerrit.looks.load(Ordering::SeqCst)
    };
    assert_eq!((looks(10).await, looks(11).await), (1, 1));
    for hint in [config(), Hint::Group { uuid: "u".into() }] {
        branches.distrust(&key, &hint, second(12));
    }
    branches.distrust(&connection("other"), &branch(), second(12));
    assert_eq!(
        looks(13).await,
        1,
        "none of these says that a branch of this connection moved"
    );

    branches.distrust(&key, &branch(), second(20));
    assert_eq!(
        looks(19).await,
        2,
        "a pass that began before does not know better than to look"
    );
    assert_eq!(looks(21).await, 3, "and what it read may be too old");
    assert_eq!(looks(22).await, 3);
}

#[test]
fn a_project_is_configured_anew_since_it_was_said_to_be() {
    let (branches, key) = (Branches::default(), connection("gerrit"));
    let anew = |since| branches.is_configured_anew(&key, "ml/fraud", second(since));
    branches.distrust(&key, &branch(), second(20));
    assert!(!anew(10));
    branches.distrust(&key, &config(), second(20));
    assert!(anew(10) && anew(20) && !anew(21));
    assert!(!branches.is_configured_anew(&key, "ml/other", second(10)));
    assert!(!branches.is_configured_anew(&connection("other"), "ml/fraud", second(10)));
}

#[tokio::test]
async fn of_all_who_ask_about_a_change_one_reads() {
    let branches = Branches::default();
    let key = connection("gerrit");
    let first = branches.turn(&key, ChangeNumber(1));
    let reading = first.lock().await;
    assert!(branches.turn(&key, ChangeNumber(1)).try_lock().is_err());
    assert!(branches.turn(&key, ChangeNumber(2)).try_lock().is_ok());
    assert!(
        branches
            .turn(&connection("other"), ChangeNumber(1))
            .try_lock()
            .is_ok()
    );
    drop(reading);
    drop(first);
    assert!(branches.turn(&key, ChangeNumber(1)).try_lock().is_ok());
    branches.turn(&key, ChangeNumber(3));
    assert_eq!(branches.turns.lock().unwrap().len(), 1, "nobody reads any more");
}

#[test]
fn what_no_change_accounts_for_is_asked_for_again_as_long_as_the_index_may_be_behind() {
    let (base, tip) = (CommitId("base".into()), CommitId("tip".into()));
    let node = on_top_of(&base);
    let says = |merged: bool, asked: i64, taken: i64, watermark: i64| {
        let history = History {
            tip: tip.clone(),
            graph: [(tip.clone(), node.clone())].into(),
            merged: merged
                .then(|| (tip.clone(), ChangeNumber(1)))
                .into_iter()
                .collect(),
            watermark: second(5),
            first: second(10),
            asked: second(asked),
            known: [base.clone()].into(),
        };
        history.says_enough(&Tips {
            taken: second(taken),
            tips: BTreeMap::new(),
            watermark: second(watermark),
            watched: BTreeSet::new(),
        })
    };
    assert!(says(true, 10, 11, 9), "everything is accounted for");
    assert!(says(false, 10, 10, 5), "of one reading it is asked once");
    assert!(
        !says(false, 10, 11, 5) && !says(false, 29, 32, 5),
        "the index may be behind"
    );
    assert!(says(false, 32, 60, 5), "it had its time");
    assert!(!says(false, 32, 60, 6), "something merged since");
}

#[tokio::test]
async fn a_branch_that_grows_is_asked_about_for_what_is_new_on_it() {
    let (branches, key) = (Branches::default(), connection("gerrit"));
    let on = Watched {
        project: "ml/fraud".into(),
        branch: "prod".into(),
    };
    let commit = |number: usize| CommitId(format!("c{number}"));
    let mut gerrit = Quiet {
        branch: vec![commit(0), commit(1)],
        ..Quiet::default()
    };
    let mut changes = 0;
    let mut look = async |gerrit: &Quiet, known: &CommitId| {
        let tip = gerrit.branch.last().unwrap().clone();
        changes += 1;
        let tips = Tips {
            taken: second(changes),
            tips: [(on.clone(), tip)].into(),
            watermark: second(changes),
            watched: [on.clone()].into(),
        };
        let known = [known.clone()].into();
        let history = branches.history(&key, gerrit, &on, &tips, &known).await.unwrap();
        history.merged.len()
    };
    assert_eq!(look(&gerrit, &commit(0)).await, 1);
    for number in 2..5 {
        gerrit.branch.push(commit(number));
        assert_eq!(
            look(&gerrit, &commit(0)).await,
            number,
            "what was asked before still counts"
        );
    }
    assert_eq!(look(&gerrit, &commit(3)).await, 1, "from another beginning");
    let asked = gerrit.asked.into_inner().unwrap();
    let one_by_one = [1, 2, 3, 4, 4].map(|number| BTreeSet::from([commit(number)]));
    assert_eq!(asked, one_by_one);
}
