//! The Gerrit adapter against a real server, the one `make up` starts. Every run works under a prefix of its own and
//! removes what can be removed; accounts are left inactive, projects stay, since Gerrit deletes neither.
//!
//! What access is made of is tried in a corner of one's own (`corner`), promotions with a team and its project (`house`,
//! `yard`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "gerrit/approving.rs"]
mod approving;
#[path = "gerrit/bypassing.rs"]
mod bypassing;
#[path = "gerrit/corner.rs"]
mod corner;
#[path = "gerrit/git.rs"]
mod git;
#[path = "gerrit/groups.rs"]
mod groups;
#[path = "gerrit/house.rs"]
mod house;
#[path = "gerrit/judging.rs"]
mod judging;
#[path = "gerrit/moving.rs"]
mod moving;
#[path = "gerrit/people.rs"]
mod people;
#[path = "gerrit/probing.rs"]
mod probing;
#[path = "gerrit/relay.rs"]
mod relay;
#[path = "gerrit/returning.rs"]
mod returning;
#[path = "gerrit/rights.rs"]
mod rights;
#[path = "gerrit/server.rs"]
mod server;
#[path = "gerrit/telling.rs"]
mod telling;
#[path = "gerrit/tokens.rs"]
mod tokens;
#[path = "gerrit/trees.rs"]
mod trees;
#[path = "gerrit/watching.rs"]
mod watching;
#[path = "gerrit/yard.rs"]
mod yard;
