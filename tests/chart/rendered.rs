//! What Helm makes of the chart and of values, without a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockstep_core::api::crd;
use serde::Deserialize;
use serde_json::{Value, json};

use super::cluster;

pub fn chart() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("charts/lockstep")
}

/// The Helm of the local stack.
pub fn helm() -> Option<String> {
    let helm = std::env::var("HELM")
        .ok()
        .or_else(|| cluster::exported(&cluster::state(), "HELM"));
    let helm = helm.filter(|helm| Path::new(helm).exists());
    if helm.is_none() {
        cluster::skip();
    }
    helm
}

pub fn objects(yaml: &str) -> Vec<Value> {
    serde_yaml_ng::Deserializer::from_str(yaml)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|object| !object.is_null())
        .collect()
}

/// What the chart renders with these values, or what Helm says against them.
pub fn render(helm: &str, values: &[&str]) -> Result<Vec<Value>, String> {
    let mut command = Command::new(helm);
    command
        .args(["template", "lockstep", "--namespace", "lockstep-system"])
        .arg(chart());
    for value in values {
        command.args(["--set", value]);
    }
    let done = command.output().unwrap();
    if done.status.success() {
        Ok(objects(&String::from_utf8(done.stdout).unwrap()))
    } else {
        Err(String::from_utf8(done.stderr).unwrap())
    }
}

pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn the_chart_carries_the_generated_crds() {
    let files = chart().join("files/crds");
    for crd in crd::all() {
        let name = format!("{}.yaml", crd.spec.names.plural);
        let generated = serde_yaml_ng::to_string(&crd).unwrap();
        let copy = files.join(name);
        if std::env::var("LOCKSTEP_WRITE").as_deref() == Ok("1") {
            fs::write(&copy, &generated).unwrap();
        }
        let found = fs::read_to_string(&copy).unwrap_or_default();
        assert!(
            found == generated,
            "{} is stale: run LOCKSTEP_WRITE=1 cargo test -p lockstep --test crds --test chart --no-fail-fast",
            copy.display()
        );
    }
    assert_eq!(fs::read_dir(files).unwrap().count(), crd::all().len());
}

