//! Policies that are read, and everything that can be wrong with one.

use serde_json::{Value, json};

use super::*;
use crate::api::text::Duration;
use crate::domain::promotion::machine::attempt::StepName;
use crate::domain::promotion::machine::rollback::{OnRollback, StepKind};

/// The policy of the user guide, as JSON, changed at a pointer.
fn policy(at: &str, value: Value) -> PromotionPolicySpec {
    let mut spec = json!({
        "gerrit": {"connectionRef": {"name": "gerrit"}, "project": "ml/fraud", "paths": ["models/fraud/**", "requirements*.txt"]},
        "gate": {
            "approval": {"label": "Code-Review", "group": "leads"},
            "verification": {"label": "Verified", "group": "ci"},
            "trustedAutomation": [{"account": "bot", "paths": ["requirements*.txt"], "reason": "pins"}],
        },
        "steps": [
            {"name": "code", "files": {"path": "/Workspace/lockstep/fraud/${revision}"}},
            {"name": "train", "job": {
                "name": "fraud-train", "definition": "jobs/train.yml", "timeout": "1h", "attempts": 2,
                "jobParameters": {"catalog": "${env.catalog}", "change": "${change}"},
            }},
            {"name": "model", "modelAlias": {
                "model": "${env.catalog}.fraud.scorer", "alias": "champion", "version": {"fromStep": "train"},
            }},
            {"name": "serve", "servingEndpoint": {
                "name": "fraud-scorer", "servedEntityName": "scorer", "entityName": "${env.catalog}.fraud.scorer",
                "entityVersion": {"fromStep": "model"}, "trafficPercentage": 100,
            }},
        ],
        "environments": [
            {
                "name": "staging", "branch": "staging", "databricks": {"connectionRef": {"name": "staging"}},
                "runAs": {"applicationId": "a"}, "variables": {"catalog": "ml_staging"},
            },
            {
                "name": "prod", "branch": "prod",
                "databricks": {"connectionRef": {"name": "prod", "namespace": "platform"}},
                "runAs": {"applicationId": "b"}, "variables": {"catalog": "ml_prod"},
                "requires": [{"environment": "staging", "soak": "1h"}],
                "windows": {"allow": [{"start": "0 9 * * MON-THU", "duration": "8h", "timeZone": "Europe/Berlin"}]},
                "onFailure": "Rollback", "baseline": "0123456789abcdef0123456789abcdef01234567",
            },
        ],
    });
    if let Some((parent, key)) = at.rsplit_once('/') {
        let parent = spec.pointer_mut(parent).unwrap();
        match key.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[key] = value,
        }
    }
    serde_json::from_value(spec).unwrap()
}

/// What the first environment of the user guide's policy does.
pub(super) fn recipe() -> Recipe {
    let read = read(&policy("/mode", json!("Enforce")), "ml-fraud");
    read.unwrap().environments.remove(0).recipe
}

fn errors(at: &str, value: Value) -> Vec<String> {
    let read = read(&policy(at, value), "ml-fraud");
    read.err()
        .into_iter()
        .flatten()
        .map(|error| error.to_string())
        .collect()
}

/// Exactly this is wrong once a value is changed.
fn refused(at: &str, value: Value, says: &str) {
    assert_eq!(errors(at, value), [says], "{at}");
}

