//! Reading targets that are not groups: which reading answers for which, and who is protected there.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use jiff::Timestamp;
use lockstep_core::domain::access::grant::{Principal, Right, System, Target};
use lockstep_core::domain::access::observed::Observed;
use lockstep_core::domain::ports::SystemError;

use super::acl::{Acl, Object};
use super::catalog::Securable;
use super::names::ADMINS;
use super::roles::Roles;
use super::snapshot::Reading;
use super::system::Inner;
use super::workspace;

impl Inner {
    pub async fn observe_workspace(
        self: &Arc<Self>,
        target: &Target,
        fresh: Timestamp,
    ) -> Result<Arc<Observed>, SystemError> {
        let system = target.system();
        let assignments = self.assignments(fresh).await?;
        let groups = self.workspace.groups(fresh).await?;
        let people = self.workspace.people(&system, fresh).await?;
        let orders = [assignments.order, groups.order, people.order];
        let kept = || self.workspace_rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, observed)) = kept().as_ref().filter(|(made_of, _)| *made_of == orders) {
            return Ok(Arc::clone(observed));
        }
        let admins = Principal::group(ADMINS, ADMINS);
        let observed = Arc::new(Observed {
            target: target.clone(),
            taken: assignments.taken.min(groups.taken).min(people.taken),
            present: true,
            rows: workspace::rows(&assignments.value, &groups.value, &people.value),
            protected: BTreeSet::from([admins, self.me().await?]),
            group: None,
            external: false,
            alone: false,
        });
        *kept() = Some((orders, Arc::clone(&observed)));
        Ok(observed)
    }

    pub async fn observe_object(
        self: &Arc<Self>,
        target: &Target,
        kind: &str,
        id: &str,
        fresh: Timestamp,
    ) -> Result<Observed, SystemError> {
        let people = self.workspace.names(&target.system()).await?;
        let reading = self.acl(target, kind, id, fresh).await?;
        let Some(acl) = reading.value.as_ref() else {
            return Ok(Observed::absent(target.clone(), reading.taken));
        };
        let (rows, mut protected) = acl.rows(kind, &people);
        protected.insert(self.facts().await?.me.clone());
        Ok(present(target, reading.taken, rows, protected))
    }

    /// The whole access list of an object.
    pub async fn acl(
        self: &Arc<Self>,
        target: &Target,
        kind: &str,
        id: &str,
        fresh: Timestamp,
    ) -> Result<Reading<Option<Acl>>, SystemError> {
        let people = self.workspace.names(&target.system()).await?;
        let facts = self.facts().await?;
        let (inner, owned_kind, owned_id) = (Arc::clone(self), kind.to_owned(), id.to_owned());
        let read = |_| async move {
            let object = Object {
                plane: &inner.workspace.plane,
                people: &people,
                kind: &owned_kind,
                id: &owned_id,
                me: &facts.me,
                admin: facts.admin,
            };
            object.read().await
        };
        self.objects.of(&target.to_string()).get(fresh, &[""], read).await
    }

    pub async fn observe_securable(
        self: &Arc<Self>,
        target: &Target,
        kind: &str,
        name: &str,
        fresh: Timestamp,
    ) -> Result<Observed, SystemError> {
        let (inner, owned_kind, owned_name) = (Arc::clone(self), kind.to_owned(), name.to_owned());
        let read = |_| async move {
            let securable = Securable {
                plane: &inner.workspace.plane,
                kind: &owned_kind,
                name: &owned_name,
            };
            securable.read().await
        };
        let reading = self
            .securables
            .of(&target.to_string())
            .get(fresh, &[""], read)
            .await?;
        let Some(grants) = reading.value.as_ref() else {
            return Ok(Observed::absent(target.clone(), reading.taken));
        };
        let people = self.principals().names(&target.system()).await?;
        let protected = BTreeSet::from([self.me().await?]);
        Ok(present(
            target,
            reading.taken,
            grants.rows(kind, &people),
            protected,
        ))
    }

    pub async fn observe_roles(
        self: &Arc<Self>,
        target: &Target,
        application_id: &str,
        fresh: Timestamp,
    ) -> Result<Observed, SystemError> {
        let system = target.system();
        let side = Arc::clone(self.side(&system).await?);
        let System::Account(account) = &system else {
            return Ok(Observed::absent(target.clone(), fresh));
        };
        let (plane_side, account, app) = (Arc::clone(&side), account.clone(), application_id.to_owned());
        let read = |_| async move {
            let roles = Roles {
                plane: &plane_side.plane,
                account: &account,
                application_id: &app,
            };
            roles.read().await
        };
        let reading = self.rules.of(&target.to_string()).get(fresh, &[""], read).await?;
        let Some(rules) = reading.value.as_ref() else {
            return Ok(Observed::absent(target.clone(), reading.taken));
        };
        let people = side.names(&system).await?;
        let protected = BTreeSet::from([self.me().await?]);
        Ok(present(target, reading.taken, rules.rows(&people), protected))
    }
}

fn present(
    target: &Target,
    taken: Timestamp,
    rows: BTreeSet<Right>,
    protected: BTreeSet<Principal>,
) -> Observed {
    Observed {
        target: target.clone(),
        taken,
        present: true,
        rows,
        protected,
        group: None,
        external: false,
        alone: true,
    }
}
