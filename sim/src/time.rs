//! How the world moves on between requests: event by event, in the order of time, when somebody looks.

use crate::objects::serving;
use crate::runs::engine;
use crate::state::State;

/// When something happens next without anybody asking.
pub fn next(state: &State) -> Option<i64> {
    state.runs.next().into_iter().chain(state.updates.next()).min()
}

/// Lets everything happen that is due by now, each thing at its own time.
pub fn advance(state: &mut State, now: i64) {
    while let Some(at) = next(state).filter(|at| *at <= now) {
        engine::step(state, at);
        for (workspace, id) in state.updates.due(at) {
            serving::finish(state, workspace, &id, at);
        }
    }
}
