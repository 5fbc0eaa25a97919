//! What a person does who approves: find out who they are to the cluster, and say yes under that name, where it counts.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use lockstep_core::api::{AccessBinding, PlanApproval, PlanApprovalSpec};
use lockstep_core::domain::ports::ObjectKey;

/// Whether an approval lies where it counts for an object, and names its uid. Where it lies is what RBAC decides; what
/// it says of namespaces is its author's word alone.
pub(super) fn has_a_say(approval: &PlanApproval, object: &ObjectKey, operator_namespace: &str) -> bool {
    let home = approval.metadata.namespace.as_deref();
    approval.spec.plan_ref.uid == object.uid
        && (home == Some(operator_namespace) || home == Some(&object.namespace))
}

/// Approves in the name of whoever the client logs in as.
pub struct Approver {
    client: Client,
    /// The caller's user name, as the admission policy will see it.
    pub name: String,
}

/// An approval could not be made. The message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotApproved(pub String);

impl Approver {
    /// Asks the API server who we are.
    pub async fn find(client: Client) -> Result<Self, NotApproved> {
        let api: Api<SelfSubjectReview> = Api::all(client.clone());
        let review = api
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await
            .map_err(|error| NotApproved(format!("the cluster does not say who you are: {error}")))?;
        let name = review
            .status
            .and_then(|status| status.user_info?.username)
            .ok_or_else(|| NotApproved("the cluster knows no user name for you".into()))?;
        Ok(Self { client, name })
    }

    /// Creates the approval beside the object, under a name that the cluster chooses.
    pub async fn approve(&self, spec: PlanApprovalSpec) -> Result<PlanApproval, NotApproved> {
        let namespace = spec.plan_ref.namespace.clone();
        let stem: String = spec.plan_ref.name.chars().take(200).collect();
        let mut approval = PlanApproval::new("", spec);
        approval.metadata = ObjectMeta {
            generate_name: Some(format!("{stem}-")),
            namespace: Some(namespace.clone()),
            ..ObjectMeta::default()
        };
        let api: Api<PlanApproval> = Api::namespaced(self.client.clone(), &namespace);
        api.create(&PostParams::default(), &approval)
            .await
            .map_err(|error| match error {
                kube::Error::Api(status) if status.is_forbidden() => NotApproved(format!(
                    "you may not approve here: {} (RBAC: create planapprovals in {namespace})",
                    status.message
                )),
                error => NotApproved(format!("the approval was refused: {error}")),
            })
    }

    /// The approval as it stands.
    pub async fn look(&self, namespace: &str, name: &str) -> Option<PlanApproval> {
        let api: Api<PlanApproval> = Api::namespaced(self.client.clone(), namespace);
        api.get_opt(name).await.ok().flatten()
    }

    /// The object as it stands.
    pub async fn binding(&self, namespace: &str, name: &str) -> Option<AccessBinding> {
        let api: Api<AccessBinding> = Api::namespaced(self.client.clone(), namespace);
        api.get_opt(name).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use lockstep_core::api::plan_approval::PlanRef;

    use super::*;

    #[test]
    fn an_approval_counts_where_it_lies_and_not_where_it_says() {
        let object = ObjectKey {
            kind: "AccessBinding".into(),
            namespace: "ml".into(),
            name: "crew".into(),
            uid: "u".into(),
        };
        let counts = |home: &str, says: &str, uid: &str| {
            let spec = PlanApprovalSpec {
                plan_ref: PlanRef {
                    kind: object.kind.clone(),
                    namespace: says.into(),
                    name: object.name.clone(),
                    uid: uid.into(),
                },
                digest: "sha256:d".into(),
                approver: "lead@x".into(),
                reason: "because".into(),
                expires: None,
            };
            let mut approval = PlanApproval::new("yes", spec);
            approval.metadata.namespace = Some(home.into());
            has_a_say(&approval, &object, "lockstep-system")
        };
        assert!(counts("ml", "ml", "u") && counts("lockstep-system", "ml", "u"));
        assert!(
            !counts("mallory", "mallory", "u"),
            "its author chose what it says"
        );
        assert!(!counts("mallory", "ml", "u") && !counts("ml", "ml", "v"));
    }
}
