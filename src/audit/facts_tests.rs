use std::collections::BTreeMap;

use lockstep_core::domain::ports::{Entry, Event, NEWEST, Record as _};
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use lockstep_core::domain::promotion::gate::range::{Acceptance, BaselineKey};
use lockstep_core::domain::promotion::machine::attempt::{PromotionName, StepName};
use lockstep_core::domain::promotion::machine::queue::{Environment, Hold};
use lockstep_core::domain::promotion::machine::rollback::{OnRollback, Recorded, RecordedStep, StepKind};
use lockstep_core::domain::promotion::proof::fact::{PolicyId, PromotionFact};

use super::*;

fn key(branch: &str) -> BaselineKey {
    BaselineKey {
        server: "gerrit.example.com".into(),
        project: "ml/fraud".into(),
        branch: branch.into(),
        workspace: "123".into(),
    }
}

fn commit(name: &str) -> CommitId {
    CommitId(name.into())
}

fn fact(uid: &str, environment: &str) -> PromotionFact {
    let policy = PolicyId {
        name: "fraud".into(),
        uid: uid.into(),
    };
    PromotionFact::about(policy, environment)
}

fn saying(event: Event, promotion: PromotionFact) -> Entry {
    Entry {
        promotion: Some(promotion),
        ..entry("fraud", event)
    }
}

fn baseline(branch: &str, at: &str) -> Entry {
    let fact = PromotionFact {
        baseline: Some((key(branch), commit(at))),
        ..fact("u", "prod")
    };
    saying(Event::Adopted, fact)
}

fn acting(name: &str) -> Environment {
    Environment {
        acting: Some(PromotionName(name.into())),
        ..Environment::default()
    }
}

fn held(reason: &str) -> Environment {
    Environment {
        held: Some(Hold {
            promotion: None,
            reason: reason.into(),
        }),
        ..Environment::default()
    }
}

fn turn(event: Event, environment: &str, state: Environment) -> Entry {
    let fact = PromotionFact {
        environment_state: Some(state),
        ..fact("u", environment)
    };
    saying(event, fact)
}

fn recorded(number: u64) -> Recorded {
    Recorded {
        promotion: PromotionName(format!("fraud.prod.{number}")),
        policy_uid: "u".into(),
        environment: "prod".into(),
        change: ChangeNumber(number),
        revision: commit("a"),
        ended: Timestamp::UNIX_EPOCH,
        succeeded: true,
        steps: vec![RecordedStep {
            name: StepName("serve".into()),
            kind: StepKind::ServingEndpoint,
            on_rollback: OnRollback::Skip,
            outputs: BTreeMap::from([("config".to_owned(), "{\"a\":1}\n".to_owned())]),
        }],
        directory: None,
    }
}

fn success(number: u64) -> Entry {
    let fact = PromotionFact {
        recorded: Some(recorded(number)),
        ..fact("u", "prod")
    };
    saying(Event::Succeeded, fact)
}

async fn numbers(record: &FileRecord) -> Vec<u64> {
    let found = record.promotions_of("u", "prod").await.unwrap();
    found.into_iter().map(|recorded| recorded.change.0).collect()
}

#[tokio::test]
async fn the_last_word_on_a_baseline_or_an_environment_holds_whatever_the_event() {
    let scratch = Scratch::new();
    let mut record = FileRecord::with_segments(&scratch.0, 1).unwrap();
    assert_eq!(record.baseline_of(&key("prod")).await.unwrap(), None);
    for entry in [
        baseline("prod", "a"),
        entry("fraud", Event::Succeeded),
        baseline("prod", "b"),
        baseline("staging", "c"),
        turn(Event::Intent, "prod", acting("one")),
        turn(Event::Intent, "staging", acting("two")),
        turn(Event::Failed, "prod", held("it failed")),
        saying(Event::Succeeded, fact("u", "prod")),
    ] {
        record.append(entry).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(record.baseline_of(&key("prod")).await.unwrap(), Some(commit("b")));
        assert_eq!(
            record.baseline_of(&key("staging")).await.unwrap(),
            Some(commit("c"))
        );
        assert_eq!(record.baseline_of(&key("dev")).await.unwrap(), None);
        let of = async |uid, environment| record.environment_of(uid, environment).await.unwrap();
        assert_eq!(of("u", "prod").await, Some(held("it failed")));
        assert_eq!(of("u", "staging").await, Some(acting("two")));
        assert_eq!(
            of("v", "prod").await,
            None,
            "a policy of this name that came later"
        );
        drop(record);
        record = reopen(&scratch);
    }
    record.append(baseline("prod", "d")).await.unwrap();
    assert_eq!(
        record.baseline_of(&key("prod")).await.unwrap(),
        Some(commit("d")),
        "what was said since it was opened is newer than what is read"
    );
}

