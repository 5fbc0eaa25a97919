"""Workspace files: what goes in, what comes out, and what is refused."""

import base64
import io

import pytest
import requests
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceAlreadyExists, ResourceConflict
from databricks.sdk.service.workspace import ExportFormat, ImportFormat, Language, ObjectType

from conftest import WORKSPACE

NOTEBOOK = b"# Databricks notebook source\nprint(1)\n"


@pytest.fixture
def w(sim):
    w = sim.workspace()
    w.workspace.mkdirs("/ml/fraud")
    return w


def kinds(w, path="/ml/fraud"):
    return {row.path.rsplit("/", 1)[1]: row.object_type for row in w.workspace.list(path)}


def test_what_was_uploaded_is_downloaded(w):
    content = bytes(range(256)) * 10
    w.workspace.upload("/ml/fraud/data.bin", io.BytesIO(content), format=ImportFormat.AUTO)
    assert w.workspace.download("/ml/fraud/data.bin").read() == content
    assert base64.b64decode(w.workspace.export("/ml/fraud/data.bin", format=ExportFormat.AUTO).content) == content
    status = w.workspace.get_status("/ml/fraud/data.bin")
    assert status.object_type == ObjectType.FILE and status.size == len(content) and status.object_id
    with pytest.raises(ResourceAlreadyExists):
        w.workspace.upload("/ml/fraud/data.bin", b"new", format=ImportFormat.AUTO)
    w.workspace.upload("/ml/fraud/data.bin", b"new", format=ImportFormat.AUTO, overwrite=True)
    assert w.workspace.download("/ml/fraud/data.bin").read() == b"new"
    assert w.workspace.get_status("/ml/fraud/data.bin").object_id == status.object_id


def test_the_header_decides_what_is_a_notebook(w):
    w.workspace.upload("/ml/fraud/nb.py", NOTEBOOK, format=ImportFormat.AUTO)
    w.workspace.upload("/ml/fraud/lib.py", b"x = 1\n", format=ImportFormat.AUTO)
    w.workspace.upload("/ml/fraud/raw.py", NOTEBOOK, format=ImportFormat.RAW)
    w.workspace.upload("/ml/fraud/q.sql", b"-- Databricks notebook source\nselect 1", format=ImportFormat.AUTO)
    assert kinds(w) == {"nb": ObjectType.NOTEBOOK, "lib.py": ObjectType.FILE, "raw.py": ObjectType.FILE, "q": ObjectType.NOTEBOOK}
    assert w.workspace.get_status("/ml/fraud/q").language == Language.SQL
    assert w.workspace.download("/ml/fraud/nb").read() == NOTEBOOK
    assert w.workspace.download("/ml/fraud/raw.py").read() == NOTEBOOK


def test_a_notebook_comes_out_with_its_header(w):
    w.workspace.upload("/ml/fraud/nb", b"print(1)\n", language=Language.PYTHON)
    assert kinds(w) == {"nb": ObjectType.NOTEBOOK}
    assert w.workspace.download("/ml/fraud/nb").read() == NOTEBOOK


def test_imports_that_the_vendor_refuses(w):
    content = base64.b64encode(b"x").decode()
    for wrong in (
        {"path": "/ml/fraud/a.txt", "content": content},
        {"path": "/ml/fraud/a.txt", "content": "***", "format": "AUTO"},
        {"path": "/ml/fraud/a.txt", "content": content, "format": "ZIP"},
        {"path": "/ml/fraud/a.txt", "content": content, "format": "SOURCE", "language": "COBOL"},
        {"path": "ml/a.txt", "content": content, "format": "AUTO"},
        {"path": "/ml/fraud/a.txt", "content": content, "format": "AUTO", "colour": "red"},
    ):
        with pytest.raises(BadRequest):
            w.api_client.do("POST", "/api/2.0/workspace/import", body=wrong)
    with pytest.raises(BadRequest) as refusal:
        w.workspace.upload("/ml/fraud/big.bin", b"x" * (10 * 1024 * 1024 + 1), format=ImportFormat.AUTO)
    assert refusal.value.error_code == "MAX_NOTEBOOK_SIZE_EXCEEDED"
    with pytest.raises(NotFound, match="parent folder"):
        w.workspace.upload("/nowhere/a.txt", b"x", format=ImportFormat.AUTO)
    w.workspace.upload("/ml/fraud/nb", b"x", language=Language.PYTHON)
    with pytest.raises(Exception, match="type mismatch"):
        w.workspace.upload("/ml/fraud/nb", b"x", format=ImportFormat.RAW, overwrite=True)
    for form in ("--b\r\nno end", ""):
        answer = requests.post(f"{w.config.host}/api/2.0/workspace/import", data=form, timeout=5, headers={
            "authorization": f"Bearer {w.config.token}", "content-type": "multipart/form-data; boundary=b"})
        assert answer.status_code == 400


