//! The assumptions, in the order in which they are tried: later ones use what earlier ones made.

use futures::FutureExt as _;

use super::{Bench, changes, groups, people, rights, tokens};
use crate::clients::contract::Assumption;

const SEEN: &str = "seen on Gerrit 3.13.5";

/// One row per assumption. Not a constant, because the bench borrows.
pub(super) fn rows<'b>() -> Vec<Assumption<Bench<'b>>> {
    macro_rules! row {
        (|$b:ident| $check:expr, $source:expr, $name:literal, $expected:literal) => {
            Assumption {
                name: $name,
                source: $source,
                expected: $expected,
                check: |$b| $check.boxed(),
            }
        };
    }
    vec![
        row!(
            |b| groups::create(b),
            SEEN,
            "a group is created under the uuid we choose, owned by the group we name, with nobody in it",
            "201, our uuid, no members"
        ),
        row!(
            |b| groups::taken(b, true),
            SEEN,
            "a taken group name is refused",
            "409"
        ),
        row!(
            |b| groups::taken(b, false),
            SEEN,
            "a taken group uuid is refused",
            "409"
        ),
        row!(
            |b| groups::add_twice(b),
            SEEN,
            "adding a member twice is adding it once",
            "200 twice, one member"
        ),
        row!(
            |b| groups::add_stranger(b),
            SEEN,
            "a member that does not exist is refused",
            "422"
        ),
        row!(
            |b| groups::remove_twice(b),
            SEEN,
            "removing a member twice is removing it once",
            "204 twice, no member"
        ),
        row!(
            |b| groups::rename(b),
            SEEN,
            "a renamed group keeps its uuid",
            "200, and the new name under the old uuid"
        ),
        row!(|b| groups::missing(b), SEEN, "a missing group is 404", "404"),
        row!(
            |b| groups::describe(b),
            SEEN,
            "description, visibility and owner of a group are set and shown",
            "200 three times, and what was set"
        ),
        row!(
            |b| groups::nest(b),
            SEEN,
            "a group is put into a group and taken out, each twice as once",
            "200 twice, one include; 204 twice, none"
        ),
        row!(
            |b| groups::audit(b),
            SEEN,
            "a group's log says who added and removed whom, and when",
            "200, with our additions and removals by us"
        ),
        row!(
            |b| groups::delete(b),
            "a 404 of a server that deletes no groups is not \"gone\" (seen on Gerrit 3.13.5)",
            "a group is deleted, or the server says in so many words that it deletes none",
            "2xx and then 404, or 404 with \"not enabled\""
        ),
        row!(
            |b| people::by_email(b),
            "Gerrit's search for accounts matches prefixes, so that answers are compared whole",
            "an account is found by its whole e-mail address",
            "200 with the account among the answers"
        ),
        row!(
            |b| people::pages(b),
            SEEN,
            "accounts come in pages, inactive ones included when asked for",
            "two pages of one, two accounts, and word that there are more"
        ),
        row!(
            |b| rights::project(b),
            "lockstep",
            "a scratch project can be made",
            "201, or 409 when it is there from an earlier run"
        ),
        row!(
            |b| rights::add_rules(b),
            SEEN,
            "rules that are added are shown",
            "200, and both rules on the ref"
        ),
        row!(
            |b| rights::add_again(b),
            SEEN,
            "adding what is there changes nothing",
            "200 with the same revision"
        ),
        row!(
            |b| rights::remove_one(b),
            SEEN,
            "a permission removed with empty rules leaves the ref's other permissions",
            "create is gone, push is there"
        ),
        row!(
            |b| rights::change_range(b),
            "an added range alone appends a second line that no reading shows (seen on Gerrit 3.13.5)",
            "a label's range is changed by removing and adding in one call",
            "200, and the new range"
        ),
        row!(
            |b| rights::rule_for_stranger(b),
            SEEN,
            "a rule for a group that does not exist is refused",
            "422"
        ),
        row!(
            |b| rights::block(b),
            SEEN,
            "a BLOCK is shown as such",
            "200, and BLOCK"
        ),
        row!(
            |b| rights::exclusive(b),
            SEEN,
            "an exclusive permission is shown as such",
            "200, and exclusive"
        ),
        row!(
            |b| rights::batch(b),
            SEEN,
            "rights of several projects are read in one call, which one missing project fails",
            "200 with both projects; 404"
        ),
        row!(
            |b| changes::branch(b),
            "Gerrit REST, projects",
            "a branch can be made in the scratch project, and is in the listing of projects by its tip",
            "201, and its tip"
        ),
        row!(
            |b| changes::fetch(b),
            "git protocol version 2 over HTTP, with the same credential",
            "git sends a branch with its trees",
            "the tip's tree and files"
        ),
        row!(
            |b| changes::create(b),
            "Gerrit REST, changes",
            "a change is made, and its page says who made what when, on which base",
            "201; patch set, uploader, parent, requirements, state of the store"
        ),
        row!(
            |b| changes::say(b),
            SEEN,
            "a message with a tag of ours is said once on a change, with mail to nobody",
            "written, then found again"
        ),
        row!(
            |b| changes::mark(b),
            SEEN,
            "a hashtag is put once on a change, or refused with 403",
            "written, then found again; or 403"
        ),
        row!(
            |b| changes::merges(b),
            SEEN,
            "a merged change is found by its branch and the time of its submit, and by its commit",
            "the change in both searches"
        ),
        row!(
            |b| changes::requirements(b),
            "Gerrit REST, projects",
            "submit requirements of a project are read, its own among the inherited",
            "200 twice, own ones in both"
        ),
        row!(
            |b| tokens::overlap(b),
            SEEN,
            "two tokens of one account let in beside each other, and a deleted one is refused at once",
            "both listed with their ends and let in; 401 once deleted"
        ),
        row!(
            |b| tokens::taken(b),
            SEEN,
            "a token whose id is taken is not made a second time",
            "201, then 404 or 409"
        ),
    ]
}
