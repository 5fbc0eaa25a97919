//! The real API server of the local stack.

use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// Where the local stack keeps its state.
pub fn state() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/dev/.state").into();
    std::env::var_os("LOCKSTEP_STATE_DIR").map_or(default, PathBuf::from)
}

/// What the `env` file in `state` exports under `name`.
pub fn exported(state: &Path, name: &str) -> Option<String> {
    let env = std::fs::read_to_string(state.join("env")).ok()?;
    let prefix = format!("export {name}=");
    env.lines()
        .find_map(|line| line.strip_prefix(&prefix))
        .map(|value| value.trim_matches(['"', '\'']).to_owned())
}

/// Says that the stack is needed. In CI that is a failure.
pub fn skip() {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "CI needs the local stack: make up"
    );
    eprintln!("skipped: no API server; start the local stack with `make up`");
}

/// The same under somebody else's name, who may do everything.
pub async fn as_user(name: Option<&str>) -> Option<Client> {
    let kubeconfig = Kubeconfig::read_from(exported(&state(), "KUBECONFIG")?).ok()?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .ok()?;
    if let Some(name) = name {
        config.auth_info.impersonate = Some(name.to_owned());
        config.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
    }
    let client = Client::try_from(config).ok()?;
    client.apiserver_version().await.ok()?;
    Some(client)
}

/// A client for the local stack's API server. Where the stack is down the test says so and is skipped, except in CI.
pub async fn client() -> Option<Client> {
    let client = as_user(None).await;
    if client.is_none() {
        skip();
    }
    client
}
