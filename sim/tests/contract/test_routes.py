"""What Lockstep asks of Databricks is asked by the vendor's SDK, too: a path that only our own two programs agree on
would prove nothing.
"""

import pathlib
import re

import pytest

from conftest import DRIVEN, ROOT

ADAPTER = ROOT / "src" / "clients" / "databricks"
# No call of the SDK asks for these.
NOT_IN_THE_SDK = {
    # Undocumented; as Terraform does [TF access/resource_permission_assignment.go].
    "/api/2.0/preview/permissionassignments",
}
# Not asked for by themselves: the code goes on from there.
PREFIXES = {"/api/2.1/unity-catalog"}


def asked():
    """Paths that the adapter's code spells out, as patterns; tests and comments left out."""
    paths = set()
    for file in sorted(ADAPTER.rglob("*.rs")):
        code = file.read_text().split("#[cfg(test)]")[0]
        code = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("//"))
        paths.update(re.findall(r'"(/(?:api|oidc)/[^"\s]*)"', code))
    return paths


def driven(path):
    """Whether an endpoint that was asked for has this path."""
    wanted = path.split("/")

    def same(one, other):
        return one == other or one.startswith("{") or other.startswith("{")

    routes = (route.split("/") for route in DRIVEN)
    return any(len(route) == len(wanted) and all(map(same, wanted, route)) for route in routes)


def test_the_sdk_drives_whatever_the_adapter_asks_for(request):
    collected = {pathlib.Path(item.fspath).name for item in request.session.items}
    here = pathlib.Path(__file__).parent
    if {file.name for file in here.glob("test_*.py")} - collected or request.config.option.keyword:
        pytest.skip("only a whole run knows what is driven")
    paths = asked()
    assert len(paths) > 40, paths
    assert [path for path in sorted(paths - NOT_IN_THE_SDK - PREFIXES) if not driven(path)] == []
