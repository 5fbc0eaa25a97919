//! The assumptions, in the order in which they are tried: later ones use what earlier ones made.

use futures::FutureExt as _;

use super::{Bench, account, credentials, entry, files, grants, groups, lookups, models, objects, runs};
use crate::clients::contract::Assumption;

/// One row per assumption. Not a constant, because the bench borrows.
pub(super) fn rows<'b>() -> Vec<Assumption<Bench<'b>>> {
    macro_rules! row {
        ($check:path, $source:literal, $name:literal, $expected:literal) => {
            Assumption {
                name: $name,
                source: $source,
                expected: $expected,
                check: |b| $check(b).boxed(),
            }
        };
    }
    vec![
        row!(
            groups::create,
            "SCIM API",
            "a group is created under its display name",
            "201 with an id"
        ),
        row!(groups::twin, "SCIM API", "a taken group name is refused", "409"),
        row!(
            groups::filter,
            "SCIM API",
            "a filter finds a group by its exact name",
            "that group alone"
        ),
        row!(
            groups::quotes,
            "Terraform provider issue 3136: only double quotes, escaped with a backslash",
            "a filter holds a name with quotes",
            "that group alone"
        ),
        row!(
            groups::lower_case,
            "Terraform provider: user names come back in lower case",
            "user names are kept in lower case",
            "the name in lower case"
        ),
        row!(
            groups::principal,
            "SCIM API",
            "a service principal gets an application id",
            "201 with id and application id"
        ),
        row!(
            groups::add_twice,
            "SCIM API",
            "adding a member twice is adding it once",
            "2xx twice, one member"
        ),
        row!(
            groups::seen_after,
            "vendor's page on SCIM: reads may lag up to 60 s",
            "a member that was added is seen within a minute",
            "seen within 60 s"
        ),
        row!(
            groups::remove_by_filter,
            "SCIM API: members[value eq \"…\"]",
            "one member is removed by a filter and the others stay",
            "2xx, the other member alone"
        ),
        row!(
            groups::listing,
            "accounts made since 2025-08-22 list groups without members",
            "a listing shows the group, with members or consistently without",
            "the group is in the listing"
        ),
        row!(
            groups::paging,
            "SCIM API",
            "pages do not overlap",
            "two pages of one, two different groups"
        ),
        row!(
            groups::missing,
            "SCIM API",
            "a missing group is a 404 in the vendor's own words",
            "404 that says so"
        ),
        row!(
            objects::job,
            "Jobs API 2.2",
            "a job without tasks can be made, and its maker owns it",
            "exactly one IS_OWNER"
        ),
        row!(
            objects::raise,
            "Permissions API",
            "PATCH of a job's permissions adds, and raises in place",
            "one level of the group, the higher one"
        ),
        row!(
            objects::no_owner,
            "Databricks CLI issue 3849",
            "a list without an owner is refused",
            "400"
        ),
        row!(
            objects::replace,
            "Permissions API",
            "PUT replaces the direct entries and leaves the administrators'",
            "the group is gone, admins stay"
        ),
        row!(
            objects::wrong_level,
            "Permissions API",
            "a level that the type does not have is refused",
            "400"
        ),
        row!(
            objects::unknown,
            "Terraform provider: the message begins with Principal",
            "a group that does not exist is named as such by the permissions API",
            "404 that names the principal"
        ),
        row!(
            objects::directory,
            "Permissions API",
            "a directory has permissions under its object id",
            "the level that was given"
        ),
        row!(
            lookups::found,
            "SDK, one call or listing per type",
            "a job and a directory are found by name",
            "their ids alone"
        ),
        row!(
            lookups::absent,
            "SDK, one call or listing per type",
            "for each type, a name that nothing has is answered with nothing",
            "no object, and no error"
        ),
        row!(
            lookups::levels,
            "Terraform provider: permission_definitions.go; permissionLevels",
            "each type has the levels that bindings may give",
            "every level of Lockstep's table"
        ),
        row!(
            credentials::secret,
            "Service principal secrets API; that a new one lets in within seconds is not published",
            "a client secret is listed, lets in, and is refused once it is deleted",
            "listed with its end, let in and refused within 60 s each"
        ),
        row!(
            credentials::token,
            "Tokens API",
            "a personal access token is listed with its comment, lets in, and is refused once it is deleted",
            "listed with its end, let in and refused within 60 s each"
        ),
        row!(
            credentials::scope,
            "Secrets API; that secrets/get answers outside of a notebook is not promised",
            "a secret that was put is read back, and its list tells that it was written",
            "the value, and another time after each put"
        ),
        row!(
            files::make,
            "Workspace API",
            "folders are made with what is above them, twice as once, and listed",
            "2xx twice, one folder below"
        ),
        row!(
            files::put,
            "Databricks CLI, libs/filer: import-file; a notebook by its first line, without its extension",
            "a file and a notebook are put over older ones and read back byte for byte",
            "both as put, FILE and NOTEBOOK"
        ),
        row!(
            files::delete,
            "Workspace API",
            "a folder is deleted with all below it, twice as once, and is then absent in the vendor's own words",
            "2xx and absence, no listing, no file"
        ),
        row!(
            runs::job,
            "Jobs API 2.2",
            "a job is found by its exact name alone, set anew under its id, and says whom it runs as",
            "one id, the same tasks, run_as_user_name"
        ),
        row!(
            runs::once,
            "Jobs API 2.2: idempotency_token",
            "a run is started once however often it is asked for with one token",
            "the same run_id twice"
        ),
        row!(
            runs::found,
            "Jobs API 2.2: job_parameters of runs/list",
            "a run is found by the parameters it was started with",
            "the run within 60 s, with key, promotion and start"
        ),
        row!(
            runs::ended,
            "Jobs API 2.2",
            "a run is cancelled, twice as once, and seen to end",
            "2xx twice, over within 60 s"
        ),
        row!(
            runs::deleted,
            "Jobs API 2.2",
            "a job is deleted twice as once, and is then absent in the vendor's own words",
            "2xx and absence"
        ),
        row!(
            entry::entitlement,
            "SCIM API; Terraform provider: taking from nobody is refused with \"No such attribute\"",
            "an entitlement of a group is given, seen, and taken twice",
            "2xx, or 400 with those words the second time"
        ),
        row!(
            grants::schema,
            "Unity Catalog API",
            "a schema can be made in some catalog",
            "a schema to try on"
        ),
        row!(
            grants::twice,
            "Unity Catalog API: PATCH changes",
            "granting and revoking twice is doing it once",
            "200 four times, and nothing left"
        ),
        row!(
            grants::pages,
            "Unity Catalog API: max_results=0 and page_token",
            "grants are read page by page to the end",
            "every principal once, and a last page"
        ),
        row!(
            grants::unknown,
            "Unity Catalog API: PRINCIPAL_DOES_NOT_EXIST",
            "a grant to somebody unknown names the principal",
            "404 that names the principal"
        ),
        row!(
            models::model,
            "Unity Catalog API: registered models",
            "a model is made without versions, and an alias it does not have is absent in the vendor's own words",
            "200, no version, absence"
        ),
        row!(
            models::alias,
            "MLflow client: versions are made and finalized; Unity Catalog API: aliases",
            "an alias is set and deleted, each twice as once, and a version says who made it and when",
            "2xx, the version, then absence"
        ),
        row!(
            models::stranger,
            "Unity Catalog API: aliases",
            "an alias to a version that does not exist is refused and not set",
            "400 or 404, then absence"
        ),
        row!(
            models::endpoints,
            "Serving endpoints API",
            "endpoints are listed, one that does not exist is absent, and one that serves says which configuration",
            "absence; config_version"
        ),
        row!(
            account::rule_set,
            "Account access control API",
            "a rule set written with an old etag is refused",
            "409"
        ),
        row!(
            account::create,
            "Account SCIM API",
            "a group of the account is created once under a name",
            "201 with an id, then 409"
        ),
        row!(
            account::fill,
            "Account SCIM API",
            "a member of an account group is added twice as once, and seen",
            "2xx twice, one member within 60 s"
        ),
        row!(
            account::listing,
            "accounts made since 2025-08-22 list groups without members",
            "a listing of the account shows the group, with members or consistently without",
            "the group is in the listing"
        ),
        row!(
            entry::permission,
            "Account API: workspace assignment; Terraform provider: permission assignment of the workspace",
            "somebody enters the workspace, is seen there, and leaves it twice",
            "2xx and USER, then nothing"
        ),
        row!(
            account::clear,
            "Account SCIM API: members[value eq \"…\"]",
            "the member of an account group is taken out by a filter",
            "2xx, no member within 60 s"
        ),
    ]
}
