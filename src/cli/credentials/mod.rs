//! `lockstep credentials`: what rotates, how old it is and who else has a key; rotate now, revoke what others know.

mod list;
mod orders;
mod show;
mod view;

use clap::{Args, Subcommand};

use super::{Failure, Outcome, block_on};

/// Look at credentials; rotate one now, revoke what others know
#[derive(Args, Debug)]
pub(super) struct CredentialsArgs {
    #[command(subcommand)]
    question: Question,
}

/// One line per question.
#[derive(Debug, Subcommand)]
enum Question {
    List(list::List),
    Show(show::Show),
    Rotate(orders::Rotate),
    Revoke(orders::Revoke),
}

pub(super) fn credentials(args: CredentialsArgs) -> Result<Outcome, Failure> {
    block_on(async move {
        match args.question {
            Question::List(args) => list::list(args).await,
            Question::Show(args) => show::show(args).await,
            Question::Rotate(args) => orders::rotate(args).await,
            Question::Revoke(args) => orders::revoke(args).await,
        }
    })
}
