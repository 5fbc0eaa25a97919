//! The kill sweep: SIGKILL right after outward writes of create, change and delete; after restart the same end state,
//! no duplicate, nothing left behind.

use serde_json::{Value, json};

use crate::support::becomes;
use crate::support::gate::Gate;
use crate::support::operator::{self, Operator};
use crate::support::sweeping::tell;
use crate::support::team::Team;

/// What a run of the story left after each of its chapters.
#[derive(Debug, PartialEq)]
struct Traces {
    created: Value,
    changed: Value,
    deleted: Value,
}

/// When to kill.
#[derive(Clone, Copy, Debug)]
enum Kills {
    Never,
    /// After every write in turn.
    Every,
    /// Once, after this write of the story.
    At(usize),
}

/// One telling of the story: create, change, delete.
struct Telling<'a> {
    team: Team,
    /// Account numbers of ada, ben, cy and dee.
    people: Vec<i64>,
    gate: Gate,
    operator: &'a mut Operator,
    kills: Kills,
    killed: usize,
    /// What each chapter should leave; without it a chapter is over when the binding is Ready.
    expected: Option<&'a Traces>,
}

/// Tells it, with kills; returns the traces and the number of writes.
async fn story(operator: &mut Operator, kills: Kills, expected: Option<&Traces>) -> (Traces, usize) {
    let gate = Gate::default();
    let team = Team::of(operator, "sweep", Some(&gate)).await;
    let people = team.people(&["ada", "ben", "cy", "dee"]).await;
    match kills {
        Kills::Never => {}
        Kills::Every => gate.hold_after(1),
        Kills::At(write) => gate.hold_after(write),
    }
    operator.start_afresh().await;
    let mut telling = Telling {
        team,
        people,
        gate,
        operator,
        kills,
        killed: 0,
        expected,
    };
    let traces = telling.tell().await;
    let Telling {
        gate,
        operator,
        killed,
        ..
    } = telling;
    operator.kill();
    match kills {
        Kills::Never => assert_eq!(killed, 0),
        Kills::Every => assert!(killed > 10, "killed only {killed} times"),
        Kills::At(write) => assert_eq!(killed, 1, "never came to write {write}"),
    }
    (traces, gate.writes())
}

impl Telling<'_> {
    async fn tell(&mut self) -> Traces {
        let team = &self.team;
        team.bind("crew", &["ada", "ben", "cy"], json!({})).await;
        let created = self.settle(self.expected.map(|all| &all.created), true).await;
        let team = &self.team;
        let more = json!({
            "gerrit": [{
                "connectionRef": {"name": "gerrit"},
                "group": {"name": team.name("crew"), "description": "changed"},
                "access": [{"project": team.name("project"), "ref": "refs/heads/*",
                            "label": {"name": "Code-Review", "min": -2, "max": 2}}],
            }],
        });
        team.bind("crew", &["ada", "ben", "dee"], more).await;
        let changed = self.settle(self.expected.map(|all| &all.changed), true).await;
        self.team.go("crew").await;
        let deleted = self.settle(None, false).await;
        Traces {
            created,
            changed,
            deleted,
        }
    }

    /// Waits until the chapter is over, killing and restarting the operator whenever the gate holds.
    async fn settle(&mut self, expected: Option<&Value>, lives: bool) -> Value {
        loop {
            let (team, people) = (&self.team, &self.people);
            let done = async {
                match expected {
                    Some(expected) => {
                        becomes("the end is the same", expected.clone(), || trace(team, people)).await;
                    }
                    None if lives => drop(team.until("crew", "Ready", "True").await),
                    None => team.gone("crew").await,
                }
            };
            tokio::select! {
                () = done => return trace(&self.team, &self.people).await,
                () = self.gate.held() => {
                    self.operator.kill();
                    self.killed += 1;
                    self.gate.release();
                    if matches!(self.kills, Kills::Every) {
                        self.gate.hold_after(1);
                    }
                    self.operator.start_afresh().await;
                }
            }
        }
    }
}

