//! `lockstep promotions`: what runs where and why, and what people ask for: stop, again, back, on in spite of a window.

mod approving;
mod boxes;
mod check;
mod check_view;
mod glass;
mod list;
mod list_view;
mod orders;
mod rollback;
mod rollback_view;
#[cfg(test)]
mod samples;
mod show;
mod show_view;

use clap::{Args, Subcommand};

pub(super) use approving::{approve_policy, approve_promotion};

use super::progress::Progress;
use super::scope::{Place, Where};
use super::{Failure, Outcome, block_on};
use crate::queries::promotions::Sight;
use crate::runtime::{Asking, Promoted};

/// Look at promotions; stop them, try again, go back, break the glass
#[derive(Args, Debug)]
pub(super) struct PromotionsArgs {
    #[command(subcommand)]
    question: Question,
}

/// One line per question.
#[derive(Debug, Subcommand)]
enum Question {
    List(list::List),
    Show(show::Show),
    Check(check::Check),
    Resume(approving::Resume),
    Retry(orders::Retry),
    Cancel(orders::Cancel),
    Override(glass::Override),
    Rollback(rollback::Rollback),
}

pub(super) fn promotions(args: PromotionsArgs) -> Result<Outcome, Failure> {
    block_on(async move {
        match args.question {
            Question::List(args) => list::list(args).await,
            Question::Show(args) => show::show(args).await,
            // It holds everything that was read on its way.
            Question::Check(args) => Box::pin(check::check(args)).await,
            Question::Resume(args) => approving::resume(args).await,
            Question::Retry(args) => orders::retry(args).await,
            Question::Cancel(args) => orders::cancel(args).await,
            Question::Override(args) => glass::break_glass(args).await,
            Question::Rollback(args) => rollback::rollback(args).await,
        }
    })
}

/// Everything in a namespace, or in all; what could not be seen is told on stderr.
async fn look(args: &Where, place: &Place, everywhere: bool) -> Result<Sight, Failure> {
    let progress = Progress::start();
    progress.say("reading the cluster");
    let namespace = (!everywhere).then_some(place.namespace.as_str());
    let seen = Asking::new(place.client.clone())
        .everything(namespace, &args.operator_namespace)
        .await?;
    let Promoted {
        policies,
        promotions,
        freezes,
        notes,
    } = seen;
    for note in &notes {
        progress.note(note);
    }
    Ok(Sight {
        policies,
        promotions,
        freezes,
    })
}
