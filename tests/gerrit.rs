//! The Gerrit adapter against a real server, the one `make up` starts. Every run works under a prefix of its own and
//! removes what can be removed; accounts are left inactive, projects stay, since Gerrit deletes neither.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "gerrit/approving.rs"]
mod approving;
#[path = "gerrit/bypassing.rs"]
mod bypassing;
#[path = "gerrit/house.rs"]
mod house;
#[path = "gerrit/moving.rs"]
mod moving;
#[path = "gerrit/telling.rs"]
mod telling;
#[path = "gerrit/trees.rs"]
mod trees;
#[path = "gerrit/watching.rs"]
mod watching;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use lockstep::clients::gerrit::{GerritSettings, GerritSystem, PAGE};
use lockstep::clients::http::HttpMetrics;
use lockstep_core::domain::access::drift::Deed;
use lockstep_core::domain::access::grant::{Principal, Privilege, Right, System, Target};
use lockstep_core::domain::access::names::gerrit_group_uuid;
use lockstep_core::domain::access::observed::{GroupProperties, Located, Named, Observed};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::{AccessSystem, Clock, NoPermit, Permit, SystemError, SystemErrorKind};
use prometheus_client::registry::Registry;
use reqwest::Method;
use serde_json::{Value, json};

struct Granted;
impl Permit for Granted {
    fn check(&self, _: Duration) -> Result<(), NoPermit> {
        Ok(())
    }
}

struct Now;
impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A run's own corner of the server.
struct Corner {
    system: GerritSystem,
    server: String,
    url: String,
    admin: (String, String),
    prefix: String,
    raw: reqwest::Client,
}

/// The server, or `None` with a note where there is none; where tests must be complete that is a failure.
async fn corner(settings: impl FnOnce(&mut GerritSettings)) -> Option<Corner> {
    static RUN: AtomicU32 = AtomicU32::new(0);
    let Ok(url) = std::env::var("GERRIT_URL") else {
        assert!(
            std::env::var("CI").is_err(),
            "GERRIT_URL is not set: run `make up` and source dev/.state/env"
        );
        eprintln!("skipped: GERRIT_URL is not set (run `make up` and source dev/.state/env)");
        return None;
    };
    let admin = (
        std::env::var("GERRIT_ADMIN_USER").expect("GERRIT_ADMIN_USER"),
        std::env::var("GERRIT_ADMIN_PASSWORD").expect("GERRIT_ADMIN_PASSWORD"),
    );
    let mut plain = plain(&url, &admin.0, &admin.1);
    settings(&mut plain);
    let system = GerritSystem::new(plain, Arc::new(Granted), Arc::new(Now), None).unwrap();
    let server = system.server().await.unwrap().to_owned();
    let run = RUN.fetch_add(1, Ordering::SeqCst);
    let prefix = format!("t{:x}-{run}", Timestamp::now().as_microsecond());
    let raw = reqwest::Client::new();
    Some(Corner {
        system,
        server,
        url,
        admin,
        prefix,
        raw,
    })
}

fn plain(url: &str, username: &str, password: &str) -> GerritSettings {
    GerritSettings {
        url: url.parse().unwrap(),
        username: username.into(),
        password: password.to_owned().into(),
        ca_pem: None,
        aliases: Vec::new(),
        requests_per_second: Some(0),
        concurrency: 8,
        timeout: Duration::from_secs(30),
        allow_loopback: true,
        page: PAGE,
    }
}

