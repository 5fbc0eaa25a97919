//! Jobs 2.2: named, defined, owned, run as somebody. Not-found is worded as a bad request, which is how the vendor
//! disguises it [GO apierr/error_overrides.go]. Their runs are `crate::runs`.

use serde_json::{Map, Value, json};

use super::run_as;
use super::shape::{self, may_manage};
use crate::call::{Call, only, page};
use crate::error::ApiError;
use crate::limits::Family;
use crate::permissions::acl;
use crate::route::{Answer, Reply, Route, read, write};
use crate::runs::tasks;
use crate::state::{Object, State};

const KIND: &str = "jobs";

/// Fields of a job's settings, from the vendor's SDK (`JobSettings`).
const SETTINGS: &[&str] = &[
    "budget_policy_id",
    "continuous",
    "deployment",
    "description",
    "duration_target",
    "edit_mode",
    "email_notifications",
    "environment_variables",
    "environments",
    "format",
    "git_source",
    "health",
    "job_clusters",
    "max_concurrent_runs",
    "name",
    "notification_settings",
    "parameters",
    "parent_path",
    "performance_target",
    "queue",
    "run_as",
    "schedule",
    "tags",
    "tasks",
    "timeout_seconds",
    "trigger",
    "triggers",
    "usage_policy_id",
    "webhook_notifications",
    "existing_cluster_id",
    "new_cluster",
    "notebook_task",
    "libraries",
    "max_retries",
];

pub const ROUTES: &[Route] = &[
    write("POST", "/api/2.2/jobs/create", create).family(Family::JobsCreate),
    read("GET", "/api/2.2/jobs/get", get).query(&["job_id", "page_token", "include_trigger_state"]),
    read("GET", "/api/2.2/jobs/list", list).query(&["name", "limit", "offset", "page_token", "expand_tasks"]),
    write("POST", "/api/2.2/jobs/delete", delete).body(&["job_id"]),
    write("POST", "/api/2.2/jobs/update", update).body(&["job_id", "new_settings", "fields_to_remove"]),
    write("POST", "/api/2.2/jobs/reset", reset).body(&["job_id", "new_settings"]),
];

pub fn find<'a>(call: &Call, state: &'a State) -> Result<&'a Object, ApiError> {
    let id = call.text("job_id")?;
    state
        .objects
        .get(call.workspace(), KIND, &id)
        .ok_or_else(|| ApiError::invalid(format!("Job {id} does not exist.")))
}

/// The principal that runs of a job act as: what its settings say, else its owner.
pub fn runs_as(state: &State, object: &Object) -> u64 {
    let setting = object.body.get("settings").map(|settings| &settings["run_as"]);
    let text = |name: &str| setting.and_then(|run_as| run_as[name].as_str());
    let directory = &state.directory;
    let named = text("service_principal_name")
        .and_then(|app| directory.application(app).map(|sp| sp.id))
        .or_else(|| text("user_name").and_then(|name| directory.user_named(name).map(|user| user.id)));
    named.unwrap_or_else(|| acl::owner(object).unwrap_or(object.creator))
}

pub fn render(state: &State, object: &Object) -> Value {
    let run_as = crate::identity::name(state, runs_as(state, object));
    let mut body = object.body.clone();
    body.insert(
        "job_id".into(),
        json!(object.id.parse::<u64>().unwrap_or_default()),
    );
    body.insert("run_as_user_name".into(), json!(run_as));
    body.insert(
        "creator_user_name".into(),
        json!(crate::identity::name(state, object.creator)),
    );
    Value::Object(body)
}

/// Makes a job from its settings; also how seeding makes one.
pub fn make(
    state: &mut State,
    workspace: u64,
    id: Option<&str>,
    mut settings: Map<String, Value>,
    creator: u64,
    now: i64,
) -> String {
    fill(&mut settings);
    let name = settings
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or("Untitled")
        .to_owned();
    let Some(row) = shape::of(KIND) else {
        return String::new();
    };
    let id = shape::create(state, workspace, row, &name, id, &Map::new(), creator, now);
    if let Some(object) = state.objects.get_mut(workspace, KIND, &id) {
        object.body = Map::from_iter([
            ("settings".to_owned(), Value::Object(settings)),
            ("created_time".to_owned(), json!(now)),
        ]);
    }
    id
}

