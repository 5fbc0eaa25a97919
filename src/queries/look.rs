//! Looks at things no binding may have named: the target somebody asks about, the groups on it, and everybody's
//! accounts.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use lockstep_core::api::AccessBinding;
use lockstep_core::domain::access::declared::claim_words;
use lockstep_core::domain::access::grant::{Principal, PrincipalKind, System, Target};
use lockstep_core::domain::access::inventory::Inventory;
use lockstep_core::domain::access::observed::{Located, Named};
use lockstep_core::domain::access::pins;
use lockstep_core::domain::plan::Problem;
use lockstep_core::domain::ports::{AccessSystem, ConnectionKey, SystemError};

use super::survey::Survey;
use crate::controllers::Context;

/// Groups nest no deeper than this in either system.
const NESTING: usize = 10;

/// Connections and the systems each reaches.
pub type Reached = [(ConnectionKey, Vec<System>)];

/// Whoever answers for systems.
pub struct Looker<'a> {
    pub context: &'a Context,
    pub reached: &'a Reached,
    pub fresh: Timestamp,
}

impl Looker<'_> {
    async fn open(&self, system: &System) -> Result<Arc<dyn AccessSystem>, SystemError> {
        let mut last = None;
        for (key, _) in self
            .reached
            .iter()
            .filter(|(_, systems)| systems.contains(system))
        {
            match self.context.systems.open(key).await {
                Ok(found) => return Ok(found),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            SystemError::new(
                system.to_string(),
                lockstep_core::domain::ports::SystemErrorKind::NotFound,
                "no connection in sight reaches it",
            )
        }))
    }

    /// What words mean, each of them asked; what is nowhere is left out.
    pub async fn locate(&self, survey: &mut Survey, meanings: &[Named]) -> Vec<Target> {
        let mut found = Vec::new();
        for named in meanings {
            let answer = match named {
                Named::Plain(target) => Ok(Located::At(target.clone())),
                named => match self.open(&named.system()).await {
                    Ok(adapter) => adapter.locate(named, self.fresh).await,
                    Err(error) => Err(error),
                },
            };
            match answer {
                Ok(Located::At(target)) => found.push(target),
                Ok(Located::Ambiguous(several)) => found.extend(several),
                Ok(Located::Absent) => {}
                Err(error) => fail(survey, named.label(), error),
            }
        }
        found
    }

    /// Observes these targets, the groups that hold something there, and the groups in those.
    pub async fn observe(&self, survey: &mut Survey, targets: Vec<Target>) {
        let mut next: BTreeSet<Target> = targets.into_iter().collect();
        for _ in 0..=NESTING {
            let mut groups = Vec::new();
            for target in std::mem::take(&mut next) {
                if !survey.observed.contains_key(&target) {
                    match self.read(&target).await {
                        Ok(observed) => {
                            survey.observed.insert(target.clone(), observed);
                        }
                        Err(error) => fail(survey, target.label(), error),
                    }
                }
                for (principal, _) in survey.observed.get(&target).iter().flat_map(|seen| &seen.rows) {
                    if principal.kind == PrincipalKind::Group {
                        groups.push((target.system(), principal.clone()));
                    }
                }
            }
            for (system, principal) in groups {
                next.extend(self.group(survey, &system, &principal).await);
            }
            next.retain(|target| !survey.observed.contains_key(target));
            if next.is_empty() {
                break;
            }
        }
    }

    async fn read(
        &self,
        target: &Target,
    ) -> Result<Arc<lockstep_core::domain::access::observed::Observed>, SystemError> {
        self.open(&target.system())
            .await?
            .observe(target, self.fresh)
            .await
    }

    /// Where a group that holds something lives: in the same system, or in the account behind it.
    async fn group(&self, survey: &mut Survey, system: &System, principal: &Principal) -> Option<Target> {
        if let System::Gerrit(server) = system {
            // Groups that Gerrit itself makes up have members that nobody can list.
            let made_up = principal.subject.contains(':');
            return (!made_up).then(|| Target::GerritGroup {
                server: server.clone(),
                uuid: principal.subject.clone(),
            });
        }
        let mut homes: Vec<System> = self
            .reached
            .iter()
            .filter(|(_, systems)| systems.contains(system))
            .flat_map(|(_, systems)| systems.iter().cloned())
            .filter(|home| matches!(home, System::Account(_)) || home == system)
            .filter(|home| !matches!(home, System::Metastore(_)))
            .collect();
        homes.sort();
        homes.dedup();
        let meanings: Vec<Named> = homes
            .into_iter()
            .map(|system| Named::Group {
                system,
                name: principal.subject.clone(),
            })
            .collect();
        let mut found = self.locate(survey, &meanings).await;
        // The account's group comes first: a workspace shows it under its own id as well.
        found.sort_by_key(|target| !matches!(target.system(), System::Account(_)));
        found.into_iter().next()
    }

    /// Everybody in every system in sight.
    pub async fn directories(&self, survey: &mut Survey) {
        let systems: BTreeSet<&System> = self.reached.iter().flat_map(|(_, systems)| systems).collect();
        for system in systems {
            if matches!(system, System::Metastore(_)) || survey.directories.contains_key(system) {
                continue;
            }
            let answer = match self.open(system).await {
                Ok(adapter) => adapter.directory(system, self.fresh).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(directory) => {
                    survey.directories.insert(system.clone(), directory);
                }
                Err(error) => fail(survey, format!("people of {system}"), error),
            }
        }
    }
}

