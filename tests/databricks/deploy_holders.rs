//! Who else holds what on the things that steps move: what the hardening of an environment is judged by.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lockstep_core::domain::ports::SystemErrorKind;
use lockstep_core::domain::promotion::ports::deployments::Deployment as _;
use lockstep_core::domain::promotion::proof::hardening::databricks::Thing;
use serde_json::json;

use crate::deploy::{MODEL, Stage, job_step, key};
use crate::sim::{ACCOUNT, BOT, Sim, US};

/// As a person reads it, in order; what everybody has a part in is left out.
async fn held(stage: &Stage, thing: &Thing) -> Vec<String> {
    let found = stage.deployment.holders().of(thing, Timestamp::now()).await;
    let found = found.unwrap().unwrap_or_else(|| panic!("{thing} is there"));
    let all: BTreeSet<String> = found.iter().map(ToString::to_string).collect();
    all.into_iter()
        .filter(|row| !row.starts_with("group admins "))
        .collect()
}

#[tokio::test]
async fn rights_on_a_folder_are_those_of_the_folders_above_it_even_before_it_exists() {
    let stage = Stage::set().await;
    stage
        .sim
        .seed(json!({"objects": [{"type": "directories", "name": "/lockstep",
            "acl": {BOT: "CAN_READ", "ada@example.com": "CAN_EDIT"}}]}))
        .await;
    let folder = Thing::Folder("/Workspace/lockstep/fraud".into());
    let above = held(&stage, &folder).await;
    let ada = |row: &&String| row.starts_with("ada@example.com");
    assert_eq!(
        above.iter().find(ada).unwrap(),
        "ada@example.com (CAN_EDIT)",
        "{above:?}"
    );
    stage.upload().await;
    let below = held(&stage, &folder).await;
    let row = below.iter().find(ada).unwrap();
    assert!(
        row.starts_with("ada@example.com (CAN_EDIT, from /directories/"),
        "{below:?}"
    );
    assert!(
        below
            .iter()
            .any(|row| row.starts_with("service principal bot (CAN_READ"))
    );
}

#[tokio::test]
async fn owners_and_managers_of_a_job_are_told_and_a_job_that_is_not_there_has_none() {
    let stage = Stage::set().await;
    stage.upload().await;
    let step = job_step();
    let train = Thing::Job(step.name.clone());
    let holders = stage.deployment.holders();
    assert_eq!(holders.of(&train, Timestamp::now()).await.unwrap(), None);
    let jobs = stage.deployment.jobs();
    jobs.act(&key("train", 1), &step, &jobs.prepare(&step).await.unwrap())
        .await
        .unwrap();
    let listed = stage.sim.stranger("GET", "/api/2.2/jobs/list", json!({})).await;
    let path = format!("/api/2.0/permissions/jobs/{}", listed["jobs"][0]["job_id"]);
    let body =
        json!({"access_control_list": [{"user_name": "eve@example.com", "permission_level": "CAN_MANAGE"}]});
    stage.sim.stranger("PATCH", &path, body).await;
    assert_eq!(
        held(&stage, &train).await,
        [
            "eve@example.com (CAN_MANAGE)",
            "service principal lockstep (IS_OWNER)"
        ]
    );
    assert_eq!(holders.ourselves().await.unwrap().subject, US);

    // Two of one name are nobody's to judge.
    let task = json!({"task_key": "t", "condition_task": {"op": "EQUAL_TO", "left": "1", "right": "1"}});
    let another = json!({"name": step.name, "tasks": [task]});
    stage.sim.stranger("POST", "/api/2.2/jobs/create", another).await;
    // Names are looked up anew by whoever wants them younger.
    let later = Timestamp::now()
        .checked_add(jiff::SignedDuration::from_secs(1))
        .unwrap();
    let several = holders.of(&train, later).await.unwrap_err();
    assert!(several.message.contains("2 jobs are called"), "{several}");
}

