//! What a promotion proves: where a model comes from ([`provenance`]), what else ran ([`completeness`]), which ways around
//! the gate are open ([`hardening`]), and what the record is told ([`fact`]).

pub mod completeness;
pub mod fact;
pub mod hardening;
pub mod provenance;
