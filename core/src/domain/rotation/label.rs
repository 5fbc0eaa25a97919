//! What a credential is labelled with at an issuer that takes labels: whose it is and which generation, so that one whose
//! answer was lost is found again, and none is ever taken for somebody else's.

/// Whose generation a credential is, in 63 characters at most of letters, digits and `-`, a letter first: what a Gerrit
/// token id and a Databricks token comment both hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// Uid of the ServiceCredential, without its dashes.
    pub owner: String,
    pub generation: u64,
}

const PREFIX: &str = "lockstep-";

impl Label {
    /// `uid`: of the ServiceCredential, as the API server gave it.
    pub fn new(uid: &str, generation: u64) -> Self {
        Self {
            owner: owner(uid),
            generation,
        }
    }

    /// What a label says; `None`: it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, generation) = text.strip_prefix(PREFIX)?.split_once('-')?;
        let plain = !owner.is_empty() && owner.chars().all(|c| c.is_ascii_alphanumeric());
        // Written otherwise it was not written by us.
        let number: u64 = generation.parse().ok()?;
        (plain && number.to_string() == generation).then(|| Self {
            owner: owner.to_owned(),
            generation: number,
        })
    }

    /// Whether it is a label of this ServiceCredential.
    pub fn is_of(&self, uid: &str) -> bool {
        self.owner == owner(uid)
    }
}

fn owner(uid: &str) -> String {
    uid.chars().filter(char::is_ascii_alphanumeric).collect()
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}{}-{}", self.owner, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_says_whose_generation_it_is() {
        let uid = "0f8f2d2c-0a6c-4d7e-9f40-7d0c2f3f8a11";
        let label = Label::new(uid, 12);
        let text = label.to_string();
        assert_eq!(text, "lockstep-0f8f2d2c0a6c4d7e9f407d0c2f3f8a11-12");
        assert!(Label::new(uid, u64::MAX).to_string().len() <= 63);
        assert_eq!(Label::parse(&text), Some(label.clone()));
        assert!(label.is_of(uid) && !label.is_of("0f8f2d2c-0a6c-4d7e-9f40-7d0c2f3f8a12"));
    }

    #[test]
    fn what_others_wrote_is_no_label() {
        for text in [
            "",
            "lockstep",
            "lockstep-",
            "lockstep-a",
            "lockstep-a-",
            "lockstep-a-b",
            "lockstep--1",
            "lockstep-a-01",
            "lockstep-a-+1",
            "Lockstep-a-1",
            "lockstep-a-1 ",
            "ci",
        ] {
            assert_eq!(Label::parse(text), None, "{text}");
        }
    }
}
