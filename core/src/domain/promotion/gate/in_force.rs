//! The gate in force: what judges the changes of one environment until a person says yes to something weaker. Whatever
//! is not known to be at least as strict counts as weaker, so that nothing that would have been found goes unfound
//! because somebody edited a policy.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::people::AccountId;
use super::range::BaselineKey;
use super::rules::{Agents, Approval, GovernedLabel, Rules, Upstream};
use crate::api::promotion_policy::OnUnexplained;
use crate::api::windows::{WindowText, WindowTexts};
use crate::domain::defaults;

/// Everything of an environment that decides whether a change may run there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InForce {
    /// The branch, and where it leads to.
    pub place: BaselineKey,
    pub rules: Rules,
    /// Left out where there are none: an object without any field is taken for null when it is applied over one that had
    /// some (kube-apiserver 1.37.2).
    #[serde(default, skip_serializing_if = "is_always")]
    pub windows: WindowTexts,
    pub on_unexplained: OnUnexplained,
}

fn is_always(windows: &WindowTexts) -> bool {
    let WindowTexts { allow, deny } = windows;
    allow.is_none() && deny.is_none()
}

impl InForce {
    /// Names exactly this gate.
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(b"lockstep-gate-v1\n");
        hash.update(json);
        format!("sha256:{}", hex::encode(hash.finalize()))
    }
}

/// One way in which a gate is weaker than the one in force, or not known to be as strict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weakening {
    /// As in the spec.
    pub field: &'static str,
    pub from: String,
    pub to: String,
}

impl fmt::Display for Weakening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, from, to } = self;
        write!(f, "{field}: {from} -> {to}")
    }
}

/// In what the new gate is weaker than the old one. Empty: whatever passes the new one passes the old one too.
pub fn weakens(old: &InForce, new: &InForce) -> Vec<Weakening> {
    let InForce {
        place,
        rules,
        windows,
        on_unexplained,
    } = old;
    let mut found = Found::default();
    found.unless(*place == new.place, "environments[].branch", place, &new.place);
    found.rules(rules, &new.rules);
    found.windows(windows, &new.windows);
    let reports = *on_unexplained == OnUnexplained::Hold && new.on_unexplained != OnUnexplained::Hold;
    found.unless(
        !reports,
        "environments[].onUnexplained",
        format_args!("{on_unexplained:?}"),
        format_args!("{:?}", new.on_unexplained),
    );
    found.0
}

#[derive(Default)]
struct Found(Vec<Weakening>);

impl Found {
    fn unless(
        &mut self,
        as_strict: bool,
        field: &'static str,
        from: impl fmt::Display,
        to: impl fmt::Display,
    ) {
        if !as_strict {
            self.0.push(Weakening {
                field,
                from: from.to_string(),
                to: to.to_string(),
            });
        }
    }

    fn rules(&mut self, old: &Rules, new: &Rules) {
        let Rules {
            project,
            branch,
            environment: _,
            approval,
            verification,
            labels,
            required,
            allow_overridden,
            agents,
            trusted_automation: _,
            requires,
        } = old;
        self.unless(*project == new.project, "gerrit.project", project, &new.project);
        self.unless(
            *branch == new.branch,
            "environments[].branch",
            branch,
            &new.branch,
        );
        self.approval(approval, old.approvals(), new);
        let asked = |rules: &Rules| {
            rules.verification.as_ref().map_or_else(
                || "nobody".to_owned(),
                |asked| format!("label {} by {} ({})", asked.label, asked.group_name, asked.group),
            )
        };
        // A gate without passes nothing, so one that comes to it lets pass what did not.
        let same = new.verification.is_none() || *verification == new.verification;
        self.unless(
            same && new.verification.is_some() == verification.is_some(),
            "gate.verification",
            asked(old),
            asked(new),
        );
        for (label, definition) in labels {
            let theirs = new.labels.get(label);
            let as_strict = theirs.is_some_and(|theirs| {
                (theirs.min, theirs.max) == (definition.min, definition.max)
                    && theirs.functions.is_subset(&definition.functions)
            });
            let to = theirs.map_or_else(
                || format!("label {label} not governed"),
                |theirs| defined(label, theirs),
            );
            self.unless(as_strict, "labels in Gerrit", defined(label, definition), to);
        }
        self.unless(
            new.required.is_superset(required),
            "submit requirements in Gerrit",
            list(required),
            list(&new.required),
        );
        self.unless(
            new.allow_overridden.is_subset(allow_overridden),
            "gate.allowOverridden",
            list(allow_overridden),
            list(&new.allow_overridden),
        );
        self.agents(agents, &new.agents);
        self.trusted(old, new);
        self.requires(requires, &new.requires);
    }

    fn approval(&mut self, old: &Approval, needs: usize, new: &Rules) {
        let Approval {
            label,
            count: _,
            group,
            group_name,
        } = old;
        let theirs = &new.approval;
        self.unless(
            *label == theirs.label,
            "gate.approval.label",
            label,
            &theirs.label,
        );
        self.unless(
            new.approvals() >= needs,
            "gate.approval.count",
            needs,
            new.approvals(),
        );
        self.unless(
            (group, group_name) == (&theirs.group, &theirs.group_name),
            "gate.approval.group",
            format_args!("{group_name} ({group})"),
            format_args!("{} ({})", theirs.group_name, theirs.group),
        );
    }

