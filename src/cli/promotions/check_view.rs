//! What a change still lacks, as its reviewer reads it.

use std::fmt::Write as _;

use jiff::Timestamp;
use lockstep_core::api::promotion::FindingRow;

use super::super::output::{clean, count, paint, style};
use super::super::words::{ahead, short};
use crate::queries::promotions::ahead::{ChangeWord, Outlook};

/// One part for each change, and in it one for each environment.
pub(super) fn outlooks(outlooks: &[Outlook], now: Timestamp) -> String {
    let mut text = String::new();
    let mut last = None;
    for outlook in outlooks {
        if last != Some(outlook.change) {
            text.push_str(&head(outlook));
        }
        last = Some(outlook.change);
        text.push_str(&environment(outlook, now));
    }
    text
}

fn head(outlook: &Outlook) -> String {
    let status = match outlook.status {
        ChangeWord::Open => "open",
        ChangeWord::Merged => "merged",
        ChangeWord::Abandoned => "abandoned",
        ChangeWord::Unknown => "status unknown",
    };
    let words = format!("change {}  {}", outlook.change, outlook.subject);
    let place = format!(
        "{}, branch {}, {}, {status}",
        outlook.project,
        outlook.branch,
        short(&outlook.revision)
    );
    format!(
        "{}\n  {}\n",
        paint(style::STRONG, &clean(&words)),
        paint(style::FAINT, &clean(&place))
    )
}

fn environment(outlook: &Outlook, now: Timestamp) -> String {
    let (colour, verdict) = verdict(outlook);
    let place = format!(
        "environment {} of PromotionPolicy {}/{}",
        outlook.environment, outlook.namespace, outlook.policy
    );
    let mut text = format!("{}: {}\n", clean(&place), paint(colour, &verdict));
    if let Some(problem) = &outlook.problem {
        let _ = writeln!(text, "  {}", clean(problem));
    }
    for finding in &outlook.missing {
        row(&mut text, "missing", finding, now);
    }
    for requirement in &outlook.not_submittable {
        line(
            &mut text,
            "submit",
            &format!("Gerrit does not let it be submitted yet: {requirement} is not satisfied"),
        );
    }
    if !outlook.stands_on.is_empty() {
        let commits: Vec<&str> = outlook.stands_on.iter().map(|commit| short(commit)).collect();
        let one = commits.len() == 1;
        let words = format!(
            "{} not in the branch either: {}; check {} as well",
            if one {
                "a commit that is"
            } else {
                "commits that are"
            },
            commits.join(", "),
            if one { "its change" } else { "their changes" }
        );
        line(&mut text, "stands on", &words);
    }
    for finding in &outlook.with_the_merge {
        row(&mut text, "after the merge", finding, now);
    }
    for finding in &outlook.waits_for {
        row(&mut text, "then it waits", finding, now);
    }
    if outlook.starts_none {
        let words = "it touches none of the policy's paths: it runs with the next change that does";
        line(&mut text, "starts none", words);
    }
    text
}

fn verdict(outlook: &Outlook) -> (anstyle::Style, String) {
    if outlook.problem.is_some() {
        (style::REMOVE, "could not be judged".to_owned())
    } else if !outlook.passes {
        let missing = count(outlook.missing.len(), "thing is missing", "things are missing");
        (style::REMOVE, missing)
    } else if outlook.status == ChangeWord::Merged {
        (style::ADD, "passes".to_owned())
    } else {
        (style::ADD, "passes as soon as it merges".to_owned())
    }
}

fn row(text: &mut String, name: &str, finding: &FindingRow, now: Timestamp) {
    let again = finding
        .again
        .map(|again| format!(" ({})", ahead(again, now)))
        .unwrap_or_default();
    line(
        text,
        name,
        &format!("{}: {}{again}", finding.kind, finding.message),
    );
}

fn line(text: &mut String, name: &str, words: &str) {
    let _ = writeln!(
        text,
        "  {} {}",
        paint(style::FAINT, &format!("{name:<16}")),
        clean(words)
    );
}

#[cfg(test)]
mod tests {
    use super::super::samples::outlook;
    use super::*;

    fn plain(outlook: Outlook) -> String {
        let now = "2026-07-04T12:00:00Z".parse().unwrap();
        anstream::adapter::strip_str(&outlooks(&[outlook], now)).to_string()
    }

    fn finding(kind: &str, again: Option<&str>) -> FindingRow {
        FindingRow {
            kind: kind.into(),
            message: "so it is".into(),
            again: again.map(|at| at.parse().unwrap()),
        }
    }

    #[test]
    fn a_change_that_lacks_nothing_waits_for_its_merge_alone() {
        let mut whole = outlook();
        whole.with_the_merge = vec![finding("NotMerged", None)];
        whole.waits_for = vec![finding("OutsideWindow", Some("2026-07-04T14:00:00Z"))];
        assert_eq!(
            plain(whole),
            "change 42  Take more for fraud\n  ml/fraud, branch prod, 89abcdef, open\n\
             environment prod of PromotionPolicy ml-fraud/fraud: passes as soon as it merges\n  \
             after the merge  NotMerged: so it is\n  \
             then it waits    OutsideWindow: so it is (in 2h)\n"
        );
    }

    #[test]
    fn everything_that_is_missing_is_said() {
        let mut lacking = outlook();
        lacking.passes = false;
        lacking.missing = vec![finding("NotEnoughApprovals", None), finding("NotVerified", None)];
        lacking.not_submittable = vec!["Reviewed".into()];
        lacking.stands_on = vec!["0123456789".into()];
        lacking.starts_none = true;
        let said = plain(lacking);
        for words in [
            "2 things are missing\n  missing          NotEnoughApprovals: so it is\n  missing          NotVerified",
            "submit           Gerrit does not let it be submitted yet: Reviewed is not satisfied",
            "stands on        a commit that is not in the branch either: 01234567; check its change as well",
            "starts none      it touches none",
        ] {
            assert!(said.contains(words), "{words}\n{said}");
        }
    }

    #[test]
    fn what_could_not_be_judged_is_not_said_to_pass() {
        let mut torn = outlook();
        torn.passes = false;
        torn.problem = Some("no\nbaseline".into());
        assert!(plain(torn).ends_with("fraud: could not be judged\n  no\\nbaseline\n"));
    }
}
