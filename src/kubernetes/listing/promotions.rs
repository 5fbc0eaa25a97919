//! The port [`Objects`] over what was listed. A cluster without these kinds has none of them, and nothing is wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use kube::Client;
use lockstep_core::api::{ChangeFreeze, Promotion, PromotionPolicy, PromotionSpec};
use lockstep_core::domain::ports::{KeepError, ObjectKey};
use lockstep_core::domain::promotion::gate::freeze::Freeze;
use lockstep_core::domain::promotion::ports::objects::Objects;
use serde_json::Value;

use super::super::name::Name;
use super::pages::{Listed, Unreadable, list_if_known};
use super::{Listing, refused};

/// What has to do with promotions.
pub(super) struct Promoted {
    policies: Listed<PromotionPolicy>,
    promotions: Listed<Promotion>,
    freezes: Listed<ChangeFreeze>,
}

/// Lists them; `homes` are the namespaces whose freezes count.
pub(super) async fn read(
    client: &Client,
    namespaces: &BTreeSet<String>,
    homes: &BTreeSet<String>,
) -> Result<Promoted, Unreadable> {
    let (policies, promotions, freezes) = futures::join!(
        list_if_known(client, namespaces),
        list_if_known(client, namespaces),
        list_if_known(client, homes),
    );
    Ok(Promoted {
        policies: policies?,
        promotions: promotions?,
        freezes: freezes?,
    })
}

impl Listing {
    pub(super) fn put_promoted(&mut self, found: Promoted) {
        let Promoted {
            policies,
            promotions,
            freezes,
        } = found;
        let notes = [policies.notes, promotions.notes, freezes.notes];
        self.promotion_notes.extend(notes.into_iter().flatten());
        policies
            .objects
            .into_iter()
            .for_each(|policy| self.put_policy(policy));
        promotions
            .objects
            .into_iter()
            .for_each(|promotion| self.put_promotion(promotion));
        freezes
            .objects
            .into_iter()
            .for_each(|freeze| self.put_freeze(freeze));
    }

    /// Lays an object over what the cluster has.
    pub fn put_policy(&mut self, policy: PromotionPolicy) {
        self.policies.insert(Name::of(&policy), Arc::new(policy));
    }

    /// Lays an object over what the cluster has.
    pub fn put_promotion(&mut self, promotion: Promotion) {
        self.promotions.insert(Name::of(&promotion), Arc::new(promotion));
    }

    /// Lays an object over what the cluster has.
    pub fn put_freeze(&mut self, freeze: ChangeFreeze) {
        self.freezes.insert(Name::of(&freeze), Arc::new(freeze));
    }
}

#[async_trait]
impl Objects for Listing {
    fn policy(&self, namespace: &str, name: &str) -> Option<Arc<PromotionPolicy>> {
        self.policies.get(&Name::new(namespace, name)).cloned()
    }

    fn policies(&self) -> Vec<Arc<PromotionPolicy>> {
        self.policies.values().cloned().collect()
    }

    fn promotion(&self, namespace: &str, name: &str) -> Option<Arc<Promotion>> {
        self.promotions.get(&Name::new(namespace, name)).cloned()
    }

    fn promotions_of(&self, namespace: &str, policy: &str) -> Vec<Arc<Promotion>> {
        self.promotions
            .iter()
            .filter(|(name, promotion)| {
                name.namespace() == namespace && promotion.spec.policy_ref.name == policy
            })
            .map(|(_, promotion)| promotion.clone())
            .collect()
    }

    fn freezes(&self) -> Vec<Freeze> {
        let home = &self.operator_namespace;
        self.freezes
            .values()
            .map(|object| Freeze::declared(object, home))
            .collect()
    }

    async fn make(
        &self,
        _policy: &PromotionPolicy,
        _name: &str,
        _spec: PromotionSpec,
    ) -> Result<(), KeepError> {
        Err(refused("object"))
    }

    async fn delete(&self, _promotion: &ObjectKey) -> Result<(), KeepError> {
        Err(refused("object"))
    }

    async fn keep(&self, _object: &ObjectKey, _status: Value) -> Result<(), KeepError> {
        Err(refused("journal"))
    }
}

#[cfg(test)]
#[path = "promotions_tests.rs"]
mod tests;
