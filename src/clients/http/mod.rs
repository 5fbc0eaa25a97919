//! The one way out: every call to a system outside goes through [`Http::send`], which asks in this order whether
//! the breaker lets it pass, whether the family's rate allows it, whether there is room, and, for a write, whether
//! there is a permit. It never tells a secret and never repeats what may already have happened.
//!
//! [`call`] says what is asked, [`answer`] what came back and which error that is; [`address`] decides where calls
//! may go at all.

pub mod address;
pub mod answer;
mod breaker;
mod budget;
pub mod call;
mod exchange;
pub mod limit;
pub mod metrics;
pub mod redact;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::SignedDuration;
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::ports::{Clock, Permit, SystemError, SystemErrorKind};
use reqwest::Url;
use tokio::sync::Semaphore;

pub use answer::Answer;
pub use call::{Body, Call, Effect, Spool};
pub use exchange::{is_too_long, is_unavailable};
pub use limit::{FamilyLimit, Rate};
pub use metrics::HttpMetrics;

use breaker::Breaker;
use budget::RetryBudget;
use limit::Families;

/// Largest body that is read unless a connection says otherwise: a page of 500 groups with their members is a tenth.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;
/// How often one call is sent at most.
const ATTEMPTS: usize = 3;
/// A clock further off than this makes times in records and windows misleading.
const SKEW_SECONDS: i64 = 60;
/// No server's date has been seen yet.
const UNKNOWN_SKEW: i64 = i64::MIN;

/// How one connection is to be reached.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Where; a path in it is a prefix of every call.
    pub base: Url,
    /// PEM certificates to trust besides the public ones.
    pub ca_pem: Option<Vec<u8>>,
    /// Longest time of one exchange, and longest time to wait for one's turn before it.
    pub timeout: Duration,
    /// Requests under way at once.
    pub concurrency: usize,
    /// Rates by family; a family that is not named has none.
    pub limits: Vec<FamilyLimit>,
    /// Whether this machine itself may be called, and by plain http.
    pub allow_loopback: bool,
    pub user_agent: String,
    /// `gerrit`, `databricks`, `vault` or `aws`: a label of metrics.
    pub kind: &'static str,
    /// Largest body read.
    pub body_limit: usize,
}

/// One connection's way out. Shared by everything that uses the connection, so that its budget is one.
pub struct Http {
    client: reqwest::Client,
    base: Url,
    host: String,
    kind: &'static str,
    timeout: Duration,
    body_limit: usize,
    families: Families,
    room: Semaphore,
    breaker: Breaker,
    budget: RetryBudget,
    permit: Arc<dyn Permit>,
    clock: Arc<dyn Clock>,
    metrics: Option<Arc<HttpMetrics>>,
    /// Canonical address of the system, once it is known.
    system: OnceLock<String>,
    /// Whether the last thing the host said about our credential was yes.
    authenticated: AtomicBool,
    /// Server's clock minus ours, in seconds.
    skew: AtomicI64,
}

impl Http {
    /// Builds the client; nothing is sent. Refuses addresses that must not be called at all.
    pub fn new(
        options: HttpOptions,
        permit: Arc<dyn Permit>,
        clock: Arc<dyn Clock>,
        metrics: Option<Arc<HttpMetrics>>,
    ) -> Result<Self, SystemError> {
        let HttpOptions {
            base,
            ca_pem,
            timeout,
            concurrency,
            limits,
            allow_loopback,
            user_agent,
            kind,
            body_limit,
        } = options;
        let host = address::host_and_port(&base);
        let refuse = |reason, message: String| {
            SystemError::new(host.clone(), SystemErrorKind::Connection(reason), message)
        };
        let place = address::check(&base, allow_loopback).map_err(|why| refuse(Reason::HostRefused, why))?;
        // Two features of the tree bring their own default; the first to install wins, and ours is the one tested.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(user_agent)
            .redirect(reqwest::redirect::Policy::none())
            // Retries are ours: they ask for a permit again and are counted.
            .retry(reqwest::retry::never())
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .pool_max_idle_per_host(concurrency)
            .tcp_keepalive(Duration::from_mins(1))
            .gzip(true)
            .dns_resolver(address::Guard::new(place.clone()));
        if place.loopback {
            builder = builder.no_proxy();
        }
        let bundled = ca_pem.is_some();
        if let Some(pem) = ca_pem {
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| {
                let why = exchange::chain(&error);
                refuse(
                    Reason::InvalidSpec,
                    format!("caBundle is not readable as PEM: {why}"),
                )
            })?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(|error| {
            let suspect = if bundled {
                ", most likely because of caBundle"
            } else {
                ""
            };
            let why = exchange::chain(&error);
            refuse(
                Reason::InvalidSpec,
                format!("TLS cannot be set up{suspect}: {why}"),
            )
        })?;
        Ok(Self {
            client,
            base,
            host,
            kind,
            timeout,
            body_limit,
            families: Families::new(limits),
            room: Semaphore::new(concurrency.max(1)),
            breaker: Breaker::new(timeout),
            budget: RetryBudget::new(),
            permit,
            clock,
            metrics,
            system: OnceLock::new(),
            authenticated: AtomicBool::new(false),
            skew: AtomicI64::new(UNKNOWN_SKEW),
        })
    }

