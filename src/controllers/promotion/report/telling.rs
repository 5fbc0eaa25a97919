//! Back to Gerrit: one message for each end, with the reasons and the link to what ran, and the hashtag of what is
//! deployed. Saying it again says nothing new.

use lockstep_core::domain::ports::{ConnectionKey, SystemError};
use lockstep_core::domain::promotion::machine::kept::{Kept, Lifted};
use lockstep_core::domain::promotion::machine::ready::Course;
use lockstep_core::domain::promotion::machine::state::End;
use lockstep_core::domain::promotion::ports::deployments::words;
use lockstep_core::domain::promotion::ports::reviews::{ChangeRef, Saying, Written};

use super::super::super::Context;
use super::super::Judged;
use super::super::gather::Gathered;

/// Where to say it: the connection and the project of the change.
fn place<'a>(course: Option<&'a Course>, gathered: &'a Gathered) -> Option<(&'a ConnectionKey, &'a str)> {
    let taken = course.map(|course| (&course.gerrit, course.on.project.as_str()));
    let declared = gathered.declared.as_ref();
    taken.or_else(|| declared.map(|declared| (&declared.gerrit, declared.on.project.as_str())))
}

/// Says on the change how the promotion ended. Those that a newer one took the place of are not worth a message.
pub(super) async fn tell(
    kept: &Kept,
    course: Option<&Course>,
    gathered: &Gathered,
    judged: Option<&Judged>,
    context: &Context,
) -> Result<(), SystemError> {
    let Some(end) = kept.promotion.ended() else {
        return Ok(());
    };
    let (Some(text), Some((connection, project))) = (words_of(kept, end, judged), place(course, gathered))
    else {
        return Ok(());
    };
    let review = context.reviews.open(connection).await?;
    let subject = &kept.promotion.subject;
    let change = ChangeRef {
        project: project.to_owned(),
        number: subject.change,
    };
    let saying = Saying {
        environment: subject.environment.clone(),
        revision: subject.revision.clone(),
        text,
    };
    let said = review.system().say(&change, &saying).await?;
    if said == Written::NotAllowed {
        tracing::warn!(change = subject.change.0, "we may not comment on the change");
    }
    if *end == End::Succeeded {
        review
            .system()
            .mark_deployed(&change, &subject.environment)
            .await?;
    }
    Ok(())
}

/// The message; `None`: it is not worth one.
fn words_of(kept: &Kept, end: &End, judged: Option<&Judged>) -> Option<String> {
    let promotion = &kept.promotion;
    let subject = &promotion.subject;
    let environment = &subject.environment;
    let short = subject.revision.short();
    let mut lines = Vec::new();
    match end {
        End::Succeeded => lines.push(format!("{short} runs in {environment}.")),
        End::Failed { why, left } => {
            lines.push(format!("{short} failed in {environment}: {}", why.message));
            if left.is_empty() {
                lines.push("Everything it did was undone.".to_owned());
            }
            lines.extend(
                left.iter()
                    .map(|(step, why)| format!("Still in place: {step}: {why}")),
            );
        }
        End::Refused => {
            lines.push(format!("{short} does not run in {environment}:"));
            let findings = judged
                .map(|judged| judged.verdict.findings.as_slice())
                .unwrap_or_default();
            lines.extend(findings.iter().map(|finding| format!("* {finding}")));
        }
        End::Cancelled => lines.push(format!("{short} was cancelled on its way to {environment}.")),
        End::Superseded(_) => return None,
    }
    if let Some(Lifted { by, findings }) = kept.lifted.as_ref().filter(|_| !end.without_effect()) {
        let by: Vec<&str> = by.iter().map(|name| name.0.as_str()).collect();
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "People lifted {} by Promotion {}.",
            findings.join(", "),
            by.join(", ")
        ));
    }
    for step in &promotion.steps {
        if let Some(link) = step.outputs.get(words::LINK).filter(|link| !link.is_empty()) {
            lines.push(format!("{}: {link}", step.name));
        }
    }
    lines.push(format!("Promotion {}", promotion.name));
    Some(lines.join("\n"))
}
