//! Strings with a meaning: durations and shares as users write them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A length of time as `30s`, `10m`, `2h` or `7d`, or several of these in falling order (`1h30m`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Duration(pub String);

impl Duration {
    /// The length in seconds, or what is wrong with it.
    pub fn seconds(&self) -> Result<u64, String> {
        let refuse = || {
            format!(
                "{:?} is not a duration: write for example 30s, 10m, 2h or 7d",
                self.0
            )
        };
        let (mut total, mut digits, mut last) = (0u64, String::new(), u64::MAX);
        for c in self.0.chars() {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            let unit = match c {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                _ => return Err(refuse()),
            };
            if unit >= last {
                return Err(refuse());
            }
            let n: u64 = digits.parse().map_err(|_| refuse())?;
            total = n
                .checked_mul(unit)
                .and_then(|n| n.checked_add(total))
                .ok_or_else(refuse)?;
            digits.clear();
            last = unit;
        }
        if digits.is_empty() && last != u64::MAX {
            Ok(total)
        } else {
            Err(refuse())
        }
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        duration()
    }
}

/// The shape of a [`Duration`].
pub(super) fn duration() -> Schema {
    json_schema!({"type": "string", "maxLength": 20, "pattern": "^([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$", "minLength": 2})
}

/// A share of people as `25%`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(pub String);

impl Percent {
    /// The whole number before the sign, or what is wrong with it.
    pub fn value(&self) -> Result<u32, String> {
        self.0
            .strip_suffix('%')
            .and_then(|n| n.parse().ok())
            .filter(|n| *n <= 100)
            .ok_or_else(|| format!("{:?} is not a share: write 0% to 100%", self.0))
    }
}

impl JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 4, "pattern": "^(100|[0-9]{1,2})%$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_written() {
        for (text, seconds) in [
            ("30s", 30),
            ("10m", 600),
            ("2h", 7_200),
            ("7d", 604_800),
            ("1h30m", 5_400),
        ] {
            assert_eq!(Duration(text.into()).seconds(), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "5",
            "m",
            "30m1h",
            "1.5h",
            "-1s",
            "1s1s",
            "99999999999999999999d",
        ] {
            assert!(Duration(text.into()).seconds().is_err(), "{text}");
        }
    }

    #[test]
    fn shares_stay_between_nothing_and_all() {
        assert_eq!(Percent("25%".into()).value(), Ok(25));
        for text in ["25", "101%", "-1%", "%", "2.5%"] {
            assert!(Percent(text.into()).value().is_err(), "{text}");
        }
    }
}
