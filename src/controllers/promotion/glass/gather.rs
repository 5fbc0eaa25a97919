//! Reads: the promotion that is to be lifted, what people said, and who of them are one.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt as _;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::promotion::{GlassStatus, Override};
use lockstep_core::api::{PlanApproval, Promotion};
use lockstep_core::domain::approval::bare;
use lockstep_core::domain::ports::ConnectionKey;
use lockstep_core::domain::promotion::gate::people::{Alias, Email, People};

use super::super::super::Context;
use super::super::super::promotion_policy::reading;
use super::super::key;

/// Everything that a pass knows.
pub(super) struct Gathered {
    pub glass: GlassStatus,
    pub target: Option<Arc<Promotion>>,
    pub approvals: Vec<Arc<PlanApproval>>,
    pub protected_since: Option<jiff::Timestamp>,
    /// Names that mean one human.
    pub people: People,
    /// Why it cannot be followed.
    pub problem: Option<(Reason, String)>,
    /// Why the environment begins nothing.
    pub held: Option<String>,
}

/// Reads.
pub(super) fn gather(promotion: &Promotion, wish: &Override, context: &Context) -> Gathered {
    let namespace = promotion.namespace().unwrap_or_default();
    let spec = &promotion.spec;
    let mut gathered = Gathered {
        glass: super::kept(promotion).cloned().unwrap_or_default(),
        target: context.objects.promotion(&namespace, &wish.promotion),
        approvals: context.cluster.approvals(&key(promotion)),
        protected_since: context.cluster.approvals_protected_since(),
        people: People::default(),
        problem: None,
        held: None,
    };
    let Some(policy) = context.objects.policy(&namespace, &spec.policy_ref.name) else {
        let message = format!("PromotionPolicy {} does not exist", spec.policy_ref.name);
        gathered.problem = Some((Reason::DependencyNotReady, message));
        return gathered;
    };
    let remembered = reading::remembered(&policy, &spec.environment).environment;
    gathered.held = remembered.held.map(|held| held.reason);
    match reading::declared(&policy, &spec.environment, &*context.cluster) {
        Ok(declared) => gathered.people = people(&declared.gerrit, context),
        Err(problem) => gathered.problem = Some(problem),
    }
    gathered
}

/// Who has several names, as the owner of the connection says. Names of accounts stand beside addresses: a cluster may
/// know people by either.
fn people(gerrit: &ConnectionKey, context: &Context) -> People {
    let connection = context.cluster.gerrit_connection(&gerrit.namespace, &gerrit.name);
    let declared = connection.and_then(|connection| connection.spec.aliases.clone());
    let alias = |alias: lockstep_core::api::gerrit_connection::Alias| {
        let names = [&alias.email].into_iter().chain(&alias.accounts);
        Alias {
            emails: names.map(|name| Email::from(bare(name))).collect(),
            accounts: BTreeSet::new(),
        }
    };
    People {
        aliases: declared.unwrap_or_default().into_iter().map(alias).collect(),
        ..People::default()
    }
}
