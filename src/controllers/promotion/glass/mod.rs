//! Breaking the glass: two people let a promotion that waits go on past what it waits for, and a third looks at it
//! afterwards. The recipe as everywhere, with [`target`] (what is seen of the promotion that is lifted) and [`review`] (the
//! look afterwards) beside; nothing outside is touched here: the promotion that is lifted does the work.

mod apply;
mod gather;
mod plan;
mod report;
mod review;
mod target;

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt as _;
use lockstep_core::api::promotion::{GlassStatus, OverridableFinding, Override};
use lockstep_core::api::{CANCEL, Promotion};
use lockstep_core::domain::promotion::gate::finding::FindingKind;
use lockstep_core::domain::promotion::machine::attempt::PromotionName;
use lockstep_core::domain::promotion::machine::kept::Lifted;

use super::super::{Context, Next};

/// One pass over an override.
pub(super) async fn reconcile(promotion: &Promotion, wish: &Override, context: &Context) -> Next {
    let gathered = gather::gather(promotion, wish, context);
    let planned = plan::plan(promotion, wish, &gathered, context.clock.now());
    let applied = apply::apply(promotion, &gathered, planned, context).await;
    report::report(promotion, &gathered, applied, context).await
}

/// The finding as the gate has it.
fn kind(finding: OverridableFinding) -> FindingKind {
    match finding {
        OverridableFinding::OutsideWindow => FindingKind::OutsideWindow,
        OverridableFinding::Soaking => FindingKind::Soaking,
        OverridableFinding::UpstreamMissing => FindingKind::UpstreamMissing,
        OverridableFinding::Frozen => FindingKind::Frozen,
    }
}

fn kept(promotion: &Promotion) -> Option<&GlassStatus> {
    promotion.status.as_ref()?.glass.as_ref()
}

/// What people have lifted of a promotion that waits.
pub(super) fn lifted(siblings: &[Arc<Promotion>], name: &str, environment: &str) -> Option<Lifted> {
    let of_it = |promotion: &&Arc<Promotion>| {
        let wish = promotion.spec.override_.as_ref();
        promotion.spec.environment == environment && wish.is_some_and(|wish| wish.promotion == name)
    };
    let in_force = |promotion: &&Arc<Promotion>| {
        kept(promotion).is_some_and(|glass| glass.lifted_at.is_some() && glass.ended.is_none())
            && promotion.metadata.deletion_timestamp.is_none()
            && !promotion.annotations().contains_key(CANCEL)
    };
    let all: Vec<&Arc<Promotion>> = siblings.iter().filter(of_it).filter(in_force).collect();
    let wishes = all
        .iter()
        .filter_map(|promotion| promotion.spec.override_.as_ref());
    let findings: BTreeSet<FindingKind> = wishes
        .flat_map(|wish| wish.findings.iter().copied().map(kind))
        .collect();
    let by = all
        .iter()
        .map(|promotion| PromotionName(promotion.name_any()))
        .collect();
    (!all.is_empty()).then_some(Lifted { by, findings })
}
