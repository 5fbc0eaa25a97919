//! Who is looked at when a policy, a promotion or a freeze changes. A policy and its promotions tell each other what
//! to do through what they keep in their status, so parts of that wake the other side; steps that go on wake nobody.

use std::collections::BTreeSet;

use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::api::promotion_policy_status::{
    CurrentStatus, EnvironmentStatus, HoldStatus, ReachedStatus,
};
use lockstep_core::api::reference::ConnectionRef;
use lockstep_core::api::{CANCEL, ChangeFreeze, Promotion, PromotionPolicy, PromotionPolicySpec, RETRY};
use serde_json::Value;

use super::cache::Held;
use super::changes::{asked_again, lost_status};
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

/// What people ask of a promotion after it was made.
fn orders(promotion: &Promotion) -> [Option<&String>; 2] {
    let annotations = promotion.metadata.annotations.as_ref();
    [CANCEL, RETRY].map(|key| annotations.and_then(|all| all.get(key)))
}

/// What of a promotion concerns its policy and the others of its environment.
#[derive(PartialEq)]
struct Standing<'a> {
    phase: Option<PromotionPhase>,
    /// Where its machine is.
    machine: Option<&'a Value>,
    judged: bool,
    findings: Option<Vec<&'a str>>,
}

fn standing(promotion: &Promotion) -> Option<Standing<'_>> {
    let status = promotion.status.as_ref()?;
    let machine = status.machine.as_ref();
    let findings = status.verdict.as_ref().map(|verdict| &verdict.findings);
    Some(Standing {
        phase: status.phase,
        machine: machine.and_then(|machine| machine.pointer("/promotion/phase")),
        judged: status.judged_at.is_some(),
        findings: findings.map(|found| found.iter().map(|finding| finding.kind.as_str()).collect()),
    })
}

/// The promotion whose findings it lifts, if it is an override.
fn lifts(name: &Name, promotion: &Promotion) -> Option<Name> {
    let wish = promotion.spec.override_.as_ref()?;
    Some(Name::new(name.namespace(), &wish.promotion))
}

/// What of an override concerns the promotion that it lifts.
fn glass(promotion: &Promotion) -> Option<(bool, Option<PromotionPhase>)> {
    let glass = promotion.status.as_ref()?.glass.as_ref()?;
    Some((glass.lifted_at.is_some(), glass.ended))
}

fn has_ended(promotion: &Promotion) -> bool {
    let phase = promotion.status.as_ref().and_then(|status| status.phase);
    phase.is_some_and(|phase| match phase {
        PromotionPhase::Waiting | PromotionPhase::Running | PromotionPhase::Undoing => false,
        PromotionPhase::Succeeded
        | PromotionPhase::Failed
        | PromotionPhase::Refused
        | PromotionPhase::Superseded
        | PromotionPhase::Cancelled => true,
    })
}

fn environments(policy: Option<&PromotionPolicy>) -> &[EnvironmentStatus] {
    let status = policy.and_then(|policy| policy.status.as_ref());
    status
        .and_then(|status| status.environments.as_deref())
        .unwrap_or_default()
}

/// Whose turn it is, and who may have it.
type Turn<'a> = (
    &'a str,
    Option<&'a str>,
    Option<&'a HoldStatus>,
    Option<&'a CurrentStatus>,
    Option<&'a ReachedStatus>,
);

fn turn(environment: &EnvironmentStatus) -> Turn<'_> {
    (
        &environment.name,
        environment.acting.as_deref(),
        environment.held.as_ref(),
        environment.current.as_ref(),
        environment.reached.as_ref(),
    )
}

/// Between which commits promotions are judged, and for whom older ones step aside.
fn bounds(environment: &EnvironmentStatus) -> [Option<&str>; 4] {
    [
        Some(&environment.name),
        environment.tip.as_deref(),
        environment.baseline.as_deref(),
        environment.next.as_deref(),
    ]
}

/// By which rules promotions are judged.
fn gate(policy: Option<&PromotionPolicy>) -> Option<&str> {
    let gate = policy?.status.as_ref()?.gate.as_ref()?;
    Some(&gate.digest)
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
        if asked {
            self.tell_connections(name.namespace(), old, new);
        }
        if asked || torn || lost_status(old, new, |status| &status.conditions) {
            self.wake(subject);
        }
        let (before, after) = (environments(old), environments(new));
        // What was judged by another policy than this one is judged again.
        if asked || !before.iter().map(turn).eq(after.iter().map(turn)) {
            self.wake_word(Word::policy(name));
        } else if gate(old) != gate(new) || !before.iter().map(bounds).eq(after.iter().map(bounds)) {
            self.wake_word(Word::unfinished_of(name));
        }
    }

    /// A connection is told of whoever may be its first user, and of whoever may have been its last: it holds a finalizer
    /// in between.
    fn tell_connections(
        &self,
        namespace: &str,
        old: Option<&PromotionPolicy>,
        new: Option<&PromotionPolicy>,
    ) {
        let named = |policy: Option<&PromotionPolicy>| {
            policy.map_or_else(BTreeSet::new, |policy| connections(namespace, &policy.spec))
        };
        let (old, new) = (named(old), named(new));
        let left = old.difference(&new).cloned();
        let lacking = new
            .iter()
            .filter(|connection| self.is_without_finalizer(connection));
        for connection in left.chain(lacking.cloned()) {
            self.wake(connection);
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
            let Some(promotion) = promotion else {
                return BTreeSet::new();
            };
            let policy = policy(promotion);
            let mut words = BTreeSet::from([Word::policy(&policy)]);
            words.extend(lifts(name, promotion).map(|lifted| Word::lifted(&lifted)));
            if !has_ended(promotion) {
                words.extend([Word::unfinished_of(&policy), Word::unfinished()]);
            }
            words
        };
        self.reindex(&subject, &words(old), &words(new));
        let asked = asked_again(old, new) || old.map(orders) != new.map(orders);
        if asked || torn {
            self.wake(subject);
        }
        let Some(promotion) = new.or(old) else { return };
        // The turn in an environment is its policy's to give.
        if asked || old.map(standing) != new.map(standing) {
            self.wake(Subject::new(KindName::PromotionPolicy, policy(promotion)));
            self.wake_word(Word::lifted(name));
        }
        if (asked || old.map(glass) != new.map(glass))
            && let Some(lifted) = lifts(name, promotion)
        {
            self.wake(Subject::new(KindName::Promotion, lifted));
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
            // One in the operator's namespace holds everywhere, and ends everywhere.
            self.wake_word(Word::unfinished());
            self.wake_word(Word::credentials());
        }
    }
}

#[cfg(test)]
#[path = "promotions_tests.rs"]
mod tests;
