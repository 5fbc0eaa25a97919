//! Permissions and entitlements of a workspace, roles on service principals, grants in Unity Catalog.

use jiff::Timestamp;
use kube::CustomResourceExt as _;
use lockstep_core::api::AccessBinding;
use lockstep_core::api::objects::SecurableGrant;
use lockstep_core::domain::access::grant::{Principal, Privilege, Right, Target};
use lockstep_core::domain::ports::{AccessSystem as _, SystemErrorKind};
use serde_json::{Value, json};

use crate::sim::{ACCOUNT, BOT, Databricks, METASTORE, Sim, WORKSPACE, account, change, team};

fn target() -> Target {
    Target::Workspace {
        workspace: WORKSPACE.into(),
    }
}

fn permission(who: &Principal, level: &str) -> Right {
    (who.clone(), Privilege::Permission(level.into()))
}

fn entitlement(who: &Principal, name: &str) -> Right {
    (who.clone(), Privilege::Entitlement(name.into()))
}

async fn of_team(databricks: &Databricks) -> Vec<String> {
    let mut rows = databricks.rows(&target()).await;
    rows.retain(|row| row.starts_with("team "));
    rows
}

#[tokio::test]
async fn a_team_enters_is_entitled_and_leaves_through_either_door() {
    for by_account in [true, false] {
        let sim = Sim::start().await;
        sim.seed(json!({"groups": [{"displayName": "team"}]})).await;
        let databricks = if by_account { sim.system() } else { sim.token() };
        let team = team("team");
        let enter = [permission(&team, "USER"), entitlement(&team, "workspace-access")];
        databricks.apply(&change(&target(), &enter, &[])).await.unwrap();
        assert_eq!(
            of_team(&databricks).await,
            ["team permission USER", "team entitlement workspace-access"]
        );
        let raise = change(
            &target(),
            &[permission(&team, "ADMIN")],
            &[permission(&team, "USER")],
        );
        databricks.apply(&raise).await.unwrap();
        assert_eq!(of_team(&databricks).await[0], "team permission ADMIN");
        let swap = change(
            &target(),
            &[entitlement(&team, "databricks-sql-access")],
            &[entitlement(&team, "workspace-access")],
        );
        databricks.apply(&swap).await.unwrap();
        assert_eq!(
            of_team(&databricks).await[1],
            "team entitlement databricks-sql-access"
        );
        let leave = change(
            &target(),
            &[],
            &[
                permission(&team, "ADMIN"),
                entitlement(&team, "databricks-sql-access"),
            ],
        );
        for _ in 0..2 {
            databricks.apply(&leave).await.unwrap();
            assert_eq!(
                of_team(&databricks).await,
                Vec::<String>::new(),
                "by account: {by_account}"
            );
        }
    }
}

#[tokio::test]
async fn people_and_bots_of_a_workspace_are_known_by_their_ids() {
    let sim = Sim::start().await;
    sim.seed(json!({"users": [{"userName": "ada@example.com", "entitlements": ["allow-cluster-create"]}]}))
        .await;
    let databricks = sim.system();
    let observed = databricks.see(&target()).await;
    let ada = databricks.who("ada@example.com").await;
    assert!(observed.rows.contains(&entitlement(&ada, "allow-cluster-create")));
    assert!(observed.rows.contains(&permission(&ada, "USER")));
    assert!(observed.rows.contains(&permission(&crate::sim::bot(), "USER")));
    assert!(observed.protected.contains(&team("admins")));
    assert_eq!(observed.protected.len(), 2, "and ourselves");
}

fn securable(kind: &str, name: &str) -> Target {
    Target::Securable {
        metastore: METASTORE.into(),
        kind: kind.into(),
        name: name.into(),
    }
}

fn privilege(who: &Principal, word: &str) -> Right {
    (who.clone(), Privilege::Securable(word.into()))
}

async fn with_catalog(sim: &Sim) {
    sim.seed(json!({
        "groups": [{"displayName": "team"}],
        "securables": [
            {"type": "CATALOG", "fullName": "ml", "owner": crate::sim::US},
            {"type": "SCHEMA", "fullName": "ml.fraud", "owner": crate::sim::US,
             "grants": {"eve@example.com": ["USE_SCHEMA"], BOT: ["SELECT"], "": ["SELECT"], "account users": ["USAGE"]}},
        ],
    }))
    .await;
}

