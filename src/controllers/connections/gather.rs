//! Asks the system behind a connection who it is, and counts who depends on the connection and what they want read.

use lockstep_core::domain::pace::Demand;
use lockstep_core::domain::ports::{Probe, SystemError};

use super::super::Context;
use super::super::access_binding::depends_on;
use super::super::promotion_policy::reading;
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
}

impl Dependants {
    pub fn any(self) -> bool {
        self.bindings > 0 || self.policies > 0
    }
}

impl std::fmt::Display for Dependants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bindings, policies } = self;
        match (bindings, policies) {
            (bindings, 0) => write!(f, "{bindings} bindings"),
            (0, policies) => write!(f, "{policies} promotion policies"),
            (bindings, policies) => write!(f, "{bindings} bindings and {policies} promotion policies"),
        }
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
