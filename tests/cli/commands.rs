//! Exit codes, shapes and refusals of the built binary. No operator runs for these: what a command says it must
//! find out by itself.

use std::process::Output;

use kube::api::ListParams;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::cli;
use crate::support::gerrit::encode;
use crate::support::stack::stack;
use crate::support::team::Team;

/// Runs the binary with stdin from `input`.
fn lockstep(args: &[&str], input: &str) -> Output {
    let stack = stack().expect("only called where the stack is up");
    cli::lockstep(stack, args, input)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn told(output: &Output) -> String {
    format!(
        "exit {:?}\n{}{}",
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", told(output)))
}

/// A binding for one Gerrit group and one workspace group.
fn manifest(team: &Team, spec: Value) -> String {
    let mut whole = json!({
        "mode": "Enforce",
        "members": [{"person": {"email": team.email("ada")}}, {"person": {"email": team.email("ghost")}}],
        "gerrit": [{
            "connectionRef": {"name": "gerrit"},
            "group": {"name": team.name("team"), "description": "made by a test"},
            "access": [{"project": team.name("project"), "ref": "refs/heads/*", "permission": "read"}],
        }],
        "databricks": {"workspaces": [{"connectionRef": {"name": "prod"}, "group": {"name": team.name("dbx")}}]},
    });
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    whole.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let object = json!({
        "apiVersion": "lockstep.dev/v1alpha1", "kind": "AccessBinding",
        "metadata": {"name": "team", "namespace": team.prefix}, "spec": whole,
    });
    serde_yaml_ng::to_string(&object).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_a_file_says_what_would_change_and_changes_nothing() {
    let Some(team) = Team::new("cliplan").await else {
        return;
    };
    team.person("ada").await;
    let file = manifest(&team, json!({}));

    let piped = lockstep(&["plan", "-f", "-"], &file);
    assert_eq!(piped.status.code(), Some(2), "{}", told(&piped));
    let shown = text(&piped.stdout);
    for line in [
        "+   create".to_owned(),
        format!("+   {} member", team.email("ada")),
        format!("unresolved: {}", team.email("ghost")),
        "1 person gains".to_owned(),
        "not applied yet".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line:?} in {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "colours in a pipe: {shown}");

    let answer = lockstep(&["plan", "-f", "-", "--output", "json"], &file);
    assert_eq!(answer.status.code(), Some(2), "{}", told(&answer));
    let plan = json_of(&answer);
    assert_eq!(plan["differs"], true);
    assert_eq!(plan["blocked"], 0);
    let binding = &plan["bindings"][0];
    assert_eq!(binding["namespace"], json!(team.prefix));
    assert_eq!(binding["applied"], false);
    assert_eq!(binding["risk"]["gaining"], json!([team.email("ada")]));
    assert!(binding["digest"].as_str().unwrap().starts_with("sha256:"));
    for line in binding["changes"].as_array().unwrap() {
        assert!(
            ["+", "-", "~"].contains(&line["sign"].as_str().unwrap()),
            "{line}"
        );
        assert!(line["target"].as_str().unwrap().contains("://"), "{line}");
    }
    let again = json_of(&lockstep(&["plan", "-f", "-", "--output", "json"], &file));
    assert_eq!(
        again["bindings"][0]["digest"], binding["digest"],
        "the same world, the same digest"
    );
    let (status, _) = team.gerrit.get(&format!("/groups/{}", team.name("team"))).await;
    assert_eq!(status, 404, "a plan made a group");
    assert!(
        team.bindings()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_changes_exits_with_zero_and_one_that_is_not_whole_with_one() {
    let Some(team) = Team::new("clizero").await else {
        return;
    };
    let nothing = manifest(
        &team,
        json!({"members": null, "gerrit": null, "databricks": null}),
    );
    let answer = lockstep(&["plan", "-f", "-"], &nothing);
    assert_eq!(answer.status.code(), Some(0), "{}", told(&answer));
    assert!(text(&answer.stdout).contains("No changes"));

    let elsewhere = json!([{"connectionRef": {"name": "nowhere"}, "group": {"name": team.name("team")}}]);
    let broken = manifest(&team, json!({"gerrit": elsewhere}));
    let answer = lockstep(&["plan", "-f", "-"], &broken);
    assert_eq!(answer.status.code(), Some(1), "{}", told(&answer));
    assert!(
        text(&answer.stdout).contains("nowhere does not exist"),
        "{}",
        told(&answer)
    );

    let answer = lockstep(&["plan", "nobody", "-n", &team.prefix], "");
    assert_eq!(answer.status.code(), Some(1), "{}", told(&answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_with_its_document_and_field() {
    let Some(team) = Team::new("clibad").await else {
        return;
    };
    let good = manifest(&team, json!({}));
    for (spec, expected) in [
        (json!({"mod": "Enforce"}), "spec.mod: there is no such field"),
        (
            json!({"mode": "Sometimes"}),
            "spec.mode: unknown variant `Sometimes`",
        ),
        // What only the API server's own rules see.
        (json!({"interval": "1s"}), "spec.interval"),
        (
            json!({"databricks": {"catalog": {"connectionRef": {"name": "prod"}, "grants": []}}}),
            "catalog needs account.group",
        ),
    ] {
        let file = format!("{good}---\n{}", manifest(&team, spec));
        let answer = lockstep(&["plan", "-f", "-"], &file);
        assert_eq!(answer.status.code(), Some(1), "{}", told(&answer));
        let said = text(&answer.stderr);
        assert!(
            said.contains("stdin, document 2: ") && said.contains(expected),
            "{expected}: {said}"
        );
        assert!(answer.stdout.is_empty(), "{}", told(&answer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_approved_unless_somebody_says_yes_to_exactly_that() {
    let Some(team) = Team::new("cliyes").await else {
        return;
    };
    team.person("ada").await;
    let stranger = team.person("stranger").await;
    // A group that exists with somebody in it: making it Lockstep's alone is braked.
    let path = format!("/groups/{}", team.name("team"));
    let body = json!({"members": [stranger.to_string()], "owner": "Administrators"});
    let (status, answer) = team.gerrit.call(reqwest::Method::PUT, &path, Some(body)).await;
    assert_eq!(status, 201, "{answer}");
    // Suspended: whichever operator runs on this stack leaves it alone.
    let object: Value =
        serde_yaml_ng::from_str(&manifest(&team, json!({"suspend": true, "databricks": null}))).unwrap();
    team.apply::<lockstep_core::api::AccessBinding>("AccessBinding", "team", &object["spec"])
        .await;

    let plan = json_of(&lockstep(&["plan", "team", "-n", &team.prefix, "-o", "json"], ""));
    let digest = plan["bindings"][0]["blocked"]["digest"]
        .as_str()
        .unwrap()
        .to_owned();

    let approve = |more: &[&str]| {
        let mut args = vec!["approve", "accessbinding/team", "-n", &team.prefix, "--wait", "0"];
        args.extend(more);
        lockstep(&args, "y\n")
    };
    for (more, expected) in [
        (&[][..], "name the one you mean with --digest"),
        (&["--digest", "sha256:0"], "is neither the fresh plan"),
        (&["--digest", &digest], "nobody can be asked here: pass --yes"),
        (&["--digest", &digest, "--yes"], "--reason must say why"),
        (&["--expires", "soon"], "--expires"),
    ] {
        let answer = approve(more);
        assert_eq!(answer.status.code(), Some(1), "{}", told(&answer));
        assert!(
            text(&answer.stderr).contains(expected),
            "{expected}: {}",
            told(&answer)
        );
    }
    let approvals: kube::Api<lockstep_core::api::PlanApproval> =
        kube::Api::namespaced(team.client.clone(), &team.prefix);
    assert!(
        approvals
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );

    let answer = approve(&["--digest", &digest, "--yes", "--reason", "a test says so"]);
    assert_eq!(answer.status.code(), Some(0), "{}", told(&answer));
    let made = approvals.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].spec.digest, digest);
    assert_eq!(made[0].spec.reason, "a test says so");
    assert!(
        text(&answer.stdout).contains(&made[0].spec.approver),
        "{}",
        told(&answer)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn access_is_explained_from_both_ends() {
    let Some(team) = Team::new("cliwho").await else {
        return;
    };
    let ada = team.person("ada").await;
    let stranger = team.person("stranger").await;
    let path = format!("/groups/{}", team.name("team"));
    let body = json!({"members": [ada.to_string(), stranger.to_string()], "owner": "Administrators"});
    assert_eq!(
        team.gerrit.call(reqwest::Method::PUT, &path, Some(body)).await.0,
        201
    );
    let object: Value =
        serde_yaml_ng::from_str(&manifest(&team, json!({"suspend": true, "databricks": null}))).unwrap();
    team.apply::<lockstep_core::api::AccessBinding>("AccessBinding", "team", &object["spec"])
        .await;

    let target = format!("group/{}", team.name("team"));
    let answer = lockstep(
        &["access", "who-can", &target, "-n", &team.prefix, "-o", "json"],
        "",
    );
    assert_eq!(answer.status.code(), Some(0), "{}", told(&answer));
    let rows = json_of(&answer)[0]["rights"].clone();
    let row = |email: String| {
        let rows = rows.as_array().unwrap();
        rows.iter()
            .find(|row| row["who"] == json!(email))
            .unwrap()
            .clone()
    };
    let declared = row(team.email("ada"));
    assert_eq!(declared["foreign"], false);
    assert_eq!(
        declared["givenBy"][0]["binding"],
        json!(format!("{}/team", team.prefix))
    );
    let entry = declared["givenBy"][0]["members"][0].as_str().unwrap().to_owned();
    assert!(entry.starts_with("spec.members[0]"), "{entry}");
    assert_eq!(row(team.email("stranger"))["foreign"], true);

    let of = json_of(&lockstep(
        &[
            "access",
            "of",
            &team.email("stranger"),
            "-n",
            &team.prefix,
            "-o",
            "json",
        ],
        "",
    ));
    assert_eq!(of["accounts"].as_array().unwrap().len(), 3, "{of}");
    assert_eq!(of["rights"][0]["foreign"], true, "{of}");

    let answer = lockstep(
        &[
            "access",
            "remove",
            &team.email("ada"),
            "-n",
            &team.prefix,
            "-o",
            "json",
        ],
        "",
    );
    assert_eq!(answer.status.code(), Some(2), "{}", told(&answer));
    let edits = json_of(&answer);
    assert_eq!(edits["edits"][0]["path"], "spec.members[0]");
    assert_eq!(edits["edits"][0]["binding"], "team");

    let answer = lockstep(
        &["access", "who-can", "group/no-such-group", "-n", &team.prefix],
        "",
    );
    assert_eq!(answer.status.code(), Some(1), "{}", told(&answer));
    let answer = lockstep(&["access", "who-can", "nonsense", "-n", &team.prefix], "");
    assert!(
        text(&answer.stderr).contains("project/NAME REF"),
        "{}",
        told(&answer)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_sees_connections_and_says_what_is_missing() {
    let Some(team) = Team::new("clidoc").await else {
        return;
    };
    let args = [
        "doctor",
        "-n",
        &team.prefix,
        "--lease-name",
        "no-such-lease",
        "-o",
        "json",
    ];
    let answer = lockstep(&args, "");
    assert_eq!(answer.status.code(), Some(1), "{}", told(&answer));
    let report = json_of(&answer);
    let checks = report["checks"].as_array().unwrap();
    let good = |what: &str| {
        let found = checks
            .iter()
            .find(|check| check["what"].as_str().unwrap().starts_with(what));
        found.unwrap_or_else(|| panic!("{what}: {report}"))["mark"] == "good"
    };
    assert!(
        good(&format!("GerritConnection {}/gerrit", team.prefix)),
        "{report}"
    );
    assert!(
        good(&format!("DatabricksConnection {}/prod", team.prefix)),
        "{report}"
    );
    assert!(good("accessbindings.lockstep.dev"), "{report}");
    assert!(!good("leader"), "{report}");
    let tenants = checks.iter().filter(|check| {
        let says = check["says"].as_str().unwrap();
        says.starts_with(&format!("for {}: Access within ", team.prefix))
    });
    assert_eq!(tenants.count(), 2, "{report}");
    let plain = lockstep(&["doctor", "-n", &team.prefix], "");
    assert!(text(&plain.stdout).is_ascii(), "{}", told(&plain));
}

/// A change that was merged, as every site has one that is no longer new.
async fn merged_change(team: &Team) {
    let project = team.name("merged");
    team.gerrit.project(&project).await;
    let branches = json!({"revision": "HEAD"});
    let path = format!("/projects/{}/branches/prod", encode(&project));
    done(team, Method::PUT, &path, branches).await;
    let proposed = json!({"project": project, "branch": "prod", "subject": "Begin"});
    let change = done(team, Method::POST, "/changes/", proposed).await;
    let change = format!("/changes/{}~{}", encode(&project), change["_number"]);
    let review = json!({"labels": {"Code-Review": 2}, "notify": "NONE"});
    done(
        team,
        Method::POST,
        &format!("{change}/revisions/current/review"),
        review,
    )
    .await;
    done(team, Method::POST, &format!("{change}/submit"), json!({})).await;
}

async fn done(team: &Team, method: Method, path: &str, body: Value) -> Value {
    let (status, answer) = team.gerrit.call(method, path, Some(body)).await;
    assert!(status < 300, "{path}: {status} {answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn both_systems_are_as_we_take_them_to_be() {
    let Some(team) = Team::new("cliprobe").await else {
        return;
    };
    // Owned by the service principal of the connection, so that there is a place for a scratch schema.
    let owner = "00000000-0000-4000-8000-00000000beef";
    let catalog =
        json!({"type": "CATALOG", "fullName": team.name("catalog").replace('-', "_"), "owner": owner});
    team.sim.seed(json!({"securables": [catalog]})).await;
    merged_change(&team).await;
    let answer = lockstep(&["doctor", "--probe", "-n", &team.prefix, "-o", "json"], "");
    assert_eq!(answer.status.code(), Some(0), "{}", told(&answer));
    let suites = json_of(&answer);
    assert_eq!(suites.as_array().unwrap().len(), 2, "{suites}");
    for suite in suites.as_array().unwrap() {
        let findings = suite["findings"].as_array().unwrap();
        assert!(findings.len() >= 15, "{suite}");
        for finding in findings {
            assert!(
                finding["cameOut"]["holds"].is_object(),
                "not tried or not so: {finding}"
            );
        }
    }
}
