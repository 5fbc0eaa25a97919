//! Who leads: one Lease, taken and renewed under its resource version, and given up rather than stretched.
//!
//! Clocks of other machines are never believed. A lease counts as abandoned when this replica has watched it stand
//! still for its whole duration; its holder counts from before it asked for the renewal, and so is done earlier.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};

use super::backoff::jittered;
use super::permit::{LeasePermit, Sent};

/// How long a lease lasts that is not renewed.
const DURATION: Duration = Duration::from_secs(15);
/// How often the holder renews it. Four seconds of a lease may pass before the longest write is refused; a busy API
/// server takes more than one of them to answer.
const RENEW: Duration = Duration::from_secs(2);
/// Longest wait for the API server's answer.
const ANSWER: Duration = Duration::from_secs(3);
/// How soon a failed renewal is tried again, and how often a candidate looks.
const RETRY: Duration = Duration::from_secs(1);

/// Longest deadline a write may have so that a lease in good health always permits it.
pub const LONGEST_WRITE: Duration = Duration::from_secs(10);

/// Competes for one Lease.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    permit: LeasePermit,
}

/// A Lease as it was last read, and since when it stands so.
struct Sight {
    lease: Lease,
    since: Instant,
}

/// Why leading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Somebody else holds the lease.
    Taken(String),
    /// It could not be renewed in time.
    Expired,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Taken(by) => write!(f, "the lease was taken by {by}"),
            Self::Expired => f.write_str("the lease could not be renewed in time"),
        }
    }
}

/// A name that no other process has, however alike they are started.
pub fn unique_identity(base: &str) -> String {
    let mut identity = base.to_owned();
    // Cannot fail: it writes to a string.
    let _ = write!(identity, "-{:08x}", RandomState::new().hash_one(base) >> 32);
    identity
}

