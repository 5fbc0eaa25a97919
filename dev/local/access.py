"""The first part of the demo: a team appears in both systems, drift is repaired, an accident is stopped, and everything
goes again.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from . import tale, world
from .stage import EXAMPLES, NAMESPACE, apply, grace, kubectl, read, show, until

BINDING, GROUP = "fraud-engineers", "ml-fraud-engineers"


def clear() -> None:
    """An earlier demo's binding is taken back by the operator before this one begins."""
    kubectl("delete", "accessbinding", BINDING, "--namespace", NAMESPACE, "--ignore-not-found", "--wait=false", check=False)


def appears(binary: Path) -> None:
    tale.chapter("A team, declared once")
    tale.say("examples/team.yaml names three people and a service principal, and what they may do in both systems.")
    tale.wait("earlier traces are gone", lambda: None if exists() else True, 60)
    show(binary, "plan", "-f", "examples/team.yaml", expect=(0, 2))
    apply("team.yaml")
    until("the binding is Ready", "accessbinding", BINDING)
    facts()


def facts() -> None:
    tale.fact("Gerrit group " + GROUP, words(world.gerrit_members(GROUP)))
    tale.fact("Databricks group " + GROUP, words(world.account_group(GROUP)))
    tale.fact("Databricks job fraud-train", words(f"{who}: {level}" for who, level in world.job_rights("fraud-train").items()))


def words(values) -> str:
    if values is None:
        return tale.paint("2", "does not exist")
    return ", ".join(values) or tale.paint("2", "nobody")


def drifts() -> None:
    tale.chapter("Somebody helps herself")
    tale.say("Mallory is added to the Gerrit group by hand, past everybody. Lockstep looks every ten minutes; we ask it to look now.")
    world.add_to_gerrit_group(GROUP, "mallory")
    tale.fact("Gerrit group " + GROUP, words(world.gerrit_members(GROUP)))
    look_now()
    tale.wait("Mallory is gone again", lambda: None if "Mallory" in (world.gerrit_members(GROUP) or []) else True, 60)
    event = tale.wait("and the drift is reported", repaired, 30)
    tale.quote(event)


def look_now() -> None:
    tale.command(f"kubectl annotate accessbinding {BINDING} lockstep.dev/requested-at=now --namespace {NAMESPACE}")
    kubectl("annotate", "accessbinding", BINDING, f"lockstep.dev/requested-at={time.time_ns()}", "--overwrite", "--namespace", NAMESPACE)


def repaired() -> str | None:
    events = json.loads(kubectl("get", "events.events.k8s.io", "--namespace", NAMESPACE, "--output", "json"))["items"]
    notes = [event.get("note", "") for event in events if event.get("reason") == "Repaired"]
    return notes[-1] if notes else None


def brakes(binary: Path) -> None:
    tale.chapter("An edit that would lock most of the team out")
    tale.say("A hurried edit leaves only Cy in the file. Half a team leaving at once is more likely an accident: the brake holds it.")
    team = (EXAMPLES / "team.yaml").read_text()
    for gone in ("ada", "ben"):
        team = team.replace(f"  - person: {{email: {gone}@example.com}}\n", "")
    kubectl("apply", "--filename", "-", given=team)
    until("the plan is Blocked", "accessbinding", BINDING, "Blocked")
    facts()
    show(binary, "plan", BINDING, "--namespace", NAMESPACE, expect=(2,))
    tale.say(
        "It is no accident. Whoever made the edit cannot approve it: Grace, who leads the team, looks at exactly this plan "
        "and says yes. Any other plan would need another yes."
    )
    reason = "Ada and Ben have moved to another team"
    tale.command("export KUBECONFIG=grace.kubeconfig")
    approve = ("approve", f"accessbinding/{BINDING}", "--namespace", NAMESPACE, "--yes", "--reason", reason)
    show(binary, *approve, kubeconfig=grace(), last=3)
    tale.wait("the plan is carried out", lambda: None if "Ada Lovelace" in (world.gerrit_members(GROUP) or []) else True, 60)
    until("the binding is Ready", "accessbinding", BINDING)
    facts()


def goes() -> None:
    tale.chapter("The team is dissolved")
    tale.command(f"kubectl delete accessbinding {BINDING} --namespace {NAMESPACE}")
    kubectl("delete", "accessbinding", BINDING, "--namespace", NAMESPACE, "--wait=false")
    tale.wait("what Lockstep gave is taken back, and nothing else", lambda: None if exists() else True, 60)
    facts()


def exists() -> bool:
    return bool(read("accessbinding", BINDING))