impl Corner {
    /// What somebody else does to the server.
    async fn by_hand(&self, method: Method, path: &str, body: Value) -> (u16, String) {
        let (user, password) = &self.admin;
        let mut request = self
            .raw
            .request(method, format!("{}/a/{path}", self.url))
            .basic_auth(user, Some(password));
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn put(&self, path: &str, body: Value) {
        let (status, text) = self.by_hand(Method::PUT, path, body).await;
        assert!(status < 300, "{path}: {status} {text}");
    }

    async fn account(&self, name: &str) -> Principal {
        let username = format!("{}-{name}", self.prefix);
        let path = format!("accounts/{username}");
        let body = json!({"name": name, "email": format!("{username}@example.com")});
        let (status, text) = self.by_hand(Method::PUT, &path, body).await;
        assert_eq!(status, 201, "{text}");
        let id: Value = serde_json::from_str(text.split_once('\n').unwrap().1).unwrap();
        Principal::account(id["_account_id"].as_i64().unwrap(), username)
    }

    async fn deactivate(&self, account: &Principal) {
        let path = format!("accounts/{}/active", account.subject);
        self.by_hand(Method::DELETE, &path, Value::Null).await;
    }

    async fn project(&self, name: &str) -> String {
        let project = format!("{}/{name}", self.prefix);
        self.put(
            &format!("projects/{}", project.replace('/', "%2F")),
            json!({"create_empty_commit": true}),
        )
        .await;
        project
    }

    fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn group(&self, name: &str) -> (Target, String) {
        let uuid = gerrit_group_uuid(&self.server, &self.name(name));
        let target = Target::GerritGroup {
            server: self.server.clone(),
            uuid: uuid.clone(),
        };
        (target, uuid)
    }

    fn on(&self, project: &str, ref_name: &str) -> Target {
        Target::GerritRef {
            server: self.server.clone(),
            project: project.into(),
            ref_name: ref_name.into(),
        }
    }

    fn creation(&self, name: &str, members: &[&Principal]) -> Change {
        let mut change = Change::new(self.group(name).0, name);
        change.create = Some(GroupProperties {
            name: self.name(name),
            description: Some("made by a test".into()),
            owner: None,
            visible_to_all: Some(true),
        });
        change.add = members.iter().map(|who| member(who)).collect();
        change
    }

    async fn create(&self, name: &str, members: &[&Principal]) -> (Target, String) {
        self.apply(&self.creation(name, members)).await.unwrap();
        self.group(name)
    }

    async fn apply(&self, change: &Change) -> Result<(), SystemError> {
        self.system.apply(&[change]).await.map(drop)
    }

    async fn delete(&self, target: &Target) -> Result<(), SystemError> {
        let mut change = Change::new(target.clone(), "x");
        change.delete = true;
        self.apply(&change).await
    }

    /// Any age will do, except for what this client wrote itself.
    async fn see(&self, target: &Target) -> Arc<Observed> {
        self.system.observe(target, Timestamp::UNIX_EPOCH).await.unwrap()
    }

    async fn see_now(&self, target: &Target) -> Arc<Observed> {
        self.system.observe(target, Timestamp::now()).await.unwrap()
    }

    async fn locate(&self, name: &str) -> Located {
        let named = Named::Group {
            system: System::Gerrit(self.server.clone()),
            name: name.into(),
        };
        self.system.locate(&named, Timestamp::now()).await.unwrap()
    }

    /// Rights as `group right`, names of groups without their prefix.
    async fn rights(&self, target: &Target) -> Vec<String> {
        let seen = self.see(target).await;
        let shown = |(group, right): &Right| {
            let name = group
                .name
                .strip_prefix(&format!("{}-", self.prefix))
                .unwrap_or(&group.name)
                .to_owned();
            format!("{name} {right}")
        };
        let mut rights: Vec<String> = seen.rows.iter().map(shown).collect();
        rights.sort();
        rights
    }

    async fn change_rights(
        &self,
        target: &Target,
        add: &[(&str, &str)],
        remove: &[(&str, &str)],
    ) -> Result<(), SystemError> {
        let rows = |rows: &[(&str, &str)]| -> BTreeSet<Right> {
            rows.iter()
                .map(|(uuid, right)| (Principal::group(*uuid, *uuid), right.parse().unwrap()))
                .collect()
        };
        let mut change = Change::new(target.clone(), "x");
        change.add = rows(add);
        change.remove = rows(remove);
        self.apply(&change).await
    }

    async fn project_config(&self, project: &str) -> String {
        use base64::Engine as _;
        let project = project.replace('/', "%2F");
        let path = format!("projects/{project}/branches/refs%2Fmeta%2Fconfig/files/project.config/content");
        let (_, text) = self.by_hand(Method::GET, &path, Value::Null).await;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

fn member(who: &Principal) -> Right {
    (who.clone(), Privilege::Member)
}

fn members(observed: &Observed) -> BTreeSet<String> {
    observed.rows.iter().map(|(who, _)| who.to_string()).collect()
}

fn subjects(all: &[&Principal]) -> BTreeSet<String> {
    all.iter().map(ToString::to_string).collect()
}

macro_rules! corner_or_skip {
    () => {
        corner_or_skip!(|_| {})
    };
    ($settings:expr) => {
        match corner($settings).await {
            Some(corner) => corner,
            None => return,
        }
    };
}

#[tokio::test]
async fn a_probe_says_who_and_where_we_are() {
    let c = corner_or_skip!();
    let probe = c.system.probe().await.unwrap();
    assert_eq!(probe.lacks, Vec::<String>::new());
    assert_eq!(probe.status["account"]["username"], c.admin.0.as_str());
    assert_eq!(probe.status["capabilities"]["administrateServer"], true);
    assert_eq!(probe.status["server"], c.server.as_str());
    assert!(probe.status["version"].as_str().unwrap().starts_with("3."));
    // Under another name of its host it is the same server.
    let other = c.url.replace("127.0.0.1", "localhost");
    let settings = plain(&other, &c.admin.0, &c.admin.1);
    let system = GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), None).unwrap();
    assert_eq!(system.server().await.unwrap(), c.server);
}

#[tokio::test]
async fn a_wrong_password_is_named_and_not_repeated() {
    let c = corner_or_skip!();
    let settings = plain(&c.url, &c.admin.0, "planted-s3cr3t");
    let system = GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), None).unwrap();
    let error = system.probe().await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Unauthorized);
    assert!(!format!("{error:?}").contains("planted"), "{error:?}");
}

