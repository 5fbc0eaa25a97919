//! One promotion as people read it: what it is, what speaks against it, who had a hand in it, what it brings, how far it
//! is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use lockstep_core::api::promotion::{
    FindingRow, PromotionPhase, RangeStatus, StepRow, StepRowState, VoteRow,
};
use lockstep_core::api::promotion_policy::AcceptedCommit;
use lockstep_core::domain::promotion::ports::deployments::words;

use super::super::output::{clean, count, paint, style, table};
use super::super::words::{age, ahead, length, moment, short};
use crate::queries::promotions::Kind;
use crate::queries::promotions::detail::{Asked, Change, Detail, Times};
use crate::queries::promotions::pending::Pending;

/// Longest value of a step that is printed; `--output json` has all of it.
const VALUE: usize = 80;
/// Outputs that stand in columns of their own, or are of no use to people.
const ELSEWHERE: [&str; 4] = [words::ADDRESS, words::LINK, words::STARTED, words::ENDED];

/// The whole answer.
pub(super) fn detail(detail: &Detail, now: Timestamp) -> String {
    let mut text = head(detail, now);
    text.push_str(&verdict(detail, now));
    for change in &detail.changes {
        text.push_str(&hands(change));
    }
    if let Some(range) = &detail.range {
        text.push_str(&commits(range));
    }
    text.push_str(&steps(&detail.steps, now));
    for pending in &detail.pending {
        text.push_str(&asked_for(pending));
    }
    text
}

/// A line with its name in front.
fn line(text: &mut String, name: &str, words: &str) {
    if !words.is_empty() {
        let _ = writeln!(
            text,
            "  {} {}",
            paint(style::FAINT, &format!("{name:<11}")),
            clean(words)
        );
    }
}

fn heading(words: &str) -> String {
    format!("\n{}\n", paint(style::STRONG, words))
}

fn head(detail: &Detail, now: Timestamp) -> String {
    let phase = detail
        .phase
        .map_or_else(|| "not seen yet".to_owned(), |phase| format!("{phase:?}"));
    let colour = match detail.phase {
        Some(PromotionPhase::Succeeded) => style::ADD,
        Some(PromotionPhase::Failed | PromotionPhase::Refused) => style::REMOVE,
        Some(PromotionPhase::Running | PromotionPhase::Undoing) => style::NOTE,
        _ => style::SET,
    };
    let mut text = format!(
        "{}  {}\n",
        paint(
            style::STRONG,
            &clean(&format!("Promotion {}/{}", detail.namespace, detail.name))
        ),
        paint(colour, &phase)
    );
    line(
        &mut text,
        "to",
        &format!(
            "environment {} of PromotionPolicy {}",
            detail.environment, detail.policy
        ),
    );
    let attempt = detail.attempt.filter(|attempt| *attempt > 1);
    let attempt = attempt.map(|attempt| format!(", attempt {attempt}"));
    let what = match (detail.change, &detail.revision) {
        (Some(change), Some(revision)) => format!("change {change}, commit {revision}"),
        (Some(change), None) => format!("change {change}"),
        (None, Some(revision)) => format!("commit {revision}"),
        (None, None) => String::new(),
    };
    line(
        &mut text,
        "brings",
        &format!("{what}{}", attempt.unwrap_or_default()),
    );
    if let Some(asked) = &detail.asked {
        line(&mut text, "asked", &wish(detail.kind, asked));
        line(&mut text, "because", &asked.reason);
    }
    let colon = if detail.reason.is_empty() || detail.message.is_empty() {
        ""
    } else {
        ": "
    };
    line(
        &mut text,
        "says",
        &format!("{}{colon}{}", detail.reason, detail.message),
    );
    let approvers: Vec<&str> = detail.approvals.iter().map(|row| row.approver.as_str()).collect();
    line(&mut text, "approved by", &approvers.join(" and "));
    line(
        &mut text,
        "after-review",
        detail.review.as_deref().unwrap_or_default(),
    );
    if detail.cancelled {
        line(&mut text, "cancelled", "a person asked it to stop");
    }
    if detail.retried {
        line(&mut text, "retried", "a person asked for another attempt");
    }
    times(&mut text, &detail.times, now);
    line(&mut text, "rules", detail.rules.as_deref().unwrap_or_default());
    text
}

