//! What is asked of the machine now: a pure decision.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::ServiceCredential;
use lockstep_core::api::condition::Reason;
use lockstep_core::api::reference::Mode;
use lockstep_core::domain::defaults;
use lockstep_core::domain::rotation::claims;
use lockstep_core::domain::rotation::machine::state::Rotation;
use lockstep_core::domain::rotation::machine::{Ending, Orders};
use sha2::{Digest as _, Sha256};

use super::gather::Gathered;
use super::reading;

/// What a pass does.
pub enum Planned {
    /// Nothing, for this reason, until something changes.
    Stuck(Reason, String),
    /// Lists what the issuer has and touches nothing.
    Look,
    /// The object goes, and nothing of it was ever outside.
    LetGo,
    Go(Box<Going>),
}

/// What is asked of the machine.
pub struct Going {
    pub rotation: Rotation,
    pub orders: Orders,
    /// Seconds; `None`: values of this issuer do not expire.
    pub lifetime: Option<u64>,
    /// What people want rotated for, once a generation begins for it.
    pub rotate_for: Option<String>,
    /// Why nothing new begins, though what was stolen is revoked.
    pub held_back: Option<(Reason, String)>,
}

pub fn plan(credential: &ServiceCredential, gathered: &Gathered, now: Timestamp) -> Planned {
    let stuck = |(reason, message): &(Reason, String)| Planned::Stuck(*reason, message.clone());
    let rotation = match &gathered.rotation {
        Ok(rotation) => rotation.clone(),
        Err(why) => return stuck(why),
    };
    let going = credential.metadata.deletion_timestamp.is_some();
    if going
        && (rotation.generations.is_empty() || defaults::credential_mode(&credential.spec) == Mode::Observe)
    {
        return Planned::LetGo;
    }
    let declared = match &gathered.declared {
        Ok(declared) => declared,
        Err(why) => return stuck(why),
    };
    if going && declared.ending() == Ending::Orphan {
        return Planned::LetGo;
    }
    let compromised = match reading::compromised(credential) {
        Ok(compromised) => compromised,
        Err(why) => return stuck(&why),
    };
    let stolen = rotation.may_live(&compromised);
    if defaults::credential_suspended(&credential.spec) && !stolen && !going {
        let message = "spec.suspend is true: nothing is read, minted or revoked";
        return Planned::Stuck(Reason::Suspended, message.into());
    }
    let issuer = match &gathered.issuer {
        Ok(issuer) => issuer,
        Err(why) => return stuck(why),
    };
    if defaults::credential_mode(&credential.spec) == Mode::Observe {
        return Planned::Look;
    }
    let allowed = issuer.allowed();
    if let (Some(lifetime), Some(longest)) = (declared.lifetime, allowed.longest_lifetime)
        && lifetime > longest
    {
        let message = format!(
            "spec.issuer: a lifetime of {lifetime} s is longer than the {longest} s that {} grants: shorten it",
            issuer.address()
        );
        return Planned::Stuck(Reason::InvalidSpec, message);
    }
    let mut held_back = held_back(credential, gathered);
    if defaults::credential_suspended(&credential.spec) {
        held_back = Some((Reason::Suspended, "spec.suspend is true".into()));
    }
    if held_back.is_some() && !stolen && !going {
        let (reason, message) = held_back.unwrap_or((Reason::Failed, String::new()));
        return Planned::Stuck(reason, message);
    }
    let current = rotation.current();
    let seed = seed(&credential.uid().unwrap_or_default());
    let next =
        current.and_then(|current| Some(declared.schedule.next(current.minted?, current.expires, seed)));
    let rotate_for = reading::rotate_for(credential).map(str::to_owned);
    let due = next.is_some_and(|next| now >= next) || rotate_for.is_some();
    let may_wait = current.is_none_or(|current| declared.schedule.may_wait(current.expires, now));
    let orders = Orders {
        stores: gathered.stores.keys().cloned().collect(),
        restarts: !declared.restarts.is_empty(),
        due: due && held_back.is_none(),
        overlap: declared.overlap,
        slots: declared.slots(allowed),
        compromised,
        patient: may_wait,
        frozen: (gathered.frozen.is_some() && may_wait) || held_back.is_some(),
        ending: going.then(|| declared.ending()),
        held: BTreeSet::new(),
    };
    Planned::Go(Box::new(Going {
        rotation,
        orders,
        lifetime: declared.lifetime.filter(|_| allowed.longest_lifetime.is_some()),
        rotate_for,
        held_back,
    }))
}

/// What keeps it from beginning anything: somebody who came first, or a store that it may not write.
fn held_back(credential: &ServiceCredential, gathered: &Gathered) -> Option<(Reason, String)> {
    let issuer = gathered.issuer.as_ref().ok()?;
    let conflict = claims::conflict(credential, issuer.address(), issuer.allowed(), &gathered.others);
    if let Some(message) = conflict {
        return Some((Reason::ClaimedByAnother, message));
    }
    gathered.stores.values().find_map(|open| {
        let (reason, message) = open.store.as_ref().err()?;
        let refused = matches!(
            reason,
            Reason::NotAllowed | Reason::OutOfReach | Reason::InvalidSpec | Reason::DependencyNotReady
        );
        refused.then(|| (*reason, message.clone()))
    })
}

/// The same for one object for ever, and another for another.
pub fn seed(uid: &str) -> u64 {
    let digest = Sha256::digest(uid);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}
