//! Labels of the projects on whose labels a binding gives rights.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt as _;
use lockstep_core::domain::access::claims::Claimant;
use lockstep_core::domain::access::grant::Target;
use lockstep_core::domain::access::labels::label;
use lockstep_core::domain::access::observed::Named;

use super::reader::{Reader, at_once};

impl Reader<'_> {
    /// Reads the labels of what is declared on labels, as fresh as people are: no write of ours changes them. Answers
    /// the targets whose labels could not be read; nothing is written there on a guess.
    pub(super) async fn read_labels(&mut self, me: &Claimant) -> BTreeSet<Target> {
        let fresh = self.people;
        let mut wanted = BTreeMap::new();
        for right in &me.declared.rights {
            let Named::Plain(target) = &right.on else { continue };
            let system = target.system();
            if right
                .privileges
                .iter()
                .any(|privilege| label(privilege).is_some())
                && !self.world.frozen.contains(&system)
                && let Some(adapter) = self.systems.get(&system)
            {
                wanted.insert(target.clone(), adapter.clone());
            }
        }
        let answers = at_once(wanted.into_iter().map(|(target, adapter)| {
            async move {
                let answer = adapter.labels(&target, fresh).await;
                (target, answer)
            }
            .boxed()
        }))
        .await;
        let mut unread = BTreeSet::new();
        for (target, answer) in answers {
            match answer {
                Ok(Some(labels)) => {
                    self.world.labels.insert(target, labels);
                }
                Ok(None) => {}
                Err(error) => {
                    self.fail(target.label(), error);
                    unread.insert(target);
                }
            }
        }
        unread
    }
}