    /// Names the system in errors from now on, once its canonical address is known.
    pub fn name_system(&self, system: impl Into<String>) {
        let _ = self.system.set(system.into());
    }

    /// Canonical address of the system, or the host while that is unknown.
    pub fn system(&self) -> &str {
        self.system.get().map_or(&self.host, String::as_str)
    }

    /// Base URL, without a slash at the end.
    pub fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Host, with the port unless it is the scheme's own.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Longest time of one exchange.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How far the server's clock is ahead of ours, to the second; `None` until an answer carried a date.
    pub fn clock_skew(&self) -> Option<SignedDuration> {
        let seconds = self.skew.load(Ordering::Relaxed);
        (seconds != UNKNOWN_SKEW).then(|| SignedDuration::from_secs(seconds))
    }

    /// What to say of the server's clock, if it is so far off that times in records and windows mislead.
    pub fn clock_is_off(&self) -> Option<String> {
        let skew = self.clock_skew()?.as_secs();
        (skew.abs() > SKEW_SECONDS).then(|| format!("the server's clock differs from ours by {skew} s"))
    }

    /// An error of this system.
    pub fn error(&self, kind: SystemErrorKind, message: impl Into<String>) -> SystemError {
        SystemError::new(self.system(), kind, message)
    }

    /// Sends one call and reads the whole answer, whatever its status: [`Answer::success`] judges that. Fails when
    /// there is no answer, no permit, no room in the budget, or a redirect.
    ///
    /// Takes at most three times the timeout: a turn, an exchange, and one more if a repetition was allowed.
    pub async fn send(&self, call: Call) -> Result<Answer, SystemError> {
        let url = self.url(&call)?;
        let begun = Instant::now();
        let mut delays = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(2))
            .with_jitter()
            .with_max_times(ATTEMPTS - 1)
            .build();
        self.budget.earn();
        loop {
            let fault = match self.attempt(&call, &url).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let Some(delay) = delays.next().filter(|_| fault.repeatable) else {
                return Err(fault.error);
            };
            if begun.elapsed() + delay >= self.timeout || !self.budget.spend() {
                return Err(fault.error);
            }
            tracing::debug!(call = %call.label(), error = %fault.error, "trying again");
            tokio::time::sleep(delay).await;
        }
    }

    /// The call's URL. Paths are encoded by whoever made them; what a URL would silently turn into another path
    /// (`..`, also as `%2E%2E`) is refused here, or a hostile name could address something else.
    fn url(&self, call: &Call) -> Result<Url, SystemError> {
        let text = format!(
            "{}/{}",
            self.base.as_str().trim_end_matches('/'),
            call.path.trim_start_matches('/')
        );
        let refuse = || {
            self.error(
                SystemErrorKind::Refused,
                format!("{}: the path cannot be sent as it is", call.label()),
            )
        };
        let mut url = Url::parse(&text).map_err(|_| refuse())?;
        let same_path = text.ends_with(url.path()) && url.query().is_none() && url.fragment().is_none();
        if !same_path || url.host() != self.base.host() {
            return Err(refuse());
        }
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        Ok(url)
    }
}
