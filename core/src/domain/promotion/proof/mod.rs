//! What a promotion proves: where a model comes from ([`provenance`]), what else ran ([`completeness`]), what explains it
//! ([`explanation`]), how it is counted ([`ledger`]), which ways around the gate are open ([`hardening`]), and what the
//! record is told ([`fact`]).

pub mod completeness;
pub mod explanation;
pub mod fact;
pub mod hardening;
pub mod ledger;
pub mod provenance;
