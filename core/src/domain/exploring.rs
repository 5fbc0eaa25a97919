//! How the models of state machines are explored: the shortest story of an accident, and which ends were reached.

use std::collections::BTreeSet;
use std::hash::Hash;

use stateright::{Checker as _, HasDiscoveries, Model};

/// The property of every model that must always hold.
pub(crate) const NO_ACCIDENT: &str = "no accident";

/// What an exploration found.
pub(crate) struct Explored<S, A> {
    /// Distinct states that were seen.
    pub states: usize,
    /// The story of the accident: each state, and what happened then.
    pub story: Option<Vec<(S, Option<A>)>>,
    /// What was reached of all that may be.
    pub reached: BTreeSet<&'static str>,
}

/// Explores until everything was seen, or one accident: one is enough.
pub(crate) fn explore<M>(model: M) -> Explored<M::State, M::Action>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + std::fmt::Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + std::fmt::Debug + PartialEq + Send + Sync,
{
    let checker = model
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let mut discoveries = checker.discoveries();
    let story = discoveries.remove(NO_ACCIDENT).map(stateright::Path::into_vec);
    Explored {
        states: checker.unique_state_count(),
        story,
        reached: discoveries.into_keys().collect(),
    }
}
