use super::*;

fn credential(client: &str) -> Credential {
    Credential {
        client: client.into(),
        value: Value::new("dose-of-secrecy".into()),
        host: "https://dbc-1.cloud.databricks.com".into(),
    }
}

fn texts(fields: &Fields) -> BTreeMap<&str, &str> {
    fields
        .iter()
        .map(|(key, value)| (key.as_str(), value.expose()))
        .collect()
}

fn keys(value: &str, client_id: Option<&str>, host: Option<&str>) -> Shape {
    Shape::Keys(CredentialKeys {
        value: value.into(),
        client_id: client_id.map(str::to_owned),
        host: host.map(str::to_owned),
    })
}

fn every_shape() -> Vec<Shape> {
    vec![
        keys("secret", None, None),
        keys("client_secret", Some("client_id"), Some("host")),
        Shape::Template(CredentialTemplate::Databrickscfg),
        Shape::Template(CredentialTemplate::Netrc),
        Shape::Template(CredentialTemplate::DockerConfig),
        Shape::Template(CredentialTemplate::DatabricksEnv),
    ]
}

#[test]
fn parts_stand_under_the_keys_that_were_named() {
    let rendered = render(
        &keys("client_secret", Some("client_id"), Some("url")),
        &credential("app"),
    );
    let wanted = BTreeMap::from([
        ("client_id", "app"),
        ("client_secret", "dose-of-secrecy"),
        ("url", "https://dbc-1.cloud.databricks.com"),
    ]);
    assert_eq!(texts(&rendered), wanted);
}

#[test]
fn files_are_as_their_tools_read_them() {
    let one = |template, client: &str| {
        let fields = render(&Shape::Template(template), &credential(client));
        texts(&fields).values().next().unwrap().to_string()
    };
    assert_eq!(
        one(CredentialTemplate::Databrickscfg, "app"),
        "[DEFAULT]\nhost = https://dbc-1.cloud.databricks.com\nclient_id = app\nclient_secret = dose-of-secrecy\n"
    );
    assert_eq!(
        one(CredentialTemplate::Databrickscfg, ""),
        "[DEFAULT]\nhost = https://dbc-1.cloud.databricks.com\ntoken = dose-of-secrecy\n"
    );
    assert_eq!(
        one(CredentialTemplate::Netrc, "ci"),
        "machine dbc-1.cloud.databricks.com login ci password dose-of-secrecy\n"
    );
    let docker: Json = serde_json::from_str(&one(CredentialTemplate::DockerConfig, "ci")).unwrap();
    assert_eq!(
        docker["auths"]["dbc-1.cloud.databricks.com"],
        json!({"username": "ci", "password": "dose-of-secrecy", "auth": "Y2k6ZG9zZS1vZi1zZWNyZWN5"})
    );
    let env = |client: &str| {
        let fields = render(
            &Shape::Template(CredentialTemplate::DatabricksEnv),
            &credential(client),
        );
        fields.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(env("app"), [ENV_CLIENT, ENV_SECRET, ENV_HOST]);
    assert_eq!(env(""), [ENV_HOST, ENV_TOKEN]);
}

#[test]
fn a_value_is_found_again_in_whatever_shape_it_was_written() {
    for shape in every_shape() {
        for client in ["app", ""] {
            let fields = render(&shape, &credential(client));
            let wanted = Value::new("dose-of-secrecy".into());
            assert!(
                candidates(&fields).iter().any(|found| found.is(&wanted)),
                "{shape:?}"
            );
            assert!(same(&fields, &fields.clone()));
        }
    }
    assert!(candidates(&Fields::from([("x".into(), Value::new("{\"auths\": 3}".into()))])).len() == 1);
}

#[test]
fn entries_that_differ_are_not_the_same() {
    let one = render(&every_shape()[1], &credential("app"));
    let other = render(&every_shape()[1], &credential("other"));
    let less = render(&every_shape()[0], &credential("app"));
    assert!(!same(&one, &other) && !same(&one, &less) && !same(&less, &one));
}