#[test]
fn a_policy_is_read_with_its_defaults() {
    let policy = read(&policy("", Value::Null), "ml-fraud").unwrap();
    assert_eq!(policy.gerrit.namespace, "ml-fraud");
    let [staging, prod] = &policy.environments[..] else {
        panic!("two environments")
    };
    assert_eq!(staging.recipe.databricks.namespace, "ml-fraud");
    assert_eq!(prod.recipe.databricks.namespace, "platform");
    assert_eq!(staging.recipe.on_failure, OnFailure::Hold);
    assert_eq!(prod.recipe.on_failure, OnFailure::Rollback);
    assert_eq!(prod.requires[0].soak, 3_600);
    assert_eq!(prod.name(), "prod");
    assert!(policy.environment("prod").is_some() && policy.environment("test").is_none());
    let timing: Vec<(u64, u32)> = prod
        .recipe
        .steps
        .iter()
        .map(|step| (step.timeout, step.attempts))
        .collect();
    assert_eq!(timing, [(7_200, 3), (3_600, 2), (7_200, 3), (7_200, 3)]);
    let kinds: Vec<StepKind> = prod.recipe.steps.iter().map(|step| step.action.kind()).collect();
    assert_eq!(
        kinds,
        [
            StepKind::Files,
            StepKind::Job,
            StepKind::ModelAlias,
            StepKind::ServingEndpoint
        ]
    );
    let Action::Job(job) = &prod.recipe.steps[1].action else {
        panic!("a job")
    };
    assert!(job.run && !job.accept_failures);
    assert_eq!(job.on_rollback, OnRollback::Skip);
    let begun = prod.recipe.begin();
    assert_eq!(begun[1].name, StepName("train".into()));
    assert_eq!((begun[1].timeout, begun[1].attempts), (3_600, 2));
}

/// A promotion keeps its recipe in its status.
#[test]
fn a_recipe_survives_being_written_down() {
    let policy = read(&policy("", Value::Null), "ml-fraud").unwrap();
    for environment in policy.environments {
        let written = serde_json::to_value(&environment.recipe).unwrap();
        let again: Recipe = serde_json::from_value(written).unwrap();
        assert_eq!(again, environment.recipe);
    }
}

#[test]
fn a_change_starts_a_promotion_if_it_touches_what_the_policy_is_about() {
    let read = |spec: &PromotionPolicySpec| read(spec, "ml-fraud").unwrap();
    let some = read(&policy("", Value::Null));
    let all = read(&policy("/gerrit/paths", Value::Null));
    for (touched, starts) in [
        ("models/fraud/a/b.py", true),
        ("requirements.txt", true),
        ("docs/a.md", false),
    ] {
        let touched = BTreeSet::from([touched.to_owned()]);
        assert_eq!(some.is_started_by(&touched), starts, "{touched:?}");
        assert!(all.is_started_by(&touched));
    }
    let nothing = BTreeSet::new();
    assert!(!some.is_started_by(&nothing) && all.is_started_by(&nothing));
}

#[test]
fn an_environment_may_have_steps_of_its_own() {
    let own = json!([{"name": "smoke", "job": {"name": "smoke"}}]);
    let policy = read(&policy("/environments/0/steps", own), "ml-fraud").unwrap();
    let names = |at: usize| -> Vec<String> {
        let steps = policy.environments[at].recipe.steps.iter();
        steps.map(|step| step.name.0.clone()).collect()
    };
    assert_eq!(names(0), ["smoke"]);
    assert_eq!(names(1), ["code", "train", "model", "serve"]);
    refused(
        "/environments/0/steps",
        json!([{"name": "smoke", "job": {"name": "smoke", "jobParameters": {"a": "${env.b}"}}}]),
        "spec.environments[staging].steps[smoke].job.jobParameters.a: environment staging sets no variable \"b\": add \
         it to its variables",
    );
    assert_eq!(
        errors("/steps", Value::Null),
        ["staging", "prod"].map(|environment| format!(
            "spec.environments[{environment}] has no steps: set steps there or for the whole policy"
        ))
    );
}

#[test]
fn an_expression_that_means_nothing_is_named() {
    for (text, why) in [
        ("${revison}", "${revison} means nothing"),
        ("${env.}", "${env.} means nothing"),
        ("${change", "opens ${ and does not close it"),
        ("${env.schema}", "sets no variable \"schema\""),
    ] {
        let told = errors("/steps/1/job/jobParameters", json!({"a": text}));
        assert_eq!(told.len(), 2, "{told:?}");
        for (told, environment) in told.iter().zip(["staging", "prod"]) {
            let at = format!("environment {environment}: spec.steps[train].job.jobParameters.a: ");
            assert!(told.starts_with(&at) && told.contains(why), "{told}");
        }
    }
}

