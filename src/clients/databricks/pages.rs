//! Listings of SCIM collections, page by page.

use std::collections::BTreeSet;

use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::plane::Plane;
use super::scim::{Collection, Identified, Scope};
use crate::clients::http::Effect;

/// The vendor's largest page.
const PAGE: usize = 100;
/// A listing that shrank while it was paged may have skipped somebody; read it again, but not for ever.
const REREADS: usize = 2;

/// One page of a collection.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    #[serde(default = "Vec::new", rename = "Resources")]
    pub resources: Vec<T>,
    #[serde(default, rename = "totalResults")]
    pub total: usize,
}

/// Everything of a collection, in order of id, so that the pages of one listing fit together. Whoever is missing in
/// it counts as gone, so a listing that may have skipped somebody is none.
pub(super) async fn list<T: DeserializeOwned + Identified>(
    plane: &Plane,
    scope: &Scope,
    collection: Collection,
    attributes: &str,
) -> Result<Vec<T>, SystemError> {
    for _ in 0..=REREADS {
        let mut pages = Pages::default();
        loop {
            let call = scope
                .all(collection, Method::GET, Effect::Read)
                .query("attributes", attributes)
                .query("sortBy", "id")
                .query("startIndex", (pages.given + 1).to_string())
                .query("count", PAGE.to_string());
            if !pages.take(plane.read(call).await?) {
                break;
            }
        }
        if !pages.doubtful {
            return Ok(pages.all);
        }
    }
    let message = format!(
        "the list of {} changed, or ended before its own count, whenever it was read",
        collection.word()
    );
    Err(plane.error(SystemErrorKind::Stale, message))
}

/// One listing, as far as it has been read.
struct Pages<T> {
    all: Vec<T>,
    seen: BTreeSet<String>,
    given: usize,
    total: usize,
    /// Whether somebody may have been skipped.
    doubtful: bool,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            seen: BTreeSet::new(),
            given: 0,
            total: 0,
            doubtful: false,
        }
    }
}

impl<T: Identified> Pages<T> {
    /// Takes in the next page; answers whether another is due.
    fn take(&mut self, page: Page<T>) -> bool {
        let Page { resources, total } = page;
        let rows = resources.len();
        // What was added meanwhile moves others to the next page, where they come a second time.
        for row in resources {
            if self.seen.insert(row.id().to_owned()) {
                self.all.push(row);
            }
        }
        // What was deleted meanwhile moves others to a page that has been read.
        self.doubtful |= total < self.total || (total == 0 && rows > 0);
        self.total = total;
        self.given += rows;
        let due = self.given < total;
        self.doubtful |= due && rows == 0;
        due && rows > 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::scim::WireGroup;
    use super::*;

    fn read(pages: &[(std::ops::Range<usize>, usize)]) -> Pages<WireGroup> {
        let mut read = Pages::default();
        for (at, (ids, total)) in pages.iter().enumerate() {
            let group = |id: usize| WireGroup {
                id: id.to_string(),
                ..WireGroup::default()
            };
            let due = read.take(Page {
                resources: ids.clone().map(group).collect(),
                total: *total,
            });
            assert_eq!(due, at + 1 < pages.len(), "page {at}");
        }
        read
    }

    #[test]
    fn a_listing_that_may_have_skipped_somebody_is_none() {
        for (pages, doubtful, all) in [
            (vec![(0..0, 0)], false, 0),
            (vec![(0..100, 150), (100..150, 150)], false, 150),
            // One more came in between and pushed another over the edge.
            (vec![(0..100, 150), (99..150, 151)], false, 150),
            (vec![(0..100, 150), (101..150, 149)], true, 149),
            (vec![(0..100, 150), (0..0, 150)], true, 100),
            (vec![(0..100, 0)], true, 100),
            (vec![(0..0, 7)], true, 0),
        ] {
            let read = read(&pages);
            assert_eq!((read.doubtful, read.all.len()), (doubtful, all), "{pages:?}");
        }
    }
}
