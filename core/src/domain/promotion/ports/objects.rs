//! Objects of promotion as the watch caches hold them, and the few writes a controller makes to them. Reads are cheap
//! and answer from memory.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::api::{Promotion, PromotionPolicy, PromotionSpec};
use crate::domain::ports::{KeepError, ObjectKey};
use crate::domain::promotion::gate::freeze::Freeze;

/// Policies, promotions and freezes.
#[async_trait]
pub trait Objects: Send + Sync {
    fn policy(&self, namespace: &str, name: &str) -> Option<Arc<PromotionPolicy>>;
    /// Every policy, in no order.
    fn policies(&self) -> Vec<Arc<PromotionPolicy>>;
    fn promotion(&self, namespace: &str, name: &str) -> Option<Arc<Promotion>>;
    /// The promotions of a policy, in no order.
    fn promotions_of(&self, namespace: &str, policy: &str) -> Vec<Arc<Promotion>>;
    /// Every freeze that is not over, in no order.
    fn freezes(&self) -> Vec<Freeze>;

    /// Makes a promotion, owned by its policy; one of this name that is there already is left as it is.
    async fn make(&self, policy: &PromotionPolicy, name: &str, spec: PromotionSpec) -> Result<(), KeepError>;

    /// Deletes this very promotion; one that is gone is deleted.
    async fn delete(&self, promotion: &ObjectKey) -> Result<(), KeepError>;

    /// Makes these the whole of what survives a crash in the status of a policy or a promotion. What must not happen
    /// unless it was kept happens after this has returned.
    async fn keep(&self, object: &ObjectKey, status: Value) -> Result<(), KeepError>;
}
