//! The chart on a real API server, installed, upgraded and uninstalled by the real Helm. The cluster is one of its
//! own, because a chart owns objects that every other test of a shared cluster would feel.

use super::beside::{Cluster, eventually, expect};
use super::rendered::chart;

const INSTALL: &[&str] = &["--namespace", "lockstep-system", "--wait=hookOnly"];

fn approval(name: &str, approver: &str) -> String {
    format!(
        "
apiVersion: lockstep.dev/v1alpha1
kind: PlanApproval
metadata: {{name: {name}, namespace: ml-fraud}}
spec:
  planRef: {{kind: AccessBinding, namespace: ml-fraud, name: fraud-engineers, uid: 0b7e8f3a-1111-2222-3333-444455556666}}
  digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
  approver: {approver}
  reason: the team grows
"
    )
}

const PEOPLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: editors, namespace: ml-fraud}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: ada@example.com}
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: ben@example.com}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: approvers, namespace: ml-fraud}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: lockstep-system-lockstep-approver}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: User, name: ada@example.com}
";

const BINDING: &str = "
apiVersion: lockstep.dev/v1alpha1
kind: AccessBinding
metadata:
  name: fraud-engineers
  namespace: ml-fraud
  annotations: {lockstep.dev/changed-by: somebody-else}
spec: {mode: Observe}
";

#[test]
fn installed_upgraded_and_uninstalled() {
    let Some(cluster) = Cluster::start() else { return };
    // A cluster that enforces the strictest standard admits the pod.
    cluster.kubectl("create namespace lockstep-system", "");
    cluster.kubectl(
        "label namespace lockstep-system pod-security.kubernetes.io/enforce=restricted",
        "",
    );
    cluster.kubectl("create namespace ml-fraud", "");
    let chart = chart();
    let chart = chart.to_str().unwrap();

    let notes = cluster.helm(&[&["install", "lockstep", chart], INSTALL].concat());
    assert!(notes.contains("kubectl get lockstep --all-namespaces"), "{notes}");
    assert!(!notes.contains("WARNING"), "{notes}");
    cluster.kubectl(
        "wait --for=condition=Established crd/accessbindings.lockstep.dev --timeout=30s",
        "",
    );
    eventually("a pod is made", || {
        let pods = cluster.kubectl("get pods --namespace lockstep-system --output name", "");
        expect(pods.contains("pod/lockstep-"), &pods)
    });

    approvals_are_given_in_ones_own_name(&cluster);
    deploys_are_the_operators(&cluster);
    whoever_changes_a_spec_is_stamped(&cluster);
    the_operator_has_what_it_needs_and_no_more(&cluster);

    cluster.helm(
        &[
            &[
                "upgrade",
                "lockstep",
                chart,
                "--set",
                "secrets.namespaces={ml-fraud}",
                "--set",
                "rotation.namespaces={ml-fraud}",
            ],
            INSTALL,
        ]
        .concat(),
    );
    for what in [
        "get secrets",
        "get serviceaccounts",
        "create serviceaccounts --subresource=token",
        "create secrets",
        "update secrets",
        "delete secrets",
        "patch deployments.apps",
        "patch statefulsets.apps",
        "patch daemonsets.apps",
    ] {
        assert!(
            cluster.operator_may(&format!("{what} --namespace ml-fraud")),
            "{what}"
        );
        assert!(
            !cluster.operator_may(&format!("{what} --namespace default")),
            "{what}"
        );
    }
    for what in [
        "list secrets",
        "patch secrets",
        "get deployments.apps",
        "create pods",
    ] {
        assert!(
            !cluster.operator_may(&format!("{what} --namespace ml-fraud")),
            "{what}"
        );
    }

    cluster.helm(&[
        "uninstall",
        "lockstep",
        "--namespace",
        "lockstep-system",
        "--wait=hookOnly",
    ]);
    let kept = cluster.kubectl(
        "get accessbindings,planapprovals --namespace ml-fraud --output name",
        "",
    );
    assert!(
        kept.contains("accessbinding.lockstep.dev/fraud-engineers"),
        "{kept}"
    );
    assert!(kept.contains("planapproval.lockstep.dev/mine"), "{kept}");
    let record = cluster.kubectl(
        "get persistentvolumeclaims --namespace lockstep-system --output name",
        "",
    );
    assert!(
        record.contains("lockstep-record"),
        "the record went with the program: {record}"
    );
    for gone in [
        "deployment/lockstep --namespace lockstep-system",
        "clusterrole/lockstep-system-lockstep",
        "validatingadmissionpolicy/lockstep-approvals",
        "validatingadmissionpolicy/lockstep-deploys",
        "mutatingadmissionpolicy/lockstep-changed-by",
    ] {
        eventually("what ran is gone", || {
            let found = cluster.try_kubectl(&format!("get {gone}"), "");
            expect(found.is_err(), gone)
        });
    }

    // What was kept does not stand in the way of coming back.
    cluster.helm(&[&["install", "lockstep", chart], INSTALL].concat());
}

