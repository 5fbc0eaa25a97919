//! A review in which everything is as it should be, for tests to spoil.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lockstep_core::domain::promotion::gate::evidence::{
    ChangeNumber, ChangeStatus, CommitId, Evidence, Footer, Governance, Group, Identity, LabelDefinition,
    PatchId, PatchSet, PatchSetKind, RequirementStatus, TreeId, Vote,
};
use lockstep_core::domain::promotion::gate::finding::{Finding, FindingKind};
use lockstep_core::domain::promotion::gate::people::{Account, AccountId, Alias, Email, GroupUuid, People};
use lockstep_core::domain::promotion::gate::rules::{
    AgentIdentity, Agents, Approval, Floor, GovernedLabel, Rules, TrustedAutomation, Upstream, Verification,
};
use lockstep_core::domain::promotion::gate::{Case, GerritVersion, Success, Surroundings, judge_change};

/// Owns, uploads and writes the change.
pub const ADA: AccountId = AccountId(1);
/// A lead.
pub const BOB: AccountId = AccountId(2);
/// A lead as well.
pub const CY: AccountId = AccountId(3);
/// The checks: a service user.
pub const CI: AccountId = AccountId(4);
/// An agent, no service user.
pub const AGENT: AccountId = AccountId(5);
/// Ada's other account.
pub const ADA_ADMIN: AccountId = AccountId(6);
/// A service user that keeps dependencies fresh.
pub const DEPENDENCIES: AccountId = AccountId(7);
/// Not in the leads.
pub const EVE: AccountId = AccountId(8);

pub const APPROVAL: &str = "Code-Review";
pub const VERIFIED: &str = "Verified";

pub fn leads() -> GroupUuid {
    GroupUuid("leads".into())
}

pub fn checks() -> GroupUuid {
    GroupUuid("checks".into())
}

pub fn agents() -> GroupUuid {
    GroupUuid("agents".into())
}

pub fn engineers() -> GroupUuid {
    GroupUuid("engineers".into())
}

/// Minutes after the first patch set.
pub fn at(minute: i64) -> Timestamp {
    "2026-11-23T09:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
}

pub fn commit(name: &str) -> CommitId {
    CommitId(name.into())
}

pub fn email(of: &str) -> Email {
    Email::from(format!("{of}@example.com"))
}

/// A merged change with all that is known around it.
#[derive(Clone, Debug)]
pub struct Review {
    pub rules: Rules,
    pub change: Evidence,
    pub surroundings: Surroundings,
    pub now: Timestamp,
}

impl Review {
    pub fn case(&self) -> Case<'_> {
        Case {
            rules: &self.rules,
            change: &self.change,
            surroundings: &self.surroundings,
            now: self.now,
        }
    }

    pub fn findings(&self) -> Vec<Finding> {
        judge_change(&self.case())
    }

    pub fn kinds(&self) -> BTreeSet<FindingKind> {
        self.findings().iter().map(|finding| finding.kind).collect()
    }

    pub fn votes(&mut self) -> &mut Vec<Vote> {
        self.change.votes.as_mut().unwrap()
    }

    /// Adds a vote as people cast them, on the only patch set.
    pub fn vote(&mut self, label: &str, value: i32, account: AccountId) -> &mut Vote {
        self.votes().push(vote(label, value, account));
        self.votes().last_mut().unwrap()
    }

    /// The approval that stands.
    pub fn approval(&mut self) -> &mut Vote {
        self.votes()
            .iter_mut()
            .find(|vote| vote.label == APPROVAL)
            .unwrap()
    }

    /// The verification that stands.
    pub fn verification(&mut self) -> &mut Vote {
        self.votes()
            .iter_mut()
            .find(|vote| vote.label == VERIFIED)
            .unwrap()
    }

    pub fn group(&mut self, uuid: &GroupUuid) -> &mut Group {
        self.change.groups.get_mut(uuid).unwrap()
    }

    pub fn footer(&mut self, key: &str, value: &str) {
        self.change.footers.as_mut().unwrap().push(Footer {
            key: key.into(),
            value: value.into(),
        });
    }

    /// A further patch set by Ada, uploaded at this minute; the votes stay on the first, as Gerrit copies them.
    pub fn patch_set(&mut self, number: u32, kind: PatchSetKind, minute: i64) -> &mut PatchSet {
        self.change.patch_sets.insert(number, patch_set(kind, minute));
        self.change.patch_sets.get_mut(&number).unwrap()
    }

    /// Made by this account instead of Ada.
    pub fn made_by(&mut self, account: AccountId, name: &str) {
        self.change.owner = account;
        for set in self.change.patch_sets.values_mut() {
            set.uploader = Some(account);
            set.real_uploader = Some(account);
        }
        let identity = Identity {
            name: name.into(),
            email: email(name),
        };
        self.change.author = Some(identity.clone());
        self.change.committer = Some(identity);
    }
}