fn wish(kind: Option<Kind>, asked: &Asked) -> String {
    let by = asked.by.as_ref().map(|by| format!(", by {by}"));
    let by = by.unwrap_or_default();
    match kind {
        Some(Kind::Rollback) => format!("to go back to {}{by}", asked.promotion),
        _ => {
            let findings: Vec<String> = asked
                .findings
                .iter()
                .map(|finding| format!("{finding:?}"))
                .collect();
            format!(
                "to let {} go on in spite of {}{by}",
                asked.promotion,
                findings.join(", ")
            )
        }
    }
}

fn times(text: &mut String, times: &Times, now: Timestamp) {
    let Times {
        made,
        judged,
        started,
        ended,
        next,
    } = times;
    for (name, at) in [("made", made), ("judged", judged), ("started", started)] {
        if let Some(at) = at {
            line(text, name, &format!("{}, {} ago", moment(*at), age(*at, now)));
        }
    }
    if let Some(ended) = ended {
        let took = started.map(|started| format!(", took {}", length(ended.duration_since(started))));
        line(
            text,
            "ended",
            &format!(
                "{}, {} ago{}",
                moment(*ended),
                age(*ended, now),
                took.unwrap_or_default()
            ),
        );
    }
    if let Some(next) = next.filter(|next| *next > now) {
        line(
            text,
            "looks again",
            &format!("{}, {}", moment(next), ahead(next, now)),
        );
    }
}

fn verdict(detail: &Detail, now: Timestamp) -> String {
    let mut text = heading("Findings");
    if detail.findings.is_empty() {
        let words = match (detail.passes, detail.kind) {
            (true, _) => "none: it passes the gate",
            (false, Some(Kind::Rollback)) => "a rollback asks Gerrit nothing",
            (false, Some(Kind::Override)) => "an override is not judged: look at the promotion that it lifts",
            (false, _) => "not judged yet",
        };
        let _ = writeln!(text, "  {words}");
    }
    for finding in &detail.findings {
        let _ = writeln!(text, "  {}", found(finding, now));
    }
    for lifted in &detail.overridden {
        let _ = writeln!(text, "  {} {}", paint(style::SET, "lifted"), found(lifted, now));
    }
    for AcceptedCommit {
        commit,
        approval,
        by,
        at,
    } in &detail.exceptions
    {
        let words = format!(
            "commit {} that nobody reviewed, by {by}, {} (PlanApproval {approval})",
            short(commit),
            moment(*at)
        );
        let _ = writeln!(text, "  {} {}", paint(style::SET, "accepted"), clean(&words));
    }
    text
}

fn found(finding: &FindingRow, now: Timestamp) -> String {
    let again = finding
        .again
        .map(|again| format!(" (again {}, {})", moment(again), ahead(again, now)));
    format!(
        "{} {}{}",
        paint(style::REMOVE, &format!("{}:", clean(&finding.kind))),
        clean(&finding.message),
        again.unwrap_or_default()
    )
}

/// Who had which hand in one change.
fn hands(change: &Change) -> String {
    let Change {
        evidence,
        approved,
        verified,
        other_votes,
    } = change;
    let mut text = heading(&format!(
        "Change {}  {}",
        evidence.change,
        clean(short(&evidence.revision))
    ));
    let unknown = |name: Option<&String>| name.cloned().unwrap_or_else(|| "unknown".to_owned());
    line(&mut text, "owned", &evidence.owner);
    line(&mut text, "uploaded", &unknown(evidence.uploader.as_ref()));
    line(&mut text, "wrote", &unknown(evidence.author.as_ref()));
    line(&mut text, "approved", &votes(approved));
    line(&mut text, "verified", &votes(verified));
    if !other_votes.is_empty() {
        line(&mut text, "other votes", &votes(other_votes));
    }
    let submitted = evidence.submitted.map(|at| format!(", {}", moment(at)));
    line(
        &mut text,
        "submitted",
        &format!(
            "{}{}",
            unknown(evidence.submitter.as_ref()),
            submitted.unwrap_or_default()
        ),
    );
    line(&mut text, "at submit", &evidence.requirements.join(", "));
    line(&mut text, "tree", evidence.tree.as_deref().unwrap_or_default());
    line(
        &mut text,
        "meta_rev_id",
        evidence.meta_rev_id.as_deref().unwrap_or_default(),
    );
    line(
        &mut text,
        "evidence",
        evidence.digest.as_deref().unwrap_or_default(),
    );
    text
}

