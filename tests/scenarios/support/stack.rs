//! The stack's addresses: from the environment, else from the file that `make up` writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where everything is.
#[derive(Debug)]
pub struct Stack {
    variables: BTreeMap<String, String>,
}

impl Stack {
    pub fn get(&self, name: &str) -> &str {
        self.variables
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not set: run `make up`"))
    }

    /// The client for the stack's cluster.
    pub async fn kube(&self) -> kube::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kubeconfig = kube::config::Kubeconfig::read_from(self.get("KUBECONFIG")).unwrap();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default())
            .await
            .unwrap();
        kube::Client::try_from(config).unwrap()
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// The stack, or `None` with a note where it is not up. Under CI a missing stack is a failure, never a skip.
pub fn stack() -> Option<&'static Stack> {
    static STACK: OnceLock<Option<Stack>> = OnceLock::new();
    let found = STACK.get_or_init(|| {
        let state =
            std::env::var("LOCKSTEP_STATE_DIR").map_or_else(|_| root().join("dev/.state"), PathBuf::from);
        let mut variables: BTreeMap<String, String> = std::fs::read_to_string(state.join("env"))
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
            .collect();
        if std::env::var("DATABRICKS_SIM_URL").is_ok() {
            variables.extend(std::env::vars());
        }
        variables
            .contains_key("GERRIT_URL")
            .then_some(Stack { variables })
    });
    if found.is_none() {
        assert!(
            std::env::var("CI").is_err(),
            "the real stack is required under CI: run `make up`"
        );
        eprintln!("skipped: the stack is not up (make up)");
    }
    found.as_ref()
}
