//! When something may happen: openings and closings as users write them, shared by whatever waits for its time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::promotion_shapes as shapes;
use super::text::Duration;

/// Denied beats allowed. Unset `allow`: always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowTexts {
    /// Times at which it may begin; unset: at any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = shapes::WINDOWS))]
    pub allow: Option<Vec<WindowText>>,
    /// Times at which it must not begin, whatever is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = shapes::WINDOWS))]
    pub deny: Option<Vec<WindowText>>,
}

/// One window. It opens when the clocks of its zone show the start, and stays open for its length in elapsed time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WindowText {
    /// Minute, hour, day of month, month, day of week: `0 9 * * MON-THU`.
    #[schemars(schema_with = "shapes::cron")]
    pub start: String,
    /// How long it stays open: `8h`; between 1s and 31d.
    #[schemars(schema_with = "shapes::window_length")]
    pub duration: Duration,
    /// IANA name as `Europe/Berlin`; unset: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "shapes::time_zone")]
    pub time_zone: Option<String>,
}
