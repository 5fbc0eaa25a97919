//! The rules that keep a rotation safe, each by its name. The model checker takes one away at a time and must find the
//! accident; in the program none can be taken away.

/// One rule of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Guard {
    /// A mint is written down, with what the issuer had before, before it is asked for.
    PlanFirst,
    /// What was asked for and did not answer is looked for, not asked for again.
    OneMint,
    /// What was asked for and is not there may still come for a while.
    AbsentMaySettle,
    /// Only what is certainly ours is swept.
    SweepOnlyOurs,
    /// A mint needs a free slot at the issuer.
    SlotNeeded,
    /// Where there are three slots or more, one stays spare for the day it is needed.
    SpareKept,
    /// A value has logged in before anything points to it.
    ProveFirst,
    /// A store's word that it took a value is not enough: it is read back.
    ReadBack,
    /// It is current when every store has it.
    EveryStore,
    /// Consumers start anew when every store has it.
    RestartLast,
    /// The last one lives on for the overlap.
    OverlapOver,
    /// Every store is read again before the last one is revoked.
    ReadBeforeRevoke,
    /// Nothing is revoked while no other is current, unless somebody stole it.
    OtherIsCurrent,
    /// Gone is what the issuer was asked to revoke and does not list any more.
    GoneIsSeen,
    /// What a list does not show may live: it is revoked all the same.
    UnlistedMayLive,
    /// What somebody stole goes first.
    CompromisedFirst,
    /// A credential that goes with its object leaves nothing behind.
    EndRevokesAll,
}

#[cfg(test)]
impl Guard {
    pub(super) const EVERY: &[Self] = &[
        Self::PlanFirst,
        Self::OneMint,
        Self::AbsentMaySettle,
        Self::SweepOnlyOurs,
        Self::SlotNeeded,
        Self::SpareKept,
        Self::ProveFirst,
        Self::ReadBack,
        Self::EveryStore,
        Self::RestartLast,
        Self::OverlapOver,
        Self::ReadBeforeRevoke,
        Self::OtherIsCurrent,
        Self::GoneIsSeen,
        Self::UnlistedMayLive,
        Self::CompromisedFirst,
        Self::EndRevokesAll,
    ];
}

pub(super) type Guards = crate::domain::guards::Guards<Guard>;
