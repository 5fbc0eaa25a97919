//! The rules that keep a promotion safe, each by its name. The model checker takes one away at a time and must find
//! the accident; in the program none can be taken away.

/// One rule of the machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Guard {
    /// One promotion acts per environment.
    OneAtATime,
    /// What is older than anything that ever began does not begin.
    NoneOlder,
    /// What is older than something that may still run does not begin.
    NewestFirst,
    /// A held environment begins nothing.
    HoldStops,
    /// What failed after it began holds its environment.
    FailureHolds,
    /// The next begins when the last has ended, its undoing included.
    ReleasedWhenEnded,
    /// Only what has not begun is superseded.
    SupersedeWaitingOnly,
    /// Nothing begins without the environment's turn.
    TurnNeeded,
    /// Nothing begins that the gate does not pass.
    GateNeeded,
    /// What undoes a step is saved before the step acts.
    UndoSavedFirst,
    /// What undoes a step is saved once, not again before another try.
    UndoSavedOnce,
    /// That a step acts is journalled before it does.
    IntentFirst,
    /// What may have been sent is looked for before it is sent.
    LookFirst,
    /// One try has one token.
    OneToken,
    /// An answer that did not come is no refusal.
    AmbiguousIsNoRefusal,
    /// An outcome that could not be read is no success.
    UnreadIsNoSuccess,
    /// What was sent and is not there may still arrive for a while.
    AbsentMaySettle,
    /// What still runs is stopped, and seen to have stopped, before anything is undone.
    StopBeforeUndo,
    /// A run that outlives its time is stopped.
    TimeoutStops,
    /// Who cancels sees no further step begin.
    CancelStops,
    /// Only faults of the cloud are tried again.
    RetryTransientOnly,
    /// Tries end.
    TriesEnd,
    /// A freeze stops what would act.
    FreezeStops,
    /// A freeze without the exception stops what would undo.
    FreezeStopsUndo,
    /// The last step is undone first.
    UndoInReverse,
    /// A step that failed is undone too: it may have done half.
    UndoWhatFailed,
    /// Undone is what was seen undone.
    UndoIsSeen,
    /// What another hand moved since is not moved back.
    OthersWin,
    /// What could not be undone is said.
    LeftIsSaid,
}

#[cfg(test)]
impl Guard {
    pub(super) const EVERY: &[Self] = &[
        Self::OneAtATime,
        Self::NoneOlder,
        Self::NewestFirst,
        Self::HoldStops,
        Self::FailureHolds,
        Self::ReleasedWhenEnded,
        Self::SupersedeWaitingOnly,
        Self::TurnNeeded,
        Self::GateNeeded,
        Self::UndoSavedFirst,
        Self::UndoSavedOnce,
        Self::IntentFirst,
        Self::LookFirst,
        Self::OneToken,
        Self::AmbiguousIsNoRefusal,
        Self::UnreadIsNoSuccess,
        Self::AbsentMaySettle,
        Self::StopBeforeUndo,
        Self::TimeoutStops,
        Self::CancelStops,
        Self::RetryTransientOnly,
        Self::TriesEnd,
        Self::FreezeStops,
        Self::FreezeStopsUndo,
        Self::UndoInReverse,
        Self::UndoWhatFailed,
        Self::UndoIsSeen,
        Self::OthersWin,
        Self::LeftIsSaid,
    ];
}

pub(super) type Guards = crate::domain::guards::Guards<Guard>;