#[test]
fn what_is_moved_has_one_name_for_all_revisions() {
    for (at, field) in [
        ("/steps/1/job/name", "steps[train].job.name"),
        (
            "/steps/3/servingEndpoint/name",
            "steps[serve].servingEndpoint.name",
        ),
        (
            "/steps/3/servingEndpoint/servedEntityName",
            "steps[serve].servingEndpoint.servedEntityName",
        ),
        ("/steps/2/modelAlias/model", "steps[model].modelAlias.model"),
        (
            "/steps/3/servingEndpoint/entityName",
            "steps[serve].servingEndpoint.entityName",
        ),
    ] {
        let told = errors(at, json!("a.b.c${revision}"));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].starts_with(&format!("environment staging: spec.{field} is "))
                && told[0].contains("another one for every revision"),
            "{told:?}"
        );
        assert!(
            errors(at, json!("a.b.${environment}")).is_empty(),
            "{at} may differ by environment"
        );
    }
}

#[test]
fn a_directory_stays_below_the_workspace_whatever_variables_hold() {
    let path = |path: &str| errors("/steps/0/files/path", json!(path));
    assert!(path("/Workspace/${environment}/${revision}").is_empty());
    for wrong in [
        "/Workspace/../${revision}",
        "/Workspace//${revision}",
        "/Workspace/${revision}/",
        "/Users/${revision}",
        "${revision}",
    ] {
        let told = path(wrong);
        assert!(
            told.len() == 2 && told[0].contains("which is no directory below /Workspace"),
            "{wrong}: {told:?}"
        );
    }
    let mut spec = policy(
        "/steps/0/files/path",
        json!("/Workspace/${env.where}/${revision}"),
    );
    for (environment, hidden) in spec.environments.iter_mut().zip(["a/b", "../b"]) {
        let variables = environment.variables.get_or_insert_default();
        variables.insert("where".into(), hidden.into());
    }
    let told: Vec<String> = read(&spec, "ml-fraud")
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("environment prod: spec.steps[code].files.path is \"/Workspace/../b/0"),
        "{told:?}"
    );
}

#[test]
fn a_model_has_three_parts() {
    for wrong in ["scorer", "a.b", "a..c", "a.b.c.d"] {
        let told = errors("/steps/2/modelAlias/model", json!(wrong));
        assert!(
            told.len() == 2 && told[0].contains("write a model as <catalog>.<schema>.<model>"),
            "{wrong}: {told:?}"
        );
    }
}

#[test]
fn a_version_comes_from_an_earlier_step_that_has_one() {
    for (at, from) in [
        ("/steps/2/modelAlias/version/fromStep", "code"),
        ("/steps/2/modelAlias/version/fromStep", "serve"),
        ("/steps/2/modelAlias/version/fromStep", "model"),
        ("/steps/2/modelAlias/version/fromStep", "none"),
        ("/steps/3/servingEndpoint/entityVersion/fromStep", "serve"),
    ] {
        let told = errors(at, json!(from));
        assert!(
            told.len() == 2
                && told[0].contains(&format!(": {from} is no earlier step that yields a version")),
            "{at} {from}: {told:?}"
        );
    }
    assert!(errors("/steps/3/servingEndpoint/entityVersion/fromStep", json!("train")).is_empty());
    let told = errors("/steps/1/job/run", json!(false));
    assert!(told[0].contains(": train is no earlier step"), "{told:?}");
}