#[tokio::test]
async fn grants_are_read_through_empty_pages_and_changed_by_principal() {
    let sim = Sim::start().await;
    with_catalog(&sim).await;
    sim.settings(json!({"emptyPages": true})).await;
    let databricks = sim.system();
    let schema = securable("schema", "ml.fraud");
    let before = [
        "account users privilege USE_SCHEMA",
        "eve@example.com privilege USE_SCHEMA",
        "bot privilege SELECT",
    ];
    assert_eq!(databricks.rows(&schema).await, before);
    let add = [
        privilege(&team("team"), "USE_SCHEMA"),
        privilege(&team("team"), "EXECUTE"),
    ];
    sim.forget().await;
    databricks.apply(&change(&schema, &add, &[])).await.unwrap();
    assert_eq!(sim.writes().await, 1);
    assert_eq!(databricks.rows(&schema).await.len(), 5);
    let remove = [
        privilege(&team("team"), "USE_SCHEMA"),
        privilege(&team("account users"), "USE_SCHEMA"),
    ];
    databricks.apply(&change(&schema, &[], &remove)).await.unwrap();
    assert_eq!(
        databricks.rows(&schema).await,
        [
            "team privilege EXECUTE",
            "eve@example.com privilege USE_SCHEMA",
            "bot privilege SELECT"
        ]
    );
}

/// One row per key of a grant: a full name, and a privilege that such a thing takes.
const SECURABLES: &[(&str, &str, &str)] = &[
    ("catalog", "ml", "USE_CATALOG"),
    ("schema", "ml.fraud", "USE_SCHEMA"),
    ("table", "ml.fraud.features", "SELECT"),
    ("volume", "ml.fraud.files", "READ_VOLUME"),
    ("function", "ml.fraud.score", "EXECUTE"),
    ("model", "ml.fraud.scorer", "EXECUTE"),
    ("metastore", METASTORE, "CREATE_CATALOG"),
    ("externalLocation", "raw", "READ_FILES"),
    ("storageCredential", "bucket", "READ_FILES"),
    ("credential", "service", "ACCESS"),
    ("connection", "warehouse", "USE_CONNECTION"),
    ("share", "partners", "SELECT"),
    ("recipient", "partner", "SELECT"),
    ("provider", "vendor", "USE_PROVIDER"),
    ("pipeline", "ml.fraud.pipeline", "SELECT"),
    ("cleanRoom", "room", "EXECUTE_CLEAN_ROOM_TASK"),
    ("externalMetadata", "lineage", "MODIFY"),
    ("stagingTable", "ml.fraud.staged", "SELECT"),
];

#[tokio::test]
async fn every_securable_is_granted_on_under_the_name_its_key_has() {
    let sim = Sim::start().await;
    with_catalog(&sim).await;
    let databricks = sim.system();
    let mut keys = std::collections::BTreeSet::new();
    for (key, name, word) in SECURABLES {
        let grant: SecurableGrant =
            serde_json::from_value(json!({*key: name, "privileges": [word]})).unwrap();
        let (kind, named) = grant.securable().unwrap();
        assert_eq!(named, *name);
        // The metastore is there and somebody else's.
        let grants = if kind == "metastore" {
            json!({crate::sim::US: ["MANAGE"]})
        } else {
            json!({})
        };
        let thing = json!({"type": kind, "fullName": name, "owner": crate::sim::US, "grants": grants});
        sim.seed(json!({"securables": [thing]})).await;
        let (target, right) = (securable(kind, name), privilege(&team("team"), word));
        for (add, remove, there) in [(true, false, true), (false, true, false)] {
            let list = |wanted: bool| if wanted { vec![right.clone()] } else { Vec::new() };
            let change = change(&target, &list(add), &list(remove));
            databricks
                .apply(&change)
                .await
                .unwrap_or_else(|error| panic!("{key}: {error}"));
            assert_eq!(
                databricks.see(&target).await.rows.contains(&right),
                there,
                "{key}"
            );
        }
        keys.insert(*key);
    }
    let binding = serde_json::to_value(AccessBinding::crd()).unwrap();
    let spec = &binding["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let grant = "/properties/databricks/properties/catalog/properties/grants/items/properties";
    let all = spec
        .pointer(grant)
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str);
    let all: std::collections::BTreeSet<&str> = all
        .filter(|key| !["privileges", "foreign"].contains(key))
        .collect();
    assert_eq!(keys, all);
}

