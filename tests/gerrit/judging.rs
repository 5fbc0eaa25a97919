//! What Lockstep sees of a yard, and what its gate says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_core::domain::promotion::gate::evidence::{
    ChangeNumber, CommitId, Evidence, Governance, RequirementStatus, TreeId,
};
use lockstep_core::domain::promotion::gate::finding::{Finding, FindingKind};
use lockstep_core::domain::promotion::gate::range::{Commit, JudgedChange, Judgement, Question, judge};
use lockstep_core::domain::promotion::gate::rules::{
    Agents, Approval, Floor, GovernedLabel, Rules, Verification,
};
use lockstep_core::domain::promotion::gate::{Case, Surroundings, judge_change};
use lockstep_core::domain::promotion::ports::reviews::{ChangeRef, Inquiry, ReviewSystem as _, Watched};

use super::yard::{Pushed, Yard};

impl Yard {
    pub fn on(&self, branch: &str) -> Watched {
        Watched {
            project: self.project.clone(),
            branch: branch.into(),
        }
    }

    pub fn reference(&self, change: &Pushed) -> ChangeRef {
        ChangeRef {
            project: self.project.clone(),
            number: ChangeNumber(change.number),
        }
    }

    pub fn inquiry(&self) -> Inquiry {
        Inquiry {
            groups: BTreeSet::from([self.house.leads.clone(), self.house.checks.clone()]),
            service_users: None,
            since: self.house.born,
            fresh: self.house.born,
            by_git: false,
        }
    }

    /// Evidence as a controller completes it: the groups are held by enforcing bindings.
    pub async fn evidence(&self, change: &Pushed) -> Evidence {
        self.evidence_with(change, &self.inquiry()).await
    }

    pub async fn evidence_with(&self, change: &Pushed, inquiry: &Inquiry) -> Evidence {
        let mut evidence = self
            .system
            .evidence(&self.reference(change), inquiry)
            .await
            .unwrap();
        for group in evidence.groups.values_mut() {
            group.governed_by = Some(Governance {
                binding: "ml/team".into(),
                authoritative: true,
                enforcing: true,
            });
        }
        evidence
    }

    pub fn rules(&self, branch: &str) -> Rules {
        let label = |min, max| GovernedLabel {
            min,
            max,
            functions: ["NoBlock", "NoOp"].map(str::to_owned).into(),
        };
        Rules {
            project: self.project.clone(),
            branch: branch.into(),
            environment: branch.into(),
            approval: Approval {
                label: "Code-Review".into(),
                count: 1,
                group: self.house.leads.clone(),
                group_name: "leads".into(),
            },
            verification: Some(Verification {
                label: "Verified".into(),
                group: self.house.checks.clone(),
                group_name: "checks".into(),
            }),
            labels: BTreeMap::from([
                ("Code-Review".to_owned(), label(-2, 2)),
                ("Verified".to_owned(), label(-1, 1)),
            ]),
            required: ["Lockstep-Approved", "Lockstep-Verified"]
                .map(str::to_owned)
                .into(),
            allow_overridden: BTreeSet::new(),
            agents: Agents::default(),
            trusted_automation: Vec::new(),
            requires: Vec::new(),
        }
    }

    pub async fn judged(&self, evidence: &Evidence, rules: &Rules) -> Vec<Finding> {
        let surroundings = Surroundings {
            gerrit: self.system.version().await.unwrap(),
            floor: Some(Floor {
                projects: vec!["*".into()],
                min_approvals: 1,
                approver_groups: BTreeSet::from(["leads".to_owned()]),
                require_verification: true,
            }),
            upstream: BTreeMap::new(),
        };
        judge_change(&Case {
            rules,
            change: evidence,
            surroundings: &surroundings,
            now: Timestamp::now(),
        })
    }

    /// What the gate of `prod` says of a change.
    pub async fn findings(&self, change: &Pushed) -> Vec<Finding> {
        let evidence = self.evidence(change).await;
        self.judged(&evidence, &self.rules("prod")).await
    }

    /// The range from a commit to the tip of `prod`, each change of it judged. Trees are not known to REST.
    pub async fn range(&self, baseline: &CommitId) -> Judgement {
        let on = self.on("prod");
        let tips = self.system.tips(&BTreeSet::from([on.clone()])).await.unwrap();
        let tip = tips[&on].clone();
        let known = BTreeSet::from([baseline.clone()]);
        let read = self.system.commits(&self.project, &tip, &known).await.unwrap();
        let graph: BTreeMap<CommitId, Commit> = read
            .into_iter()
            .map(|(commit, lineage)| {
                let node = Commit {
                    parents: lineage.parents,
                    tree: TreeId(String::new()),
                    automatic_merge: None,
                    hands: BTreeSet::new(),
                    reverts: None,
                };
                (commit, node)
            })
            .collect();
        self.judged_range(&graph, &tip, baseline).await
    }

    pub async fn judged_range(
        &self,
        graph: &BTreeMap<CommitId, Commit>,
        tip: &CommitId,
        baseline: &CommitId,
    ) -> Judgement {
        let commits = graph.keys().cloned().collect();
        let on = self.on("prod");
        let numbers = self.system.changes_of(&on, &commits).await.unwrap();
        let mut changes = BTreeMap::new();
        for (commit, number) in numbers {
            let pushed = Pushed {
                number: number.0,
                change_id: String::new(),
                commit: commit.clone(),
            };
            let findings = self.findings(&pushed).await;
            changes.insert(commit, JudgedChange { number, findings });
        }
        judge(&Question {
            graph,
            tip,
            own: tip,
            current: None,
            baseline,
            changes: &changes,
            accepted: &BTreeMap::new(),
        })
    }
}

pub fn kinds(findings: &[Finding]) -> BTreeSet<FindingKind> {
    findings.iter().map(|finding| finding.kind).collect()
}

/// What the gate says of one kind.
pub fn said(findings: &[Finding], kind: FindingKind) -> &str {
    findings
        .iter()
        .find(|finding| finding.kind == kind)
        .map_or("", |finding| finding.message.as_str())
}

/// Results that were stored at submit, by name.
pub fn result(evidence: &Evidence, name: &str) -> Option<RequirementStatus> {
    evidence.requirements.as_ref()?.get(name).copied()
}
