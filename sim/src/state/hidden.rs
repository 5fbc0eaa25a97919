//! Values that prove who somebody is. They are compared and handed out once; nothing prints one.

use std::borrow::Borrow;
use std::fmt;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hidden(String);

impl Hidden {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself: for the one answer that shows it, and for hashing.
    pub fn show(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Hidden {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_printed() {
        assert_eq!(format!("{:?}", Hidden::new("planted")), "(hidden)");
    }
}