impl Elector {
    /// `identity` must be of this process alone.
    pub fn new(client: Client, namespace: &str, name: &str, identity: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity,
            permit: LeasePermit::default(),
        }
    }

    /// The permit that follows this lease.
    pub fn permit(&self) -> LeasePermit {
        self.permit.clone()
    }

    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Returns once this replica leads. May be dropped at any time.
    pub async fn lead(&self) {
        let mut sight: Option<Sight> = None;
        loop {
            match self.campaign(&mut sight).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::debug!(lease = self.name, %error, "cannot look at the lease"),
            }
            sleep(jittered(RETRY)).await;
        }
    }

    async fn campaign(&self, sight: &mut Option<Sight>) -> Result<bool, String> {
        let Some(lease) = answer(self.api.get_opt(&self.name)).await? else {
            let sent = Sent::now();
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(None)),
            };
            answer(self.api.create(&PostParams::default(), &lease)).await?;
            self.permit.grant(sent, DURATION);
            return Ok(true);
        };
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let since = match sight {
            Some(seen) if version(&seen.lease) == version(&lease) => seen.since,
            _ => Instant::now(),
        };
        *sight = Some(Sight {
            lease: lease.clone(),
            since,
        });
        if !is_free(lease.spec.as_ref(), since.elapsed()) {
            return Ok(false);
        }
        let sent = Sent::now();
        let taken = Lease {
            spec: Some(self.spec(lease.spec.as_ref())),
            ..lease
        };
        // The version in the object lets one candidate win: who comes second is refused.
        answer(self.api.replace(&self.name, &PostParams::default(), &taken)).await?;
        self.permit.grant(sent, DURATION);
        Ok(true)
    }

    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(
                before
                    .and_then(|spec| spec.lease_transitions)
                    .map_or(0, |count| count.saturating_add(1)),
            ),
            ..LeaseSpec::default()
        }
    }

    /// Renews until the lease is lost. Dropped, it leaves the lease to run out; see [`Elector::release`].
    pub async fn hold(&self) -> Lost {
        loop {
            sleep(RENEW).await;
            loop {
                match self.renew().await {
                    Ok(()) => break,
                    Err(Renewal::Taken(by)) => {
                        self.permit.revoke();
                        return Lost::Taken(by);
                    }
                    Err(Renewal::Failed(error)) => {
                        tracing::warn!(lease = self.name, %error, left = ?self.permit.left(), "lease not renewed");
                    }
                }
                if self.permit.left().is_zero() {
                    self.permit.revoke();
                    return Lost::Expired;
                }
                sleep(RETRY.min(self.permit.left())).await;
            }
        }
    }

    async fn renew(&self) -> Result<(), Renewal> {
        let limit = self.permit.left();
        let renewal = async {
            let lease = answer(self.api.get(&self.name)).await.map_err(Renewal::Failed)?;
            let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
            if holder.as_deref() != Some(&self.identity) {
                return Err(Renewal::Taken(holder.unwrap_or_else(|| "nobody".into())));
            }
            let sent = Sent::now();
            let spec = lease.spec.map(|spec| LeaseSpec {
                renew_time: Some(MicroTime(Timestamp::now())),
                ..spec
            });
            let renewed = Lease { spec, ..lease };
            answer(self.api.replace(&self.name, &PostParams::default(), &renewed))
                .await
                .map_err(Renewal::Failed)?;
            Ok(sent)
        };
        // What is answered after the lease has run out is no renewal: somebody may have led in between.
        let sent = match timeout(limit, renewal).await {
            Ok(renewed) => renewed?,
            Err(_) => return Err(Renewal::Failed("no answer before it ran out".into())),
        };
        self.permit.grant(sent, DURATION);
        Ok(())
    }

    /// Permits nothing more and lets the lease run out: what was permitted last may still be under way, and is over
    /// before anybody else leads.
    pub fn leave(&self) {
        self.permit.revoke();
    }

    /// Gives the lease back, so that another replica need not wait. Nothing may be under way any more.
    pub async fn release(&self) {
        self.permit.revoke();
        let released = async {
            let lease = answer(self.api.get(&self.name)).await?;
            let Some(spec) = lease
                .spec
                .clone()
                .filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity))
            else {
                return Ok(());
            };
            let spec = LeaseSpec {
                holder_identity: None,
                ..spec
            };
            let free = Lease {
                spec: Some(spec),
                ..lease
            };
            answer(self.api.replace(&self.name, &PostParams::default(), &free))
                .await
                .map(|_| ())
        };
        if let Err(error) = released.await {
            tracing::debug!(lease = self.name, %error, "lease not released: it runs out by itself");
        }
    }
}

enum Renewal {
    Taken(String),
    Failed(String),
}

/// Whether a lease that has stood still for so long may be taken.
fn is_free(spec: Option<&LeaseSpec>, still: Duration) -> bool {
    let Some(spec) = spec else { return true };
    if spec.holder_identity.as_deref().unwrap_or_default().is_empty() {
        return true;
    }
    let lasts = spec
        .lease_duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(DURATION, Duration::from_secs);
    still >= lasts
}

async fn answer<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match timeout(ANSWER, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held_by(holder: Option<&str>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            // Far in the past: a clock that is not ours says nothing.
            renew_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_is_free_when_released_or_seen_standing_still() {
        let other = held_by(Some("other"));
        assert!(!is_free(Some(&other), Duration::from_secs(14)));
        assert!(is_free(Some(&other), Duration::from_secs(15)));
        assert!(is_free(Some(&held_by(None)), Duration::ZERO));
        assert!(is_free(Some(&held_by(Some(""))), Duration::ZERO));
        assert!(is_free(None, Duration::ZERO));
    }

    #[test]
    fn two_processes_of_one_pod_have_two_identities() {
        assert_ne!(unique_identity("pod"), unique_identity("pod"));
    }

    #[test]
    fn a_lease_in_good_health_permits_the_longest_write() {
        // The worst moment is just before a renewal is answered.
        assert!(DURATION > RENEW + RETRY + LONGEST_WRITE);
    }
}
