//! Looking for what was planted as a secret, whatever it hides in.

use std::collections::BTreeSet;
use std::sync::Mutex;

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

/// What was minted while scenarios ran, and stands nowhere but in the stores it was written to.
static MINTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// From now on this value is one of those that are looked for, as it is and as base64 begins with it.
pub fn plant(value: &str) {
    MINTED.lock().unwrap().insert(value.to_owned());
}

/// How many values were minted and planted.
pub fn planted() -> usize {
    MINTED.lock().unwrap().len()
}

/// Where a secret stands, with what stands before it.
fn find(text: &str) -> Option<&str> {
    let minted = MINTED.lock().unwrap().clone();
    let encoded = |value: &String| {
        let text = base64::engine::general_purpose::STANDARD.encode(value);
        // The last characters mix with what stands behind.
        text[..value.len() / 3 * 4].to_owned()
    };
    let encoded: Vec<String> = minted.iter().map(encoded).collect();
    for disguise in disguises().into_iter().chain(minted).chain(encoded) {
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
