//! A plan as people read it: one block per binding, one line per effect, and what stands in the way.

use std::fmt::Write as _;

use lockstep_core::api::reference::Mode;
use lockstep_core::domain::plan::Risk;

use super::output::{clean, count, paint, style};
use super::plan::Plans;
use crate::queries::difference::{Difference, Line, Sign};

/// Most names that are written out; the rest is a number.
const NAMES: usize = 8;

/// All plans, and the sum.
pub(super) fn plans(plans: &Plans) -> String {
    let mut text = String::new();
    for plan in &plans.bindings {
        text.push_str(&block(plan));
        text.push('\n');
    }
    let Plans {
        differs,
        add,
        set,
        remove,
        blocked,
        bindings,
    } = plans;
    let sum = if bindings.is_empty() {
        "There are no bindings here.".to_owned()
    } else if !*differs && bindings.iter().any(|plan| !plan.problems.is_empty()) {
        "Nothing else would change, but the problems above keep the plan from being whole.".to_owned()
    } else if *differs {
        let waiting = if *blocked > 0 {
            format!("; {blocked} of them wait for an approval")
        } else {
            String::new()
        };
        format!("Plan: {add} to add, {set} to set, {remove} to remove{waiting}.")
    } else {
        "No changes: Gerrit and Databricks are as declared.".to_owned()
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", paint(style::STRONG, &sum));
    text
}

/// One binding.
pub(super) fn block(plan: &Difference) -> String {
    let mut text = format!(
        "{} {}\n",
        paint(
            style::STRONG,
            &clean(&format!("AccessBinding {}/{}", plan.namespace, plan.name))
        ),
        paint(style::FAINT, &format!("({})", state(plan).join(", ")))
    );
    text.push_str(&effects(&plan.changes));
    if !plan.changes.is_empty() {
        let _ = writeln!(text, "  {}", risk(&plan.risk));
    }
    let mut say = |what: &str, words: &str| {
        let _ = writeln!(text, "  {} {}", paint(style::SET, what), clean(words));
    };
    if let Some(blocked) = &plan.blocked {
        for held in &blocked.targets {
            for brake in &held.why {
                say("blocked:", &format!("{:?}: {}", brake.rule, brake.message));
            }
        }
        say("release:", &release(plan, &blocked.digest.0));
    }
    if let Some(abandon) = &plan.abandon {
        say(
            "unreachable:",
            "no connection reaches what is still held; bring one back, or leave this behind:",
        );
        say("release:", &release(plan, &abandon.digest.0));
    }
    if let Some(approval) = &plan.approved_by {
        say(
            "approved:",
            &format!("PlanApproval {approval} releases what a brake held"),
        );
    }
    for why in &plan.not_released {
        say("not released:", why);
    }
    for conflict in &plan.conflicts {
        say("conflict:", &format!("{}: {}", conflict.label, conflict.message));
    }
    for problem in &plan.problems {
        let reason = problem.reason.as_ref().map(|reason| format!(" ({reason})"));
        say(
            "problem:",
            &format!(
                "{}: {}{}",
                problem.label,
                problem.message,
                reason.unwrap_or_default()
            ),
        );
    }
    for missing in &plan.unresolved {
        say(
            "unresolved:",
            &format!("{} in {}: {}", missing.who, missing.system, missing.reason),
        );
    }
    for foreign in &plan.foreign {
        say(
            "foreign, stays:",
            &format!("{}: {} {}", foreign.label, foreign.who, foreign.what),
        );
    }
    for target in &plan.confirming {
        say("confirming:", target);
    }
    if let Some(abandon) = &plan.abandon {
        text.push_str(&effects(&abandon.changes));
    }
    text
}

fn state(plan: &Difference) -> Vec<&'static str> {
    let mut state = vec![match plan.mode {
        Mode::Observe => "observes: shown, not done",
        Mode::Enforce => "enforces",
    }];
    if plan.suspended {
        state.push("suspended: nothing is done until it is resumed");
    }
    if plan.deleting {
        state.push("being deleted");
    }
    if !plan.applied {
        state.push("not applied yet");
    }
    if plan.changes.is_empty() && plan.abandon.is_none() {
        state.push("no changes");
    }
    state
}

fn release(plan: &Difference, digest: &str) -> String {
    format!(
        "lockstep approve accessbinding/{} -n {}   (digest {digest})",
        plan.name, plan.namespace
    )
}

/// Lines under the label of their target; signs stand first, so that they can be looked for.
pub(super) fn effects(lines: &[Line]) -> String {
    let mut text = String::new();
    let mut last: Option<&str> = None;
    for line in lines {
        if last != Some(&line.target) {
            let _ = writeln!(text, "  {}", clean(&line.label));
            last = Some(&line.target);
        }
        let (sign, colour) = match line.sign {
            Sign::Add => ("+", style::ADD),
            Sign::Remove => ("-", style::REMOVE),
            Sign::Set => ("~", style::SET),
        };
        let who = line.who.as_ref().map(|who| format!("{who} "));
        let waits = if line.blocked { "  (blocked)" } else { "" };
        let words = clean(&format!("{}{}{waits}", who.unwrap_or_default(), line.what));
        let _ = writeln!(text, "{}", paint(colour, &format!("{sign}   {words}")));
    }
    text
}

/// What is at stake, in people.
pub(super) fn risk(risk: &Risk) -> String {
    let side = |people: &std::collections::BTreeSet<String>, verb: &str| {
        if people.is_empty() {
            return format!("nobody {verb}s");
        }
        let shown: Vec<String> = people.iter().take(NAMES).map(|name| clean(name)).collect();
        let more = match people.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let verb = if people.len() == 1 {
            format!("{verb}s")
        } else {
            verb.to_owned()
        };
        format!(
            "{} {verb}: {}{more}",
            count(people.len(), "person", "people"),
            shown.join(", ")
        )
    };
    let (gaining, losing) = (side(&risk.gaining, "gain"), side(&risk.losing, "lose"));
    format!("{gaining}; {losing}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn risk_is_told_in_people() {
        let people = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let told = risk(&Risk {
            gaining: people(&["ada@x", "ben@x"]),
            losing: people(&[]),
            ..Risk::default()
        });
        assert_eq!(told, "2 people gain: ada@x, ben@x; nobody loses");
        let told = risk(&Risk {
            gaining: people(&[]),
            losing: people(&["cy@x"]),
            ..Risk::default()
        });
        assert_eq!(told, "nobody gains; 1 person loses: cy@x");
    }
}
