//! A rotation as the status of its object keeps it. What cannot be read back is an error and never a fresh start: a
//! credential that is forgotten lives on.

use std::collections::BTreeSet;

use super::machine::state::{
    Blocked, CredentialId, Fingerprint, Generation, GenerationState, Known, Rotation, Why,
};
use crate::api::service_credential_status::{
    BlockedStatus, GenerationRow, REVOKING, ServiceCredentialStatus,
};

/// Generations that are gone and still shown.
const GONE: usize = 10;

/// A status that this version cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRow {
    #[error(
        "status.generations: generation {number} has the state {state:?}, which this version does not know: run the \
         version that wrote it"
    )]
    State { number: u64, state: String },
    #[error(
        "status.generations: generation {number} is {state} and has no {field}: somebody edited the status"
    )]
    Missing {
        number: u64,
        state: String,
        field: &'static str,
    },
    #[error("status.blocked has the reason {0:?}, which this version does not know")]
    Blocked(String),
}

/// The rotation that a status keeps.
pub fn rotation(status: &ServiceCredentialStatus) -> Result<Rotation, BadRow> {
    let rows = status.generations.iter().flatten();
    Ok(Rotation {
        generations: rows.map(generation).collect::<Result<_, _>>()?,
        blocked: status.blocked.as_ref().map(blocked).transpose()?,
        known: Known::default(),
    })
}

/// What the status keeps of it: all that may live, and the last that are gone.
pub fn rows(rotation: &Rotation) -> Vec<GenerationRow> {
    let gone = rotation.generations.iter().filter(|one| !one.may_live()).count();
    let mut skip = gone.saturating_sub(GONE);
    let mut rows = Vec::new();
    for one in &rotation.generations {
        // One that is only planned is not gone yet.
        let ended = matches!(
            one.state,
            GenerationState::Revoked(_) | GenerationState::NeverMinted
        );
        if ended && skip > 0 {
            skip -= 1;
        } else {
            rows.push(row(one));
        }
    }
    rows
}

/// Why it is blocked, as the status says it.
pub fn blocked_row(rotation: &Rotation) -> Option<BlockedStatus> {
    let texts = |ids: &BTreeSet<CredentialId>| ids.iter().map(|id| id.0.clone()).collect();
    rotation.blocked.as_ref().map(|blocked| match blocked {
        Blocked::NoSlot { limit, strangers } => BlockedStatus {
            reason: "NoSlot".into(),
            limit: Some(*limit),
            ids: texts(strangers),
        },
        Blocked::Stray { candidates } => BlockedStatus {
            reason: "Stray".into(),
            limit: None,
            ids: texts(candidates),
        },
    })
}

fn blocked(row: &BlockedStatus) -> Result<Blocked, BadRow> {
    let ids = row.ids.iter().cloned().map(CredentialId).collect();
    match row.reason.as_str() {
        "NoSlot" => Ok(Blocked::NoSlot {
            limit: row.limit.unwrap_or_default(),
            strangers: ids,
        }),
        "Stray" => Ok(Blocked::Stray { candidates: ids }),
        other => Err(BadRow::Blocked(other.to_owned())),
    }
}

const WHYS: [(Why, &str); 5] = [
    (Why::Replaced, "Replaced"),
    (Why::Compromised, "Compromised"),
    (Why::ValueLost, "ValueLost"),
    (Why::Unproven, "Unproven"),
    (Why::Deleted, "Deleted"),
];

fn word(why: Why) -> Option<String> {
    WHYS.iter()
        .find(|(known, _)| *known == why)
        .map(|(_, word)| (*word).to_owned())
}

fn row(one: &Generation) -> GenerationRow {
    let mut row = GenerationRow {
        number: one.number,
        id: one.id.as_ref().map(|id| id.0.clone()),
        fingerprint: one.fingerprint.as_ref().map(|print| print.0.clone()),
        minted: one.minted,
        verified: one.verified,
        current: one.current,
        revoked: one.revoked,
        expires: one.expires,
        ..GenerationRow::default()
    };
    let state = match &one.state {
        GenerationState::Planned { before, sent } => {
            row.before = Some(before.iter().map(|id| id.0.clone()).collect());
            row.asked = *sent;
            "Planned"
        }
        GenerationState::Minted { proven } => {
            row.proven = Some(*proven);
            "Minted"
        }
        GenerationState::Verified => "Verified",
        GenerationState::Current => "Current",
        GenerationState::Draining { until } => {
            row.until = Some(*until);
            "Draining"
        }
        GenerationState::Revoking { why, asked } => {
            row.why = word(*why);
            row.asked = *asked;
            REVOKING
        }
        GenerationState::Revoked(why) => {
            row.why = word(*why);
            "Revoked"
        }
        GenerationState::NeverMinted => "NeverMinted",
    };
    state.clone_into(&mut row.state);
    row
}

fn generation(row: &GenerationRow) -> Result<Generation, BadRow> {
    let missing = |field| BadRow::Missing {
        number: row.number,
        state: row.state.clone(),
        field,
    };
    let why = || {
        let found = WHYS.iter().find(|(_, word)| Some(*word) == row.why.as_deref());
        found.map(|(why, _)| *why).ok_or_else(|| missing("why"))
    };
    let state = match row.state.as_str() {
        "Planned" => GenerationState::Planned {
            before: row.before.iter().flatten().cloned().map(CredentialId).collect(),
            sent: row.asked,
        },
        "Minted" => GenerationState::Minted {
            proven: row.proven.unwrap_or(false),
        },
        "Verified" => GenerationState::Verified,
        "Current" => GenerationState::Current,
        "Draining" => GenerationState::Draining {
            until: row.until.ok_or_else(|| missing("until"))?,
        },
        REVOKING => GenerationState::Revoking {
            why: why()?,
            asked: row.asked,
        },
        "Revoked" => GenerationState::Revoked(why()?),
        "NeverMinted" => GenerationState::NeverMinted,
        other => {
            return Err(BadRow::State {
                number: row.number,
                state: other.to_owned(),
            });
        }
    };
    Ok(Generation {
        number: row.number,
        state,
        id: row.id.clone().map(CredentialId),
        fingerprint: row.fingerprint.clone().map(Fingerprint),
        minted: row.minted,
        verified: row.verified,
        current: row.current,
        revoked: row.revoked,
        expires: row.expires,
    })
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
