//! The chart's admission policies, and people who say yes.

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery;
use lockstep_core::api::{AccessBinding, PlanApproval, PromotionPolicy};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::operator::NAMESPACE;
use super::stack::{Stack, root};
use super::team::Team;
use super::waiting::{digest, uid};
use super::world::manager;
use super::{PATIENCE, eventually};

/// Installs the chart's policies on the shared cluster, once.
pub async fn protect(team: &Team) {
    static DONE: OnceCell<()> = OnceCell::const_new();
    DONE.get_or_init(|| install(team.stack)).await;
}

/// Installs the chart's policies, and waits until they are in force.
pub async fn install(stack: &Stack) {
    let client = stack.kube().await;
    for template in ["approvals", "deploys", "changed-by"] {
        for object in rendered(stack, template) {
            let object: DynamicObject = serde_json::from_value(object).unwrap();
            let kind = object.types.clone().unwrap();
            let kind = GroupVersionKind::try_from(&kind).unwrap();
            let (resource, _) = discovery::pinned_kind(&client, &kind).await.unwrap();
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
            let name = object.metadata.name.clone().unwrap();
            api.patch(&name, &manager(), &Patch::Apply(&object))
                .await
                .unwrap();
        }
    }
    // A policy takes a moment to reach admission: in force is what refuses.
    let api: Api<PlanApproval> = Api::namespaced(client, NAMESPACE);
    eventually("approvals in others' names are refused", PATIENCE, || async {
        let body = approval(
            "probe",
            "nobody@example.com",
            json!({"kind": "AccessBinding", "namespace": NAMESPACE,
            "name": "none", "uid": "0"}),
            &format!("sha256:{}", "0".repeat(64)),
        );
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        match api.create(&params, &body).await {
            Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Takes away what holds approvers to their names.
pub async fn uninstall(stack: &Stack) {
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(stack.kube().await);
    let _ = policies
        .delete("lockstep-approvals", &DeleteParams::default())
        .await;
}

fn rendered(stack: &Stack, template: &str) -> Vec<Value> {
    let done = std::process::Command::new(stack.get("HELM"))
        .args(["template", "lockstep"])
        .arg(root().join("charts/lockstep"))
        .args([
            "--namespace",
            NAMESPACE,
            "--show-only",
            &format!("templates/{template}.yaml"),
        ])
        .args([
            "--api-versions",
            "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy",
        ])
        // The operator of the scenarios runs beside the cluster, as its administrator.
        .args(["--set", "promotions.deployers={admin}"])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap();
    serde_yaml_ng::Deserializer::from_str(&text)
        .map(|document| <Value as serde::Deserialize>::deserialize(document).unwrap())
        .filter(Value::is_object)
        .collect()
}

fn approval(name: &str, approver: &str, plan_ref: Value, digest: &str) -> PlanApproval {
    serde_json::from_value(json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "PlanApproval", "metadata": {"name": name},
        "spec": {"planRef": plan_ref, "digest": digest, "approver": approver, "reason": "the scenario wants it"},
    }))
    .unwrap()
}

/// One yes.
pub struct Yes<'a> {
    /// Name of the approval.
    pub name: &'a str,
    /// Who says it.
    pub user: &'a str,
    /// Whose yes it is said to be.
    pub approver: &'a str,
    pub digest: &'a str,
    pub expires: Option<&'a str>,
}

impl Team {
    /// Somebody says yes to a plan of a binding.
    pub async fn say(&self, binding: &AccessBinding, yes: Yes<'_>) -> kube::Result<PlanApproval> {
        self.say_in(&self.prefix, binding, yes).await
    }

    /// Somebody says yes to what the status of a policy or promotion shows.
    pub async fn say_yes(&self, user: &str, plan_ref: Value, digest: &str) -> PlanApproval {
        let name = format!(
            "{}-{}-{}",
            self.prefix,
            &digest[7..15],
            user.replace(['@', '.'], "-")
        );
        let client = self.stack.kube_as(Some(user)).await;
        let api: Api<PlanApproval> = Api::namespaced(client, &self.prefix);
        let body = approval(&name, user, plan_ref, digest);
        api.create(&PostParams::default(), &body).await.unwrap()
    }

    async fn say_in(
        &self,
        namespace: &str,
        binding: &AccessBinding,
        yes: Yes<'_>,
    ) -> kube::Result<PlanApproval> {
        let plan_ref = json!({
            "kind": "AccessBinding", "namespace": self.prefix, "name": binding.metadata.name, "uid": uid(binding),
        });
        let mut body = approval(yes.name, yes.approver, plan_ref, yes.digest);
        body.spec.expires = yes.expires.map(|time| time.parse().unwrap());
        let client = self.stack.kube_as(Some(yes.user)).await;
        let api: Api<PlanApproval> = Api::namespaced(client, namespace);
        api.create(&PostParams::default(), &body).await
    }

    /// The lead says yes to a plan of a policy.
    pub async fn agree(&self, policy: &PromotionPolicy, digest: &str) {
        let meta = &policy.metadata;
        let plan_ref = json!({
            "kind": "PromotionPolicy", "namespace": self.prefix, "name": meta.name, "uid": meta.uid,
        });
        let (name, lead) = (format!("{}-{}", self.prefix, &digest[7..15]), "lead@example.com");
        let client = self.stack.kube_as(Some(lead)).await;
        let api: Api<PlanApproval> = Api::namespaced(client, &self.prefix);
        let body = approval(&name, lead, plan_ref, digest);
        api.create(&PostParams::default(), &body).await.unwrap();
    }

    /// The lead says yes to what a binding's status shows.
    pub async fn approve(&self, binding: &AccessBinding) -> PlanApproval {
        self.approve_in(&self.prefix, binding, &digest(binding)).await
    }

    /// The lead says yes to this digest, by an approval in this namespace.
    pub async fn approve_in(&self, namespace: &str, binding: &AccessBinding, digest: &str) -> PlanApproval {
        let name = format!("{}-{}", self.prefix, &digest[7..15]);
        let yes = Yes {
            name: &name,
            user: "lead@example.com",
            approver: "lead@example.com",
            digest,
            expires: None,
        };
        self.say_in(namespace, binding, yes).await.unwrap()
    }
}
