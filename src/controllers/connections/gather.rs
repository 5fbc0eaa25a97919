//! Asks the system behind a connection who it is, and counts who depends on the connection and what they want read.

use lockstep_core::domain::pace::Demand;
use lockstep_core::domain::ports::{Probe, SystemError};

use super::super::Context;
use super::super::access_binding::depends_on;
use super::Connection;

/// What a probe saw.
pub struct Gathered {
    /// Not asked while the connection is going away.
    pub probe: Option<Result<Probe, SystemError>>,
    /// Bindings that may use the connection or hold something behind it.
    pub dependants: usize,
    /// What checking all of them takes.
    pub demand: Demand,
}

pub async fn gather(connection: &Connection<'_>, context: &Context) -> Gathered {
    let (mut dependants, mut demand) = (0, Demand::default());
    for binding in context.cluster.bindings() {
        if depends_on(&*context.cluster, &binding, &connection.key) {
            dependants += 1;
            demand.add(&binding, &connection.key);
        }
    }
    // While something depends on it the connection is still needed, to take back what was given.
    let needed = connection.meta.deletion_timestamp.is_none() || dependants > 0;
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