#[tokio::test]
async fn a_securable_that_is_not_there_is_absent_and_another_metastore_is_refused() {
    let sim = Sim::start().await;
    let databricks = sim.system();
    let missing = securable("schema", "ml.gone");
    assert!(!databricks.see(&missing).await.present);
    let remove = [privilege(&team("team"), "USE_SCHEMA")];
    databricks.apply(&change(&missing, &[], &remove)).await.unwrap();
    let error = databricks
        .apply(&change(&missing, &remove, &[]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::NotFound, "{error}");
    let elsewhere = Target::Securable {
        metastore: "other".into(),
        kind: "schema".into(),
        name: "ml.fraud".into(),
    };
    let error = databricks
        .system
        .observe(&elsewhere, Timestamp::MIN)
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Refused);
}

#[tokio::test]
async fn a_group_that_is_not_known_everywhere_yet_is_tried_again() {
    let sim = Sim::start().await;
    with_catalog(&sim).await;
    let databricks = sim.system();
    let schema = securable("schema", "ml.fraud");
    let add = [privilege(&team("brand-new"), "USE_SCHEMA")];
    let error = databricks.apply(&change(&schema, &add, &[])).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::NotFound);
    assert!(error.retry_at.is_some(), "{error}");
}

fn role(who: &Principal, word: &str) -> Right {
    (
        who.clone(),
        Privilege::Role(format!("roles/servicePrincipal.{word}")),
    )
}

#[tokio::test]
async fn roles_are_merged_with_what_others_wrote() {
    let sim = Sim::start().await;
    let name = format!("accounts/{ACCOUNT}/servicePrincipals/{BOT}/ruleSets/default");
    sim.seed(json!({
        "groups": [{"displayName": "team"}],
        "ruleSets": [{"name": name, "grantRules": [
            {"role": "roles/servicePrincipal.manager", "principals": ["users/ada@example.com"]}]}],
    }))
    .await;
    let databricks = sim.system();
    let target = Target::Roles {
        account: ACCOUNT.into(),
        application_id: BOT.into(),
    };
    let manager = "ada@example.com role roles/servicePrincipal.manager";
    assert_eq!(databricks.rows(&target).await, [manager]);
    let conflict =
        json!({"Refuse": {"status": 409, "error_code": "RESOURCE_CONFLICT", "message": "the etag is stale"}});
    sim.fault("PUT", "*/access-control/rule-sets", 2, conflict).await;
    let team = team("team");
    databricks
        .apply(&change(&target, &[role(&team, "user")], &[]))
        .await
        .unwrap();
    let user = "team role roles/servicePrincipal.user";
    assert_eq!(databricks.rows(&target).await, [user, manager]);
    sim.fault("PUT", "*/access-control/rule-sets", 1, json!("DropAfter"))
        .await;
    databricks
        .apply(&change(&target, &[], &[role(&team, "user")]))
        .await
        .unwrap();
    assert_eq!(databricks.rows(&target).await, [manager]);
    let nobody = Target::Roles {
        account: ACCOUNT.into(),
        application_id: "aaaaaaaa-0000-4000-8000-00000000dead".into(),
    };
    assert!(!databricks.see(&nobody).await.present);
}

#[tokio::test]
async fn the_directory_knows_people_by_every_address() {
    let sim = Sim::start().await;
    sim.seed(json!({"users": [{"userName": "Grace@Example.com", "active": false}]}))
        .await;
    let databricks = sim.system();
    for system in [account(), crate::sim::workspace()] {
        let directory = databricks
            .system
            .directory(&system, Timestamp::MIN)
            .await
            .unwrap();
        let graces: Vec<_> = directory.by_email("GRACE@example.com").collect();
        assert_eq!(graces.len(), 1);
        assert!(!graces[0].active);
        let bot = directory.by_username(BOT).unwrap();
        assert!(bot.service);
        assert_eq!(bot.principal.subject, BOT);
    }
    let ids: Value = sim
        .seed(json!({"users": [{"userName": "ada@example.com"}]}))
        .await;
    assert_eq!(
        databricks.who("ada@example.com").await.subject,
        ids["ada@example.com"]
    );
}
