use serde_json::json;

use super::*;
use crate::domain::ports::ConnectionKind;
use crate::domain::promotion::policy;

fn connection(kind: ConnectionKind, name: &str) -> ConnectionKey {
    ConnectionKey {
        kind,
        namespace: "ml-fraud".into(),
        name: name.into(),
    }
}

fn course() -> Course {
    let spec = json!({
        "gerrit": {"connectionRef": {"name": "gerrit"}, "project": "ml/fraud"},
        "gate": {
            "approval": {"label": "Code-Review", "group": "leads"},
            "verification": {"label": "Verified", "group": "ci"},
        },
        "steps": [
            {"name": "code", "files": {"path": "/Workspace/lockstep/fraud/${revision}"}},
            {"name": "train", "job": {"name": "fraud-train", "definition": "jobs/train.yml",
                "jobParameters": {"catalog": "${env.catalog}"}}},
            {"name": "model", "modelAlias": {"model": "${env.catalog}.fraud.scorer", "alias": "champion",
                "version": {"fromStep": "train"}}},
            {"name": "serve", "servingEndpoint": {"name": "fraud-scorer", "servedEntityName": "scorer",
                "entityName": "${env.catalog}.fraud.scorer", "entityVersion": {"fromStep": "model"},
                "trafficPercentage": 100}},
            {"name": "smoke", "job": {"name": "fraud-smoke", "onRollback": "Run"}},
        ],
        "environments": [{
            "name": "prod", "branch": "prod", "databricks": {"connectionRef": {"name": "prod"}},
            "runAs": {"applicationId": "app"}, "variables": {"catalog": "ml_prod"},
        }],
    });
    let policy = policy::read(&serde_json::from_value(spec).unwrap(), "ml-fraud").unwrap();
    Course {
        recipe: policy.environment("prod").unwrap().recipe.clone(),
        gerrit: connection(ConnectionKind::Gerrit, "gerrit"),
        on: Watched {
            project: "ml/fraud".into(),
            branch: "prod".into(),
        },
        tree: TreeId("tree".into()),
        back: None,
    }
}

fn left(pairs: &[(&str, &str, &str)]) -> BTreeMap<StepName, Words> {
    let mut all: BTreeMap<StepName, Words> = BTreeMap::new();
    for (step, word, value) in pairs {
        let words = all.entry(StepName((*step).to_owned())).or_default();
        words.insert((*word).to_owned(), (*value).to_owned());
    }
    all
}

