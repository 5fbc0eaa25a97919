//! Who is looked at when a policy, a promotion or a freeze changes.

use std::collections::BTreeSet;

use lockstep_core::api::reference::ConnectionRef;
use lockstep_core::api::{CANCEL, ChangeFreeze, Promotion, PromotionPolicy, PromotionPolicySpec, RETRY};

use super::cache::Held;
use super::changes::asked_again;
use super::index::Word;
use super::name::{KindName, Name, Subject};
use super::store::{Wiring, object, undecodable};

/// Connections that a policy's spec names.
fn connections(namespace: &str, spec: &PromotionPolicySpec) -> BTreeSet<Subject> {
    let subject = |kind, reference: &ConnectionRef| {
        let namespace = reference.namespace.as_deref().unwrap_or(namespace);
        Subject::new(kind, Name::new(namespace, &reference.name))
    };
    let workspaces = spec.environments.iter().map(|environment| {
        subject(
            KindName::DatabricksConnection,
            &environment.databricks.connection_ref,
        )
    });
    workspaces
        .chain([subject(KindName::GerritConnection, &spec.gerrit.connection_ref)])
        .collect()
}

/// Whether somebody wiped the status; we never leave one without conditions.
fn lost_status(old: Option<&PromotionPolicy>, new: Option<&PromotionPolicy>) -> bool {
    let has = |policy: &PromotionPolicy| {
        let status = policy.status.as_ref();
        status.is_some_and(|status| !status.conditions.is_empty())
    };
    old.is_some_and(has) && new.is_some_and(|new| !has(new))
}

/// What people ask of a promotion after it was made.
fn orders(promotion: &Promotion) -> [Option<&String>; 2] {
    let annotations = promotion.metadata.annotations.as_ref();
    [CANCEL, RETRY].map(|key| annotations.and_then(|all| all.get(key)))
}

/// What of a promotion concerns the others of its environment.
fn phase(promotion: &Promotion) -> Option<lockstep_core::api::promotion::PromotionPhase> {
    promotion.status.as_ref()?.phase
}

impl Wiring {
    pub(super) fn policy_changed(
        &self,
        name: &Name,
        old: Option<&Held<PromotionPolicy>>,
        new: Option<&Held<PromotionPolicy>>,
    ) {
        let subject = Subject::new(KindName::PromotionPolicy, name.clone());
        let torn = undecodable(old) != undecodable(new);
        let (old, new) = (object(old), object(new));
        let words = |policy: Option<&PromotionPolicy>| -> BTreeSet<Word> {
            let Some(policy) = policy else {
                return BTreeSet::new();
            };
            let connections = connections(name.namespace(), &policy.spec);
            let words = connections
                .iter()
                .map(|connection| Word::connection(connection.kind, &connection.name));
            words.chain([Word::namespace(name.namespace())]).collect()
        };
        self.reindex(&subject, &words(old), &words(new));
        let asked = asked_again(old, new);
        if asked || torn || lost_status(old, new) {
            self.wake(subject);
        }
        // What was judged by another policy than this one is judged again.
        if asked {
            self.wake_word(Word::policy(name));
        }
    }

    pub(super) fn promotion_changed(
        &self,
        name: &Name,
        old: Option<&Held<Promotion>>,
        new: Option<&Held<Promotion>>,
    ) {
        let subject = Subject::new(KindName::Promotion, name.clone());
        let torn = undecodable(old) != undecodable(new);
        let (old, new) = (object(old), object(new));
        let policy = |promotion: &Promotion| Name::new(name.namespace(), &promotion.spec.policy_ref.name);
        let words = |promotion: Option<&Promotion>| -> BTreeSet<Word> {
            let policy = promotion.map(|promotion| Word::policy(&policy(promotion)));
            policy.into_iter().collect()
        };
        self.reindex(&subject, &words(old), &words(new));
        let asked = asked_again(old, new) || old.map(orders) != new.map(orders);
        if asked || torn {
            self.wake(subject);
        }
        // The turn in an environment is its policy's to give.
        if (asked || old.map(phase) != new.map(phase))
            && let Some(promotion) = new.or(old)
        {
            self.wake(Subject::new(KindName::PromotionPolicy, policy(promotion)));
        }
    }

    pub(super) fn freeze_changed(
        &self,
        name: &Name,
        old: Option<&Held<ChangeFreeze>>,
        new: Option<&Held<ChangeFreeze>>,
    ) {
        if asked_again(object(old), object(new)) || undecodable(old) != undecodable(new) {
            self.wake(Subject::new(KindName::ChangeFreeze, name.clone()));
            self.wake_word(Word::namespace(name.namespace()));
        }
    }
}
