"""The control plane: journal, counts, faults, quirks, the halt after a write."""

import threading
import time

import pytest
import requests
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied, TemporarilyUnavailable, TooManyRequests
from databricks.sdk.service import iam

from conftest import WORKSPACE

GROUPS = "/api/2.0/preview/scim/v2/Groups"


def get(sim, path=GROUPS, **more):
    return requests.get(sim.url + path, headers={"authorization": f"Bearer {sim.token}"}, timeout=30, **more)


def post(sim, name):
    headers = {"authorization": f"Bearer {sim.token}"}
    return requests.post(sim.url + GROUPS, headers=headers, json={"displayName": name}, timeout=30)


def local(sim):
    return set(sim.snapshot()["groups"][f"workspace/{WORKSPACE}"])


def test_a_reset_finds_the_beginning_again(sim, w):
    before = sim.snapshot()
    w.groups.create(display_name="team")
    assert sim.snapshot() != before
    sim.control("POST", "reset")
    assert sim.snapshot() == before


def test_two_runs_of_one_story_look_the_same(sim):
    def story():
        sim.control("POST", "reset")
        made = sim.workspace().jobs.create(name="train")
        sim.workspace().tokens.create(comment="ci")
        return made.job_id, sim.control("GET", "snapshot?stable=true")

    post(sim, "shifts every id")
    _, first = story()
    time.sleep(0.01)
    _, second = story()
    assert first == second and "train" in first["objects"][f"{WORKSPACE}/jobs"]


def test_seeding_twice_is_seeding_once(sim):
    world = {
        "users": [{"userName": "a@x.org", "entitlements": ["workspace-access"]}],
        "servicePrincipals": [{"applicationId": "0aa1c9d0-0000-4000-8000-000000000001", "secrets": ["s3cret"]}],
        "groups": [{"displayName": "inner", "members": ["a@x.org"]}, {"displayName": "outer", "members": ["group:inner"]}],
        "objects": [{"type": "jobs", "name": "train", "acl": {"a@x.org": "CAN_VIEW"}}],
        "securables": [{"type": "catalog", "fullName": "ml", "grants": {"outer": ["USE_CATALOG"]}}],
    }
    sim.seed(**world)
    once = sim.snapshot()
    sim.seed(**world)
    assert sim.snapshot() == once
    assert "s3cret" not in str(once)


def test_a_bad_seed_changes_nothing(sim):
    before = sim.snapshot()
    answer = requests.post(f"{sim.url}/_sim/seed", json={"users": [{"userName": "a@x.org"}], "assignments": [
        {"principal": "nobody", "permission": "USER"}]}, timeout=5)
    assert answer.status_code == 400 and sim.snapshot() == before
    assert requests.post(f"{sim.url}/_sim/seed", json={"user": []}, timeout=5).status_code == 400


def test_the_journal_and_the_counts_tell_what_was_asked(sim, w):
    w.groups.create(display_name="team")
    list(w.groups.list())
    rows = [row for row in sim.journal() if row["route"] == GROUPS]
    assert [(row["method"], row["effect"], row["status"]) for row in rows][:2] == [("POST", True, 201), ("GET", False, 200)]
    assert rows[0]["identity"] == "admin@example.com" and rows[0]["responseBytes"] > 0
    counts = sim.control("GET", "counts")
    assert counts["routes"][f"POST {GROUPS}"]["writes"] == 1 and counts["writes"] == 1
    assert sim.journal(writes=True)[0]["seq"] == rows[0]["seq"]
    sim.control("POST", "journal/clear", {})
    assert sim.control("GET", "counts")["requests"] == 0


def test_the_journal_can_be_waited_for(sim):
    threading.Timer(0.3, post, (sim, "late")).start()
    began = time.monotonic()
    found = sim.control("GET", "journal?since=0&writes=true&wait=20")
    assert len(found["entries"]) == 1 and time.monotonic() - began < 10
    assert sim.control("GET", f"journal?since={found['last']}&wait=0")["entries"] == []


def test_faults_before_the_effect(sim, w):
    cases = [
        ({"Refuse": {"status": 403, "error_code": "PERMISSION_DENIED", "message": "no"}}, 403),
        ({"FailBefore": {"status": 502}}, 502),
        ({"TooManyRequests": {"retry_after": 7}}, 429),
        ("Html", 200),
    ]
    for action, status in cases:
        sim.fault(method="POST", times=1, action=action)
        answer = post(sim, "team")
        assert answer.status_code == status
        assert "team" not in local(sim)
    sim.fault(method="POST", times=1, action="DropBefore")
    with pytest.raises(requests.ConnectionError):
        post(sim, "team")
    assert "team" not in local(sim)
    sim.fault(times=1, action={"TooManyRequests": {"retry_after": 7}})
    assert get(sim).headers["retry-after"] == "7"
    sim.fault(times=1, action={"Refuse": {"status": 403, "error_code": "PERMISSION_DENIED", "message": "no"}})
    with pytest.raises(PermissionDenied):
        w.jobs.create(name="x")


