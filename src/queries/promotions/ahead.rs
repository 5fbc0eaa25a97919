//! What a change would come to in each environment that it would go to, asked before the merge, or after it: the same
//! gate over the same evidence, read with the rights of whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion::FindingRow;
use lockstep_core::domain::defaults;
use lockstep_core::domain::ports::{ConnectionKey, SystemError};
use lockstep_core::domain::promotion::gate::ahead::unsatisfied;
use lockstep_core::domain::promotion::gate::evidence::{ChangeStatus, CommitId};
use lockstep_core::domain::promotion::gate::finding::{Class, Finding, FindingKind};
use lockstep_core::domain::promotion::policy::{Environment, Policy};
use lockstep_core::domain::promotion::ports::reviews::{Listed, Watched};
use serde::Serialize;

use super::change_words::ChangeWords;
use super::rows::Wanted;
use crate::controllers::Context;
use crate::controllers::branches::Branches;
use crate::controllers::promotion::{Ahead, Question, Unjudged};
use crate::controllers::promotion_policy::reading;

/// What a change would come to in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlook {
    pub namespace: String,
    pub policy: String,
    pub environment: String,
    /// Gerrit's number.
    pub change: u64,
    pub subject: String,
    pub project: String,
    pub branch: String,
    /// Commit of the newest patch set, which is what was judged.
    pub revision: String,
    pub status: ChangeWord,
    /// Nothing is missing. It may still have to wait.
    pub passes: bool,
    /// What would refuse it if it merged as it is.
    pub missing: Vec<FindingRow>,
    /// What only the merge brings.
    pub with_the_merge: Vec<FindingRow>,
    /// What it would wait for after the merge.
    pub waits_for: Vec<FindingRow>,
    /// Submit requirements by which Gerrit itself does not let it be submitted yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_submittable: Vec<String>,
    /// Commits below it that are not in the branch either: their changes are submitted with it, and must pass as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stands_on: Vec<String>,
    /// It touches none of the policy's `paths`, so that it starts no promotion by itself.
    pub starts_none: bool,
    /// Why it could not be judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Where a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeWord {
    Open,
    Merged,
    Abandoned,
    Unknown,
}

/// An environment that a change may go to.
struct Destination {
    object: Arc<PromotionPolicy>,
    policy: Policy,
    environment: Environment,
}

/// Why nobody can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    pub why: String,
    /// Whoever asks may not read what the connection logs in with, or it is not there.
    pub no_credential: bool,
}

impl From<String> for Unanswered {
    fn from(why: String) -> Self {
        Self {
            why,
            no_credential: false,
        }
    }
}

/// The outlook in every environment that the change would go to, in the order of policies and environments.
pub async fn ahead(
    words: &ChangeWords,
    namespace: &str,
    wanted: Wanted<'_>,
    context: &Context,
) -> Result<Vec<Outlook>, Unanswered> {
    let destinations = destinations(words, namespace, wanted, context)?;
    let mut servers: BTreeMap<&ConnectionKey, Vec<&Destination>> = BTreeMap::new();
    for destination in &destinations {
        let key = &destination.policy.gerrit;
        servers.entry(key).or_default().push(destination);
    }
    let branches = Branches::default();
    let (mut outlooks, mut found) = (Vec::new(), BTreeSet::new());
    for (key, destinations) in servers {
        let changes = changes(words, key, context).await.map_err(|error| Unanswered {
            no_credential: error.reason() == Reason::SecretMissing,
            why: error.to_string(),
        })?;
        for destination in destinations {
            let goes_there = |change: &&Listed| change.on == destination.on();
            for change in changes.iter().filter(goes_there) {
                outlooks.push(destination.outlook(change, &branches, context).await);
            }
        }
        let on = |change: Listed| {
            let Watched { project, branch } = change.on;
            format!("{} is on branch {branch} of {project}", change.number)
        };
        found.extend(changes.into_iter().map(on));
    }
    if !outlooks.is_empty() {
        return Ok(outlooks);
    }
    let why = if found.is_empty() {
        "Gerrit shows no such change: it does not exist, or the connection's account may not see it"
            .to_owned()
    } else {
        let all: Vec<String> = found.into_iter().collect();
        let there: BTreeSet<String> = destinations.iter().map(Destination::place).collect();
        let there: Vec<String> = there.into_iter().collect();
        format!(
            "{}, from where nothing is promoted here: looked at were {}",
            all.join("; "),
            there.join(", ")
        )
    };
    Err(why.into())
}