pub fn vote(label: &str, value: i32, account: AccountId) -> Vote {
    Vote {
        label: label.into(),
        value,
        account,
        real_author: Some(account),
        tag: None,
        time: Some(at(10)),
        patch_set: Some(1),
        copied: false,
        post_submit: false,
    }
}

pub fn patch_set(kind: PatchSetKind, minute: i64) -> PatchSet {
    PatchSet {
        kind: Some(kind),
        created: Some(at(minute)),
        uploader: Some(ADA),
        real_uploader: Some(ADA),
        by_submit: false,
    }
}

/// One that succeeded upstream with exactly this change.
pub fn success(review: &Review, minute: i64) -> Success {
    Success {
        change: review.change.number,
        change_id: review.change.change_id.clone(),
        revision: review.change.revision.clone(),
        patch: review.change.patch.clone(),
        cherry_pick_of: None,
        at: at(minute),
        taken_back: false,
    }
}

fn account(name: &str, service_user: bool) -> Account {
    Account {
        username: name.into(),
        emails: BTreeSet::from([email(name)]),
        service_user,
    }
}

fn group(name: &str, members: &[AccountId]) -> Group {
    Group {
        name: name.into(),
        members: Some(members.iter().copied().collect()),
        governed_by: Some(Governance {
            binding: format!("ml/{name}"),
            authoritative: true,
            enforcing: true,
        }),
        let_in_by_others: Some(BTreeSet::new()),
    }
}

fn rules() -> Rules {
    let label = |min, max| GovernedLabel {
        min,
        max,
        functions: ["NoBlock", "NoOp"].map(str::to_owned).into(),
    };
    Rules {
        project: "ml/fraud".into(),
        branch: "prod".into(),
        environment: "prod".into(),
        approval: Approval {
            label: APPROVAL.into(),
            count: 1,
            group: leads(),
            group_name: "ml-fraud-leads".into(),
        },
        verification: Some(Verification {
            label: VERIFIED.into(),
            group: checks(),
            group_name: "ci".into(),
        }),
        labels: BTreeMap::from([
            (APPROVAL.to_owned(), label(-2, 2)),
            (VERIFIED.to_owned(), label(-1, 1)),
        ]),
        required: ["Lockstep-Approved", "Lockstep-Verified"]
            .map(str::to_owned)
            .into(),
        allow_overridden: BTreeSet::new(),
        agents: Agents {
            identities: vec![AgentIdentity {
                group: agents(),
                sponsors: Some(engineers()),
            }],
            footers: vec!["Assisted-by".into()],
            requester_footer: Some("Requested-by".into()),
            count: 2,
        },
        trusted_automation: vec![TrustedAutomation {
            account: DEPENDENCIES,
            paths: vec!["requirements*.txt".into()],
        }],
        requires: Vec::new(),
    }
}

