//! The holes of an environment in Databricks: who besides Lockstep can move what its steps move, or run as its identity.
//! One row for each kind of thing says which rights count there, and what closes the hole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Hardening, Hole, HoleKind};
use crate::domain::access::grant::{Principal, PrincipalKind};
use crate::domain::promotion::policy::{Aim, Recipe};
use crate::domain::promotion::proof::completeness::Unseen;

/// Holders that are named one by one.
const NAMED: usize = 10;
/// The group that manages everything in a workspace, which is a hole of its own.
const ADMINS: &str = "admins";
/// The right of whoever owns a securable, as [`Held::what`] has it.
pub const OWNER: &str = "owner";
/// The right of a credential, as [`Held::what`] has it.
pub const CREDENTIAL: &str = "credential";

/// Something that matters to what an environment runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// The workspace itself, and who administers it.
    Workspace,
    /// Who may act as a service principal, by its application id.
    Identity(String),
    /// Secrets and federation policies that one can log in by as a service principal, by its application id.
    Login(String),
    /// Its personal access tokens in the workspace, by its application id.
    Tokens(String),
    /// The folder that directories of code lie in.
    Folder(String),
    /// By its name.
    Job(String),
    /// By its name.
    Endpoint(String),
    /// `catalog.schema.model`
    Model(String),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace => write!(f, "the workspace"),
            Self::Identity(app) | Self::Login(app) | Self::Tokens(app) => {
                write!(f, "service principal {app}")
            }
            Self::Folder(path) => write!(f, "folder {path}"),
            Self::Job(name) => write!(f, "job {name}"),
            Self::Endpoint(name) => write!(f, "serving endpoint {name}"),
            Self::Model(name) => write!(f, "model {name}"),
        }
    }
}

/// One right, or one credential, whoever has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// `None`: whoever knows it.
    pub who: Option<Principal>,
    /// In the vendor's words, as `CAN_MANAGE`; or [`OWNER`], or [`CREDENTIAL`].
    pub what: String,
    /// Where it is granted, if not on the thing itself; of a credential, which one it is.
    pub from: Option<String>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(who) = &self.who else {
            return write!(f, "whoever has {}", self.from.as_deref().unwrap_or(&self.what));
        };
        let kind = match who.kind {
            PrincipalKind::Group => "group ",
            PrincipalKind::ServicePrincipal => "service principal ",
            PrincipalKind::User | PrincipalKind::Account => "",
        };
        write!(f, "{kind}{} ({}", who.name, self.what)?;
        match &self.from {
            Some(from) => write!(f, ", from {from})"),
            None => write!(f, ")"),
        }
    }
}

/// What was read of a thing: who holds what there; nothing, where it does not exist; or why that is not known.
pub type Sight = Result<Option<BTreeSet<Held>>, String>;

/// What is known of one environment.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// As holes name it: the connection.
    pub place: &'a str,
    /// Whom we are there.
    pub ourselves: &'a Principal,
    /// Application id of the identity that everything runs as.
    pub run_as: &'a str,
    pub seen: &'a BTreeMap<Thing, Sight>,
}

/// Everything that is looked at.
pub fn things(recipe: &Recipe) -> BTreeSet<Thing> {
    let mut things = BTreeSet::from([
        Thing::Workspace,
        Thing::Identity(recipe.run_as.clone()),
        Thing::Login(recipe.run_as.clone()),
        Thing::Tokens(recipe.run_as.clone()),
    ]);
    things.extend(recipe.aims().into_iter().map(|aim| match aim {
        Aim::Directory(path) => Thing::Folder(folder(&path).to_owned()),
        Aim::Job(name) => Thing::Job(name),
        Aim::Alias { model, .. } => Thing::Model(model),
        Aim::Endpoint(name) => Thing::Endpoint(name),
    }));
    things
}

/// What lies above all that a path means; the whole path where it means only itself.
fn folder(path: &str) -> &str {
    let fixed = path.find('*').and_then(|at| path.get(..at));
    fixed.map_or(path, |fixed| match fixed.rsplit_once('/') {
        Some((above, _)) if !above.is_empty() => above,
        _ => "/",
    })
}

struct Rule {
    kind: HoleKind,
    /// Rights that get around the gate; empty: every one.
    rights: &'static [&'static str],
    fix: &'static str,
}