fn with<T>(
    course: &Course,
    outputs: &BTreeMap<StepName, Words>,
    look: impl FnOnce(Setting<'_>, &dyn Fn(&str) -> Step) -> T,
) -> T {
    let setting = Setting {
        promotion: &PromotionName("fraud.prod.7.12345678".into()),
        environment: "prod",
        change: ChangeNumber(7),
        revision: &CommitId("12345678aa".into()),
        course,
        outputs,
    };
    look(setting, &|name| {
        course
            .recipe
            .steps
            .iter()
            .find(|step| step.name.0 == name)
            .unwrap()
            .clone()
    })
}

#[test]
fn expressions_are_replaced_and_directories_handed_on() {
    let course = course();
    let outputs = left(&[("code", words::DIRECTORY, "/Workspace/lockstep/fraud/12345678aa")]);
    with(&course, &outputs, |setting, step| {
        let Ready::Files(files) = setting.ready(&step("code"), &Read::Nothing).unwrap() else {
            panic!("code is a files step");
        };
        assert_eq!(files.directory, "/Workspace/lockstep/fraud/12345678aa");
        assert_eq!(files.tree, TreeId("tree".into()));

        let train = step("train");
        assert_eq!(
            setting.needs(&train),
            Ok(Needs::Definition("jobs/train.yml".into()))
        );
        let yaml = "tasks:\n- task_key: train\n  spark_python_task: {python_file: train.py}\n";
        let Ready::Job(job) = setting.ready(&train, &Read::Definition(yaml.into())).unwrap() else {
            panic!("train is a job step");
        };
        assert_eq!(job.parameters["catalog"], "ml_prod");
        assert!(job.run);
        let file = &job.settings.unwrap()["tasks"][0]["spark_python_task"]["python_file"];
        assert_eq!(file, "/Workspace/lockstep/fraud/12345678aa/train.py");
    });
}

#[test]
fn a_version_comes_from_the_run_or_from_the_alias_and_never_from_nowhere() {
    let course = course();
    with(&course, &left(&[]), |setting, step| {
        let needs = setting.needs(&step("model")).unwrap();
        let (train, model) = (StepName("train".into()), "ml_prod.fraud.scorer".to_owned());
        assert_eq!(needs, Needs::VersionOf { step: train, model });
        assert!(setting.ready(&step("model"), &Read::Nothing).is_err());
        let Ready::ModelAlias(alias) = setting.ready(&step("model"), &Read::Version(3)).unwrap() else {
            panic!("model is an alias step");
        };
        assert_eq!((alias.model.as_str(), alias.version), ("ml_prod.fraud.scorer", 3));
        let why = setting.ready(&step("serve"), &Read::Nothing).unwrap_err();
        assert!(why.message.contains("step model"), "{why:?}");
    });
    with(
        &course,
        &left(&[("model", words::VERSION, "3")]),
        |setting, step| {
            assert_eq!(setting.needs(&step("serve")), Ok(Needs::Nothing));
            let Ready::ServingEndpoint(served) = setting.ready(&step("serve"), &Read::Nothing).unwrap()
            else {
                panic!("serve is an endpoint step");
            };
            assert_eq!((served.version, served.traffic), (3, 100));
        },
    );
}

#[test]
fn a_rollback_points_at_what_the_record_has_and_runs_only_what_says_so() {
    let words = |pairs: &[(&str, &str)]| -> Words {
        pairs
            .iter()
            .map(|(word, value)| ((*word).to_owned(), (*value).to_owned()))
            .collect()
    };
    let settings = words(&[(words::SETTINGS, r#"{"name":"fraud-train"}"#)]);
    let mut course = course();
    course.back = Some(
        [
            ("train", Move::Repoint(settings.clone())),
            ("smoke", Move::RepointAndRun(settings)),
            ("model", Move::Repoint(words(&[(words::VERSION, "2")]))),
            (
                "serve",
                Move::Repoint(words(&[(words::VERSION, "2"), (words::CONFIG, "{\"a\":1}")])),
            ),
        ]
        .map(|(name, way)| (StepName(name.to_owned()), way))
        .into(),
    );
    with(&course, &left(&[]), |setting, step| {
        for (name, runs) in [("train", false), ("smoke", true)] {
            assert_eq!(setting.needs(&step(name)), Ok(Needs::Nothing));
            let Ready::Job(job) = setting.ready(&step(name), &Read::Nothing).unwrap() else {
                panic!("{name} is a job step");
            };
            assert_eq!(job.run, runs, "{name}");
            assert_eq!(job.settings, Some(json!({"name": "fraud-train"})));
        }
        let Ready::ModelAlias(alias) = setting.ready(&step("model"), &Read::Nothing).unwrap() else {
            panic!("model is an alias step");
        };
        assert_eq!(alias.version, 2);
        let Ready::ServingEndpoint(served) = setting.ready(&step("serve"), &Read::Nothing).unwrap() else {
            panic!("serve is an endpoint step");
        };
        assert_eq!((served.version, served.config), (2, Some(json!({"a": 1}))));
    });
}

#[test]
fn a_variable_that_the_environment_does_not_set_is_named() {
    let mut course = course();
    course.recipe.variables.clear();
    with(&course, &left(&[]), |setting, step| {
        let why = setting.needs(&step("model")).unwrap_err();
        assert!(why.message.contains("catalog"), "{why:?}");
        assert_eq!(why.kind, FailureKind::Refused);
    });
}
