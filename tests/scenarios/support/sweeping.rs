//! What the kill sweeps say while they run.

use std::io::Write as _;

/// Says something although the test passes: what is printed the usual way is only shown of those that fail.
pub fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