#[tokio::test]
async fn the_newest_promotions_are_read_back_as_they_were_recorded() {
    let scratch = Scratch::new();
    let many = NEWEST as u64 + 3;
    let mut record = FileRecord::with_segments(&scratch.0, 4_096).unwrap();
    for number in 1..=many {
        record.append(success(number)).await.unwrap();
    }
    let newest: Vec<u64> = (4..=many).rev().collect();
    assert_eq!(numbers(&record).await, newest);
    drop(record);
    record = reopen(&scratch);
    record.append(success(many + 1)).await.unwrap();
    let found = record.promotions_of("u", "prod").await.unwrap();
    assert_eq!(found.len(), NEWEST);
    assert_eq!((&found[0], &found[1]), (&recorded(many + 1), &recorded(many)));
    assert!(record.promotions_of("u", "staging").await.unwrap().is_empty());
    assert!(record.promotions_of("v", "prod").await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_is_gone_back_to_that_was_changed_by_hand() {
    let scratch = Scratch::new();
    let record = FileRecord::with_segments(&scratch.0, 1).unwrap();
    record.append(success(1)).await.unwrap();
    record.append(baseline("prod", "a")).await.unwrap();
    // Whoever opens the record looks at its newest two segments; this one is older.
    record.append(baseline("staging", "b")).await.unwrap();
    assert_eq!(numbers(&record).await, [1]);
    let path = scratch.segment(1);
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replace("\"change\":1", "\"change\":2")).unwrap();
    let refused = record.promotions_of("u", "prod").await.unwrap_err();
    assert!(refused.message.contains("entry 1"), "{refused}");
    drop(record);
    let record = reopen(&scratch);
    let refused = record.baseline_of(&key("prod")).await.unwrap_err();
    assert!(refused.message.contains("chain"), "{refused}");
    fs::write(&path, whole).unwrap();
    assert_eq!(record.baseline_of(&key("prod")).await.unwrap(), Some(commit("a")));
    assert_eq!(numbers(&record).await, [1]);
}

#[tokio::test]
async fn who_is_cancelled_while_it_waits_takes_no_word_from_the_others() {
    let scratch = Scratch::new();
    let record = FileRecord::open(&scratch.0).unwrap();
    assert_eq!(record.environment_of("u", "prod").await.unwrap(), None);
    let mut cancelled = Box::pin(record.append(turn(Event::Intent, "prod", acting("one"))));
    assert!(futures::poll!(&mut cancelled).is_pending());
    drop(cancelled);
    record.append(entry("fraud", Event::Succeeded)).await.unwrap();
    assert_eq!(scratch.lines().len(), 2);
    assert_eq!(
        record.environment_of("u", "prod").await.unwrap(),
        Some(acting("one"))
    );
}

#[tokio::test]
async fn an_entry_that_says_nothing_of_promotions_is_written_as_it_always_was() {
    let scratch = Scratch::new();
    let record = FileRecord::open(&scratch.0).unwrap();
    record.append(entry("a", Event::Succeeded)).await.unwrap();
    let nothing = "0".repeat(64);
    let before = format!(
        "{{\"seq\":1,\"previous\":\"{nothing}\",\"entry\":{{\"time\":\"1970-01-01T00:00:00Z\",\"actor\":\"lockstep\",\
         \"object\":{{\"kind\":\"AccessBinding\",\"namespace\":\"ml\",\"name\":\"a\",\"uid\":\"u\"}},\
         \"event\":\"Succeeded\"}}}}"
    );
    assert_eq!(scratch.lines(), [before]);
    drop(record);
    let record = reopen(&scratch);
    record.append(success(2)).await.unwrap();
    assert_eq!(numbers(&record).await, [2]);
    let told: Entry = serde_json::from_value(
        serde_json::from_str::<serde_json::Value>(&scratch.lines()[1]).unwrap()["entry"].clone(),
    )
    .unwrap();
    assert_eq!(told, success(2));
}

#[tokio::test]
async fn what_people_accepted_is_known_by_its_policy_and_environment() {
    let scratch = Scratch::new();
    let yes = |by: &str| Acceptance {
        approval: "yes".into(),
        by: by.into(),
        at: Timestamp::UNIX_EPOCH,
    };
    let accepting = |name: &str, by: &str| {
        let mut fact = fact("u", "prod");
        fact.accepted.insert(commit(name), yes(by));
        saying(Event::Intent, fact)
    };
    let record = FileRecord::open(&scratch.0).unwrap();
    for entry in [accepting("a", "ada"), accepting("b", "ben"), accepting("a", "cy")] {
        record.append(entry).await.unwrap();
    }
    drop(record);
    let record = reopen(&scratch);
    let all = BTreeMap::from([(commit("a"), yes("cy")), (commit("b"), yes("ben"))]);
    assert_eq!(record.accepted_in("u", "prod").await.unwrap(), all);
    assert_eq!(record.accepted_in("u", "staging").await.unwrap(), BTreeMap::new());
    assert_eq!(record.accepted_in("v", "prod").await.unwrap(), BTreeMap::new());
}