#[tokio::test]
async fn a_group_lives_from_creation_to_deletion() {
    let c = corner_or_skip!();
    let (ada, bob) = (c.account("ada").await, c.account("bob").await);
    assert_eq!(c.locate(&c.name("team")).await, Located::Absent);
    let (target, uuid) = c.create("team", &[&ada]).await;
    assert_eq!(c.locate(&c.name("team")).await, Located::At(target.clone()));
    let seen = c.see(&target).await;
    assert_eq!(members(&seen), subjects(&[&ada]), "the creator is no member");
    let group = seen.group.clone().unwrap();
    assert_eq!(group.description.as_deref(), Some("made by a test"));
    assert_eq!(group.visible_to_all, Some(true));
    assert_ne!(
        group.owner.as_deref(),
        Some(uuid.as_str()),
        "it does not own itself"
    );

    let mut change = Change::new(target.clone(), "team");
    change.add = [
        member(&bob),
        member(&Principal::group("global:Registered-Users", "")),
    ]
    .into();
    change.remove = [member(&ada)].into();
    change.describe = Some(GroupProperties {
        name: c.name("renamed"),
        description: Some(String::new()),
        owner: Some(uuid.clone()),
        visible_to_all: Some(false),
    });
    c.apply(&change).await.unwrap();
    let seen = c.see(&target).await;
    let everybody = Principal::group("global:Registered-Users", "");
    assert_eq!(members(&seen), subjects(&[&bob, &everybody]));
    let group = seen.group.clone().unwrap();
    assert_eq!((group.name, group.description), (c.name("renamed"), None));
    assert_eq!((group.owner, group.visible_to_all), (Some(uuid), Some(false)));
    assert_eq!(c.locate(&c.name("team")).await, Located::Absent);

    c.delete(&target).await.unwrap();
    assert!(!c.see(&target).await.present);
    c.delete(&target).await.unwrap();
    for who in [&ada, &bob] {
        c.deactivate(who).await;
    }
}

#[tokio::test]
async fn a_creation_done_before_is_taken_over_and_a_strangers_name_is_not() {
    let c = corner_or_skip!();
    let (ada, bob) = (c.account("ada").await, c.account("bob").await);
    let (target, uuid) = c.create("team", &[&ada]).await;
    // The answer got lost; somebody renamed the group meanwhile.
    c.put(&format!("groups/{uuid}/name"), json!({"name": c.name("other")}))
        .await;
    c.apply(&c.creation("team", &[&ada, &bob])).await.unwrap();
    let seen = c.see(&target).await;
    assert_eq!(members(&seen), subjects(&[&ada, &bob]));
    assert_eq!(seen.group.as_ref().unwrap().name, c.name("team"));

    c.put(
        &format!("groups/{}", c.name("taken")),
        json!({"owner_id": "Administrators"}),
    )
    .await;
    let error = c.apply(&c.creation("taken", &[&ada])).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Refused);
    assert!(
        error.message.contains("exists already under another uuid"),
        "{error}"
    );
    c.delete(&target).await.unwrap();
    let Located::At(stranger) = c.locate(&c.name("taken")).await else {
        panic!("it is there");
    };
    c.delete(&stranger).await.unwrap();
    for who in [&ada, &bob] {
        c.deactivate(who).await;
    }
}

