//! Which rules of a state machine hold. In the program all of them do; the model checker takes one away at a time and must
//! find the accident that it stands against.

#[cfg(not(test))]
use std::marker::PhantomData;

/// Which of the rules `G` hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guards<G> {
    #[cfg(test)]
    missing: Option<G>,
    #[cfg(not(test))]
    of: PhantomData<G>,
}

impl<G: Copy + PartialEq> Guards<G> {
    /// All rules.
    pub(crate) const ALL: Self = Self {
        #[cfg(test)]
        missing: None,
        #[cfg(not(test))]
        of: PhantomData,
    };

    #[cfg(test)]
    pub(crate) fn without(guard: G) -> Self {
        Self { missing: Some(guard) }
    }

    #[cfg(test)]
    pub(crate) fn hold(self, guard: G) -> bool {
        self.missing != Some(guard)
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self)]
    pub(crate) const fn hold(self, _guard: G) -> bool {
        true
    }
}
