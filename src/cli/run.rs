//! `lockstep run`: the operator.

use super::{Failure, Outcome, block_on};
use crate::runtime::{self, RunArgs};

pub(super) fn run(args: RunArgs) -> Result<Outcome, Failure> {
    block_on(async {
        runtime::run(args).await?;
        Ok(Outcome::Done)
    })
}
