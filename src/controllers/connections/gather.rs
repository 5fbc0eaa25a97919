//! Asks the system behind a connection who it is, and counts who depends on the connection and what they want read.

use lockstep_core::domain::pace::Demand;
use lockstep_core::domain::ports::{Probe, SystemError};

use super::super::Context;
use super::super::access_binding::depends_on;
use super::super::credential_store::keeps_values_behind;
use super::super::promotion_policy::reading;
use super::super::service_credential::reading::mints_through;
use super::Connection;

/// What a probe saw.
pub struct Gathered {
    /// Not asked while the connection is going away.
    pub probe: Option<Result<Probe, SystemError>>,
    /// Who may use the connection, or holds something behind it.
    pub dependants: Dependants,
    /// What checking all of them takes.
    pub demand: Demand,
}

/// Who depends on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dependants {
    pub bindings: usize,
    pub policies: usize,
    pub credentials: usize,
    /// Secret scopes behind it in which values of credentials lie.
    pub stores: usize,
}

impl Dependants {
    fn named(self) -> [(usize, &'static str); 4] {
        let Self {
            bindings,
            policies,
            credentials,
            stores,
        } = self;
        [
            (bindings, "bindings"),
            (policies, "promotion policies"),
            (credentials, "service credentials"),
            (stores, "credential stores"),
        ]
    }

    pub fn any(self) -> bool {
        self.named().iter().any(|(count, _)| *count > 0)
    }
}

impl std::fmt::Display for Dependants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counted = self.named().into_iter().filter(|(count, _)| *count > 0);
        let all: Vec<String> = counted.map(|(count, what)| format!("{count} {what}")).collect();
        if all.is_empty() {
            return f.write_str("0 bindings");
        }
        f.write_str(&all.join(" and "))
    }
}

pub async fn gather(connection: &Connection<'_>, context: &Context) -> Gathered {
    let (mut dependants, mut demand) = (Dependants::default(), Demand::default());
    for binding in context.cluster.bindings() {
        if depends_on(&*context.cluster, &binding, &connection.key) {
            dependants.bindings += 1;
            demand.add(&binding, &connection.key);
        }
    }
    let policies = context.objects.policies();
    let depending = policies
        .iter()
        .filter(|policy| reading::depends_on(&*context.cluster, policy, &connection.key));
    dependants.policies = depending.count();
    let credentials = context.credentials.credentials();
    let minting = credentials
        .iter()
        .filter(|credential| mints_through(&*context.cluster, credential, &connection.key));
    dependants.credentials = minting.count();
    let stores = context.credentials.credential_stores();
    dependants.stores = stores
        .iter()
        .filter(|store| keeps_values_behind(store, &connection.key))
        .count();
    // While something depends on it the connection is still needed, to take back what was given.
    let needed = connection.meta.deletion_timestamp.is_none() || dependants.any();
    let probe = if needed {
        Some(context.probes.probe(&connection.key).await)
    } else {
        None
    };
    Gathered {
        probe,
        dependants,
        demand,
    }
}

#[cfg(test)]
mod tests {
    use super::Dependants;

    #[test]
    fn those_who_are_there_are_counted() {
        let mut dependants = Dependants::default();
        assert!(!dependants.any());
        assert_eq!(dependants.to_string(), "0 bindings");
        dependants.credentials = 2;
        assert!(dependants.any());
        assert_eq!(dependants.to_string(), "2 service credentials");
        dependants.bindings = 1;
        assert_eq!(dependants.to_string(), "1 bindings and 2 service credentials");
    }
}