fn votes(votes: &[VoteRow]) -> String {
    let vote = |vote: &VoteRow| {
        let at = vote.at.map(|at| format!(", {}", moment(at)));
        format!(
            "{}{:+} {}{}",
            vote.label,
            vote.value,
            vote.by,
            at.unwrap_or_default()
        )
    };
    if votes.is_empty() {
        return "by nobody".to_owned();
    }
    votes.iter().map(vote).collect::<Vec<_>>().join("; ")
}

fn commits(range: &RangeStatus) -> String {
    let total = usize::try_from(range.count).unwrap_or_default();
    let current = range.current.as_deref().map_or("nothing", short);
    let mut text = heading(&format!(
        "Brings {} from {} to {} (history begins at {})",
        count(total, "commit", "commits"),
        clean(current),
        clean(short(&range.tip)),
        clean(short(&range.baseline))
    ));
    if range.commits.is_empty() {
        return text;
    }
    let rows = range.commits.iter().map(|commit| {
        vec![
            clean(short(&commit.commit)),
            clean(&commit.standing),
            commit.change.map(|change| change.to_string()).unwrap_or_default(),
            clean(commit.message.as_deref().unwrap_or_default()),
        ]
    });
    text.push_str(&table(
        &["commit", "standing", "change", "because"],
        rows.collect(),
    ));
    let beyond = total.saturating_sub(range.commits.len());
    if beyond > 0 {
        let _ = writeln!(text, "and {beyond} more");
    }
    text
}

fn steps(steps: &[StepRow], now: Timestamp) -> String {
    let mut text = heading("Steps");
    if steps.is_empty() {
        text.push_str("  none has begun\n");
        return text;
    }
    let rows = steps.iter().map(|step| {
        let time = |at: Option<Timestamp>| at.map(moment).unwrap_or_default();
        let until = step
            .ended_at
            .or_else(|| (step.state == StepRowState::Acting).then_some(now));
        let took = step
            .started_at
            .zip(until)
            .map(|(from, until)| length(until.duration_since(from)));
        vec![
            clean(&step.name),
            clean(&step.kind),
            format!("{:?}", step.state),
            step.attempt
                .map(|attempt| attempt.to_string())
                .unwrap_or_default(),
            time(step.started_at),
            took.unwrap_or_default(),
        ]
    });
    text.push_str(&table(
        &["step", "kind", "state", "try", "began", "took"],
        rows.collect(),
    ));
    for step in steps {
        text.push_str(&left(step));
    }
    text
}

/// What a step left, said and is called outside.
fn left(step: &StepRow) -> String {
    let mut text = String::new();
    line(&mut text, "says", step.message.as_deref().unwrap_or_default());
    line(
        &mut text,
        "outside",
        step.external_id.as_deref().unwrap_or_default(),
    );
    line(&mut text, "link", step.link.as_deref().unwrap_or_default());
    line(&mut text, "left", &outputs(&step.outputs));
    if !step.undo.is_empty() && matches!(step.state, StepRowState::Undoing | StepRowState::NotUndone) {
        line(&mut text, "undone by", &outputs(&step.undo));
    }
    if text.is_empty() {
        return text;
    }
    format!("{}\n{text}", paint(style::STRONG, &clean(&step.name)))
}

fn outputs(outputs: &BTreeMap<String, String>) -> String {
    let shown = outputs
        .iter()
        .filter(|(word, _)| !ELSEWHERE.contains(&word.as_str()));
    let words = shown.map(|(word, value)| {
        let length = value.chars().count();
        if length > VALUE {
            format!("{word} of {length} characters")
        } else {
            format!("{word}={value}")
        }
    });
    words.collect::<Vec<_>>().join("  ")
}

/// A plan of this promotion that waits for people.
fn asked_for(pending: &Pending) -> String {
    let people = count(pending.approvers(), "person", "people");
    let mut text = heading(&format!(
        "Waits for {people} to approve: {:?}",
        pending.plan.subject
    ));
    for words in &pending.plan.summary {
        let _ = writeln!(text, "  {}", clean(words));
    }
    line(&mut text, "digest", &pending.plan.digest);
    line(
        &mut text,
        "approve",
        &format!(
            "lockstep approve promotion/{} -n {} --digest {}",
            pending.of.name, pending.of.namespace, pending.plan.digest
        ),
    );
    text
}

#[cfg(test)]
#[path = "show_view_tests.rs"]
mod tests;
