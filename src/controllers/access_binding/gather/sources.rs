//! Who the members are: what is written by hand, and the members of groups that are named as sources.

use std::collections::BTreeSet;

use lockstep_core::api::access_binding::Member;
use lockstep_core::api::condition::Reason;
use lockstep_core::domain::access::declared::Declared;
use lockstep_core::domain::access::directory::Directory;
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, Privilege, System};
use lockstep_core::domain::access::observed::{Located, Named};
use lockstep_core::domain::access::people::Who;
use lockstep_core::domain::defaults;
use lockstep_core::domain::plan::Problem;
use lockstep_core::domain::ports::{ConnectionKey, ConnectionKind, SystemError};

use super::connections::facts;
use super::reader::Reader;

/// Databricks nests groups ten deep at most (vendor's limits page).
const NESTING: usize = 10;

/// Why a source could not be read.
struct Unread {
    problem: Problem,
    /// What its system answered, if it was asked.
    error: Option<SystemError>,
}

/// The team, as far as it could be read.
pub(super) struct Team {
    pub(super) people: Vec<Who>,
    /// Sources that could not be read, or may not be.
    pub(super) broken: Vec<Problem>,
    /// A source that yields nobody.
    pub(super) empty: Option<String>,
    /// What their systems answered, for those who come back because of it.
    pub(super) errors: Vec<SystemError>,
}

impl Team {
    /// The people, as far as they count: while a source cannot be read nobody comes and nobody goes, so the groups of
    /// the declaration are left alone.
    pub(super) fn declared_in(self, declared: &mut Declared) -> Vec<Who> {
        let Self {
            people,
            broken,
            empty: _,
            errors: _,
        } = self;
        if !broken.is_empty() {
            let groups = declared.groups.drain(..).map(|group| group.named);
            declared.frozen.extend(groups);
            declared.problems.extend(broken);
        }
        people
    }
}

impl Reader<'_> {
    /// Who the members are, group sources read.
    pub(super) async fn team(&mut self, members: &[Member], namespace: &str) -> Team {
        let mut team = Team {
            people: Vec::new(),
            broken: Vec::new(),
            empty: None,
            errors: Vec::new(),
        };
        for member in members {
            let (kind, reference, name) = match member {
                Member::GerritGroup { connection_ref, name } => {
                    (ConnectionKind::Gerrit, connection_ref, name)
                }
                Member::DatabricksGroup { connection_ref, name } => {
                    (ConnectionKind::Databricks, connection_ref, name)
                }
                written => {
                    team.people.extend(Who::written(written));
                    continue;
                }
            };
            let connection = defaults::connection(kind, reference, namespace);
            match self.source(&connection, name, namespace).await {
                Ok(people) if people.is_empty() => {
                    team.empty = Some(format!("member source {name:?} of {connection}"))
                }
                Ok(people) => team.people.extend(people),
                Err(Unread { problem, error }) => {
                    team.broken.push(problem);
                    team.errors.extend(error);
                }
            }
        }
        let mut seen = BTreeSet::new();
        team.people.retain(|who| seen.insert(who.clone()));
        team
    }

    async fn source(
        &self,
        connection: &ConnectionKey,
        name: &str,
        namespace: &str,
    ) -> Result<Vec<Who>, Unread> {
        let unasked = |problem| Unread { problem, error: None };
        let facts = facts(&*self.context.cluster, connection, namespace).map_err(unasked)?;
        let label = format!("member source {name:?} of {connection}");
        let refuse = |reason, message: String| {
            unasked(Problem {
                label: label.clone(),
                reason: Some(reason),
                message,
            })
        };
        let Some(tenancy) = &facts.tenancy else {
            return Err(refuse(
                Reason::NotAllowed,
                format!("{connection} has no tenant entry for this namespace"),
            ));
        };
        tenancy
            .group(name)
            .map_err(|refusal| refuse(refusal.reason, refusal.message))?;
        // Groups of the account where there is one: it is where people are.
        let system = facts
            .gerrit
            .map(System::Gerrit)
            .or(facts.account.map(System::Account))
            .or(facts.workspace.map(System::Workspace))
            .ok_or_else(|| refuse(Reason::DependencyNotReady, "its system is not known yet".into()))?;
        let failed = |error: SystemError| Unread {
            error: Some(error.clone()),
            ..refuse(error.reason(), error.message)
        };
        // By the source's own connection: what it may see there is all that may be read of it, and whatever it says
        // of people is nothing but who belongs to this group.
        let adapter = self.context.systems.open(connection).await.map_err(failed)?;
        let directory = adapter.directory(&system, self.people).await.map_err(failed)?;
        let mut people = BTreeSet::new();
        let mut groups = vec![name.to_owned()];
        let mut visited = BTreeSet::new();
        for _ in 0..NESTING {
            let mut nested = Vec::new();
            for group in groups.drain(..) {
                if !visited.insert(group.clone()) {
                    continue;
                }
                let named = Named::Group {
                    system: system.clone(),
                    name: group.clone(),
                };
                let target = match adapter.locate(&named, self.fresh).await.map_err(failed)? {
                    Located::At(target) => target,
                    Located::Absent => {
                        return Err(refuse(
                            Reason::NotFound,
                            format!("there is no group {group:?} in {system}"),
                        ));
                    }
                    Located::Ambiguous(_) => {
                        return Err(refuse(
                            Reason::Ambiguous,
                            format!("several groups are called {group:?}"),
                        ));
                    }
                };
                let observed = adapter.observe(&target, self.fresh).await.map_err(failed)?;
                if !observed.present {
                    // Listed a moment ago and gone now: whoever is in it is not known.
                    return Err(refuse(
                        Reason::NotFound,
                        format!("group {group:?} of {system} is listed and cannot be read"),
                    ));
                }
                for (principal, privilege) in &observed.rows {
                    match (principal.kind, privilege) {
                        (PrincipalKind::Group, Privilege::Member) => nested.push(principal.name.clone()),
                        (_, Privilege::Member) => {
                            people.extend(
                                found(&system, principal, &directory)
                                    .map_err(|message| refuse(Reason::DependencyNotReady, message))?,
                            );
                        }
                        _ => {}
                    }
                }
            }
            groups = nested;
        }
        Ok(people.into_iter().collect())
    }
}

/// A member of a source; `None`: deactivated there, which counts as removed everywhere. One whom the directory does
/// not know is in no state to be judged: a listing that lacks somebody must not take away what they have elsewhere.
fn found(system: &System, principal: &Principal, directory: &Directory) -> Result<Option<Who>, String> {
    let account = directory
        .get(principal)
        .ok_or_else(|| format!("member {} is not among the people of {system}", principal.name))?;
    Ok(account.active.then(|| Who::Found {
        system: system.clone(),
        principal: principal.clone(),
        email: account.emails.first().cloned(),
    }))
}
