//! What somebody changed by hand, and whose hand it was.

use std::collections::BTreeMap;

use super::grant::{Principal, Target};

/// What was done to a member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    Added,
    Removed,
}

/// One thing that somebody did by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    pub target: Target,
    /// Where a member of a group came or went: who, and which of the two.
    pub member: Option<(Principal, Deed)>,
    /// One sentence that ends with the deed.
    pub text: String,
}

/// Whose hands it were, as far as systems tell: by group and member, as people call them.
pub type Hands = BTreeMap<Target, BTreeMap<Principal, String>>;

impl Drift {
    /// The sentence, with the name behind it where one is known.
    pub fn told(&self, hands: &Hands) -> String {
        let hand = self
            .member
            .as_ref()
            .and_then(|(member, _)| hands.get(&self.target)?.get(member));
        match hand {
            Some(hand) => format!("{} by {hand}", self.text),
            None => self.text.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_is_told_with_a_name_only_where_one_is_known() {
        let target = Target::GerritGroup {
            server: "site".into(),
            uuid: "u".into(),
        };
        let mallory = Principal::account(7, "mallory");
        let drift = Drift {
            target: target.clone(),
            member: Some((mallory.clone(), Deed::Added)),
            text: "mallory was added by hand".into(),
        };
        assert_eq!(drift.told(&Hands::new()), "mallory was added by hand");
        let hands = Hands::from([(target, BTreeMap::from([(mallory, "admin".to_owned())]))]);
        assert_eq!(drift.told(&hands), "mallory was added by hand by admin");
    }
}