#[tokio::test]
async fn hostile_names_are_held_exactly_or_refused() {
    let c = corner_or_skip!();
    for name in [
        "a/b",
        "a%2Fb",
        "100%",
        "..",
        "a..b",
        "\"q\" 'q'",
        "plus+plus",
        "Grüße €",
        "a?b#c",
        "a\\b",
        "a b&c=d",
        "{x}",
        "123",
    ] {
        let name = format!("x{name}x");
        let (target, _) = c.create(&name, &[]).await;
        assert_eq!(
            c.locate(&c.name(&name)).await,
            Located::At(target.clone()),
            "{name}"
        );
        assert_eq!(c.see(&target).await.group.as_ref().unwrap().name, c.name(&name));
        c.delete(&target).await.unwrap();
        assert!(!c.see(&target).await.present, "{name}");
    }
    for name in ["a\nb", "a\tb", "a ", "a\u{7f}b", &"x".repeat(300)] {
        let error = c.apply(&c.creation(name, &[])).await.unwrap_err();
        assert_eq!(error.kind, SystemErrorKind::Refused, "{name:?}");
        assert!(error.message.contains("cannot hold"), "{error}");
    }
}

#[tokio::test]
async fn inactive_accounts_are_known_and_can_be_removed_but_not_added() {
    let c = corner_or_skip!();
    let (ada, bob) = (c.account("ada").await, c.account("bob").await);
    let (target, _) = c.create("team", &[&ada, &bob]).await;
    c.deactivate(&ada).await;
    let system = System::Gerrit(c.server.clone());
    let directory = c.system.directory(&system, Timestamp::now()).await.unwrap();
    assert!(!directory.get(&ada).unwrap().active);
    assert!(directory.get(&bob).unwrap().active);
    let mut change = Change::new(target.clone(), "team");
    change.remove = [member(&ada)].into();
    c.apply(&change).await.unwrap();
    assert_eq!(members(&*c.see(&target).await), subjects(&[&bob]));
    std::mem::swap(&mut change.add, &mut change.remove);
    assert_eq!(c.apply(&change).await.unwrap_err().kind, SystemErrorKind::Refused);
    c.delete(&target).await.unwrap();
    c.deactivate(&bob).await;
}

#[tokio::test]
async fn people_are_found_by_their_exact_address_and_aliases_are_joined() {
    let c = corner_or_skip!(|settings| settings.page = 2);
    let (ada, admin) = (c.account("ada").await, c.account("ada.admin").await);
    let (plain_email, admin_email) = (
        format!("{}@example.com", ada.name),
        format!("{}@example.com", admin.name),
    );
    let system = System::Gerrit(c.server.clone());
    let directory = c.system.directory(&system, Timestamp::now()).await.unwrap();
    let found: Vec<_> = directory
        .by_email(&plain_email.to_uppercase())
        .map(|a| a.principal.clone())
        .collect();
    assert_eq!(found.as_slice(), std::slice::from_ref(&ada));
    assert_eq!(directory.by_email(&format!("{}@example.co", ada.name)).count(), 0);
    assert_eq!(directory.by_username(&admin.name).unwrap().principal, admin);

    let mut settings = plain(&c.url, &c.admin.0, &c.admin.1);
    settings.aliases = vec![(admin_email.clone(), vec![ada.name.clone(), admin.name.clone()])];
    let joined = GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), None).unwrap();
    let directory = joined.directory(&system, Timestamp::now()).await.unwrap();
    let found: Vec<_> = directory
        .by_email(&admin_email)
        .map(|a| a.principal.clone())
        .collect();
    assert_eq!(found.as_slice(), std::slice::from_ref(&ada));
    for who in [&ada, &admin] {
        c.deactivate(who).await;
    }
}