fn fail(survey: &mut Survey, label: String, error: SystemError) {
    let problem = Problem {
        label: label.clone(),
        reason: Some(error.reason()),
        message: error.to_string(),
    };
    survey.unread.insert(label, problem);
}

/// Bindings that may have to do with what was seen: by their words, by what they hold, by what their names meant.
pub fn concerned(survey: &Survey, context: &Context, meanings: &[Named]) -> Vec<Arc<AccessBinding>> {
    let mut words = BTreeSet::new();
    let mut everybody = false;
    for target in survey.observed.keys() {
        match target {
            Target::GerritRef {
                project, ref_name, ..
            } => {
                words.insert(format!("ref {project} {ref_name}"));
            }
            Target::Securable { kind, name, .. } => {
                words.insert(format!("{kind} {}", name.to_lowercase()));
            }
            Target::Roles { application_id, .. } => {
                words.insert(format!("servicePrincipal {}", application_id.to_lowercase()));
            }
            Target::Object { kind, .. } => {
                words.insert(format!("{kind} by id"));
            }
            // Every binding of the workspace gives something there.
            Target::Workspace { .. } => everybody = true,
            Target::GerritGroup { .. } | Target::Group { .. } | Target::NewGroup { .. } => {}
        }
    }
    words.extend(meanings.iter().filter_map(|named| match named {
        Named::Object {
            kind,
            name: lockstep_core::api::objects::ObjectName::Name(name),
            ..
        } => Some(format!("{kind} {name}")),
        _ => None,
    }));
    let groups = survey.observed.values().filter_map(|seen| seen.group.as_ref());
    words.extend(groups.map(|group| format!("group {}", group.name.to_lowercase())));
    let means: BTreeSet<String> = survey.observed.keys().map(ToString::to_string).collect();
    let mut found = context.cluster.bindings();
    found.retain(|binding| {
        let status = binding.status.clone().unwrap_or_default();
        everybody
            || !claim_words(&binding.spec).is_disjoint(&words)
            || pins::read(status.pins.as_deref().unwrap_or_default())
                .iter()
                .any(|pin| means.contains(&pin.means))
            || Inventory::read(status.inventory.as_deref().unwrap_or_default())
                .0
                .targets()
                .iter()
                .any(|target| survey.observed.contains_key(target))
    });
    found.sort_by_key(|binding| (binding.namespace(), binding.name_any()));
    found
}
