//! The kill sweep: SIGKILL right after outward writes of create, change and delete; after restart the same end state,
//! no duplicate, nothing left behind.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::gate::Gate;
use crate::support::operator::{self, Operator};
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

/// Create, change, delete, with kills; returns the traces and the number of writes.
async fn story(operator: &mut Operator, kills: Kills) -> Option<(Traces, usize)> {
    let gate = Gate::default();
    let team = Team::behind("sweep", Some(&gate)).await?;
    for person in ["ada", "ben", "cy", "dee"] {
        team.person(person).await;
    }
    arm(&gate, kills);
    operator.start_afresh(&team.client).await;

    team.bind("crew", &["ada", "ben", "cy"], json!({})).await;
    settle(&team, &gate, operator, kills, true).await;
    let created = trace(&team).await;
    let more = json!({
        "gerrit": [{
            "connectionRef": {"name": "gerrit"}, "group": {"name": team.name("crew"), "description": "changed"},
            "access": [{"project": team.name("project"), "ref": "refs/heads/*",
                        "label": {"name": "Code-Review", "min": -2, "max": 2}}],
        }],
    });
    team.bind("crew", &["ada", "ben", "dee"], more).await;
    settle(&team, &gate, operator, kills, true).await;
    let changed = trace(&team).await;
    team.bindings()
        .delete("crew", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    settle(&team, &gate, operator, kills, false).await;
    let deleted = trace(&team).await;
    operator.stop().await;
    Some((
        Traces {
            created,
            changed,
            deleted,
        },
        gate.writes(),
    ))
}

fn arm(gate: &Gate, kills: Kills) {
    match kills {
        Kills::Never => {}
        Kills::Every => gate.hold_after(1),
        Kills::At(write) => gate.hold_after(write),
    }
}

/// Waits until the chapter is over, killing and restarting the operator whenever the gate holds.
async fn settle(team: &Team, gate: &Gate, operator: &mut Operator, kills: Kills, lives: bool) {
    loop {
        let done = async {
            if lives {
                team.until_seconds("crew", "Ready", "True", 120).await;
            } else {
                team.gone("crew", 120).await;
            }
        };
        tokio::select! {
            () = done => return,
            () = gate.held() => {
                operator.kill().await;
                gate.release();
                if matches!(kills, Kills::Every) {
                    gate.hold_after(1);
                }
                operator.start_afresh(&team.client).await;
            }
        }
    }
}

/// Everything of this scenario in both systems, with its own name taken out.
async fn trace(team: &Team) -> Value {
    let group = team.name("crew");
    let snapshot = team
        .sim
        .control(reqwest::Method::GET, "snapshot?stable=true", None)
        .await;
    let mut mine = Vec::new();
    collect(&snapshot, &team.prefix, &mut mine);
    let members = team.gerrit.members(&group).await;
    let names = match &members {
        Some(members) => json!(members.len()),
        None => Value::Null,
    };
    let (_, detail) = team
        .gerrit
        .get(&format!(
            "/groups/{}/detail",
            crate::support::gerrit::encode(&group)
        ))
        .await;
    let text = json!({
        "databricks": mine,
        "gerrit members": names,
        "description": detail["description"],
        "access": strip(team.gerrit.access(&team.name("project")).await),
    })
    .to_string();
    serde_json::from_str(&text.replace(&team.prefix, "PREFIX")).unwrap()
}

/// Group UUIDs differ between runs; which rules there are does not.
fn strip(access: Value) -> Value {
    match access {
        Value::Object(fields) => {
            let uuid = |key: &str| key.len() == 40 && key.chars().all(|c| c.is_ascii_hexdigit());
            fields
                .into_iter()
                .map(|(key, value)| (if uuid(&key) { "UUID".into() } else { key }, strip(value)))
                .collect()
        }
        other => other,
    }
}

/// Every innermost object or string of the snapshot that names this scenario.
fn collect(value: &Value, prefix: &str, into: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => {
            let direct = fields
                .values()
                .any(|v| v.as_str().is_some_and(|text| text.contains(prefix)))
                || fields.keys().any(|key| key.contains(prefix));
            if direct {
                into.push(value.clone());
            } else {
                fields.values().for_each(|inner| collect(inner, prefix, into));
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| collect(inner, prefix, into)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_every_write_the_story_ends_the_same() {
    let mut operator = operator::alone().await;
    let Some((calm, writes)) = story(&mut operator, Kills::Never).await else {
        return;
    };
    let (killed, _) = story(&mut operator, Kills::Every).await.unwrap();
    println!("kill points: {writes}");
    assert_eq!(killed, calm);
    assert_eq!(calm.deleted["gerrit members"], Value::Null);

    // Ten single kills at seeded places: another end of the same rope.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..10 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let at = 1 + usize::try_from(seed % writes as u64).unwrap();
        let (killed, _) = story(&mut operator, Kills::At(at)).await.unwrap();
        assert_eq!(killed, calm, "killed after write {at}");
    }
}

/// `make sweep`: a single kill at each point.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make sweep"]
async fn sweep_of_single_kills() {
    let mut operator = operator::alone().await;
    let Some((calm, writes)) = story(&mut operator, Kills::Never).await else {
        return;
    };
    println!("kill points: {writes}");
    let began = std::time::Instant::now();
    for at in 1..=writes {
        let (killed, _) = story(&mut operator, Kills::At(at)).await.unwrap();
        assert_eq!(killed, calm, "killed after write {at}");
        println!(
            "killed after write {at} of {writes}: same end ({:?})",
            Duration::from_secs(began.elapsed().as_secs())
        );
    }
}