#[tokio::test]
async fn pages_of_two_show_the_same_groups() {
    let c = corner_or_skip!(|settings| settings.page = 2);
    let mut targets = Vec::new();
    for index in 0..5 {
        targets.push(c.create(&format!("g{index}"), &[]).await.0);
    }
    for target in &targets {
        assert!(c.see_now(target).await.present);
    }
    for target in &targets {
        c.delete(target).await.unwrap();
        assert!(!c.see(target).await.present);
    }
}

#[tokio::test]
async fn creations_at_once_all_arrive() {
    let c = corner_or_skip!();
    let changes: Vec<Change> = (0..8)
        .map(|index| c.creation(&format!("p{index}"), &[]))
        .collect();
    for done in futures::future::join_all(changes.iter().map(|change| c.apply(change))).await {
        done.unwrap();
    }
    for change in &changes {
        assert!(c.see(&change.target).await.present);
        c.delete(&change.target).await.unwrap();
    }
}

#[tokio::test]
async fn a_thousand_looks_cost_the_pages_of_one_listing() {
    let c = corner_or_skip!();
    let (target, uuid) = c.create("team", &[]).await;
    let mut registry = Registry::default();
    let metrics = HttpMetrics::register(&mut registry);
    let settings = plain(&c.url, &c.admin.0, &c.admin.1);
    let system = GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), Some(metrics)).unwrap();
    let asked = Timestamp::now();
    let looks = (0..1000).map(|_| system.observe(&target, asked));
    assert!(futures::future::join_all(looks).await.iter().all(Result::is_ok));
    let listings = |registry: &Registry| {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        let line = text.lines().find(|line| {
            line.starts_with("lockstep_client_requests_total") && line.contains(r#"route="/a/groups/""#)
        });
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(listings(&registry), "1");
    // A strange hand is seen by whoever asks for something newer, and by nobody else.
    c.put(
        &format!("groups/{uuid}/description"),
        json!({"description": "other"}),
    )
    .await;
    let old = system.observe(&target, asked).await.unwrap();
    assert_eq!(
        old.group.as_ref().unwrap().description.as_deref(),
        Some("made by a test")
    );
    let new = system.observe(&target, Timestamp::now()).await.unwrap();
    assert_eq!(new.group.as_ref().unwrap().description.as_deref(), Some("other"));
    assert_eq!(listings(&registry), "2");
    c.delete(&target).await.unwrap();
}

#[tokio::test]
async fn a_group_that_something_refers_to_is_buried_and_comes_back() {
    let c = corner_or_skip!();
    let ada = c.account("ada").await;
    let project = c.project("app").await;
    let (target, uuid) = c.create("team", &[&ada]).await;
    let on = c.on(&project, "refs/heads/main");
    c.change_rights(&on, &[(&uuid, "read")], &[]).await.unwrap();
    c.delete(&target).await.unwrap();
    let seen = c.see(&target).await;
    assert!(!seen.present && seen.rows.is_empty());
    assert_eq!(c.locate(&c.name("team")).await, Located::Absent);
    let (_, text) = c
        .by_hand(Method::GET, &format!("groups/{uuid}/detail"), Value::Null)
        .await;
    assert!(
        text.contains("zz-lockstep-deleted-") && text.contains(r#""members":[]"#),
        "{text}"
    );
    c.delete(&target).await.unwrap();

    c.apply(&c.creation("team", &[&ada])).await.unwrap();
    let seen = c.see(&target).await;
    assert_eq!(seen.group.as_ref().unwrap().name, c.name("team"));
    assert_eq!(members(&seen), subjects(&[&ada]));
    c.change_rights(&on, &[], &[(&uuid, "read")]).await.unwrap();
    c.delete(&target).await.unwrap();
    let (status, _) = c
        .by_hand(Method::GET, &format!("groups/{uuid}"), Value::Null)
        .await;
    assert_eq!(status, 404);
    c.deactivate(&ada).await;
}

#[tokio::test]
async fn rights_change_without_a_trace_of_the_traps() {
    let c = corner_or_skip!();
    let project = c.project("app").await;
    let (team, team_uuid) = c.create("team", &[]).await;
    let (other, other_uuid) = c.create("other", &[]).await;
    let prod = c.on(&project, "refs/heads/prod");
    let path = format!("projects/{}/access", project.replace('/', "%2F"));
    let rules = json!({&team_uuid: {"action": "ALLOW"}});
    let both = json!({&team_uuid: {"action": "ALLOW", "min": -1, "max": 1}, &other_uuid: {"action": "ALLOW", "min": -2, "max": 2}});
    let body = json!({"add": {"refs/heads/prod": {"permissions": {
        "push": {"exclusive": true, "rules": rules}, "label-Code-Review": {"rules": both}}}}});
    let (status, text) = c.by_hand(Method::POST, &path, body).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(
        c.rights(&prod).await,
        [
            "other label-Code-Review -2..+2",
            "team label-Code-Review -1..+1",
            "team push"
        ]
    );

    // A range that grows, a rule that becomes another, a right on another ref: one call.
    let main = c.on(&project, "refs/heads/m/*");
    let mut on_prod = Change::new(prod.clone(), "prod");
    let group = Principal::group(&team_uuid, "team");
    let right = |text: &str| (group.clone(), text.parse().unwrap());
    on_prod.add = [right("label-Code-Review -2..+2"), right("push force")].into();
    on_prod.remove = [right("label-Code-Review -1..+1"), right("push")].into();
    let mut on_main = Change::new(main.clone(), "main");
    on_main.add = [right("create"), right("read BLOCK")].into();
    c.system.apply(&[&on_prod, &on_main]).await.unwrap();
    assert_eq!(
        c.rights(&prod).await,
        [
            "other label-Code-Review -2..+2",
            "team label-Code-Review -2..+2",
            "team push force"
        ]
    );
    assert_eq!(c.rights(&main).await, ["team create", "team read BLOCK"]);
    let config = c.project_config(&project).await;
    assert_eq!(config.matches("label-Code-Review = ").count(), 2, "{config}");
    assert!(config.contains("exclusiveGroupPermissions = push"), "{config}");

    // One rule goes, the others and the section stay.
    c.change_rights(&prod, &[], &[(&team_uuid, "label-Code-Review -2..+2")])
        .await
        .unwrap();
    assert_eq!(
        c.rights(&prod).await,
        ["other label-Code-Review -2..+2", "team push force"]
    );
    // What is gone already, or is another rule by now, is left alone.
    c.change_rights(&prod, &[], &[(&team_uuid, "read"), (&team_uuid, "push")])
        .await
        .unwrap();
    assert_eq!(c.rights(&prod).await.len(), 2);
    c.change_rights(
        &prod,
        &[],
        &[
            (&team_uuid, "push force"),
            (&other_uuid, "label-Code-Review -2..+2"),
        ],
    )
    .await
    .unwrap();
    assert_eq!(c.rights(&prod).await, Vec::<String>::new());
    assert!(c.see(&prod).await.present, "the project is there");
    c.change_rights(&main, &[], &[(&team_uuid, "create"), (&team_uuid, "read BLOCK")])
        .await
        .unwrap();
    for target in [&team, &other] {
        c.delete(target).await.unwrap();
        assert!(!c.see(target).await.present);
    }
}

#[tokio::test]
async fn what_an_exclusive_permission_shuts_out_stays_out_when_its_last_rule_goes() {
    let c = corner_or_skip!();
    let project = c.project("app").await;
    let (team, uuid) = c.create("team", &[]).await;
    let prod = c.on(&project, "refs/heads/prod");
    let path = format!("projects/{}/access", project.replace('/', "%2F"));
    // As people write it: in another case, and exclusive.
    let rules = json!({&uuid: {"action": "ALLOW"}});
    let by_hand =
        json!({"add": {"refs/heads/prod": {"permissions": {"Push": {"exclusive": true, "rules": rules}}}}});
    let (status, text) = c.by_hand(Method::POST, &path, by_hand).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(c.rights(&prod).await, ["team push"]);
    c.change_rights(&prod, &[], &[(&uuid, "push")]).await.unwrap();
    assert_eq!(c.rights(&prod).await, Vec::<String>::new());
    let config = c.project_config(&project).await;
    assert!(
        config.to_lowercase().contains("exclusivegrouppermissions = push"),
        "{config}"
    );
    c.delete(&team).await.unwrap();
}

#[tokio::test]
async fn rights_that_gerrit_refuses_are_refusals() {
    let c = corner_or_skip!();
    let project = c.project("app").await;
    let (team, uuid) = c.create("team", &[]).await;
    let unknown = "0000000000000000000000000000000000000000";
    for (ref_name, group, right) in [
        ("refs/heads/x", unknown, "push"),
        ("refs/heads/x", uuid.as_str(), "noSuchPermission"),
        ("heads/x", uuid.as_str(), "push"),
        ("^refs/heads/[x", uuid.as_str(), "push"),
        ("refs/heads/x", uuid.as_str(), "label-Code-Review +1..-1"),
    ] {
        let on = c.on(&project, ref_name);
        let error = c.change_rights(&on, &[(group, right)], &[]).await.unwrap_err();
        assert_eq!(
            error.kind,
            SystemErrorKind::Refused,
            "{ref_name} {right}: {error}"
        );
    }
    let nowhere = c.on("no/such project", "refs/heads/x");
    assert!(!c.see(&nowhere).await.present);
    let error = c
        .change_rights(&nowhere, &[(&uuid, "push")], &[])
        .await
        .unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::NotFound);
    c.change_rights(&nowhere, &[], &[(&uuid, "push")]).await.unwrap();
    // A missing project does not spoil the reading of others.
    let on = c.on(&project, "refs/heads/x");
    let both = futures::future::join(c.see_now(&nowhere), c.see_now(&on)).await;
    assert!(!both.0.present && both.1.present);
    c.delete(&team).await.unwrap();
}

#[tokio::test]
async fn whoever_does_not_see_everything_takes_nothing_for_gone() {
    let c = corner_or_skip!();
    let project = c.project("app").await;
    let (team, uuid) = c.create("team", &[]).await;
    let mut hide = Change::new(team.clone(), "team");
    hide.describe = Some(GroupProperties {
        visible_to_all: Some(false),
        ..GroupProperties::default()
    });
    c.apply(&hide).await.unwrap();
    let prod = c.on(&project, "refs/heads/prod");
    c.change_rights(&prod, &[(&uuid, "read")], &[]).await.unwrap();
    let eve = c.account("eve").await;
    c.put("groups/Administrators/options", json!({"visible_to_all": false}))
        .await;
    c.put(
        &format!("accounts/{}/tokens/test", eve.subject),
        json!({"token": "eves-own-token"}),
    )
    .await;
    let settings = plain(&c.url, &eve.name, "eves-own-token");
    let system = GerritSystem::new(settings, Arc::new(Granted), Arc::new(Now), None).unwrap();
    let lacks = system.probe().await.unwrap().lacks.join("\n");
    assert!(
        lacks.contains("administrateServer") && lacks.contains("createGroup"),
        "{lacks}"
    );
    // To her the server has another name, since the group that names it is invisible; she asks under that.
    let server = system.server().await.unwrap().to_owned();
    let error = system.observe(&team, Timestamp::now()).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Refused, "{error}");
    let hers = Target::GerritGroup {
        server: server.clone(),
        uuid: uuid.clone(),
    };
    let error = system.observe(&hers, Timestamp::now()).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::NotFound, "{error}");
    let hers = Target::GerritRef {
        server,
        project: project.clone(),
        ref_name: "refs/heads/prod".into(),
    };
    let error = system.observe(&hers, Timestamp::now()).await.unwrap_err();
    assert_eq!(error.kind, SystemErrorKind::Forbidden, "{error}");
    c.change_rights(&prod, &[], &[(&uuid, "read")]).await.unwrap();
    c.delete(&team).await.unwrap();
    c.deactivate(&eve).await;
}

#[tokio::test]
async fn drift_is_told_with_a_name() {
    let c = corner_or_skip!();
    let (ada, bob) = (c.account("ada").await, c.account("bob").await);
    let (target, uuid) = c.create("team", &[&ada]).await;
    c.put(&format!("groups/{uuid}/members/{}", bob.subject), Value::Null)
        .await;
    let nobody = Principal::account(1, "nobody");
    let asked = [
        (bob.clone(), Deed::Added),
        (bob.clone(), Deed::Removed),
        (nobody.clone(), Deed::Added),
    ];
    let found = c.system.who(&target, &asked[..1]).await.unwrap();
    assert!(found[&bob].contains("admin"), "{found:?}");
    let found = c.system.who(&target, &asked[1..]).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
    c.delete(&target).await.unwrap();
    for who in [&ada, &bob] {
        c.deactivate(who).await;
    }
}
