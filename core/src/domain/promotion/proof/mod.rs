//! What a promotion proves: where a model comes from ([`provenance`]), what else ran ([`completeness`]), and what the
//! record is told ([`fact`]).

pub mod completeness;
pub mod fact;
pub mod provenance;
