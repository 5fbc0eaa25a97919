"""Moto's server: a stand-in for AWS with IAM, STS and Secrets Manager. It is stricter than it is by itself: signatures,
keys and policies are checked as soon as its first user has an access key. It forgets everything when it is stopped.
"""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml
from pathlib import Path

from . import cache, python
from .failure import Failure
from .progress import Step
from .server import Server
from .state import REPOSITORY, State

NAME = "aws"
REQUIREMENTS = REPOSITORY / "dev" / "aws" / "requirements.txt"
REGION = "eu-central-1"
ADMINISTRATOR = "admin"
SERVER = Server(NAME, "moto", "/moto-api/", start_seconds=60.0)
url, ready, down = SERVER.url, SERVER.ready, SERVER.down
# What is asked before anybody has a key; from then on moto checks.
FOUNDING = (
    ("CreateUser", {}),
    (
        "PutUserPolicy",
        {
            "PolicyName": "everything",
            "PolicyDocument": json.dumps(
                {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
            ),
        },
    ),
    ("CreateAccessKey", {}),
)


def up(state: State, step: Step) -> None:
    """Start moto on its recorded port and give its administrator a key, unless it answers there already."""
    interpreter = _interpreter(step)
    identity = cache.digest([str(interpreter)])
    if SERVER.stands(state, step, identity):
        return
    argv = [str(interpreter), "-m", "moto.server", "--host", "127.0.0.1", "--port", str(state.port(NAME))]
    SERVER.start(state, step, argv, env={"INITIAL_NO_AUTH_ACTION_COUNT": str(len(FOUNDING))})
    key, secret = _found(state)
    SERVER.remember(state, identity, key=key, secret=secret)
    step.done(f"moto at {url(state)}")


def environment(state: State) -> dict[str, str]:
    if not state.get(NAME, "identity"):
        return {}
    return {
        "AWS_ENDPOINT_URL": url(state),
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": state.get(NAME, "key"),
        "AWS_SECRET_ACCESS_KEY": state.get(NAME, "secret"),
    }


def _interpreter(step: Step) -> Path:
    # The digests say what may be installed, whatever index or cache it comes from.
    install = ["--require-hashes", "--requirement", str(REQUIREMENTS)]
    return python.interpreter("aws", install, [REQUIREMENTS], contextlib.nullcontext(step))


def _found(state: State) -> tuple[str, str]:
    """Makes the administrator; the id of the access key, and its secret."""
    answer = ""
    for action, more in FOUNDING:
        answer = _ask(state, {"Action": action, "UserName": ADMINISTRATOR, "Version": "2010-05-08", **more})
    made = {element.tag.rpartition("}")[2]: element.text or "" for element in xml.fromstring(answer).iter()}
    return made["AccessKeyId"], made["SecretAccessKey"]


def _ask(state: State, form: dict[str, str]) -> str:
    # Which service is meant, moto takes from the scope of a signature that it does not check yet.
    scope = f"Credential=founding/20260101/{REGION}/iam/aws4_request, SignedHeaders=host, Signature=none"
    request = urllib.request.Request(
        url(state), data=urllib.parse.urlencode(form).encode(), headers={"Authorization": f"AWS4-HMAC-SHA256 {scope}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as refusal:
        raise Failure(f"moto: {form['Action']}: {refusal.code} {refusal.read().decode(errors='replace')}") from None
    except OSError as error:
        raise Failure(f"moto: {form['Action']}: {error}") from None
