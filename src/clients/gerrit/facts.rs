//! Which server this is, whom we are there, and what we may do: read once, and anew by every probe.

use std::collections::BTreeMap;

use lockstep_core::domain::access::grant::System;
use lockstep_core::domain::pace::Allowance;
use lockstep_core::domain::ports::{Probe, SystemError, SystemErrorKind};
use serde_json::{Value, json};

use super::rest::Rest;
use super::wire::{AccountInfo, GroupInfo, ServerInfo};

/// Oldest Gerrit whose access calls behave as is assumed here (`requireChangeForConfigUpdate` and its `:review` forms).
const OLDEST: (u32, u32) = (3, 11);
/// The capability to which nothing is invisible.
pub(super) const ALL_SEEING: &str = "administrateServer";
pub(super) const ADMINISTRATORS: &str = "Administrators";

/// Facts about a server.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Name of the server in canonical addresses.
    pub server: String,
    pub version: String,
    pub account: AccountInfo,
    pub capabilities: BTreeMap<String, bool>,
    /// Most rows of a listing that the server gives us at once.
    pub query_limit: Option<usize>,
    /// UUID of the group named Administrators, if it is there and visible.
    pub administrators: Option<String>,
    info: ServerInfo,
}

impl Facts {
    pub async fn read(rest: &Rest) -> Result<Self, SystemError> {
        let account = rest.whoami().await?;
        let version: String = rest
            .get("/a/config/server/version", "a/config/server/version".into(), &[])
            .await?;
        let info: ServerInfo = rest
            .get("/a/config/server/info", "a/config/server/info".into(), &[])
            .await?;
        let granted = capabilities(rest).await?;
        let query_limit = granted
            .get("queryLimit")
            .and_then(|range| usize::try_from(range.get("max")?.as_u64()?).ok());
        // `queryLimit` and the like are ranges: to have one is to have it.
        let capabilities = granted
            .into_iter()
            .map(|(name, value)| (name, value != Value::Bool(false)))
            .collect();
        let named = rest.group(ADMINISTRATORS).await?;
        let administrators = named
            .filter(|group| group.name == ADMINISTRATORS)
            .map(|group: GroupInfo| group.uuid());
        let server = server_id(
            info.gerrit.instance_id.as_deref(),
            administrators.as_deref(),
            rest.http.host(),
        );
        rest.http.name_system(System::Gerrit(server.clone()).to_string());
        Ok(Self {
            server,
            version,
            account,
            capabilities,
            query_limit,
            administrators,
            info,
        })
    }

    pub fn may(&self, capability: &str) -> bool {
        self.capabilities.get(capability).copied().unwrap_or(false)
    }

    /// Longest lifetime of an auth token, in seconds; `None`: no limit.
    pub fn longest_token(&self) -> Option<u64> {
        let minutes = self.info.auth.max_token_lifetime;
        (minutes > 0).then(|| minutes.saturating_mul(60))
    }

    /// Whether all changes of a topic are submitted at once.
    pub fn submits_whole_topics(&self) -> bool {
        self.info.change.submit_whole_topic
    }

    /// Whether nothing is invisible to us, so that what is not shown does not exist.
    pub fn sees_everything(&self) -> bool {
        self.may(ALL_SEEING)
    }

    /// The owner of groups for which none is declared.
    pub fn administrators(&self, rest: &Rest) -> Result<&str, SystemError> {
        self.administrators.as_deref().ok_or_else(|| {
            rest.http.error(
                SystemErrorKind::Forbidden,
                "the group Administrators is not visible, so it cannot own new groups: declare an owner",
            )
        })
    }

    /// What the connection's status shows.
    pub fn probe(&self, clock_is_off: Option<String>) -> Probe {
        let Self {
            server,
            version,
            account,
            capabilities,
            query_limit: _,
            administrators,
            info,
        } = self;
        let mut lacks = Vec::new();
        if numbers(version) < OLDEST {
            lacks.push(format!(
                "Gerrit {version} is older than {}.{}, the oldest that is supported",
                OLDEST.0, OLDEST.1
            ));
        }
        for (capability, others, need) in NEEDS {
            if !self.may(capability) && !others.iter().any(|other| self.may(other)) {
                lacks.push(format!("the capability {capability} is missing: {need}"));
            }
        }
        if !self.may("viewAllAccounts") && !self.sees_everything() && info.accounts.visibility != "ALL" {
            lacks.push(
                "the capability viewAllAccounts is missing: people without a common group are invisible"
                    .into(),
            );
        }
        if info.gerrit.instance_id.is_none() && administrators.is_none() {
            lacks.push(
                "the server has no gerrit.instanceId and the group Administrators is not visible: two connections to it under different hosts would count as two servers"
                    .into(),
            );
        }
        if let Some(policy) = info.auth.git_basic_auth_policy.as_deref()
            && !matches!(policy, "HTTP" | "HTTP_LDAP")
        {
            lacks.push(format!(
                "auth.gitBasicAuthPolicy is {policy}: auth tokens are not accepted there, so none can be rotated"
            ));
        }
        lacks.extend(clock_is_off);
        Probe {
            status: json!({
                "server": server,
                "version": version,
                "account": {"id": account.id, "username": account.username},
                "capabilities": capabilities,
            }),
            lacks,
            allowance: Allowance::default(),
        }
    }
}