    fn agents(&mut self, old: &Agents, new: &Agents) {
        let Agents {
            identities,
            footers,
            requester_footer,
            count,
        } = old;
        for identity in identities {
            let sponsors = |sponsors: Option<&super::people::GroupUuid>| {
                sponsors.map_or_else(String::new, |sponsors| format!(" with sponsors {sponsors}"))
            };
            let kept = new.identities.iter().any(|theirs| {
                theirs.group == identity.group
                    && (identity.sponsors.is_none() || theirs.sponsors == identity.sponsors)
            });
            self.unless(
                kept,
                "gate.agents.identities",
                format_args!("{}{}", identity.group, sponsors(identity.sponsors.as_ref())),
                "not so",
            );
        }
        for footer in footers {
            let kept = new
                .footers
                .iter()
                .any(|theirs| theirs.eq_ignore_ascii_case(footer));
            self.unless(kept, "gate.agents.footers", footer, "not named");
        }
        let named = |footer: &Option<String>| footer.clone().unwrap_or_else(|| "none".to_owned());
        // It says both whose votes do not count and which sponsors' votes do.
        self.unless(
            *requester_footer == new.requester_footer,
            "gate.agents.requesterFooter",
            named(requester_footer),
            named(&new.requester_footer),
        );
        self.unless(
            new.count.max(1) >= (*count).max(1),
            "gate.agents.count",
            count,
            new.count,
        );
    }

    /// Each file that is trusted to an account must have been, by the very same pattern.
    fn trusted(&mut self, old: &Rules, new: &Rules) {
        let pairs = |rules: &Rules| -> BTreeSet<(AccountId, String)> {
            let of = |trusted: &super::rules::TrustedAutomation| {
                let account = trusted.account;
                trusted
                    .paths
                    .iter()
                    .map(move |path| (account, path.clone()))
                    .collect::<Vec<_>>()
            };
            rules.trusted_automation.iter().flat_map(of).collect()
        };
        let known = pairs(old);
        for (account, path) in pairs(new).difference(&known) {
            self.unless(
                false,
                "gate.trustedAutomation",
                "not trusted",
                format_args!("{account} with {path}"),
            );
        }
    }

    fn requires(&mut self, old: &[Upstream], new: &[Upstream]) {
        for Upstream { environment, soak } in old {
            let theirs = new.iter().filter(|theirs| theirs.environment == *environment);
            let longest = theirs.map(|theirs| theirs.soak).max();
            let to = longest.map_or_else(
                || format!("{environment} not required"),
                |soak| format!("{environment} for {soak}s"),
            );
            self.unless(
                longest.is_some_and(|theirs| theirs >= *soak),
                "environments[].requires",
                format_args!("{environment} for {soak}s"),
                to,
            );
        }
    }

    fn windows(&mut self, old: &WindowTexts, new: &WindowTexts) {
        let (allow, theirs) = (windows(old.allow.as_ref()), windows(new.allow.as_ref()));
        // None allowed means always.
        let narrower = theirs
            .iter()
            .all(|theirs| allow.iter().any(|window| theirs.is_within(window)));
        self.unless(
            allow.is_empty() || (!theirs.is_empty() && narrower),
            "environments[].windows.allow",
            shown(&allow, "always"),
            shown(&theirs, "always"),
        );
        let (deny, theirs) = (windows(old.deny.as_ref()), windows(new.deny.as_ref()));
        let kept = deny
            .iter()
            .all(|window| theirs.iter().any(|theirs| window.is_within(theirs)));
        self.unless(
            kept,
            "environments[].windows.deny",
            shown(&deny, "never"),
            shown(&theirs, "never"),
        );
    }
}

fn defined(label: &str, definition: &GovernedLabel) -> String {
    let GovernedLabel { min, max, functions } = definition;
    format!("label {label} from {min} to {max}, {}", list(functions))
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// One window, with what is unset resolved.
struct Window<'a> {
    start: &'a str,
    zone: &'a str,
    /// Seconds; `None`: unreadable, and then within nothing.
    length: Option<u64>,
    text: &'a WindowText,
}

impl<'a> Window<'a> {
    fn of(text: &'a WindowText) -> Self {
        let WindowText {
            start,
            duration,
            time_zone,
        } = text;
        Self {
            start,
            zone: time_zone.as_deref().unwrap_or(defaults::TIME_ZONE),
            length: duration.seconds().ok(),
            text,
        }
    }

    /// Whether it opens when the other does, and for no longer.
    fn is_within(&self, other: &Window<'_>) -> bool {
        (self.start, self.zone) == (other.start, other.zone)
            && self
                .length
                .zip(other.length)
                .is_some_and(|(own, other)| own <= other)
    }
}

fn windows(texts: Option<&Vec<WindowText>>) -> Vec<Window<'_>> {
    texts.into_iter().flatten().map(Window::of).collect()
}

fn shown(windows: &[Window<'_>], none: &str) -> String {
    if windows.is_empty() {
        return none.to_owned();
    }
    let one =
        |window: &Window<'_>| format!("{} for {} {}", window.start, window.text.duration.0, window.zone);
    windows.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What judges from now on, and what waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    pub in_force: InForce,
    /// What adopting the declared gate would weaken; empty: it is in force, or nothing of it waits.
    pub weakens: Vec<Weakening>,
}

/// What becomes of a declared gate. What labels and requirements of Gerrit meant when it was taken over stays governed
/// while the rest of it may become stricter.
pub fn decide(before: Option<&InForce>, declared: &InForce) -> Decided {
    let Some(before) = before else {
        return Decided {
            in_force: declared.clone(),
            weakens: Vec::new(),
        };
    };
    let mut kept = declared.clone();
    for (label, definition) in &before.rules.labels {
        if let Some(known) = kept.rules.labels.get_mut(label) {
            known.clone_from(definition);
        }
    }
    kept.rules.required.extend(before.rules.required.iter().cloned());
    let in_force = if weakens(before, &kept).is_empty() {
        kept
    } else {
        before.clone()
    };
    let weakens = weakens(&in_force, declared);
    Decided { in_force, weakens }
}
