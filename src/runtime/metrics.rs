//! What can be measured, each name in this one place. Names of controllers follow controller-runtime, so that
//! dashboards made for other operators fit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt as _;
use lockstep_core::api::PromotionPolicy;
use lockstep_core::domain::ports::{ConnectionKind, Tally};
use lockstep_core::domain::promotion::gate::break_glass::Unreviewed;
use lockstep_core::domain::unattended::Unattended;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::schedule::Schedule;
use super::webhooks::Received;
use crate::clients::http::HttpMetrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Controller {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Held {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outside {
    system_kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Webhook {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Review {
    review: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ran {
    namespace: String,
    policy: String,
    environment: String,
    result: &'static str,
}

fn seconds() -> Histogram {
    // 5 ms to 160 s: from a pass that finds nothing to do to one beyond its deadline.
    Histogram::new(exponential_buckets(0.005, 2.0, 16))
}

/// Everything the operator counts.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    passes: Family<Result, Counter>,
    duration: Family<Controller, Histogram, fn() -> Histogram>,
    panics: Family<Controller, Counter>,
    active: Gauge,
    max_concurrent: Gauge,
    depth: Gauge,
    in_backoff: Gauge,
    leading: Gauge,
    unseen: Gauge,
    objects: Family<Held, Gauge>,
    ready: Family<Held, Gauge>,
    drift: Family<Outside, Counter>,
    unattended: Family<Why, Gauge>,
    unreviewed: Family<Review, Gauge>,
    ungoverned: Gauge,
    webhooks: Family<Webhook, Counter>,
    runs: Family<Ran, Gauge>,
    clients: Arc<HttpMetrics>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let clients = HttpMetrics::register(&mut registry);
        let metrics = Self {
            registry: Mutex::default(),
            passes: Family::default(),
            duration: Family::new_with_constructor(seconds),
            panics: Family::default(),
            active: Gauge::default(),
            max_concurrent: Gauge::default(),
            depth: Gauge::default(),
            in_backoff: Gauge::default(),
            leading: Gauge::default(),
            unseen: Gauge::default(),
            objects: Family::default(),
            ready: Family::default(),
            drift: Family::default(),
            unattended: Family::default(),
            unreviewed: Family::default(),
            ungoverned: Gauge::default(),
            webhooks: Family::default(),
            runs: Family::default(),
            clients,
        };
        registry.register(
            "controller_runtime_reconcile",
            "Passes, by how they ended",
            metrics.passes.clone(),
        );
        registry.register_with_unit(
            "controller_runtime_reconcile_time",
            "Time of a pass",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_panics",
            "Passes that panicked",
            metrics.panics.clone(),
        );
        registry.register(
            "controller_runtime_active_workers",
            "Passes under way",
            metrics.active.clone(),
        );
        registry.register(
            "controller_runtime_max_concurrent_reconciles",
            "Passes that may be under way at once",
            metrics.max_concurrent.clone(),
        );
        registry.register(
            "workqueue_depth",
            "Objects that are due and wait for room",
            metrics.depth.clone(),
        );
        registry.register(
            "lockstep_objects_in_backoff",
            "Objects whose last pass failed",
            metrics.in_backoff.clone(),
        );
        registry.register(
            "lockstep_leading",
            "1 while this replica holds the lease",
            metrics.leading.clone(),
        );
        registry.register(
            "lockstep_objects",
            "Objects in the cluster, by kind",
            metrics.objects.clone(),
        );
        registry.register(
            "lockstep_objects_ready",
            "Objects whose Ready condition is True for their newest generation, by kind",
            metrics.ready.clone(),
        );
        registry.register(
            "lockstep_objects_unseen",
            "Objects without a successful pass since this replica began to lead",
            metrics.unseen.clone(),
        );
        registry.register(
            "lockstep_drift",
            "Things found changed by hand, by kind of system",
            metrics.drift.clone(),
        );
        registry.register(
            "lockstep_bindings_unattended",
            "Bindings that hold rights although what would take them back is switched off",
            metrics.unattended.clone(),
        );
        registry.register(
            "lockstep_overrides_unreviewed",
            "Overrides that nobody has looked at afterwards",
            metrics.unreviewed.clone(),
        );
        registry.register(
            "lockstep_ungoverned_credentials",
            "Credentials of identities that ServiceCredentials mint for which none of them minted",
            metrics.ungoverned.clone(),
        );
        registry.register(
            "lockstep_webhooks",
            "Requests to the webhook address, by what became of them",
            metrics.webhooks.clone(),
        );
        registry.register(
            "lockstep_environment_runs",
            "Runs and writes in an environment, whoever began them, by whether a promotion explains them",
            metrics.runs.clone(),
        );
        *metrics.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        metrics
    }
}

impl Metrics {
    /// Metrics of calls to outside systems.
    pub fn clients(&self) -> Arc<HttpMetrics> {
        self.clients.clone()
    }

    pub(super) fn max_concurrent(&self, passes: usize) {
        self.max_concurrent.set(whole(passes));
    }

    pub(super) fn leading(&self, leading: bool) {
        self.leading.set(i64::from(leading));
    }

    pub(super) fn objects(&self, kind: &'static str, count: usize, ready: usize) {
        self.objects.get_or_create(&Held { kind }).set(whole(count));
        self.ready.get_or_create(&Held { kind }).set(whole(ready));
    }

    pub(super) fn unattended(&self, why: Unattended, count: usize) {
        let why = why.to_string();
        self.unattended.get_or_create(&Why { why }).set(whole(count));
    }

    pub(super) fn unreviewed(&self, review: Unreviewed, count: usize) {
        let review = review.to_string();
        self.unreviewed
            .get_or_create(&Review { review })
            .set(whole(count));
    }

    /// Credentials that nobody rotates, of identities that somebody mints for.
    pub(super) fn ungoverned(&self, count: usize) {
        self.ungoverned.set(whole(count));
    }

    /// What ran in the environments of all policies; those that are no more are forgotten.
    pub(super) fn runs(&self, policies: &[Arc<PromotionPolicy>]) {
        self.runs.clear();
        for policy in policies {
            let rows = policy
                .status
                .as_ref()
                .and_then(|status| status.environments.as_deref());
            for row in rows.unwrap_or_default() {
                let Some(runs) = &row.runs else { continue };
                for (result, count) in [
                    ("explained", runs.explained),
                    ("acknowledged", runs.acknowledged),
                    ("unexplained", runs.unexplained),
                ] {
                    let ran = Ran {
                        namespace: policy.namespace().unwrap_or_default(),
                        policy: policy.name_any(),
                        environment: row.name.clone(),
                        result,
                    };
                    self.runs.get_or_create(&ran).set(count);
                }
            }
        }
    }

    pub(super) fn webhook(&self, received: Received) {
        let result = received.word();
        self.webhooks.get_or_create(&Webhook { result }).inc();
    }

    pub(super) fn schedule(&self, schedule: &Schedule) {
        self.active.set(whole(schedule.running()));
        self.in_backoff.set(whole(schedule.in_backoff()));
        self.depth.set(whole(schedule.waiting()));
        self.unseen.set(whole(schedule.unseen()));
    }

    pub(super) fn passed(&self, controller: &'static str, result: &'static str, took: Duration) {
        self.passes.get_or_create(&Result { controller, result }).inc();
        self.duration
            .get_or_create(&Controller { controller })
            .observe(took.as_secs_f64());
    }

    pub(super) fn panicked(&self, controller: &'static str) {
        self.panics.get_or_create(&Controller { controller }).inc();
    }

    /// All of it in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Cannot fail: it writes to a string.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl Tally for Metrics {
    fn drifted(&self, kind: ConnectionKind) {
        let system_kind = match kind {
            ConnectionKind::Gerrit => "gerrit",
            ConnectionKind::Databricks => "databricks",
        };
        self.drift.get_or_create(&Outside { system_kind }).inc();
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_other_operators() {
        let metrics = Metrics::default();
        metrics.passed("AccessBinding", "success", Duration::from_millis(20));
        metrics.panicked("AccessBinding");
        metrics.drifted(ConnectionKind::Gerrit);
        metrics.unattended(Unattended::Orphan, 2);
        metrics.unreviewed(Unreviewed::Overdue, 1);
        metrics.ungoverned(3);
        let text = metrics.text();
        for line in [
            r#"controller_runtime_reconcile_total{controller="AccessBinding",result="success"} 1"#,
            r#"controller_runtime_reconcile_time_seconds_count{controller="AccessBinding"} 1"#,
            r#"controller_runtime_reconcile_panics_total{controller="AccessBinding"} 1"#,
            "workqueue_depth 0",
            r#"lockstep_drift_total{system_kind="gerrit"} 1"#,
            r#"lockstep_bindings_unattended{why="Orphan"} 2"#,
            r#"lockstep_overrides_unreviewed{review="Overdue"} 1"#,
            "lockstep_ungoverned_credentials 3",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
