//! Which promotions are made, which are tried again, and which are kept no longer.

use std::sync::Arc;

use kube::ResourceExt as _;
use lockstep_core::api::promotion::{Deploy, PolicyRef};
use lockstep_core::api::{Promotion, PromotionPolicy, PromotionSpec, RETRY};
use lockstep_core::domain::promotion::arrivals::Arrival;
use lockstep_core::domain::promotion::gate::break_glass;
use lockstep_core::domain::promotion::gate::evidence::{ChangeNumber, CommitId};
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept;
use lockstep_core::domain::promotion::machine::state::Phase;

use super::gather::Environment;

/// The first attempt to bring what arrived.
pub fn spec(object: &PromotionPolicy, environment: &Environment, arrival: &Arrival) -> PromotionSpec {
    let Arrival {
        change,
        own,
        deployed,
        position,
    } = arrival;
    PromotionSpec {
        policy_ref: PolicyRef {
            name: object.name_any(),
        },
        environment: environment.name.clone(),
        deploy: Some(Deploy {
            change: i64::try_from(change.0).unwrap_or(i64::MAX),
            revision: own.0.clone(),
            tip: (deployed != own).then(|| deployed.0.clone()),
            position: i64::try_from(*position).unwrap_or(i64::MAX),
            attempt: 1,
        }),
        rollback: None,
        override_: None,
    }
}

/// The next attempt of each promotion that has ended and that a person wants tried again, or of which a person has
/// accepted what stopped it.
pub fn retried(
    object: &PromotionPolicy,
    environment: &Environment,
    again: Option<&Promotion>,
) -> Vec<(String, PromotionSpec)> {
    let next = |promotion: &Arc<Promotion>| {
        let deploy = promotion.spec.deploy.as_ref()?;
        let contender = environment.contenders.get(&PromotionName(promotion.name_any()))?;
        let ended = matches!(contender.phase, Phase::Ended(_));
        let accepted = again.is_some_and(|again| again.name_any() == promotion.name_any());
        if !ended || !(accepted || promotion.annotations().contains_key(RETRY)) {
            return None;
        }
        let attempt = deploy.attempt.checked_add(1)?;
        let name = PromotionName::of_deploy(
            &object.name_any(),
            &environment.name,
            ChangeNumber(u64::try_from(deploy.change).ok()?),
            &CommitId(deploy.revision.clone()),
            u32::try_from(attempt).ok()?,
        );
        let spec = PromotionSpec {
            deploy: Some(Deploy {
                attempt,
                ..deploy.clone()
            }),
            ..promotion.spec.clone()
        };
        let there = environment.contenders.contains_key(&name);
        (!there).then_some((name.0, spec))
    };
    environment.siblings.iter().filter_map(next).collect()
}

/// Ended promotions beyond the newest `keep`; never the one that runs, acts or holds the environment.
pub fn forgotten(environment: &Environment, keep: usize) -> Vec<String> {
    let remembered = &environment.remembered.environment;
    let held = remembered.held.as_ref().and_then(|held| held.promotion.as_ref());
    let needed = [remembered.acting.as_ref(), remembered.current.as_ref(), held];
    let mut ended: Vec<_> = environment
        .siblings
        .iter()
        .filter(|promotion| {
            let name = PromotionName(promotion.name_any());
            let contender = environment.contenders.get(&name);
            let ended = contender.is_some_and(|contender| matches!(contender.phase, Phase::Ended(_)));
            (ended || break_glass::is_over(promotion))
                && needed.iter().flatten().all(|needed| **needed != name)
        })
        .map(|promotion| (kept::place(&promotion.spec), promotion.name_any()))
        .collect();
    ended.sort();
    let beyond = ended.len().saturating_sub(keep);
    ended.into_iter().take(beyond).map(|(_, name)| name).collect()
}
