//! What a machine wrote needs more people, and not only the person who set the machine to work.

use std::collections::BTreeSet;

use super::super::Case;
use super::super::evidence::Evidence;
use super::super::finding::{Finding, FindingKind};
use super::super::people::{AccountId, Email, Person};
use super::weigh::{Weighed, approvals, contributors, distinct, is_in};
use crate::domain::promotion::paths;

pub fn agent_needs_humans(case: &Case<'_>) -> Option<Finding> {
    let signs = signs(case);
    if signs.is_empty() {
        return None;
    }
    let weighed = approvals(case);
    let mut set_aside = Vec::new();
    let counting: Vec<&Weighed<'_>> = weighed
        .iter()
        .filter(|vote| vote.objections.is_empty())
        .filter(|vote| match may_have_asked(case, vote) {
            None => true,
            Some(why) => {
                set_aside.push(why);
                false
            }
        })
        .collect();
    let has = distinct(counting);
    let needs = usize::try_from(case.rules.agents.count)
        .unwrap_or(usize::MAX)
        .max(1);
    if has >= needs {
        return None;
    }
    let mut message = format!(
        "{} has {has} of the {needs} human approvals that it needs because {}",
        case.change.number,
        signs.join(" and ")
    );
    if !set_aside.is_empty() {
        message = format!("{message}; {}", set_aside.join("; "));
    }
    Some(Finding::new(FindingKind::AgentNeedsHumans, message))
}

/// What says that a machine wrote it.
fn signs(case: &Case<'_>) -> Vec<String> {
    let change = case.change;
    let mut signs = BTreeSet::new();
    let agents = &case.rules.agents;
    match &change.footers {
        None => {
            signs.insert("its footers could not be read".to_owned());
        }
        Some(footers) => {
            for footer in footers {
                if agents
                    .footers
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(&footer.key))
                {
                    signs.insert(format!("footer {}: {}", footer.key, footer.value));
                }
            }
        }
    }
    match contributors(change) {
        Err(unknown) => {
            signs.insert(unknown);
        }
        Ok(contributors) => {
            for (person, part) in contributors {
                for account in &person.accounts {
                    signs.extend(agent(case, *account, &part));
                }
            }
        }
    }
    signs.extend(untrusted_service_users(case));
    signs.into_iter().collect()
}

/// Whether the account is one of the policy's agents, or could be.
fn agent(case: &Case<'_>, account: AccountId, part: &str) -> Option<String> {
    let who = case.change.people.name(account);
    case.rules.agents.identities.iter().find_map(|identity| {
        match is_in(case.change, &identity.group, account) {
            Ok(true) => Some(format!("{who}, an agent, {part}")),
            Ok(false) => None,
            Err(unknown) => Some(unknown),
        }
    })
}

/// Owners and uploaders that are service users and not trusted with these files.
fn untrusted_service_users(case: &Case<'_>) -> BTreeSet<String> {
    let change = case.change;
    let uploaders = change
        .patch_sets
        .values()
        .filter(|set| !set.by_submit)
        .flat_map(|set| [set.uploader, set.real_uploader])
        .flatten();
    std::iter::once(change.owner)
        .chain(uploaders)
        .filter_map(|account| match change.people.accounts.get(&account) {
            None => Some(format!("{account} is unknown")),
            Some(known) if known.service_user && !is_trusted(case, account) => Some(format!(
                "{}, a service user that trustedAutomation does not name for all of these files, brought it",
                change.people.name(account)
            )),
            Some(_) => None,
        })
        .collect()
}

fn is_trusted(case: &Case<'_>, account: AccountId) -> bool {
    let Some(touched) = &case.change.paths else {
        return false;
    };
    let patterns: Vec<&str> = case
        .rules
        .trusted_automation
        .iter()
        .filter(|trusted| trusted.account == account)
        .flat_map(|trusted| &trusted.paths)
        .map(String::as_str)
        .collect();
    touched
        .iter()
        .all(|path| patterns.iter().any(|pattern| paths::matches(pattern, path)))
        && !patterns.is_empty()
}

/// Why a sponsor's vote may be the requester's own; `None`: it counts.
fn may_have_asked(case: &Case<'_>, weighed: &Weighed<'_>) -> Option<String> {
    let change = case.change;
    let account = weighed.vote.account;
    let who = || change.people.name(account);
    let requesters = requesters(case, change);
    if requesters.iter().any(|requester| requester.is(&weighed.voter)) {
        return Some(format!("{} asked for it", who()));
    }
    let involved = case.rules.agents.identities.iter();
    for sponsors in involved.filter_map(|identity| identity.sponsors.as_ref()) {
        match is_in(change, sponsors, account) {
            Ok(false) => {}
            Ok(true) if !requesters.is_empty() => {}
            Ok(true) => {
                let footer = case.rules.agents.requester_footer.as_deref();
                return Some(format!(
                    "{} is a sponsor of agents and may have asked for it: {}",
                    who(),
                    footer.map_or_else(
                        || "set gate.agents.requesterFooter".to_owned(),
                        |footer| format!("a footer {footer} must name who did")
                    )
                ));
            }
            Err(unknown) => return Some(unknown),
        }
    }
    None
}

/// Whom the requester footer names.
fn requesters(case: &Case<'_>, change: &Evidence) -> Vec<Person> {
    let Some(key) = &case.rules.agents.requester_footer else {
        return Vec::new();
    };
    change
        .footers
        .iter()
        .flatten()
        .filter(|footer| footer.key.eq_ignore_ascii_case(key))
        .filter_map(|footer| address(&footer.value))
        .map(|email| change.people.writing_as(&email))
        // An address that belongs to nobody here could be anybody's.
        .filter(|person| !person.accounts.is_empty())
        .collect()
}

/// The address in `Ada <ada@example.com>` or `ada@example.com`.
fn address(value: &str) -> Option<Email> {
    let inner = value
        .rsplit_once('<')
        .map_or(value, |(_, rest)| rest.split('>').next().unwrap_or(rest))
        .trim();
    inner.contains('@').then(|| Email::from(inner))
}
