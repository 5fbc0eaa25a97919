//! What `lockstep run` is told.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::telemetry::LogFormat;

/// Where Kubernetes tells a pod its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Runs the operator.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// The operator's own namespace: its lease lives there, and approvals for all namespaces count there. In a pod
    /// it is the pod's own.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: Option<String>,
    /// Directory of the record; it must outlive the process.
    #[arg(long, env = "LOCKSTEP_RECORD")]
    pub record: PathBuf,
    /// Directory where branches of Gerrit are mirrored; may be emptied whenever no operator runs. Unset: one in the
    /// system's directory for temporary files, made when a branch is first read.
    #[arg(long, env = "LOCKSTEP_GIT_CACHE", value_name = "DIR")]
    pub git_cache: Option<PathBuf>,
    /// Where /metrics, /healthz and /readyz are served; port 0 takes a free one and logs it.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub metrics_address: SocketAddr,
    /// Where Gerrit may post what happened, at the paths that connections show in status.webhookPath; port 0 takes a free
    /// one and logs it. Unset: nowhere, and polling sees everything by itself.
    #[arg(long, env = "LOCKSTEP_WEBHOOK_ADDRESS", value_name = "IP:PORT")]
    pub webhook_address: Option<SocketAddr>,
    /// Let connections reach this machine itself, also by plain http. For trying things out.
    #[arg(long, env = "LOCKSTEP_ALLOW_LOOPBACK")]
    pub allow_loopback: bool,
    /// How many objects are worked on at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,
    /// Name of the Lease that decides which replica works.
    #[arg(long, default_value = "lockstep")]
    pub lease_name: String,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What this replica calls itself in the lease and in events; unset: the host's name.
    #[arg(long, env = "POD_NAME")]
    pub identity: Option<String>,
}

impl RunArgs {
    /// The operator's namespace, from wherever it is known.
    pub fn operator_namespace(&self) -> Result<String, String> {
        if let Some(namespace) = &self.namespace {
            return Ok(namespace.clone());
        }
        std::fs::read_to_string(NAMESPACE_FILE)
            .map(|namespace| namespace.trim().to_owned())
            .map_err(|_| "outside a pod the operator's namespace must be given: --namespace".to_owned())
    }

    /// What this replica is called.
    pub fn identity(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        self.identity
            .clone()
            .or_else(host)
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "lockstep".into())
    }
}