/// Everything of this scenario in both systems, with its own name taken out.
async fn trace(team: &Team, people: &[i64]) -> Value {
    let group = team.name("crew");
    let snapshot = team
        .sim
        .control(reqwest::Method::GET, "snapshot?stable=true", None)
        .await;
    let mut mine = Vec::new();
    collect(&snapshot, &team.prefix, &mut mine);
    // Account numbers differ between runs: people of the team go by their place in it, strangers by their number.
    let who = |number: i64| match people.iter().position(|person| *person == number) {
        Some(place) => json!(place),
        None => json!(format!("stranger {number}")),
    };
    let members = team.gerrit.members(&group).await;
    let members = members.map(|members| members.into_iter().map(who).collect::<Vec<_>>());
    let (_, detail) = team
        .gerrit
        .get(&format!(
            "/groups/{}/detail",
            crate::support::gerrit::encode(&group)
        ))
        .await;
    let text = json!({
        "databricks": mine,
        "gerrit members": members,
        "description": detail["description"],
        "access": strip(team.gerrit.access(&team.name("project")).await, detail["id"].as_str()),
    })
    .to_string();
    serde_json::from_str(&text.replace(&team.prefix, "PREFIX")).unwrap()
}

/// Group UUIDs differ between runs; which rules there are does not: ours by name, and each one of another group.
fn strip(access: Value, ours: Option<&str>) -> Value {
    match access {
        Value::Object(fields) => {
            let uuid = |key: &str| key.len() == 40 && key.chars().all(|c| c.is_ascii_hexdigit());
            let (mut rest, mut others) = (serde_json::Map::new(), Vec::new());
            for (key, value) in fields {
                let value = strip(value, ours);
                if Some(key.as_str()) == ours {
                    rest.insert("our group".into(), value);
                } else if uuid(&key) {
                    others.push(value);
                } else {
                    rest.insert(key, value);
                }
            }
            if !others.is_empty() {
                others.sort_by_key(Value::to_string);
                rest.insert("other groups".into(), others.into());
            }
            Value::Object(rest)
        }
        other => other,
    }
}

/// Every entry under a name of this scenario, and every object that names it.
fn collect(value: &Value, prefix: &str, into: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => {
            let names = |value: &Value| value.as_str().is_some_and(|text| text.contains(prefix));
            if fields.values().any(names) {
                into.push(value.clone());
                return;
            }
            for (key, inner) in fields {
                if key.contains(prefix) {
                    into.push(json!({ key: inner }));
                } else {
                    collect(inner, prefix, into);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| collect(inner, prefix, into)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_every_write_the_story_ends_the_same() {
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let (calm, writes) = story(&mut operator, Kills::Never, None).await;
    tell(&format!("kill points: {writes}"));
    assert!(writes > 10, "the gate saw only {writes} writes");
    assert_eq!(calm.created["gerrit members"], json!([0, 1, 2]));
    assert_eq!(calm.changed["gerrit members"], json!([0, 1, 3]));
    assert_eq!(calm.deleted["gerrit members"], Value::Null);
    let (killed, _) = story(&mut operator, Kills::Every, None).await;
    assert_eq!(killed, calm);

    // Ten single kills at seeded places: another end of the same rope.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..10 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let at = 1 + usize::try_from(seed % writes as u64).unwrap();
        let (killed, _) = story(&mut operator, Kills::At(at), Some(&calm)).await;
        assert_eq!(killed, calm, "killed after write {at}");
    }
}

/// `make sweep`: a single kill at each point.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make sweep"]
async fn sweep_of_single_kills() {
    let Some((_alone, mut operator)) = operator::alone().await else {
        return;
    };
    let (calm, writes) = story(&mut operator, Kills::Never, None).await;
    tell(&format!("kill points: {writes}"));
    let began = std::time::Instant::now();
    for at in 1..=writes {
        let (killed, _) = story(&mut operator, Kills::At(at), Some(&calm)).await;
        assert_eq!(killed, calm, "killed after write {at}");
        let seconds = began.elapsed().as_secs();
        tell(&format!(
            "killed after write {at} of {writes}: same end, {seconds} s"
        ));
    }
}
