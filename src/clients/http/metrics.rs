//! What calls to the outside look like to whoever operates this. The one place where these metrics are named.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

use super::breaker::Position;
use super::call::Call;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    system_kind: &'static str,
    route: &'static str,
    method: String,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    system_kind: &'static str,
    route: &'static str,
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostLabels {
    system_kind: &'static str,
    host: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FamilyLabels {
    system_kind: &'static str,
    family: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DirectionLabels {
    system_kind: &'static str,
    direction: &'static str,
}

fn duration_histogram() -> Histogram {
    // 5 ms to 40 s: from a cached Gerrit read to beyond the longest timeout.
    Histogram::new(exponential_buckets(0.005, 2.0, 14))
}

/// Metrics of all connections.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    duration: Family<RouteLabels, Histogram, fn() -> Histogram>,
    in_flight: Family<HostLabels, Gauge>,
    breaker: Family<HostLabels, Gauge>,
    throttled: Family<FamilyLabels, Counter<f64, AtomicU64>>,
    bytes: Family<DirectionLabels, Counter>,
}

impl HttpMetrics {
    /// Names and registers the metrics in a registry without prefix.
    pub fn register(registry: &mut Registry) -> Arc<Self> {
        let metrics = Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(duration_histogram),
            in_flight: Family::default(),
            breaker: Family::default(),
            throttled: Family::default(),
            bytes: Family::default(),
        };
        registry.register(
            "lockstep_client_requests",
            "Calls to outside systems, repetitions included; code is the HTTP status, or what went wrong without one",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "lockstep_client_request_duration",
            "Time from sending a call to the end of its answer",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register(
            "lockstep_client_in_flight",
            "Calls under way",
            metrics.in_flight.clone(),
        );
        registry.register(
            "lockstep_client_breaker_state",
            "0 closed, 1 half open, 2 open: nothing is sent",
            metrics.breaker.clone(),
        );
        registry.register_with_unit(
            "lockstep_client_throttled",
            "Time spent waiting for the request budget",
            Unit::Seconds,
            metrics.throttled.clone(),
        );
        registry.register_with_unit(
            "lockstep_client",
            "Bodies sent and received, unpacked",
            Unit::Bytes,
            metrics.bytes.clone(),
        );
        Arc::new(metrics)
    }

    pub(super) fn done(&self, system_kind: &'static str, call: &Call, code: String, took: Duration) {
        let mut method = String::new();
        let _ = write!(method, "{}", call.method);
        self.duration
            .get_or_create(&RouteLabels {
                system_kind,
                route: call.route,
                method: method.clone(),
            })
            .observe(took.as_secs_f64());
        self.requests
            .get_or_create(&RequestLabels {
                system_kind,
                route: call.route,
                method,
                code,
            })
            .inc();
    }

    pub(super) fn waited(&self, system_kind: &'static str, family: &'static str, waited: Duration) {
        // The uncontended path takes microseconds, which would only be noise here.
        if waited > Duration::from_millis(1) {
            let labels = FamilyLabels { system_kind, family };
            self.throttled.get_or_create(&labels).inc_by(waited.as_secs_f64());
        }
    }

    pub(super) fn bytes(&self, system_kind: &'static str, sent: usize, received: usize) {
        for (direction, count) in [("sent", sent), ("received", received)] {
            let labels = DirectionLabels {
                system_kind,
                direction,
            };
            self.bytes.get_or_create(&labels).inc_by(count as u64);
        }
    }

    pub(super) fn breaker(&self, system_kind: &'static str, host: &str, position: Position) {
        let state = match position {
            Position::Closed => 0,
            Position::HalfOpen => 1,
            Position::Open => 2,
        };
        let host = host.to_owned();
        self.breaker
            .get_or_create(&HostLabels { system_kind, host })
            .set(state);
    }

    /// Counts a call as under way until the answer is dropped.
    pub(super) fn in_flight(&self, system_kind: &'static str, host: &str) -> InFlight {
        let host = host.to_owned();
        let gauge = self
            .in_flight
            .get_or_create_owned(&HostLabels { system_kind, host });
        gauge.inc();
        InFlight(gauge)
    }
}

pub(super) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
