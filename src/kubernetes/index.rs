//! Who has to do with whom: words that objects share, so that a change finds the objects it concerns without looking
//! at all of them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use lockstep_core::api::access_binding::{AccessBindingSpec, Member};
use lockstep_core::api::connection::CaBundle;
use lockstep_core::api::credential_store::{AwsAuth, VaultAuth};
use lockstep_core::api::databricks_connection::DatabricksAuth;
use lockstep_core::api::gerrit_connection::GerritAuth;
use lockstep_core::api::reference::ConnectionRef;
use lockstep_core::api::{CredentialStoreSpec, DatabricksConnectionSpec, GerritConnectionSpec};
use lockstep_core::domain::access::declared::{claim_words, words_to_meet};

use super::name::{KindName, Name, Subject};

/// A word as the index keeps it: its hash. Two words that collide wake one object too many and harm nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(u64);

impl Word {
    fn of(parts: &[&str]) -> Self {
        let mut hasher = DefaultHasher::new();
        parts.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// A claim word of a binding.
    pub fn claim(word: &str) -> Self {
        Self::of(&["claim", word])
    }

    /// What a connection is called by those who use it.
    pub fn connection(kind: KindName, name: &Name) -> Self {
        Self::of(&["connection", kind.as_str(), name.namespace(), name.name()])
    }

    /// What a Secret is called by those who read it.
    pub fn secret(namespace: &str, name: &str) -> Self {
        Self::of(&["secret", namespace, name])
    }

    /// What a namespace is called by what lives in it.
    pub fn namespace(name: &str) -> Self {
        Self::of(&["namespace", name])
    }

    /// What a policy is called by its promotions.
    pub fn policy(name: &Name) -> Self {
        Self::of(&["policy", name.namespace(), name.name()])
    }

    /// What a policy is called by those of its promotions that have not ended.
    pub fn unfinished_of(name: &Name) -> Self {
        Self::of(&["unfinished", name.namespace(), name.name()])
    }

    /// What a freeze calls all promotions that have not ended.
    pub fn unfinished() -> Self {
        Self::of(&["unfinished"])
    }

    /// What a promotion is called by those that lift its findings.
    pub fn lifted(name: &Name) -> Self {
        Self::of(&["lifted", name.namespace(), name.name()])
    }

    /// What a freeze calls all credentials.
    pub fn credentials() -> Self {
        Self::of(&["credentials"])
    }

    /// What an identity at an issuer is called by those who mint for it.
    pub fn minted_for(address: &str) -> Self {
        Self::of(&["minted for", address])
    }

    /// What a place of a store is called by those who write there.
    pub fn place(place: &str) -> Self {
        Self::of(&["place", place])
    }

    /// What an object is called by those who approve its plan.
    pub fn plan_of(uid: &str) -> Self {
        Self::of(&["plan", uid])
    }
}

/// Objects by word.
#[derive(Debug, Default)]
pub struct Index(HashMap<Word, Group>);

/// Most words have one or two objects; some, such as a connection's, have thousands.
#[derive(Debug)]
enum Group {
    Few(Vec<Subject>),
    Many(HashSet<Subject>),
}

const FEW: usize = 8;

impl Index {
    /// Adds an object under a word. Answers whether it is the first there.
    pub fn add(&mut self, word: Word, subject: &Subject) -> bool {
        let group = self.0.entry(word).or_insert_with(|| Group::Few(Vec::new()));
        match group {
            Group::Few(few) if few.contains(subject) => false,
            Group::Few(few) if few.len() < FEW => {
                few.reserve_exact(1);
                few.push(subject.clone());
                few.len() == 1
            }
            Group::Few(few) => {
                let many = few.drain(..).chain([subject.clone()]).collect();
                *group = Group::Many(many);
                false
            }
            Group::Many(many) => {
                many.insert(subject.clone());
                false
            }
        }
    }

    /// Takes an object away from a word. Answers whether nobody is left there.
    pub fn remove(&mut self, word: Word, subject: &Subject) -> bool {
        let Some(group) = self.0.get_mut(&word) else {
            return false;
        };
        let left = match group {
            Group::Few(few) => {
                few.retain(|other| other != subject);
                few.len()
            }
            Group::Many(many) => {
                many.remove(subject);
                many.len()
            }
        };
        if left == 0 {
            self.0.remove(&word);
        }
        left == 0
    }