fn create(call: &Call, state: &mut State) -> Answer {
    let mut settings = call.object()?.clone();
    let list = settings.remove("access_control_list");
    only(&settings, SETTINGS)?;
    tasks::check(&settings)?;
    run_as::allowed(call, state, settings.get("run_as"), None)?;
    let id = make(state, call.workspace(), None, settings, call.caller, call.now);
    if let Some(list) = list {
        let mut nested = call.clone();
        nested.params.insert("type", KIND.to_owned());
        nested.params.insert("id", id.clone());
        nested.body = json!({"access_control_list": list});
        if let Err(error) = crate::permissions::update(&nested, state) {
            state.objects.remove(call.workspace(), KIND, &id);
            return Err(error);
        }
    }
    Ok(Reply::ok(
        json!({"job_id": id.parse::<u64>().unwrap_or_default()}),
    ))
}

fn visible(call: &Call, state: &State, object: &Object) -> bool {
    let workspace = call.workspace();
    state.directory.is_workspace_admin(workspace, call.caller)
        || crate::permissions::kinds::by_path(KIND)
            .is_some_and(|kind| acl::effective(state, workspace, kind, object, call.caller) > 0)
}

fn get(call: &Call, state: &State) -> Answer {
    let object = find(call, state)?;
    if !visible(call, state, object) {
        let name = crate::identity::name(state, call.caller);
        return Err(ApiError::denied(format!(
            "User {name} does not have View or Admin or Manage Run or Owner permissions on job {}",
            object.id
        )));
    }
    Ok(Reply::ok(render(state, object)))
}

fn list(call: &Call, state: &State) -> Answer {
    let workspace = call.workspace();
    let name = call.query("name").map(str::to_lowercase);
    let size = call.query_number("limit")?;
    if size.is_some_and(|size| size == 0 || size > 100) {
        return Err(ApiError::invalid("limit must be between 1 and 100"));
    }
    let jobs: Vec<&Object> = state
        .objects
        .of_kind(workspace, KIND)
        // The filter is an exact match without regard to case.
        .filter(|job| name.as_ref().is_none_or(|name| job.name.to_lowercase() == *name))
        .filter(|job| visible(call, state, job))
        .collect();
    let (rows, next) = page(call, jobs, size, 20, 100)?;
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|job| {
            let mut row = render(state, job);
            if call.query("expand_tasks") != Some("true")
                && let Some(settings) = row["settings"].as_object_mut()
            {
                settings.remove("tasks");
                settings.remove("job_clusters");
            }
            row
        })
        .collect();
    let mut body = json!({"has_more": next.is_some()});
    if !rows.is_empty() {
        body["jobs"] = json!(rows);
    }
    if let Some(next) = next {
        body["next_page_token"] = json!(next);
    }
    Ok(Reply::ok(body))
}

fn delete(call: &Call, state: &mut State) -> Answer {
    let object = find(call, state)?;
    let id = object.id.clone();
    may_manage(call, state, KIND, object)?;
    state.objects.remove(call.workspace(), KIND, &id);
    Ok(Reply::empty())
}

fn update(call: &Call, state: &mut State) -> Answer {
    change(call, state, |settings, new| {
        settings.extend(new);
        for field in call.body["fields_to_remove"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            settings.remove(field);
        }
    })
}

fn reset(call: &Call, state: &mut State) -> Answer {
    change(call, state, |settings, new| {
        *settings = new;
        fill(settings);
    })
}

/// What a job has although nobody said so.
fn fill(settings: &mut Map<String, Value>) {
    for (name, value) in [
        ("name", json!("Untitled")),
        ("format", json!("MULTI_TASK")),
        ("max_concurrent_runs", json!(1)),
    ] {
        settings.entry(name).or_insert(value);
    }
}

fn change(
    call: &Call,
    state: &mut State,
    edit: impl FnOnce(&mut Map<String, Value>, Map<String, Value>),
) -> Answer {
    let object = find(call, state)?;
    let id = object.id.clone();
    may_manage(call, state, KIND, object)?;
    let new = call.body["new_settings"].as_object().cloned().unwrap_or_default();
    only(&new, SETTINGS)?;
    tasks::check(&new)?;
    let current = object
        .body
        .get("settings")
        .and_then(|settings| settings.get("run_as"));
    run_as::allowed(call, state, new.get("run_as"), current)?;
    let workspace = call.workspace();
    let mut name = object.name.clone();
    if let Some(settings) = state
        .objects
        .get_mut(workspace, KIND, &id)
        .and_then(|object| object.body.get_mut("settings")?.as_object_mut())
    {
        edit(settings, new);
        settings.entry("name").or_insert_with(|| json!("Untitled"));
        name = settings["name"].as_str().unwrap_or("Untitled").to_owned();
    }
    state.objects.rename(workspace, KIND, &id, &name);
    Ok(Reply::empty())
}