#[test]
fn it_passes_helms_own_lint() {
    let Some(helm) = helm() else { return };
    let done = Command::new(helm)
        .args(["lint", "--strict"])
        .arg(chart())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[test]
fn crds_can_be_left_out_and_are_kept_unless_said_otherwise() {
    let Some(helm) = helm() else { return };
    for (values, kept) in [(vec![], true), (vec!["crds.keep=false"], false)] {
        let rendered = render(&helm, &values).unwrap();
        let crds = of_kind(&rendered, "CustomResourceDefinition");
        assert_eq!(crds.len(), crd::all().len());
        for crd in crds {
            let policy = &crd["metadata"]["annotations"]["helm.sh/resource-policy"];
            assert_eq!(policy == "keep", kept, "{policy}");
        }
    }
    let rendered = render(&helm, &["crds.install=false"]).unwrap();
    assert!(of_kind(&rendered, "CustomResourceDefinition").is_empty());
}

/// Helm reads and writes them anew: nothing may be lost or change its type on the way.
#[test]
fn helm_changes_nothing_in_the_crds() {
    let Some(helm) = helm() else { return };
    let rendered = render(&helm, &[]).unwrap();
    for crd in crd::all() {
        let generated = serde_json::to_value(&crd).unwrap();
        let found = of_kind(&rendered, "CustomResourceDefinition")
            .into_iter()
            .find(|found| found["metadata"]["name"] == generated["metadata"]["name"])
            .unwrap();
        let found: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition =
            serde_json::from_value(found.clone()).unwrap();
        assert_eq!(found.spec, crd.spec);
    }
}

/// A rule's resources with its verbs, and with the names it is narrowed to.
fn granted(role: &Value) -> Vec<(String, String)> {
    let words = |rule: &Value, key: &str| -> Vec<String> {
        serde_json::from_value(rule[key].clone()).unwrap_or_default()
    };
    let mut granted = Vec::new();
    for rule in role["rules"].as_array().unwrap() {
        for resource in words(rule, "resources") {
            let mut name = format!("{}/{resource}", words(rule, "apiGroups").join(","));
            for one in words(rule, "resourceNames") {
                name.push('=');
                name.push_str(&one);
            }
            granted.push((name, words(rule, "verbs").join(" ")));
        }
    }
    granted.sort();
    granted
}

/// One row per resource: what src/kubernetes asks for, and no verb more.
const EVERYWHERE: &[(&str, &str)] = &[
    (
        "admissionregistration.k8s.io/validatingadmissionpolicies=lockstep-approvals",
        "list watch",
    ),
    (
        "admissionregistration.k8s.io/validatingadmissionpolicybindings=lockstep-approvals",
        "list watch",
    ),
    ("apiextensions.k8s.io/customresourcedefinitions", "get list watch"),
    ("events.k8s.io/events", "create"),
    ("lockstep.dev/accessbindings", "get list watch"),
    ("lockstep.dev/accessbindings", "patch"),
    ("lockstep.dev/accessbindings/status", "patch"),
    ("lockstep.dev/changefreezes", "get list watch"),
    ("lockstep.dev/changefreezes/status", "patch"),
    ("lockstep.dev/credentialstores", "get list watch"),
    ("lockstep.dev/credentialstores", "patch"),
    ("lockstep.dev/credentialstores/status", "patch"),
    ("lockstep.dev/databricksconnections", "get list watch"),
    ("lockstep.dev/databricksconnections", "patch"),
    ("lockstep.dev/databricksconnections/status", "patch"),
    ("lockstep.dev/gerritconnections", "get list watch"),
    ("lockstep.dev/gerritconnections", "patch"),
    ("lockstep.dev/gerritconnections/status", "patch"),
    ("lockstep.dev/planapprovals", "get list watch"),
    ("lockstep.dev/planapprovals/status", "patch"),
    ("lockstep.dev/promotionpolicies", "get list watch"),
    ("lockstep.dev/promotionpolicies", "patch"),
    ("lockstep.dev/promotionpolicies/status", "patch"),
    ("lockstep.dev/promotions", "create delete"),
    ("lockstep.dev/promotions", "get list watch"),
    ("lockstep.dev/promotions", "patch"),
    ("lockstep.dev/promotions/status", "patch"),
    ("lockstep.dev/servicecredentials", "get list watch"),
    ("lockstep.dev/servicecredentials", "patch"),
    ("lockstep.dev/servicecredentials/status", "patch"),
    ("/namespaces", "list watch"),
];
/// What connections log in with: everywhere, or in the namespaces that are named alone.
const LOGINS: &[(&str, &str)] = &[
    ("/secrets", "get"),
    ("/serviceaccounts", "get"),
    ("/serviceaccounts/token", "create"),
];

/// Of its own namespace.
const AT_HOME: &[(&str, &str)] = &[
    ("/secrets", "create"),
    ("/secrets=lockstep-fingerprint-key", "get"),
    ("coordination.k8s.io/leases", "get create update"),
];
/// Where rotated values lie.
const ROTATION: &[(&str, &str)] = &[
    ("/secrets", "get create update delete"),
    ("apps/daemonsets", "patch"),
    ("apps/deployments", "patch"),
    ("apps/statefulsets", "patch"),
];

fn rows(tables: &[&[(&str, &str)]]) -> Vec<(String, String)> {
    let rows = tables.iter().copied().flatten();
    let mut rows: Vec<_> = rows
        .map(|(what, verbs)| ((*what).to_owned(), (*verbs).to_owned()))
        .collect();
    rows.sort();
    rows
}

fn named<'a>(rendered: &'a [Value], kind: &str, name: &str) -> Vec<&'a Value> {
    let all = of_kind(rendered, kind).into_iter();
    all.filter(|object| object["metadata"]["name"] == name).collect()
}