fn people() -> People {
    People {
        accounts: BTreeMap::from([
            (ADA, account("ada", false)),
            (BOB, account("bob", false)),
            (CY, account("cy", false)),
            (CI, account("ci", true)),
            (AGENT, account("agent", false)),
            (ADA_ADMIN, account("ada-admin", false)),
            (DEPENDENCIES, account("dependencies", true)),
            (EVE, account("eve", false)),
        ]),
        aliases: vec![Alias {
            emails: BTreeSet::from([email("ada")]),
            accounts: BTreeSet::from([ADA, ADA_ADMIN]),
        }],
    }
}

/// Ada wrote it, the checks verified it, Bob approved it, Ada submitted it.
pub fn reviewed() -> Review {
    let ada = Identity {
        name: "Ada".into(),
        email: email("ada"),
    };
    let label = |min, max| LabelDefinition {
        min,
        max,
        function: "NoBlock".into(),
    };
    let satisfied = RequirementStatus::Satisfied;
    let change = Evidence {
        number: ChangeNumber(42),
        change_id: "I42".into(),
        project: "ml/fraud".into(),
        branch: "prod".into(),
        status: Some(ChangeStatus::Merged),
        owner: ADA,
        submitter: Some(ADA),
        submitted: Some(at(20)),
        closed_by_push: false,
        author: Some(ada.clone()),
        committer: Some(ada),
        revision: commit("c42"),
        tree: Some(TreeId("t42".into())),
        parents: vec![commit("c41")],
        in_branch: Some(true),
        paths: Some(BTreeSet::from(["models/fraud/train.py".to_owned()])),
        patch: Some(PatchId("p42".into())),
        cherry_pick_of: None,
        patch_sets: BTreeMap::from([(1, patch_set(PatchSetKind::Rework, 0))]),
        votes: Some(vec![vote(APPROVAL, 2, BOB), vote(VERIFIED, 1, CI)]),
        requirements: Some(BTreeMap::from([
            ("Lockstep-Approved".to_owned(), satisfied),
            ("Lockstep-Verified".to_owned(), satisfied),
            ("No-Docs".to_owned(), RequirementStatus::NotApplicable),
        ])),
        labels: BTreeMap::from([
            (APPROVAL.to_owned(), label(-2, 2)),
            (VERIFIED.to_owned(), label(-1, 1)),
        ]),
        footers: Some(Vec::new()),
        people: people(),
        groups: BTreeMap::from([
            (
                leads(),
                group(
                    "ml-fraud-leads",
                    &[ADA, BOB, CY, ADA_ADMIN, AGENT, CI, DEPENDENCIES],
                ),
            ),
            (checks(), group("ci", &[CI, ADA, DEPENDENCIES])),
            (agents(), group("ai-agents", &[AGENT])),
            (engineers(), group("ml-fraud-engineers", &[ADA, CY])),
        ]),
        meta_rev_id: Some("m42".into()),
    };
    Review {
        rules: rules(),
        change,
        surroundings: Surroundings {
            gerrit: Some(GerritVersion(3, 13, 5)),
            floor: Some(Floor {
                projects: vec!["ml/fraud*".into()],
                min_approvals: 1,
                approver_groups: BTreeSet::from(["ml-fraud-leads".to_owned()]),
                require_verification: true,
            }),
            upstream: BTreeMap::new(),
        },
        now: at(60),
    }
}

/// A review that asks for a success in staging, soaked for an hour.
pub fn needs_staging() -> Review {
    let mut review = reviewed();
    review.rules.requires = vec![Upstream {
        environment: "staging".into(),
        soak: 3_600,
    }];
    review.surroundings.upstream.insert("staging".into(), Vec::new());
    review
}

/// The kinds of findings after one thing was spoilt.
pub fn after(spoil: impl FnOnce(&mut Review)) -> BTreeSet<FindingKind> {
    let mut review = reviewed();
    spoil(&mut review);
    review.kinds()
}
