//! What users write. Types only: no I/O, no clock, no defaults (they are resolved in
//! [`crate::domain::defaults`], because a default in the schema makes GitOps tools report endless drift).

pub mod access_binding;
pub mod access_status;
pub mod change_freeze;
pub mod condition;
pub mod connection;
pub mod crd;
mod credential_shapes;
pub mod credential_store;
pub mod databricks_connection;
pub mod gerrit_connection;
mod object_rules;
pub mod objects;
pub mod permissions;
pub mod plan_approval;
pub mod promotion;
pub mod promotion_policy;
pub mod promotion_policy_status;
mod promotion_shapes;
pub mod promotion_status;
pub mod promotion_step;
pub mod reference;
pub mod schema;
pub mod service_credential;
pub mod service_credential_status;
pub mod text;
pub mod windows;

pub use access_binding::{AccessBinding, AccessBindingSpec, AccessBindingStatus};
pub use change_freeze::{ChangeFreeze, ChangeFreezeSpec, ChangeFreezeStatus};
pub use credential_store::{CredentialStore, CredentialStoreSpec, CredentialStoreStatus};
pub use databricks_connection::{DatabricksConnection, DatabricksConnectionSpec, DatabricksConnectionStatus};
pub use gerrit_connection::{GerritConnection, GerritConnectionSpec, GerritConnectionStatus};
pub use plan_approval::{PlanApproval, PlanApprovalSpec, PlanApprovalStatus};
pub use promotion::{Promotion, PromotionSpec, PromotionStatus};
pub use promotion_policy::{PromotionPolicy, PromotionPolicySpec, PromotionPolicyStatus};
pub use service_credential::{ServiceCredential, ServiceCredentialSpec, ServiceCredentialStatus};

/// The API group of every kind.
pub const GROUP: &str = "lockstep.dev";
/// The one served and stored version.
pub const VERSION: &str = "v1alpha1";

/// Annotation whose value is echoed in `status.lastHandledRequest` once a pass that began after it has ended.
pub const REQUESTED_AT: &str = "lockstep.dev/requested-at";
/// Annotation on a Secret or ServiceAccount naming the hosts its credential may be sent to.
pub const HOST: &str = "lockstep.dev/host";
/// Annotation that the chart's mutating admission policy stamps with the user who last changed the spec.
pub const CHANGED_BY: &str = "lockstep.dev/changed-by";
/// Annotation on a Promotion: a person wants it to stop.
pub const CANCEL: &str = "lockstep.dev/cancel";
/// Annotation on a Promotion: anything new makes the operator create the next attempt.
pub const RETRY: &str = "lockstep.dev/retry";
/// Annotation on a ServiceCredential: anything new rotates now.
pub const ROTATE: &str = "lockstep.dev/rotate";
/// Annotation on a ServiceCredential: numbers of generations that others know, with commas between them. They are revoked
/// first, whatever that breaks.
pub const COMPROMISED: &str = "lockstep.dev/compromised";
/// On an entry of a store that is ours, an annotation or what the store has in its place: uid of the ServiceCredential that
/// writes it.
pub const OWNER: &str = "lockstep.dev/owner";
/// Beside it: the name of that.
pub const CREDENTIAL: &str = "lockstep.dev/credential";
/// Annotation of a pod template: which value its pods were started for.
pub const STARTED_FOR: &str = "lockstep.dev/started-for";
/// Annotation on a Secret that Lockstep did not make: the ServiceCredential of its namespace that may take it over.
pub const ADOPT: &str = "lockstep.dev/adopt";
/// Label on a Promotion that the operator or the command line made: the name of its policy.
pub const POLICY_LABEL: &str = "lockstep.dev/policy";
/// Label on a Promotion that the operator or the command line made: the environment it brings something to.
pub const ENVIRONMENT_LABEL: &str = "lockstep.dev/environment";
/// Finalizer on every object that holds something in an outside system.
pub const FINALIZER: &str = "lockstep.dev/revoke";
/// Finalizer on connections while something still depends on them.
pub const DEPENDANTS_FINALIZER: &str = "lockstep.dev/dependants";