#[test]
fn secrets_are_written_only_where_somebody_said_so() {
    const ROLE: &str = "lockstep-system-lockstep-rotation";
    let Some(helm) = helm() else { return };
    let operator = json!([{"kind": "ServiceAccount", "name": "lockstep", "namespace": "lockstep-system"}]);
    for (values, expected) in [
        (vec![], vec![]),
        (
            vec!["rotation.namespaces={ml-fraud,platform}"],
            vec!["ml-fraud", "platform"],
        ),
    ] {
        let rendered = render(&helm, &values).unwrap();
        let roles = named(&rendered, "ClusterRole", ROLE);
        assert_eq!(granted(roles[0]), rows(&[ROTATION]));
        assert!(
            roles[0]["metadata"]["labels"]
                .as_object()
                .unwrap()
                .keys()
                .all(|label| !label.contains("aggregate"))
        );
        assert!(named(&rendered, "ClusterRoleBinding", ROLE).is_empty());
        let mut bound = Vec::new();
        for binding in named(&rendered, "RoleBinding", ROLE) {
            assert_eq!(binding["roleRef"]["kind"], "ClusterRole");
            assert_eq!(binding["roleRef"]["name"], ROLE);
            assert_eq!(binding["subjects"], operator);
            bound.push(binding["metadata"]["namespace"].as_str().unwrap());
        }
        assert_eq!(bound, expected);
    }
}

#[test]
fn the_operator_may_do_no_more_than_it_must() {
    let Some(helm) = helm() else { return };
    for (values, named) in [
        (vec![], vec![]),
        (
            vec!["secrets.namespaces={ml-fraud,ml-risk}"],
            vec!["ml-fraud", "ml-risk"],
        ),
    ] {
        let rendered = render(&helm, &values).unwrap();
        let everywhere = of_kind(&rendered, "ClusterRole")
            .into_iter()
            .find(|role| role["metadata"]["name"] == "lockstep-system-lockstep")
            .unwrap();
        let expected = if named.is_empty() {
            rows(&[EVERYWHERE, LOGINS])
        } else {
            rows(&[EVERYWHERE])
        };
        assert_eq!(granted(everywhere), expected);
        let mut roles = of_kind(&rendered, "Role");
        roles.sort_by_key(|role| role["metadata"]["namespace"].as_str() != Some("lockstep-system"));
        let own = roles.remove(0);
        assert_eq!(granted(own), rows(&[AT_HOME]));
        let mut scoped = Vec::new();
        for role in roles {
            assert_eq!(granted(role), rows(&[LOGINS]));
            scoped.push(role["metadata"]["namespace"].as_str().unwrap());
        }
        assert_eq!(scoped, named);
    }
}

#[test]
fn the_operator_runs_with_the_flags_that_the_values_ask_for() {
    let Some(helm) = helm() else { return };
    let arguments = |values: &[&str]| -> Vec<String> {
        let rendered = render(&helm, values).unwrap();
        let container = &of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
        serde_json::from_value(container["args"].clone()).unwrap()
    };
    assert_eq!(
        arguments(&[]),
        [
            "run",
            "--namespace=lockstep-system",
            "--record=/var/lib/lockstep/record",
            "--git-cache=/var/cache/lockstep/git",
            "--metrics-address=0.0.0.0:8080",
        ]
    );
    let more = arguments(&[
        "operator.allowLoopback=true",
        "operator.concurrency=16",
        "operator.extraArgs={--workers=2}",
    ]);
    assert_eq!(more[5..], ["--concurrency=16", "--allow-loopback", "--workers=2"]);
}