/// What we may do now, with ranges as they are.
pub(super) async fn capabilities(rest: &Rest) -> Result<BTreeMap<String, Value>, SystemError> {
    let path = "a/accounts/self/capabilities";
    rest.get("/a/accounts/self/capabilities", path.into(), &[]).await
}

/// Capabilities, what includes them, and what cannot be done without.
const NEEDS: &[(&str, &[&str], &str)] = &[
    (
        "administrateServer",
        &[],
        "groups of other owners and rights of projects that the account does not own can neither be seen nor changed",
    ),
    ("createGroup", &["administrateServer"], "groups cannot be created"),
    (
        "viewSecondaryEmails",
        &["modifyAccount", "administrateServer"],
        "people are found by their preferred address only",
    ),
    (
        "deleteGroup",
        &[],
        "groups cannot be deleted; they are emptied, renamed and hidden instead",
    ),
];

/// Names the server the same whichever URL reaches it: by its instance id; else by the group that every site is
/// born with, whose UUID is random and survives renaming hosts; else, when that is invisible to us, by host.
fn server_id(instance: Option<&str>, administrators: Option<&str>, host: &str) -> String {
    if let Some(id) = instance.filter(|id| !id.is_empty()) {
        return id.to_owned();
    }
    match administrators.and_then(|uuid| uuid.get(..12)) {
        Some(start) => format!("site-{start}"),
        None => host.to_owned(),
    }
}

/// The leading numbers: custom builds say `3.13.2-12-gabc`.
fn numbers(version: &str) -> (u32, u32) {
    let mut parts = version
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// All three numbers; `None`: without them it is unknown which faults the server has.
pub(super) fn version(version: &str) -> Option<(u32, u32, u32)> {
    let mut parts = version
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_what_does_not_move() {
        let uuid = Some("2cb6b013a132317915de8b71a25a3af0c07f9061");
        assert_eq!(server_id(Some("eu-1"), uuid, "h"), "eu-1");
        assert_eq!(server_id(None, uuid, "h"), "site-2cb6b013a132");
        assert_eq!(server_id(Some(""), None, "h:8080"), "h:8080");
    }

    #[test]
    fn versions_of_custom_builds_are_understood() {
        assert_eq!(numbers("3.13.2-12-gabc"), (3, 13));
        assert_eq!(numbers("3.9"), (3, 9));
        assert_eq!(super::version("3.13.2-12-gabc"), Some((3, 13, 2)));
        assert_eq!(super::version("3.13-rc1"), None);
        assert_eq!(super::version("(dev)"), None);
        assert!(numbers("2.16.1") < OLDEST && numbers("3.11.0") >= OLDEST);
    }

    #[test]
    fn what_is_missing_is_said_with_its_consequence() {
        let mut facts = Facts {
            server: "s".into(),
            version: "3.10.1".into(),
            account: AccountInfo::default(),
            capabilities: BTreeMap::new(),
            query_limit: None,
            administrators: None,
            info: ServerInfo::default(),
        };
        facts.info.auth.git_basic_auth_policy = Some("LDAP".into());
        let lacks = facts.probe(Some("the clock is off".into())).lacks.join("\n");
        for word in [
            "3.10.1",
            "administrateServer",
            "createGroup",
            "LDAP",
            "the clock is off",
            "instanceId",
        ] {
            assert!(lacks.contains(word), "{word} in {lacks}");
        }
        facts.version = "3.13.5".into();
        facts.administrators = Some("uuid".into());
        facts.info.auth.git_basic_auth_policy = Some("HTTP".into());
        for (capability, _, _) in NEEDS {
            facts.capabilities.insert((*capability).into(), true);
        }
        assert_eq!(facts.probe(None).lacks, Vec::<String>::new());
    }
}