def test_files_go_in_as_bare_bytes(w):
    send = lambda path, content, **query: w.api_client.do(
        "POST", f"/api/2.0/workspace-files/import-file/{path}", query=query, data=content,
        headers={"content-type": "application/octet-stream"})
    send("ml%2Ffraud%2Fa%20b.json", b'{"not": json')
    assert w.workspace.download("/ml/fraud/a b.json").read() == b'{"not": json'
    with pytest.raises((ResourceAlreadyExists, ResourceConflict)):
        send("ml%2Ffraud%2Fa%20b.json", b"2")
    send("Workspace/ml/fraud/a%20b.json", b"2", overwrite="true")
    assert w.workspace.download("/ml/fraud/a b.json").read() == b"2"
    send("ml%2Ffraud%2Fnb.py", NOTEBOOK)
    assert kinds(w)["nb"] == ObjectType.NOTEBOOK
    with pytest.raises(ResourceAlreadyExists):
        send("ml%2Ffraud%2Fnb.py", NOTEBOOK)
    with pytest.raises(NotFound):
        send("nowhere%2Fa.txt", b"x")


def test_directories_are_listed_and_deleted_with_what_is_in_them(w):
    w.workspace.mkdirs("/ml/fraud/src/deep")
    w.workspace.upload("/ml/fraud/src/deep/a.py", b"1", format=ImportFormat.AUTO)
    w.workspace.upload("/ml/fraud2.txt", b"1", format=ImportFormat.AUTO)
    assert [row.path for row in w.workspace.list("/ml/fraud", recursive=True)] == ["/ml/fraud/src/deep/a.py"]
    assert sorted(kinds(w, "/ml")) == ["fraud", "fraud2.txt"]
    with pytest.raises(BadRequest):
        w.workspace.delete("/ml/fraud")
    w.workspace.delete("/ml/fraud", recursive=True)
    assert kinds(w, "/ml") == {"fraud2.txt": ObjectType.FILE}
    with pytest.raises(NotFound):
        w.workspace.delete("/ml/fraud")
    for path in ("/ml/fraud", "/ml/fraud/src/deep/a.py"):
        with pytest.raises(NotFound):
            w.workspace.get_status(path)


def test_files_are_for_those_who_may(w, sim):
    sim.seed(users=[{"userName": "a@x.org"}], tokens=[{"value": "ta", "principal": "a@x.org", "workspace": WORKSPACE}])
    w.workspace.upload("/ml/fraud/a.py", b"1", format=ImportFormat.AUTO)
    ada = sim.workspace("ta")
    for refused in (
        lambda: ada.workspace.upload("/ml/fraud/b.py", b"1", format=ImportFormat.AUTO),
        lambda: ada.workspace.download("/ml/fraud/a.py").read(),
        lambda: ada.workspace.delete("/ml/fraud", recursive=True),
        lambda: ada.workspace.mkdirs("/ml/other"),
    ):
        with pytest.raises(PermissionDenied):
            refused()


def test_a_full_workspace_is_a_fault_rule(w, sim):
    sim.fault(route="/api/2.0/workspace/import", action={
        "Refuse": {"status": 400, "error_code": "RESOURCE_LIMIT_EXCEEDED", "message": "The workspace is full"}})
    with pytest.raises(Exception, match="full"):
        w.workspace.upload("/ml/fraud/a.py", b"1", format=ImportFormat.AUTO)