fn rule(thing: &Thing) -> Rule {
    let rule = |kind, rights, fix| Rule { kind, rights, fix };
    match thing {
        Thing::Workspace => rule(
            HoleKind::AdministeredWorkspace,
            &[],
            "leave the administration of the workspace to what no person can log in as, or to as few as can be watched",
        ),
        Thing::Identity(_) => rule(
            HoleKind::UsableIdentity,
            &["roles/servicePrincipal.user", "roles/servicePrincipal.manager"],
            "take its user and manager roles away: they run anything as it, and make it secrets",
        ),
        Thing::Login(_) | Thing::Tokens(_) => rule(
            HoleKind::IdentityCredentials,
            &[],
            "delete its secrets, tokens and federation policies that nothing needs: whoever has one runs anything as it",
        ),
        Thing::Folder(_) => rule(
            HoleKind::WritableCode,
            &["CAN_EDIT", "CAN_MANAGE"],
            "take the right to write there, and in the folders above, away",
        ),
        Thing::Job(_) => rule(
            HoleKind::EditableJob,
            &["CAN_MANAGE", "IS_OWNER"],
            "take CAN_MANAGE on it away, and let Lockstep own it",
        ),
        Thing::Endpoint(_) => rule(
            HoleKind::EditableEndpoint,
            &["CAN_MANAGE"],
            "take CAN_MANAGE on it away",
        ),
        Thing::Model(_) => rule(
            HoleKind::OwnedModel,
            &[OWNER, "MANAGE"],
            "let Lockstep own it, and its schema and catalog nobody who may not move its aliases; take MANAGE away",
        ),
    }
}

/// Everything that is open in one environment.
pub fn open(ground: &Ground<'_>) -> Hardening {
    let mut hardening = Hardening::default();
    for (thing, sight) in ground.seen {
        match sight {
            Err(why) => hardening.unseen.push(Unseen::new(what(thing, ground), why)),
            Ok(None) if is_always_there(thing) => hardening.unseen.push(Unseen::new(
                what(thing, ground),
                "it is not there, or hidden from us",
            )),
            // Nobody can move what is not there yet.
            Ok(None) => {}
            Ok(Some(held)) => hardening.holes.extend(hole(thing, held, ground)),
        }
    }
    hardening
}

fn is_always_there(thing: &Thing) -> bool {
    matches!(
        thing,
        Thing::Workspace | Thing::Identity(_) | Thing::Login(_) | Thing::Tokens(_)
    )
}

fn what(thing: &Thing, ground: &Ground<'_>) -> String {
    let rights = match thing {
        Thing::Workspace => "the administrators of",
        Thing::Login(_) => "secrets and federation policies of",
        Thing::Tokens(_) => "personal access tokens of",
        _ => "rights on",
    };
    format!("{rights} {thing} in {}", ground.place)
}

fn hole(thing: &Thing, held: &BTreeSet<Held>, ground: &Ground<'_>) -> Option<Hole> {
    let Rule { kind, rights, fix } = rule(thing);
    let open: Vec<&Held> = held
        .iter()
        .filter(|held| rights.is_empty() || rights.contains(&held.what.as_str()))
        .filter(|held| !is_spared(thing, held, ground))
        .collect();
    if open.is_empty() {
        return None;
    }
    let mut who: Vec<String> = open.iter().take(NAMED).map(ToString::to_string).collect();
    if open.len() > NAMED {
        who.push(format!("{} more", open.len() - NAMED));
    }
    Some(Hole {
        kind,
        place: format!("{thing} in {}", ground.place),
        who,
        fix: fix.to_owned(),
    })
}