#[test]
fn webhooks_come_in_at_a_port_of_their_own_where_the_values_ask_for_one() {
    let Some(helm) = helm() else { return };
    let services = |rendered: &[Value]| -> Vec<String> {
        let all = of_kind(rendered, "Service").into_iter();
        all.map(|service| service["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let without = render(&helm, &[]).unwrap();
    assert_eq!(services(&without), ["lockstep-metrics"]);

    let rendered = render(&helm, &["webhook.port=8081"]).unwrap();
    assert_eq!(services(&rendered), ["lockstep-metrics", "lockstep-webhook"]);
    let service = &of_kind(&rendered, "Service")[1]["spec"];
    assert_eq!(
        service["ports"],
        json!([{"name": "webhook", "port": 8081, "targetPort": "webhook"}])
    );
    let pod = &of_kind(&rendered, "Deployment")[0]["spec"]["template"];
    assert_eq!(service["selector"], pod["metadata"]["labels"]);
    let container = &pod["spec"]["containers"][0];
    assert_eq!(
        container["ports"],
        json!([{"name": "metrics", "containerPort": 8080}, {"name": "webhook", "containerPort": 8081}])
    );
    let arguments = container["args"].as_array().unwrap();
    assert!(
        arguments.contains(&json!("--webhook-address=0.0.0.0:8081")),
        "{arguments:?}"
    );

    let alone = render(&helm, &["webhook.port=8081", "metrics.service.create=false"]).unwrap();
    assert_eq!(services(&alone), ["lockstep-webhook"]);
    let refused = render(&helm, &["webhook.port=8080"]).unwrap_err();
    assert!(refused.contains("must differ"), "{refused}");
    assert!(
        render(&helm, &["webhook.port=80"]).is_err(),
        "no port that needs root"
    );
}

#[test]
fn the_operator_sees_the_environment_that_the_values_give() {
    let Some(helm) = helm() else { return };
    let environment = |values: &[&str]| {
        let rendered = render(&helm, values).unwrap();
        of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["env"].clone()
    };
    let log = json!({"name": "RUST_LOG", "value": "info"});
    assert_eq!(environment(&[]), json!([log]));
    let given = environment(&[
        "operator.env[0].name=HTTPS_PROXY",
        "operator.env[0].value=http://proxy.example.com:3128",
        "operator.env[1].name=NO_PROXY",
        "operator.env[1].value=.svc\\,.example.com",
    ]);
    let proxy = json!({"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"});
    let direct = json!({"name": "NO_PROXY", "value": ".svc,.example.com"});
    assert_eq!(given, json!([log, proxy, direct]));
}

/// The operator's own bounds, which the chart repeats.
#[test]
fn a_pod_may_end_in_order_and_concurrency_has_the_operators_bounds() {
    let Some(helm) = helm() else { return };
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let code = fs::read_to_string(root.join("src/runtime/controller.rs")).unwrap();
    let (_, grace) = code
        .split_once("const GRACE: Duration = Duration::from_secs(")
        .unwrap();
    let grace: u64 = grace.split(')').next().unwrap().parse().unwrap();
    let rendered = render(&helm, &[]).unwrap();
    let pod = &of_kind(&rendered, "Deployment")[0]["spec"]["template"]["spec"];
    let patience = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    // Then the lease is given back, which takes two answers of the API server.
    assert!(patience >= grace + 10, "{patience} after {grace}");
    for (many, taken) in [(256, true), (257, false)] {
        let chart = render(&helm, &[&format!("operator.concurrency={many}")]).is_ok();
        let binary = Command::new(env!("CARGO_BIN_EXE_lockstep"))
            .args(["run", &format!("--concurrency={many}"), "--help"])
            .output()
            .unwrap();
        assert_eq!((chart, binary.status.success()), (taken, taken), "{many}");
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let Some(helm) = helm() else { return };
    for (value, about) in [
        ("replica=2", "replica"),
        ("replicas=many", "replicas"),
        ("image.digest=latest", "digest"),
        ("secrets.namespaces={Not-A-Namespace}", "namespaces"),
        ("rotation.namespaces={*}", "namespaces"),
        ("serviceAccount.create=false", "serviceAccount.name"),
        ("metrics.port=80", "port"),
        ("gitCache.sizeLimit=much", "sizeLimit"),
        ("operator.env[0].value=nameless", "name"),
        ("operator.env[0].name=RUST_LOG", "/operator/env/0/name"),
        (
            "terminationGracePeriodSeconds=10",
            "terminationGracePeriodSeconds",
        ),
    ] {
        let said = render(&helm, &[value]).expect_err(value);
        assert!(said.contains(about), "{value}: {said}");
    }
}