#[test]
fn steps_are_of_one_kind_and_of_different_names() {
    let told = errors("/steps/1/name", json!("code"));
    assert!(told[0].contains("two steps are called code"), "{told:?}");
    let told = errors("/steps/0/job", json!({"name": "a"}));
    assert!(told[0].contains("set exactly one of files"), "{told:?}");
    let told = errors("/steps/0/files", Value::Null);
    assert!(told[0].contains("set exactly one of files"), "{told:?}");
}

#[test]
fn variables_have_names_that_an_expression_can_say() {
    refused(
        "/environments/0/variables",
        json!({"catalog": "a", "my var": "b"}),
        "spec.environments[staging].variables: \"my var\" is no name of a variable: letters, digits, _ and -, beginning \
         with a letter",
    );
}

#[test]
fn windows_are_read() {
    refused(
        "/environments/1/windows/allow/0/timeZone",
        json!("Mars/Olympus"),
        "spec.environments[prod].windows: window \"0 9 * * MON-THU\": \"Mars/Olympus\" is no IANA time zone as \
         Europe/Berlin or UTC",
    );
}

#[test]
fn environments_come_in_some_order() {
    refused(
        "/environments/0/requires",
        json!([{"environment": "prod"}]),
        "environments prod, staging require each other in a circle, so that none could ever be first: take one requires \
         away",
    );
    for other in ["test", "prod"] {
        refused(
            "/environments/1/requires",
            json!([{"environment": other}]),
            &format!(
                "spec.environments[prod].requires names {other}, which is no other environment: write one of the policy's"
            ),
        );
    }
}

#[test]
fn two_environments_of_one_workspace_do_not_move_one_thing() {
    let told = errors(
        "/environments/0/databricks/connectionRef",
        json!({"name": "prod", "namespace": "platform"}),
    );
    let aims: Vec<&str> = told
        .iter()
        .filter_map(|told| told.split_once("both aim at ")?.1.split_once(':'))
        .map(|(aim, _)| aim)
        .collect();
    assert_eq!(
        aims,
        [
            "directory /Workspace/lockstep/fraud/*",
            "job fraud-train",
            "serving endpoint fraud-scorer"
        ],
        "{told:?}"
    );
}

#[test]
fn patterns_mean_what_people_think() {
    for (wrong, why) in [
        ("a//b", "empty part"),
        ("/a", "empty part"),
        ("a/../b", "empty part"),
        ("a**", "** beside"),
        ("!a", "!{}[]"),
        ("{a,b}", "!{}[]"),
        ("[ab]", "!{}[]"),
    ] {
        for at in ["/gerrit/paths", "/gate/trustedAutomation/0/paths"] {
            let told = errors(at, json!(["fine/**", wrong]));
            assert!(
                told.len() == 1
                    && told[0].contains(why)
                    && told[0].contains(&format!("pattern {wrong:?} has")),
                "{told:?}"
            );
        }
    }
}

#[test]
fn durations_that_got_past_admission_are_named() {
    let mut spec = policy("", Value::Null);
    spec.environments[1].requires.as_mut().unwrap()[0].soak = Some(Duration("soon".into()));
    spec.steps.as_mut().unwrap()[1].job.as_mut().unwrap().timeout = Some(Duration("later".into()));
    let told: Vec<String> = read(&spec, "ml-fraud")
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[1].starts_with("spec.environments[prod].requires[staging].soak: \"soon\""));
    assert!(told[0].starts_with("environment staging: spec.steps[train].timeout: \"later\""));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let errors = read(&policy("/environments/0/variables", json!({})), "ml-fraud").unwrap_err();
    let said = stalled(&errors);
    assert_eq!(
        (said.kind, said.reason),
        (ConditionType::Stalled, Reason::InvalidSpec)
    );
    for field in [
        "steps[train].job.jobParameters.catalog",
        "steps[model].modelAlias.model",
        "steps[serve].servingEndpoint.entityName",
    ] {
        assert!(
            said.message.contains(&format!(
                "environment staging: spec.{field}: environment staging sets no variable \"catalog\""
            )),
            "{}",
            said.message
        );
    }
}