    /// Objects under a word.
    pub fn find(&self, word: Word) -> Vec<Subject> {
        match self.0.get(&word) {
            None => Vec::new(),
            Some(Group::Few(few)) => few.clone(),
            Some(Group::Many(many)) => many.iter().cloned().collect(),
        }
    }
}

/// Connections that a binding's spec names.
pub fn connections_of(namespace: &str, spec: &AccessBindingSpec) -> BTreeSet<Subject> {
    let subject = |kind, reference: &ConnectionRef| {
        let namespace = reference.namespace.as_deref().unwrap_or(namespace);
        Subject::new(kind, Name::new(namespace, &reference.name))
    };
    let gerrit = |reference| subject(KindName::GerritConnection, reference);
    let databricks = |reference| subject(KindName::DatabricksConnection, reference);
    let mut found = BTreeSet::new();
    for member in spec.members.iter().flatten() {
        match member {
            Member::GerritGroup { connection_ref, .. } => found.insert(gerrit(connection_ref)),
            Member::DatabricksGroup { connection_ref, .. } => found.insert(databricks(connection_ref)),
            Member::Person { .. } | Member::ServiceUser { .. } | Member::ServicePrincipal { .. } => false,
        };
    }
    found.extend(spec.gerrit.iter().flatten().map(|on| gerrit(&on.connection_ref)));
    if let Some(on) = &spec.databricks {
        found.extend(on.account.iter().map(|on| databricks(&on.connection_ref)));
        found.extend(on.catalog.iter().map(|on| databricks(&on.connection_ref)));
        found.extend(
            on.workspaces
                .iter()
                .flatten()
                .map(|on| databricks(&on.connection_ref)),
        );
    }
    found
}

/// Words of the claims a binding makes.
pub fn claims_of(spec: &AccessBindingSpec) -> BTreeSet<Word> {
    claim_words(spec).iter().map(|word| Word::claim(word)).collect()
}

/// Words of those whose claims a binding may meet.
pub fn meets(spec: &AccessBindingSpec) -> BTreeSet<Word> {
    let words = words_to_meet(&claim_words(spec));
    words.iter().map(|word| Word::claim(word)).collect()
}

/// Names of the Secrets a Gerrit connection reads, all in its own namespace.
pub fn secrets_of_gerrit(spec: &GerritConnectionSpec) -> BTreeSet<String> {
    let GerritAuth::Basic { secret_ref } = &spec.auth;
    with_bundle([secret_ref.name.clone()], spec.ca_bundle.as_ref())
}

/// Names of the Secrets a Databricks connection reads, all in its own namespace.
pub fn secrets_of_databricks(spec: &DatabricksConnectionSpec) -> BTreeSet<String> {
    let credential = match &spec.auth {
        DatabricksAuth::WorkloadIdentity { .. } => None,
        DatabricksAuth::OauthSecret { secret_ref } => Some(secret_ref.name.clone()),
        DatabricksAuth::PersonalAccessToken { secret_ref } => Some(secret_ref.name.clone()),
    };
    with_bundle(credential, spec.ca_bundle.as_ref())
}

/// Names of the Secrets a credential store reads, all in its own namespace.
pub fn secrets_of_store(spec: &CredentialStoreSpec) -> BTreeSet<String> {
    let aws = spec.aws_secrets_manager.as_ref().map(|aws| &aws.auth);
    let mut names: BTreeSet<String> = match aws {
        Some(AwsAuth::SecretRef(secret)) => BTreeSet::from([secret.name.clone()]),
        Some(AwsAuth::Default(_)) | None => BTreeSet::new(),
    };
    if let Some(vault) = &spec.vault {
        let login = match &vault.auth {
            VaultAuth::AppRole(login) => Some(login.secret_ref.name.clone()),
            VaultAuth::TokenSecretRef(secret) => Some(secret.name.clone()),
            VaultAuth::Kubernetes(_) | VaultAuth::Jwt(_) => None,
        };
        names.extend(with_bundle(login, vault.ca_bundle.as_ref()));
    }
    names
}

fn with_bundle(credential: impl IntoIterator<Item = String>, bundle: Option<&CaBundle>) -> BTreeSet<String> {
    credential
        .into_iter()
        .chain(bundle.map(|bundle| bundle.secret_ref.name.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_knows_its_first_and_its_last() {
        let mut index = Index::default();
        let word = Word::namespace("ml");
        let subjects: Vec<_> = (0..20)
            .map(|n| Subject::new(KindName::AccessBinding, Name::new("ml", &format!("b{n}"))))
            .collect();
        let firsts = subjects.iter().filter(|subject| index.add(word, subject)).count();
        assert_eq!(firsts, 1);
        assert!(!index.add(word, &subjects[3]));
        assert_eq!(index.find(word).len(), 20);
        let lasts = subjects
            .iter()
            .filter(|subject| index.remove(word, subject))
            .count();
        assert_eq!(lasts, 1);
        assert!(index.find(word).is_empty());
    }
}