fn approvals_are_given_in_ones_own_name(cluster: &Cluster) {
    cluster.kubectl("apply --filename -", PEOPLE);
    let apply = |user: &str, name: &str, approver: &str| {
        cluster.try_kubectl(
            &format!("create --filename - --as={user}"),
            &approval(name, approver),
        )
    };
    eventually("somebody else's name is refused", || {
        match apply("ada@example.com", "forged", "ben@example.com") {
            Err(said) => expect(
                said.contains("spec.approver must be who approves: you are ada@example.com"),
                &said,
            ),
            Ok(_) => {
                cluster.kubectl("delete planapproval forged --namespace ml-fraud", "");
                Err("the policy does not act".to_owned())
            }
        }
    });
    apply("ada@example.com", "mine", "ada@example.com").unwrap();
    // An administrator may label an approval, and cannot make it say something else.
    cluster.kubectl("label planapproval mine --namespace ml-fraud reviewed=yes", "");
    let patch = r#"patch planapproval mine --namespace ml-fraud --type merge --patch {"spec":{"approver":"ben@example.com"}}"#;
    assert!(cluster.try_kubectl(patch, "").is_err());
    // To edit is not to approve.
    let said = apply("ben@example.com", "unasked", "ben@example.com").unwrap_err();
    assert!(
        said.contains("cannot create resource \"planapprovals\""),
        "{said}"
    );
}

