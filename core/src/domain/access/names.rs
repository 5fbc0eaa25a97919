//! Names that Lockstep derives, so that a creation cut short is found again under the name it was given before.

use sha2::{Digest as _, Sha256};

/// UUID under which a Gerrit group of this name is created: 40 lower-case hex digits, as Gerrit 3.13.5 demands of
/// a UUID the caller chooses. The same server and name always give the same UUID, so a second attempt after a lost
/// answer collides with the first instead of making a twin.
pub fn gerrit_group_uuid(server: &str, name: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"lockstep-gerrit-group-v1\n");
    for part in [server, name] {
        // Lengths frame the parts: no server and name can be read as another pair.
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut text = hex::encode(hash.finalize());
    text.truncate(40);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_uuid_depends_on_server_and_name_alone() {
        let uuid = gerrit_group_uuid("site", "ml-fraud");
        assert_eq!(uuid.len(), 40);
        assert!(
            uuid.chars()
                .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
        );
        assert_eq!(uuid, gerrit_group_uuid("site", "ml-fraud"));
        assert_ne!(uuid, gerrit_group_uuid("site", "ML-fraud"));
        assert_ne!(gerrit_group_uuid("a", "bc"), gerrit_group_uuid("ab", "c"));
    }
}
