//! Looking for what was planted as a secret, whatever it hides in.

use base64::Engine as _;

use super::world::PLANTED;

/// The word itself and as it looks inside base64, at each of the three places it may begin.
fn disguises() -> Vec<String> {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let mut all = vec![PLANTED.to_owned()];
    for (before, skip) in [("", 0), ("x", 2), ("xx", 3)] {
        let text = encode(&format!("{before}{PLANTED}"));
        // The first and last characters mix with what stands beside.
        let end = (before.len() + PLANTED.len()) / 3 * 4;
        all.push(text[skip..end].to_owned());
    }
    all
}

/// Where a secret stands, with what stands before it.
fn find(text: &str) -> Option<&str> {
    for disguise in disguises() {
        if let Some(at) = text.find(&disguise) {
            let from = text[..at]
                .char_indices()
                .rev()
                .nth(200)
                .map_or(0, |(index, _)| index);
            return Some(&text[from..at + disguise.len()]);
        }
    }
    None
}

/// Fails if a secret stands there.
pub fn search(place: &str, text: &str) {
    assert_eq!(find(text), None, "a secret stands in {place}");
}
