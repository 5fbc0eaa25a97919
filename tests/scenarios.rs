//! What users live through, against real Kubernetes, a real Gerrit and the Databricks simulator. One binary, so that
//! one operator serves all scenarios that do not kill it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "scenarios/support/mod.rs"]
mod support;

#[cfg(feature = "aws")]
#[path = "stores/direct.rs"]
mod direct;

#[path = "scenarios/answers.rs"]
mod answers;
#[path = "scenarios/approvals.rs"]
mod approvals;
#[path = "scenarios/approvers.rs"]
mod approvers;
#[path = "scenarios/brakes.rs"]
mod brakes;
#[path = "scenarios/checks.rs"]
mod checks;
#[path = "scenarios/claims.rs"]
mod claims;
#[path = "scenarios/completeness.rs"]
mod completeness;
#[path = "scenarios/credentials.rs"]
mod credentials;
#[path = "scenarios/deletion.rs"]
mod deletion;
#[path = "scenarios/drift.rs"]
mod drift;
#[path = "scenarios/executed.rs"]
mod executed;
#[path = "scenarios/glass.rs"]
mod glass;
#[path = "scenarios/hardened.rs"]
mod hardened;
#[path = "scenarios/hints.rs"]
mod hints;
#[path = "scenarios/labels.rs"]
mod labels;
#[path = "scenarios/managed_labels.rs"]
mod managed_labels;
#[path = "scenarios/memory.rs"]
mod memory;
#[path = "scenarios/names.rs"]
mod names;
#[path = "scenarios/outages.rs"]
mod outages;
#[path = "scenarios/pace.rs"]
mod pace;
#[path = "scenarios/people.rs"]
mod people;
#[path = "scenarios/policies.rs"]
mod policies;
#[path = "scenarios/promotions.rs"]
mod promotions;
#[path = "scenarios/promotions_back.rs"]
mod promotions_back;
#[path = "scenarios/promotions_crowd.rs"]
mod promotions_crowd;
#[path = "scenarios/promotions_gone.rs"]
mod promotions_gone;
#[path = "scenarios/promotions_killed.rs"]
mod promotions_killed;
#[path = "scenarios/promotions_runs.rs"]
mod promotions_runs;
#[path = "scenarios/promotions_served.rs"]
mod promotions_served;
#[path = "scenarios/promotions_sweep.rs"]
mod promotions_sweep;
#[path = "scenarios/promotions_together.rs"]
mod promotions_together;
#[path = "scenarios/promotions_twins.rs"]
mod promotions_twins;
#[path = "scenarios/quiet.rs"]
mod quiet;
#[path = "scenarios/requirements.rs"]
mod requirements;
#[path = "scenarios/rotation.rs"]
mod rotation;
#[cfg(feature = "aws")]
#[path = "scenarios/rotation_aws.rs"]
mod rotation_aws;
#[path = "scenarios/rotation_crowd.rs"]
mod rotation_crowd;
#[path = "scenarios/rotation_days.rs"]
mod rotation_days;
#[path = "scenarios/rotation_issuers.rs"]
mod rotation_issuers;
#[path = "scenarios/rotation_outages.rs"]
mod rotation_outages;
#[path = "scenarios/rotation_self.rs"]
mod rotation_self;
#[path = "scenarios/rotation_stores.rs"]
mod rotation_stores;
#[path = "scenarios/rotation_sweep.rs"]
mod rotation_sweep;
#[path = "scenarios/story.rs"]
mod story;
#[path = "scenarios/sweep.rs"]
mod sweep;
#[path = "scenarios/tenancy.rs"]
mod tenancy;
#[path = "scenarios/the_end.rs"]
mod the_end;
#[path = "scenarios/trust.rs"]
mod trust;