def test_faults_after_the_effect(sim):
    for name, action in (("a", "DropAfter"), ("b", {"FailAfter": {"status": 503}}), ("c", "Garbage"), ("d", "Truncate")):
        sim.fault(method="POST", times=1, action=action)
        try:
            answer = post(sim, name)
            assert answer.status_code == 503 or name == "c"
        except requests.RequestException:
            assert name in "ad"
        assert name in local(sim)
    sim.fault(method="GET", times=1, action={"BigBody": {"mb": 3}})
    assert len(get(sim).content) > 3_000_000
    sim.fault(method="GET", times=1, action={"Delay": {"ms": 300}})
    began = time.monotonic()
    assert get(sim).ok and time.monotonic() - began >= 0.3


def test_faults_match_by_route_and_count(sim):
    sim.fault(route="/api/*/Groups/{id}", action={"FailBefore": {"status": 500}})
    sim.fault(route=GROUPS, after=1, times=2, action={"FailBefore": {"status": 500}})
    assert [get(sim).status_code for _ in range(4)] == [200, 500, 500, 200]
    assert [rule["hit"] for rule in sim.control("GET", "faults")["faults"]] == [0, 2]
    sim.control("DELETE", "faults")
    assert sim.control("GET", "faults")["faults"] == []


def test_after_the_chosen_write_nothing_is_answered(sim):
    sim.settings(haltAfterWrite=2)
    assert post(sim, "one").status_code == 201
    answers = []
    threads = [threading.Thread(target=lambda name=name: answers.append(post(sim, name).status_code)) for name in ("two", "three")]
    for thread in threads:
        thread.start()
        time.sleep(0.2)
    assert sim.control("GET", "halt") == {"halted": True}
    assert answers == [] and local(sim) >= {"one", "two"} and "three" not in local(sim)
    sim.control("POST", "release", {})
    for thread in threads:
        thread.join(10)
    assert sorted(answers) == [201, 201] and "three" in local(sim)


def test_the_published_limits(sim, w):
    sim.settings(limits=True)
    made = w.groups.create(display_name="team")
    operation = iam.Patch(op=iam.PatchOp.REPLACE, path="externalId", value="x")
    patch = lambda: w.groups.patch(
        made.id, operations=[operation], schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]
    )
    for _ in range(10):
        patch()
    headers = {"authorization": f"Bearer {sim.token}"}
    refused = requests.patch(f"{sim.url}{GROUPS}/{made.id}", headers=headers, json={}, timeout=5)
    assert refused.status_code == 429 and refused.json()["error_code"] == "RESOURCE_EXHAUSTED"
    assert int(refused.headers["retry-after"]) >= 1
    with pytest.raises((TooManyRequests, TimeoutError)):
        patch()


def test_reads_lag_and_go_back_in_time(sim, w):
    sim.settings(lag=2)
    made = w.groups.create(display_name="team")
    seen = []
    for _ in range(40):
        seen.append(any(group.id == made.id for group in w.groups.list(attributes="id")))
    assert True in seen and False in seen
    first = seen.index(True)
    assert False in seen[first:], "reads are not monotonic"
    time.sleep(2.1)
    assert all(any(group.id == made.id for group in w.groups.list(attributes="id")) for _ in range(5))


def test_the_clock_can_be_off(sim):
    sim.settings(clockOffset=86400)
    tomorrow = time.strftime("%d %b %Y", time.gmtime(time.time() + 86400))
    assert tomorrow in get(sim).headers["date"]


def test_errors_reach_the_sdk_as_its_exceptions(sim, w):
    for status, code, kind in (
        (404, "RESOURCE_DOES_NOT_EXIST", NotFound),
        (503, "TEMPORARILY_UNAVAILABLE", (TemporarilyUnavailable, TimeoutError)),
        (400, "INVALID_STATE", DatabricksError),
    ):
        sim.control("DELETE", "faults")
        sim.fault(route="/api/2.2/jobs/list", action={"Refuse": {"status": status, "error_code": code, "message": "m"}})
        with pytest.raises(kind):
            list(w.jobs.list())
