//! A way back as people read it before they say yes: one block per step, one line per change.

use std::fmt::Write as _;

use lockstep_core::domain::promotion::machine::rollback::StepKind;

use super::super::output::{clean, count, paint, style};
use super::super::words::{brought, short};
use crate::queries::promotions::Difference;
use crate::queries::promotions::way_back::{StepBack, WayBack};

/// Changes of one step that are written out; the rest is a number.
const CHANGES: usize = 12;
/// Longest value that is written out.
const VALUE: usize = 60;

/// The whole way.
pub(super) fn way_back(back: &WayBack) -> String {
    let WayBack {
        namespace,
        policy,
        environment,
        to,
        change,
        revision,
        from,
        steps,
        notes,
    } = back;
    let title = format!("Environment {environment} of PromotionPolicy {namespace}/{policy} goes back");
    let mut text = format!("{}\n", paint(style::STRONG, &clean(&title)));
    let from = from.as_ref().map_or_else(
        || "nothing is known to be in place".to_owned(),
        |from| format!("{} {} ({})", from.change, short(&from.revision), from.promotion),
    );
    let _ = writeln!(text, "  from {}", clean(&from));
    let what = brought(*change, revision.as_deref());
    let to = if what.is_empty() {
        to.clone()
    } else {
        format!("{what} ({to})")
    };
    let _ = writeln!(text, "  to   {}", clean(&to));
    for step in steps {
        text.push_str(&block(step));
    }
    for note in notes {
        let _ = writeln!(text, "  {} {}", paint(style::SET, "note:"), clean(note));
    }
    text
}

fn block(step: &StepBack) -> String {
    let StepBack {
        name,
        kind,
        what,
        known,
        changes,
        runs,
    } = step;
    let mut text = format!("  {}  {}", paint(style::STRONG, &clean(name)), clean(what));
    let stays = match (kind, known, changes.is_empty()) {
        (StepKind::Files, ..) => "  (stands, must still be there)",
        (_, true, true) => "  (stays as it is)",
        (_, false, _) => "  (what is in place is not known)",
        _ => "",
    };
    let _ = writeln!(text, "{}", paint(style::FAINT, stays));
    for change in changes.iter().take(CHANGES) {
        let _ = writeln!(
            text,
            "{}",
            paint(style::SET, &format!("~   {}", clean(&line(change))))
        );
    }
    let beyond = changes.len().saturating_sub(CHANGES);
    if beyond > 0 {
        let _ = writeln!(text, "    and {}", count(beyond, "more change", "more changes"));
    }
    if *runs {
        let _ = writeln!(
            text,
            "{}",
            paint(style::ADD, "+   is run, as its onRollback says")
        );
    }
    text
}

fn line(change: &Difference) -> String {
    let value = |value: &Option<String>| match value {
        None => "nothing".to_owned(),
        Some(text) if text.chars().count() > VALUE => {
            let kept: String = text.chars().take(VALUE).collect();
            format!("{kept}...")
        }
        Some(text) => text.clone(),
    };
    match &change.from {
        Some(_) => format!(
            "{}: {} -> {}",
            change.what,
            value(&change.from),
            value(&change.to)
        ),
        None => format!("{}: {}", change.what, value(&change.to)),
    }
}

#[cfg(test)]
mod tests {
    use lockstep_core::api::promotion_policy::CurrentStatus;

    use super::*;

    fn step(name: &str, kind: StepKind, changes: Vec<Difference>) -> StepBack {
        StepBack {
            name: name.into(),
            kind,
            what: format!("what {name} sets"),
            known: true,
            changes,
            runs: false,
        }
    }

    fn change(what: &str, from: Option<&str>, to: Option<&str>) -> Difference {
        Difference {
            what: what.into(),
            from: from.map(Into::into),
            to: to.map(Into::into),
        }
    }

    fn shown(steps: Vec<StepBack>) -> String {
        let back = WayBack {
            namespace: "ml-fraud".into(),
            policy: "fraud".into(),
            environment: "prod".into(),
            to: "fraud.prod.41.01234567".into(),
            change: Some(41),
            revision: Some("0123456789".into()),
            from: Some(CurrentStatus {
                change: 42,
                revision: "89abcdef01".into(),
                promotion: "fraud.prod.42.89abcdef".into(),
            }),
            steps,
            notes: vec!["the environment is held".into()],
        };
        anstream::adapter::strip_str(&way_back(&back)).to_string()
    }

    #[test]
    fn a_way_back_says_from_where_to_where_and_what_each_step_sets() {
        let runs = StepBack {
            runs: true,
            ..step("smoke", StepKind::Job, vec![])
        };
        let unknown = StepBack {
            known: false,
            ..step(
                "serve",
                StepKind::ServingEndpoint,
                vec![change("version", None, Some("6"))],
            )
        };
        let text = shown(vec![
            step("code", StepKind::Files, vec![]),
            step(
                "model",
                StepKind::ModelAlias,
                vec![change("version", Some("7"), Some("6"))],
            ),
            unknown,
            runs,
        ]);
        assert_eq!(
            text,
            "\
Environment prod of PromotionPolicy ml-fraud/fraud goes back
  from 42 89abcdef (fraud.prod.42.89abcdef)
  to   41 01234567 (fraud.prod.41.01234567)
  code  what code sets  (stands, must still be there)
  model  what model sets
~   version: 7 -> 6
  serve  what serve sets  (what is in place is not known)
~   version: 6
  smoke  what smoke sets  (stays as it is)
+   is run, as its onRollback says
  note: the environment is held
"
        );
    }

    #[test]
    fn many_and_long_changes_are_cut_and_counted() {
        let long = "x".repeat(100);
        let changes = (0..15)
            .map(|at| change(&format!("f{at}"), Some(&long), None))
            .collect();
        let text = shown(vec![step("train", StepKind::Job, changes)]);
        assert!(text.contains("f11: ") && !text.contains("f12: "), "{text}");
        assert!(text.contains("and 3 more changes"), "{text}");
        assert!(
            text.contains(&format!("{}... -> nothing", "x".repeat(60))),
            "{text}"
        );
    }
}
