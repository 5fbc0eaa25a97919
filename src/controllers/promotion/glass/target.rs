//! What is seen of the promotion that is to be lifted: where it stands, what speaks against it, and whose change it is.

use lockstep_core::api::Promotion;
use lockstep_core::api::condition::ConditionType;
use lockstep_core::api::promotion::PromotionPhase;
use lockstep_core::domain::plan::Risk;
use lockstep_core::domain::promotion::gate::finding::FindingKind;
use serde_json::json;

/// Whose change it is: they gain by it.
pub(super) fn risk(target: Option<&Promotion>) -> Risk {
    let status = target.and_then(|target| target.status.as_ref());
    let own = status.and_then(|status| status.evidence.first());
    // What stands there is a user name with the number of the account behind it.
    let name = |text: &String| text.split(" (").next().unwrap_or_default().to_owned();
    let people = own.map(|own| {
        let uploader = own.uploader.as_ref().map(name);
        [Some(name(&own.owner)), uploader, own.author.clone()]
    });
    Risk {
        gaining: people.into_iter().flatten().flatten().collect(),
        ..Risk::default()
    }
}

/// Phases after which nothing was done, so that there is nothing to look at.
pub(super) fn did_nothing(phase: PromotionPhase) -> bool {
    matches!(
        phase,
        PromotionPhase::Refused | PromotionPhase::Superseded | PromotionPhase::Cancelled
    )
}

pub(super) fn phase(promotion: &Promotion) -> PromotionPhase {
    let status = promotion.status.as_ref();
    status
        .and_then(|status| status.phase)
        .unwrap_or(PromotionPhase::Waiting)
}

/// What speaks against a promotion, by kind, as its status shows it.
pub(super) fn findings(promotion: &Promotion) -> Vec<(String, String)> {
    let verdict = promotion
        .status
        .as_ref()
        .and_then(|status| status.verdict.as_ref());
    let rows = verdict.into_iter().flat_map(|verdict| &verdict.findings);
    rows.map(|row| (row.kind.clone(), row.message.clone())).collect()
}

fn can_be_lifted(kind: &str) -> bool {
    let kind: Option<FindingKind> = serde_json::from_value(json!(kind)).ok();
    kind.is_some_and(FindingKind::can_be_overridden)
}

pub(super) fn sentence(findings: &[(String, String)]) -> String {
    let all: Vec<String> = findings
        .iter()
        .map(|(kind, message)| format!("{kind}: {message}"))
        .collect();
    all.join("; ")
}

/// Why a promotion does not wait for what can be lifted.
pub(super) fn not_waiting(target: &Promotion) -> Option<String> {
    let found = findings(target);
    let never: Vec<_> = found
        .iter()
        .filter(|(kind, _)| !can_be_lifted(kind))
        .cloned()
        .collect();
    match phase(target) {
        PromotionPhase::Waiting if never.is_empty() => None,
        PromotionPhase::Waiting | PromotionPhase::Refused if !never.is_empty() => Some(format!(
            "cannot be lifted, because of what nobody can lift: {}",
            sentence(&never)
        )),
        acts @ (PromotionPhase::Running | PromotionPhase::Undoing) => Some(format!(
            "is {acts:?}: only one that waits can be lifted; cancel it, or roll back"
        )),
        ended => Some(format!(
            "has ended ({ended:?}): only one that waits can be lifted; retry it, and override the next attempt"
        )),
    }
}

/// What a promotion says of itself.
pub(super) fn says(promotion: &Promotion) -> String {
    let conditions = promotion
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    let ready = conditions
        .unwrap_or_default()
        .iter()
        .find(|said| ConditionType::Ready.is(&said.type_));
    ready.map(|said| said.message.clone()).unwrap_or_default()
}