/// Environments that changes of the project and server in question may go to.
fn destinations(
    words: &ChangeWords,
    namespace: &str,
    wanted: Wanted<'_>,
    context: &Context,
) -> Result<Vec<Destination>, String> {
    let mut objects = context.objects.policies();
    objects.retain(|object| {
        object.namespace().as_deref() == Some(namespace)
            && wanted.policy.is_none_or(|name| object.name_any() == name)
    });
    objects.sort_by_key(|object| object.name_any());
    if objects.is_empty() {
        return Err(match wanted.policy {
            Some(name) => format!("there is no PromotionPolicy {name} in namespace {namespace}"),
            None => format!("there is no PromotionPolicy in namespace {namespace}"),
        } + ": look elsewhere with -n");
    }
    let (mut destinations, mut elsewhere) = (Vec::new(), BTreeSet::new());
    for object in objects {
        let policy = reading::whole(&object)
            .map_err(|(_, why)| format!("PromotionPolicy {}: {why}", object.name_any()))?;
        let key = &policy.gerrit;
        let connection = context.cluster.gerrit_connection(&key.namespace, &key.name);
        let url = connection.map(|connection| connection.spec.url.clone());
        if !url.as_deref().is_none_or(|url| words.may_be_at(url)) || !words.may_be_in(&policy.project) {
            elsewhere.insert(format!("{} at {}", policy.project, url.unwrap_or_default()));
            continue;
        }
        for environment in &policy.environments {
            if wanted.environment.is_none_or(|name| environment.name() == name) {
                destinations.push(Destination {
                    object: object.clone(),
                    policy: policy.clone(),
                    environment: environment.clone(),
                });
            }
        }
    }
    if destinations.is_empty() {
        return Err(match wanted.environment {
            Some(name) if elsewhere.is_empty() => {
                format!("there is no environment {name} of any policy in question in namespace {namespace}")
            }
            _ => {
                let all: Vec<String> = elsewhere.into_iter().collect();
                format!(
                    "nothing there is promoted: the policies here promote {}",
                    all.join(", ")
                )
            }
        });
    }
    Ok(destinations)
}

async fn changes(
    words: &ChangeWords,
    key: &ConnectionKey,
    context: &Context,
) -> Result<Vec<Listed>, SystemError> {
    let review = context.reviews.open(key).await?;
    let mut found = review.system().find(&words.name).await?;
    found.retain(|change| words.may_be_in(&change.on.project));
    Ok(found)
}

impl Destination {
    fn on(&self) -> Watched {
        Watched {
            project: self.policy.project.clone(),
            branch: self.environment.branch.clone(),
        }
    }

    fn place(&self) -> String {
        format!("branch {} of {}", self.environment.branch, self.policy.project)
    }

    async fn outlook(&self, change: &Listed, branches: &Branches, context: &Context) -> Outlook {
        let mut outlook = Outlook {
            namespace: self.object.namespace().unwrap_or_default(),
            policy: self.object.name_any(),
            environment: self.environment.name().to_owned(),
            change: change.number.0,
            subject: change.subject.clone(),
            project: change.on.project.clone(),
            branch: change.on.branch.clone(),
            revision: change.revision.0.clone(),
            status: match change.status {
                Some(ChangeStatus::New) => ChangeWord::Open,
                Some(ChangeStatus::Merged) => ChangeWord::Merged,
                Some(ChangeStatus::Abandoned) => ChangeWord::Abandoned,
                None => ChangeWord::Unknown,
            },
            passes: false,
            missing: Vec::new(),
            with_the_merge: Vec::new(),
            waits_for: Vec::new(),
            not_submittable: Vec::new(),
            stands_on: Vec::new(),
            starts_none: false,
            problem: None,
        };
        match self.ask(change, branches, context).await {
            Ok(ahead) => self.tell(&mut outlook, ahead),
            Err(why) => outlook.problem = Some(why),
        }
        outlook
    }

    async fn ask(&self, change: &Listed, branches: &Branches, context: &Context) -> Result<Ahead, String> {
        let (object, name) = (&self.object, self.environment.name());
        if defaults::policy_suspended(&object.spec) {
            return Err("spec.suspend is true: nothing is judged or begun".into());
        }
        let declared = reading::declared(object, name, &*context.cluster).map_err(|(_, why)| why)?;
        let namespace = object.namespace().unwrap_or_default();
        let question = Question {
            policy: object,
            declared: &declared,
            status: &reading::remembered(object, name),
            siblings: &context.objects.promotions_of(&namespace, &object.name_any()),
            freezes: &context.objects.freezes(),
        };
        let ahead = question.ahead(branches, change, context).await;
        ahead.map_err(|why| match why {
            Unjudged::Error(error) => error.to_string(),
            Unjudged::NotYet(why) => why,
        })
    }

    fn tell(&self, outlook: &mut Outlook, ahead: Ahead) {
        let Ahead { judged, stands_on } = ahead;
        let found = judged.found.as_deref();
        if outlook.status == ChangeWord::Open {
            let why = format!("change {} is still open", outlook.change);
            outlook.with_the_merge = vec![row(&Finding::new(FindingKind::NotMerged, why))];
            outlook.not_submittable = found.map(unsatisfied).unwrap_or_default();
        }
        for finding in &judged.verdict.findings {
            match finding.kind.class() {
                Class::Refuses => outlook.missing.push(row(finding)),
                Class::Waits => outlook.waits_for.push(row(finding)),
            }
        }
        outlook.passes = outlook.missing.is_empty();
        outlook.stands_on = stands_on.iter().map(CommitId::to_string).collect();
        let paths = found.and_then(|found| found.paths.as_ref());
        outlook.starts_none = paths.is_some_and(|paths| !self.policy.is_started_by(paths));
    }
}

fn row(finding: &Finding) -> FindingRow {
    FindingRow {
        kind: finding.kind.to_string(),
        message: finding.message.clone(),
        again: finding.again,
    }
}