fn whoever_changes_a_spec_is_stamped(cluster: &Cluster) {
    let stamp = || {
        cluster.kubectl(
            r"get accessbinding fraud-engineers --namespace ml-fraud --output jsonpath={.metadata.annotations.lockstep\.dev/changed-by}",
            "",
        )
    };
    let patch = |user: &str, patch: &str| {
        cluster.kubectl(
            &format!("patch accessbinding fraud-engineers --namespace ml-fraud --type merge --patch {patch} --as={user}"),
            "",
        );
    };
    eventually("the stamp names the maker", || {
        let _ = cluster.try_kubectl("delete accessbinding fraud-engineers --namespace ml-fraud", "");
        let made = cluster.try_kubectl("create --filename - --as=ada@example.com", BINDING);
        made.and_then(|_| expect(stamp() == "ada@example.com", &stamp()))
    });
    patch("ben@example.com", r#"{"metadata":{"labels":{"a":"b"}}}"#);
    assert_eq!(stamp(), "ada@example.com", "a label is no change of the spec");
    patch(
        "ben@example.com",
        r#"{"metadata":{"annotations":{"lockstep.dev/changed-by":"eve"}}}"#,
    );
    assert_eq!(stamp(), "ada@example.com", "the stamp is not to be written");
    patch("ben@example.com", r#"{"metadata":{"annotations":null}}"#);
    assert_eq!(stamp(), "ada@example.com", "the stamp is not to be wiped");
    patch("ben@example.com", r#"{"spec":{"suspend":true}}"#);
    assert_eq!(stamp(), "ben@example.com");
    // With the stamping gone, the policy that is left lets nobody step into the author's place.
    cluster.kubectl("delete mutatingadmissionpolicybinding lockstep-changed-by", "");
    let forge = |stamp: &str| {
        format!(
            r#"patch accessbinding fraud-engineers --namespace ml-fraud --type merge --patch {{"metadata":{{"annotations":{{"lockstep.dev/changed-by":{stamp}}}}}}} --as=ada@example.com"#
        )
    };
    for forged in [r#""ada@example.com""#, "null"] {
        eventually("a stamp without a change is refused", || {
            match cluster.try_kubectl(&forge(forged), "") {
                Err(said) => expect(said.contains("set by admission"), &said),
                Ok(said) => Err(said),
            }
        });
    }
    assert_eq!(stamp(), "ben@example.com");
}

fn deploys_are_the_operators(cluster: &Cluster) {
    let promotion = |name: &str, purpose: &str| {
        format!(
            "
apiVersion: lockstep.dev/v1alpha1
kind: Promotion
metadata: {{name: {name}, namespace: ml-fraud}}
spec: {{policyRef: {{name: fraud}}, environment: prod, {purpose}}}
"
        )
    };
    let deploy = format!(
        "deploy: {{change: 42, revision: \"{}\", position: 3, attempt: 1}}",
        "0".repeat(40)
    );
    eventually("a deploy by hand is refused", || {
        let given = promotion("by-hand", &deploy);
        match cluster.try_kubectl("create --filename - --as=ada@example.com", &given) {
            Err(said) => expect(said.contains("spec.deploy is made by the operator"), &said),
            Ok(_) => {
                cluster.kubectl("delete promotion by-hand --namespace ml-fraud", "");
                Err("the policy does not act".to_owned())
            }
        }
    });
    let operator = "create --filename - --as=system:serviceaccount:lockstep-system:lockstep";
    // Who changes a spec is stamped at once or a moment later, and refused until then.
    eventually("the operator makes one", || {
        let given = promotion("fraud.prod.42.00000000", &deploy);
        cluster.try_kubectl(operator, &given).map(drop)
    });
    let back = promotion(
        "back",
        "rollback: {to: fraud.prod.42.00000000, reason: the model drifts}",
    );
    cluster.kubectl("create --filename - --as=ada@example.com", &back);
}

fn the_operator_has_what_it_needs_and_no_more(cluster: &Cluster) {
    for what in [
        "watch accessbindings.lockstep.dev --all-namespaces",
        "patch accessbindings.lockstep.dev --namespace ml-fraud",
        "patch accessbindings.lockstep.dev --subresource=status --namespace ml-fraud",
        "patch planapprovals.lockstep.dev --subresource=status --namespace ml-fraud",
        "get secrets --namespace ml-fraud",
        "create serviceaccounts --subresource=token --namespace ml-fraud",
        "list namespaces",
        "watch namespaces",
        "get serviceaccounts --namespace ml-fraud",
        "create promotions.lockstep.dev --namespace ml-fraud",
        "delete promotions.lockstep.dev --namespace ml-fraud",
        "patch promotionpolicies.lockstep.dev --subresource=status --namespace ml-fraud",
        "create events.events.k8s.io --namespace ml-fraud",
        "get leases.coordination.k8s.io --namespace lockstep-system",
        "create leases.coordination.k8s.io --namespace lockstep-system",
        "update leases.coordination.k8s.io --namespace lockstep-system",
        "watch validatingadmissionpolicies.admissionregistration.k8s.io/lockstep-approvals",
        "watch customresourcedefinitions.apiextensions.k8s.io",
        "patch servicecredentials.lockstep.dev --namespace ml-fraud",
        "patch servicecredentials.lockstep.dev --subresource=status --namespace ml-fraud",
        "patch credentialstores.lockstep.dev --namespace ml-fraud",
        "patch credentialstores.lockstep.dev --subresource=status --namespace ml-fraud",
        "create secrets --namespace lockstep-system",
        "get secrets/lockstep-fingerprint-key --namespace lockstep-system",
    ] {
        assert!(cluster.operator_may(what), "the operator cannot {what}");
    }
    for what in [
        "list secrets --namespace ml-fraud",
        "watch secrets --namespace ml-fraud",
        "create secrets --namespace ml-fraud",
        "update secrets --namespace ml-fraud",
        "update secrets/lockstep-fingerprint-key --namespace lockstep-system",
        "delete secrets --namespace lockstep-system",
        "patch deployments.apps --namespace ml-fraud",
        "create servicecredentials.lockstep.dev --namespace ml-fraud",
        "create credentialstores.lockstep.dev --namespace ml-fraud",
        "list serviceaccounts --namespace ml-fraud",
        "patch events.events.k8s.io --namespace ml-fraud",
        "list leases.coordination.k8s.io --namespace lockstep-system",
        "patch leases.coordination.k8s.io --namespace lockstep-system",
        "create accessbindings.lockstep.dev --namespace ml-fraud",
        "delete accessbindings.lockstep.dev --namespace ml-fraud",
        "create promotionpolicies.lockstep.dev --namespace ml-fraud",
        "delete promotionpolicies.lockstep.dev --namespace ml-fraud",
        "create changefreezes.lockstep.dev --namespace ml-fraud",
        "create planapprovals.lockstep.dev --namespace ml-fraud",
        "patch planapprovals.lockstep.dev --namespace ml-fraud",
        "update leases.coordination.k8s.io --namespace kube-system",
        "patch validatingadmissionpolicies.admissionregistration.k8s.io/lockstep-approvals",
        "create pods --namespace lockstep-system",
    ] {
        assert!(!cluster.operator_may(what), "the operator can {what}");
    }
}