#[tokio::test]
async fn whoever_owns_or_manages_a_model_or_what_is_above_it_is_told() {
    let stage = Stage::set().await;
    stage
        .sim
        .seed(json!({"securables": [
            {"type": "schema", "fullName": "ml.fraud", "grants": {"bob@example.com": ["MANAGE"], US: ["USE_SCHEMA"]}},
            {"type": "function", "fullName": MODEL, "grants": {"eve@example.com": ["EXECUTE"], US: ["EXECUTE"]},
             "body": {"securable_kind": "FUNCTION_REGISTERED_MODEL"}},
        ]}))
        .await;
    for (path, owner) in [
        ("schemas/ml.fraud".to_owned(), "ada@example.com"),
        (format!("models/{MODEL}"), BOT),
    ] {
        let path = format!("/api/2.1/unity-catalog/{path}");
        stage.sim.stranger("PATCH", &path, json!({"owner": owner})).await;
    }
    let model = Thing::Model(MODEL.into());
    let all = held(&stage, &model).await;
    for expected in [
        "ada@example.com (owner, from ml.fraud)",
        "bob@example.com (MANAGE, from ml.fraud)",
        "eve@example.com (EXECUTE)",
        "service principal bot (owner)",
    ] {
        assert!(all.iter().any(|row| row == expected), "{expected}: {all:?}");
    }
    assert!(
        all.iter().any(|row| row.ends_with("(owner, from the metastore)")),
        "{all:?}"
    );
    let none = Thing::Model("ml.fraud.nothing".into());
    let holders = stage.deployment.holders();
    assert_eq!(holders.of(&none, Timestamp::now()).await.unwrap(), None);

    // Whoever asks next is told from the same reading.
    stage.sim.forget().await;
    let before = Timestamp::now()
        .checked_sub(jiff::SignedDuration::from_mins(1))
        .unwrap();
    holders.of(&model, before).await.unwrap();
    assert_eq!(stage.sim.asked().await, []);
}

#[tokio::test]
async fn everybody_who_can_act_as_an_identity_or_log_in_as_it_is_told() {
    let stage = Stage::set().await;
    let rules = format!("accounts/{ACCOUNT}/servicePrincipals/{BOT}/ruleSets/default");
    let rule = |role: &str, who: &str| json!({"role": role, "principals": [who]});
    stage
        .sim
        .seed(json!({
            "ruleSets": [{"name": rules, "grantRules": [
                rule("roles/servicePrincipal.manager", "users/ada@example.com"),
                rule("roles/servicePrincipal.user", &format!("servicePrincipals/{US}")),
            ]}],
            "servicePrincipals": [
                {"applicationId": BOT, "displayName": "bot", "secrets": ["dose-of-the-bot"],
                 "federationPolicies": [{"issuer": "https://issuer.example.com", "subject": "robot"}]},
            ],
            "tokens": [
                {"value": "dapi-of-the-bot", "principal": BOT, "workspace": 1_234_567_890_123_456_u64, "personal": {}},
                {"value": "dapi-of-ada", "principal": "ada@example.com", "workspace": 1_234_567_890_123_456_u64,
                 "personal": {}},
            ],
        }))
        .await;
    assert_eq!(
        held(&stage, &Thing::Identity(BOT.into())).await,
        [
            "ada@example.com (roles/servicePrincipal.manager)",
            "service principal lockstep (roles/servicePrincipal.user)"
        ]
    );
    let logins = held(&stage, &Thing::Login(BOT.into())).await;
    assert_eq!(logins.len(), 2, "{logins:?}");
    assert!(
        logins[0].starts_with("whoever has OAuth secret ") && !logins[0].contains("dose"),
        "{logins:?}"
    );
    assert_eq!(
        logins[1],
        "whoever has a token of https://issuer.example.com for robot"
    );
    let tokens = held(&stage, &Thing::Tokens(BOT.into())).await;
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    assert!(
        tokens[0].starts_with("whoever has personal access token ") && !tokens[0].contains("dapi"),
        "{tokens:?}"
    );
    let nobody = "99999999-0000-4000-8000-000000000009".to_owned();
    let holders = stage.deployment.holders();
    for thing in [Thing::Login(nobody.clone()), Thing::Tokens(nobody)] {
        assert_eq!(
            holders.of(&thing, Timestamp::now()).await.unwrap(),
            None,
            "{thing:?}"
        );
    }
}

#[tokio::test]
async fn everybody_who_administers_the_workspace_is_told() {
    let stage = Stage::set().await;
    stage
        .sim
        .seed(json!({
            "users": [{"userName": "ada@example.com", "admin": true}],
            "groups": [{"displayName": "operators", "members": ["bob@example.com"]}],
            "assignments": [{"principal": "operators", "permission": "ADMIN"}],
        }))
        .await;
    let all = held(&stage, &Thing::Workspace).await;
    for expected in [
        "ada@example.com (ADMIN)",
        "group operators (ADMIN)",
        "service principal lockstep (ADMIN)",
    ] {
        assert!(all.iter().any(|row| row == expected), "{expected}: {all:?}");
    }
    assert!(
        !all.iter().any(|row| row.starts_with("eve@example.com")),
        "{all:?}"
    );
}

#[tokio::test]
async fn what_the_account_alone_knows_is_refused_where_it_cannot_be_asked() {
    let sim = Sim::start().await;
    let mut settings = sim.system_settings();
    settings.account = None;
    let deployment = Sim::system_with(settings).system.deployment();
    for thing in [Thing::Identity(BOT.into()), Thing::Login(BOT.into())] {
        let error = deployment
            .holders()
            .of(&thing, Timestamp::now())
            .await
            .unwrap_err();
        assert_eq!(error.kind, SystemErrorKind::Refused);
        assert!(error.message.contains("spec.account is unset"), "{error}");
    }
}