/// Whose right is none of a stranger's: ours; of a model the identity's, as which nothing unreviewed runs; and that of the
/// workspace's administrators, who are named once.
fn is_spared(thing: &Thing, held: &Held, ground: &Ground<'_>) -> bool {
    let Some(who) = &held.who else { return false };
    let of_run_as = who.kind == PrincipalKind::ServicePrincipal && who.subject == ground.run_as;
    let of_admins = who.kind == PrincipalKind::Group && who.subject == ADMINS;
    who == ground.ourselves
        || (of_run_as && matches!(thing, Thing::Model(_)))
        || (of_admins && !matches!(thing, Thing::Model(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN_AS: &str = "run-as";

    fn us() -> Principal {
        Principal::new(PrincipalKind::ServicePrincipal, "us", "lockstep")
    }

    fn held(who: &Principal, what: &str, from: Option<&str>) -> Held {
        Held {
            who: Some(who.clone()),
            what: what.into(),
            from: from.map(ToOwned::to_owned),
        }
    }

    fn look(thing: Thing, sight: Sight) -> Hardening {
        let seen = BTreeMap::from([(thing, sight)]);
        open(&Ground {
            place: "platform/prod",
            ourselves: &us(),
            run_as: RUN_AS,
            seen: &seen,
        })
    }

    fn kinds(thing: &Thing, rights: &[(&Principal, &str)]) -> Vec<HoleKind> {
        let rights = rights.iter().map(|(who, what)| held(who, what, None)).collect();
        let found = look(thing.clone(), Ok(Some(rights)));
        found.holes.iter().map(|hole| hole.kind).collect()
    }

    fn all() -> Vec<(Thing, &'static [&'static str], HoleKind)> {
        let app = RUN_AS.to_owned();
        vec![
            (Thing::Workspace, &["ADMIN"], HoleKind::AdministeredWorkspace),
            (
                Thing::Identity(app),
                &["roles/servicePrincipal.user", "roles/servicePrincipal.manager"],
                HoleKind::UsableIdentity,
            ),
            (
                Thing::Folder("/Workspace/fraud".into()),
                &["CAN_EDIT", "CAN_MANAGE"],
                HoleKind::WritableCode,
            ),
            (
                Thing::Job("train".into()),
                &["CAN_MANAGE", "IS_OWNER"],
                HoleKind::EditableJob,
            ),
            (
                Thing::Endpoint("scorer".into()),
                &["CAN_MANAGE"],
                HoleKind::EditableEndpoint,
            ),
            (
                Thing::Model("ml.fraud.scorer".into()),
                &[OWNER, "MANAGE"],
                HoleKind::OwnedModel,
            ),
        ]
    }

    #[test]
    fn every_right_that_moves_what_steps_move_is_a_hole() {
        let ada = Principal::new(PrincipalKind::User, "7", "ada@example.com");
        let leads = Principal::group("leads", "leads");
        for (thing, rights, kind) in all() {
            for right in rights {
                for who in [&ada, &leads] {
                    assert_eq!(kinds(&thing, &[(who, right)]), [kind], "{thing} {right}");
                }
                assert_eq!(kinds(&thing, &[(&us(), right)]), [], "{thing} {right} of ours");
            }
        }
    }

    #[test]
    fn what_only_looks_runs_or_asks_is_none() {
        let leads = Principal::group("leads", "leads");
        for (thing, right) in [
            (Thing::Folder("/Workspace/fraud".into()), "CAN_READ"),
            (Thing::Folder("/Workspace/fraud".into()), "CAN_RUN"),
            (Thing::Job("train".into()), "CAN_MANAGE_RUN"),
            (Thing::Job("train".into()), "CAN_VIEW"),
            (Thing::Endpoint("scorer".into()), "CAN_QUERY"),
            (Thing::Model("ml.fraud.scorer".into()), "EXECUTE"),
            (Thing::Identity(RUN_AS.into()), "roles/other"),
        ] {
            assert_eq!(kinds(&thing, &[(&leads, right)]), [], "{thing} {right}");
        }
    }

    #[test]
    fn administrators_are_named_once_and_the_identity_may_own_its_models() {
        let admins = Principal::group(ADMINS, ADMINS);
        let run_as = Principal::new(PrincipalKind::ServicePrincipal, RUN_AS, "fraud-prod");
        for (thing, rights, kind) in all() {
            let model = matches!(thing, Thing::Model(_));
            let expected = if model { vec![kind] } else { Vec::new() };
            if thing != Thing::Workspace {
                assert_eq!(kinds(&thing, &[(&admins, rights[0])]), expected, "{thing}");
            }
            let expected = if model { Vec::new() } else { vec![kind] };
            assert_eq!(kinds(&thing, &[(&run_as, rights[0])]), expected, "{thing}");
        }
    }

    #[test]
    fn a_credential_is_whoevers_has_it() {
        let secret = Held {
            who: None,
            what: CREDENTIAL.into(),
            from: Some("OAuth secret 5".into()),
        };
        let found = look(Thing::Login(RUN_AS.into()), Ok(Some([secret].into())));
        assert_eq!(found.holes[0].who, ["whoever has OAuth secret 5"]);
        assert_eq!(found.holes[0].kind, HoleKind::IdentityCredentials);
    }

    #[test]
    fn what_cannot_be_read_is_never_closed_and_what_is_not_there_yet_is() {
        for (thing, ..) in all() {
            let unseen = look(thing.clone(), Err("forbidden".into())).unseen;
            assert!(unseen[0].what.contains("platform/prod"), "{unseen:?}");
            let absent = look(thing.clone(), Ok(None));
            let always = matches!(thing, Thing::Workspace | Thing::Identity(_));
            assert_eq!(absent.unseen.len(), usize::from(always), "{thing}");
            assert!(absent.holes.is_empty());
            assert_eq!(look(thing, Ok(Some(BTreeSet::new()))), Hardening::default());
        }
    }

    #[test]
    fn many_are_counted_and_each_says_where_it_comes_from() {
        let who =
            |n: usize| Principal::new(PrincipalKind::User, n.to_string(), format!("p{n:02}@example.com"));
        let rights: BTreeSet<Held> = (0..12)
            .map(|n| held(&who(n), "CAN_MANAGE", Some("/directories/7")))
            .collect();
        let folder = Thing::Folder("/Workspace/fraud".into());
        let hole = look(folder, Ok(Some(rights))).holes.remove(0);
        assert_eq!(hole.who.len(), 11);
        assert_eq!(hole.who[0], "p00@example.com (CAN_MANAGE, from /directories/7)");
        assert_eq!(hole.who[10], "2 more");
        assert_eq!(hole.place, "folder /Workspace/fraud in platform/prod");
    }

    #[test]
    fn directories_of_all_revisions_lie_in_one_folder() {
        for (path, expected) in [
            ("/Workspace/fraud/prod/*", "/Workspace/fraud/prod"),
            ("/Workspace/fraud/prod-*/code", "/Workspace/fraud"),
            ("/*", "/"),
            ("/Workspace/fraud", "/Workspace/fraud"),
        ] {
            assert_eq!(folder(path), expected);
        }
    }
}
