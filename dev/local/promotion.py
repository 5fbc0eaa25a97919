"""The second part of the demo: a reviewed change reaches production, what got around review does not, a failing smoke
test takes everything back, and the person on call lets it go on.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from . import tale, world
from .review import Change, Clone
from .stage import NAMESPACE, apply, grace, kubectl, read, show, until

POLICY, PROJECT = "fraud", "ml/fraud"
HOTFIX = "hotfix.py"
# A promotion has five steps, and each takes a few looks.
SECONDS = 90


def governed() -> None:
    tale.chapter("A way to production")
    tale.say(
        "examples/promotion.yaml says who leads and who checks, and what becomes of a change that merges into the branches "
        "staging and prod: its files are uploaded, a model is trained and served, and a smoke test asks it."
    )
    apply("promotion.yaml")
    until("the leads are known", "accessbinding", "fraud-leads")
    until("the checks are known", "accessbinding", "fraud-ci")
    tale.wait("the policy knows where history begins", begun, 60, policy_says)


def settle(clone: Clone) -> None:
    """What a demo that was interrupted has left standing is dealt with, as people would."""
    slipped = clone.last("staging", HOTFIX)
    if slipped:
        bring_in(clone, clone.revert("ada", "staging", slipped))


def begun() -> bool | None:
    rows = environments()
    return True if len(rows) == 2 and all(row.get("baseline") for row in rows.values()) else None


def policy_says() -> str:
    return json.dumps(read("promotionpolicy", POLICY).get("status", {}).get("conditions", []), indent=1)


def environments() -> dict[str, dict]:
    rows = read("promotionpolicy", POLICY).get("status", {}).get("environments", [])
    return {row["name"]: row for row in rows}


def reaches_production(binary: Path, clone: Clone) -> None:
    tale.chapter("A change, from its author to production")
    tale.say("Ada trains with another threshold, and proposes it for staging. Whoever reviews it asks what it still lacks:")
    change = clone.propose("ada", "staging", "Take more payments for fraud", another_threshold(clone, 600, 900))
    check(binary, change, lacks=True)
    tale.say("Grace, who leads, says yes; CI has found it sound.")
    say_yes(clone, change)
    check(binary, change, lacks=False)
    clone.submit("ada", change)
    promoted(change, "staging", "Succeeded")
    tale.say("What succeeded in staging may go to prod: the same change for the other branch, reviewed there as well.")
    picked = clone.pick("ada", "prod", change.commit)
    bring_in(clone, picked)
    promoted(picked, "prod", "Succeeded")
    tale.quote(clone.said(picked, "prod")[-1])
    tale.say("The job that trains prints a hash over the files it runs from. Git has one for the files that were reviewed:")
    tale.fact("tree of the files that ran", re.search(r"^tree (\w+)$", world.logs("fraud-train"), re.MULTILINE).group(1))
    tale.fact(f"tree of change {picked.number} as reviewed", clone.tree(picked.commit))
    tale.fact("prod serves", world.served("fraud-scorer"))


def check(binary: Path, change: Change, lacks: bool) -> None:
    show(binary, "promotions", "check", str(change.number), "--namespace", NAMESPACE, expect=(2 if lacks else 0,))


def say_yes(clone: Clone, change: Change) -> None:
    clone.vote("grace", change, "Code-Review", 2)
    clone.vote("fraud-ci", change, "Verified", 1)


def bring_in(clone: Clone, change: Change) -> None:
    """Everybody does their part."""
    say_yes(clone, change)
    clone.submit("ada", change)


def another_threshold(clone: Clone, low: int, high: int) -> dict[str, str]:
    """The training script with another number in this range."""
    script = clone.read("staging", "train.py")
    number = int(re.search(r"^THRESHOLD = (\d+)$", script, re.MULTILINE).group(1))
    other = low + (number + 10 - low) % (high - low) if low <= number < high else low
    return {"train.py": script.replace(f"THRESHOLD = {number}", f"THRESHOLD = {other}")}


def promotion(change: Change, environment: str) -> dict:
    name = f"{POLICY}.{environment}.{change.number}.{change.commit[:8]}"
    return read("promotion", name)


def promoted(change: Change, environment: str, phase: str) -> dict:
    def look() -> dict | None:
        seen = promotion(change, environment)
        return seen if seen.get("status", {}).get("phase") == phase else None

    def said() -> str:
        return json.dumps(promotion(change, environment).get("status", {}), indent=1)

    return tale.wait(f"change {change.number} in {environment}: {phase}", look, SECONDS, said)


def around_review(binary: Path, clone: Clone) -> None:
    tale.chapter("Around review")
    tale.say("Linus administers Gerrit, so Gerrit lets him push straight into the branch. Nothing runs that nobody reviewed.")
    slipped = clone.push_directly("linus", "staging", "Hotfix, trust me", {HOTFIX: "print('hotfix')\n"})
    tale.say("A clean change on top of it would bring it along. Its reviewer is warned, and should it merge all the same, it is refused:")
    note = f"The threshold was last looked at on {time.strftime('%d %B %Y at %X')}.\n"
    clean = clone.propose("ada", "staging", "Note when the threshold was looked at", {"NOTES.md": note})
    say_yes(clone, clean)
    check(binary, clean, lacks=True)
    clone.submit("ada", clean)
    promoted(clean, "staging", "Refused")
    tale.quote(clone.said(clean, "staging")[-1])
    tale.say("Ada proposes to revert it, as any other change:")
    revert = clone.revert("ada", "staging", slipped)
    bring_in(clone, revert)
    promoted(revert, "staging", "Succeeded")


def fails(binary: Path, clone: Clone) -> None:
    tale.chapter("A smoke test fails")
    before = world.served("fraud-staging-scorer")
    tale.say("A threshold of nearly nothing takes most payments for fraud. Review missed it, the smoke test does not.")
    bad = clone.propose("ada", "staging", "Take nearly everything for fraud", another_threshold(clone, 50, 90))
    bring_in(clone, bad)
    promoted(bad, "staging", "Failed")
    tale.quote(clone.said(bad, "staging")[-1])
    tale.fact("the smoke test said", world.logs("fraud-staging-smoke").splitlines()[-1])
    tale.fact("staging served before", before)
    tale.fact("staging serves", world.served("fraud-staging-scorer"))
    tale.say("Nothing begins in staging any more until a person says so. Grace is on call:")
    tale.command("export KUBECONFIG=grace.kubeconfig")
    resume = ("promotions", "resume", POLICY, "staging", "--namespace", NAMESPACE, "--yes", "--reason", "the fix is on its way")
    show(binary, *resume, kubeconfig=grace(), last=3)
    tale.say("The bad change is reverted, reviewed, and runs:")
    fix = clone.revert("ada", "staging", bad.commit)
    bring_in(clone, fix)
    promoted(fix, "staging", "Succeeded")
    show(binary, "promotions", "list", "--namespace", NAMESPACE)
