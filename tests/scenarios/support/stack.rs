//! The stack's addresses: from the environment, else from the file that `make up` writes; and a cluster beside it for
//! scenarios that need one to themselves.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where everything is.
#[derive(Debug)]
pub struct Stack {
    variables: BTreeMap<String, String>,
    /// What `dev/stack` knows it by.
    state: PathBuf,
}

impl Stack {
    pub fn get(&self, name: &str) -> &str {
        self.variables
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not set: run `make up`"))
    }

    /// The client for the stack's cluster.
    pub async fn kube(&self) -> kube::Client {
        self.kube_as(None).await
    }

    /// The same with somebody else's name, who may do everything.
    pub async fn kube_as(&self, user: Option<&str>) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.get("KUBECONFIG")).unwrap();
        let mut config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
                .await
                .unwrap();
        if let Some(user) = user {
            config.auth_info.impersonate = Some(user.to_owned());
            config.auth_info.impersonate_groups = Some(vec!["system:masters".to_owned()]);
        }
        kube::Client::try_from(config).unwrap()
    }

    /// The simulator's program.
    pub fn simulator(&self) -> PathBuf {
        std::env::var_os("DATABRICKS_SIM_BIN")
            .map_or_else(|| self.state.join("sim/databricks-sim"), PathBuf::from)
    }

    /// Runs `dev/stack` on this stack.
    pub fn manage(&self, arguments: &[&str]) {
        manage(&self.state, arguments);
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// Where scenarios keep logs and records; emptied once per run.
pub fn place() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = root().join("target/scenarios");
        for left in ["shared", "alone"] {
            let _ = std::fs::remove_dir_all(place.join(left));
            std::fs::create_dir_all(place.join(left)).unwrap();
        }
        place
    })
}

/// What a stack wrote of itself.
pub fn read(state: &Path) -> BTreeMap<String, String> {
    std::fs::read_to_string(state.join("env"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
        .collect()
}

/// The stack, or `None` with a note where it is not up. Under CI a missing stack is a failure, never a skip.
pub fn stack() -> Option<&'static Stack> {
    static STACK: OnceLock<Option<Stack>> = OnceLock::new();
    let found = STACK.get_or_init(|| {
        // Whatever is asked first, it is asked by TLS of this kind.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let state =
            std::env::var("LOCKSTEP_STATE_DIR").map_or_else(|_| root().join("dev/.state"), PathBuf::from);
        let mut variables = read(&state);
        if std::env::var("DATABRICKS_SIM_URL").is_ok() {
            variables.extend(std::env::vars());
        }
        variables
            .contains_key("GERRIT_URL")
            .then_some(Stack { variables, state })
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

static ASIDE: OnceLock<Option<Stack>> = OnceLock::new();

/// The second Kubernetes, if anybody has used it.
pub fn aside_if_used() -> Option<&'static Stack> {
    ASIDE.get()?.as_ref()
}

/// A second Kubernetes beside the first, with the same Gerrit and Databricks: to break without harm to others. It goes
/// with this process.
pub fn aside() -> Option<&'static Stack> {
    ASIDE
        .get_or_init(|| {
            let main = stack()?;
            let state = place().join("cluster");
            manage(&state, &["up", "--only", "kubernetes"]);
            // Reads our pipe until we are gone, however we go, and clears up then.
            let janitor = Command::new("bash")
                .args(["-c", "cat >/dev/null; exec dev/stack reset"])
                .current_dir(root())
                .env("LOCKSTEP_STATE_DIR", &state)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                // A Ctrl-C is for the tests: this one acts on their end.
                .process_group(0)
                .spawn()
                .unwrap();
            std::mem::forget(janitor);
            let mut variables = main.variables.clone();
            variables.extend(read(&state));
            Some(Stack { variables, state })
        })
        .as_ref()
}

/// Runs `dev/stack` on what is kept there.
pub fn manage(state: &Path, arguments: &[&str]) {
    let done = Command::new("dev/stack")
        .args(arguments)
        .current_dir(root())
        .env("LOCKSTEP_STATE_DIR", state)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
