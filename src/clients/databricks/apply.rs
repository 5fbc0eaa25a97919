//! Writing changes: who answers for a target, and which readings are void afterwards.

use std::sync::Arc;

use jiff::Timestamp;
use lockstep_core::domain::access::grant::{System, Target};
use lockstep_core::domain::plan::Change;
use lockstep_core::domain::ports::SystemError;

use super::acl::Object;
use super::catalog::Securable;
use super::roles::Roles;
use super::system::Inner;
use super::workspace::{Door, Hall};

impl Inner {
    pub async fn apply_one(self: &Arc<Self>, change: &Change) -> Result<Target, SystemError> {
        let target = &change.target;
        let system = target.system();
        let side = self.side(&system).await?;
        let who = || change.add.iter().chain(&change.remove).map(|(who, _)| who);
        match target {
            Target::Group { .. } | Target::NewGroup { .. } => return side.apply(&system, change).await,
            Target::Workspace { .. } => self.apply_workspace(&system, change).await?,
            Target::Object { kind, id, .. } => {
                let facts = self.facts().await?;
                // With ourselves among them, so that everybody on the list can be told apart.
                let people = side.people_for(&system, who().chain([&facts.me])).await?;
                let object = Object {
                    plane: &side.plane,
                    people: &people,
                    kind,
                    id,
                    me: &facts.me,
                    admin: facts.admin,
                };
                let done = object.apply(change).await;
                self.objects.stain(&target.to_string());
                done?;
            }
            Target::Securable { kind, name, .. } => {
                let people = side.people_for(&system, who()).await?;
                let seen = self.securables.of(&target.to_string()).newest();
                let seen = seen.as_ref().and_then(|reading| reading.value.as_ref().as_ref());
                let securable = Securable {
                    plane: &self.workspace.plane,
                    kind,
                    name,
                };
                let done = securable.apply(change, &people, seen).await;
                self.securables.stain(&target.to_string());
                done?;
            }
            Target::Roles {
                account,
                application_id,
            } => {
                let people = side.people_for(&system, who()).await?;
                let roles = Roles {
                    plane: &side.plane,
                    account,
                    application_id,
                };
                let done = roles.apply(change, &people).await;
                self.rules.stain(&target.to_string());
                done?;
            }
            Target::GerritGroup { .. } | Target::GerritRef { .. } => {}
        }
        Ok(target.clone())
    }

    async fn apply_workspace(self: &Arc<Self>, system: &System, change: &Change) -> Result<(), SystemError> {
        let who = || change.add.iter().chain(&change.remove).map(|(who, _)| who);
        let assignments = self.assignments(Timestamp::MIN).await?;
        let (gate, groups) = match (&assignments.value.door, &self.account) {
            (Door::Account { .. }, Some((_, side))) => (side, side.groups_named(who()).await?),
            _ => (&self.workspace, Arc::default()),
        };
        let people = self.workspace.people_for(system, who()).await?;
        let hall = Hall {
            gate: &gate.plane,
            plane: &self.workspace.plane,
            people: &people,
            groups: [&groups, &*self.workspace.groups_named(who()).await?],
            assignments: &assignments.value,
        };
        let done = hall.apply(change).await;
        self.assignments.stain("");
        self.workspace.stain_entitlements();
        done
    }
}
