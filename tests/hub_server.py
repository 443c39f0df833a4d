# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A stand-in Hugging Face Hub: pushing and loading are tested for real, without the network.

It serves models and datasets to `huggingface_hub`: create a repository, commit files (weights and tables through LFS,
all others inside the commit, none through Xet), list them, download them whole or by range, at "main" or at any
commit. No branches, pull requests or permissions.

    pytest_plugins = ("hub_server",)  # in a test module or in tests/conftest.py

    def test_push(hub_server):
        hub_server.run("from hafm_hf import HafmModel; HafmModel.from_pretrained('out').push_to_hub('user/hafm')")
        hub_server.run("from transformers import AutoModel; AutoModel.from_pretrained('user/hafm')")
        hub_server.close()
        hub_server.run("...", HF_HUB_OFFLINE="1")  # the same cache again, with the Hub gone

`huggingface_hub` reads its settings when it is imported, so its user must be a process of its own: `run` starts one,
in the current folder, with `hub_server.env`; to start another (a command line, say), pass `env=hub_server.env`. Each
server has its own repositories, cache (HF_HOME) and folder of remote code (HF_MODULES_CACHE), below `tmp_path`.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml


@pytest.fixture
def hub_server(tmp_path):
    """A running `HubServer` without repositories."""
    with HubServer(tmp_path / "hub") as server:
        yield server


class HubServer(ThreadingHTTPServer):
    """The server, running inside a `with` block.

    Args:
        folder: a folder to create, for the files pushed and for the cache of the client processes.

    Attributes:
        endpoint: its URL.
        env: the environment of a process that shall take it for the Hub.
    """

    request_queue_size = 128  # every request is a new connection, and clients download with many threads

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[tuple[str, str], _Repository] = {}  # by kind ("models" or "datasets") and id
        self.blobs = folder / "blobs"
        self.blobs.mkdir(parents=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE_", "TRANSFORMERS_"))}
        self.env = inherited | {
            "HF_ENDPOINT": self.endpoint,
            "HF_TOKEN": "any",
            "HF_HOME": str(folder / "home"),
            "HF_MODULES_CACHE": str(folder / "modules"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "no_proxy": "127.0.0.1",
        }

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self) -> None:
        """Stop serving for good; what the client processes have cached stays."""
        self.shutdown()
        self.server_close()

    def run(self, script: str, **env: str) -> str:
        """Run Python source in a process that takes this server for the Hub, and return what it printed.

        Args:
            script: the source; a common indentation is removed.
            env: further environment variables.

        Raises:
            subprocess.CalledProcessError: if the script fails; its traceback is in the captured stderr of the test.
        """
        command = [sys.executable, "-c", textwrap.dedent(script)]
        return subprocess.run(command, env=self.env | env, stdout=subprocess.PIPE, text=True, check=True).stdout

    def keep(self, blob: str, content: Iterable[bytes]) -> None:
        """Store a file's content, given in pieces, under the hash that its ETag will show."""
        with tempfile.NamedTemporaryFile(dir=self.blobs, delete=False) as file:
            file.writelines(content)
        os.replace(file.name, self.blobs / blob)


class _Refusal(Exception):
    """An answer other than success; `huggingface_hub` chooses its exception by `code`, else by `status`."""

    def __init__(self, status: int, message: str, code: str = "", commit: str = ""):
        super().__init__(message)
        self.status = status
        self.headers = {"X-Error-Message": message, "X-Error-Code": code, "X-Repo-Commit": commit}


class _Repository:
    """A line of commits, each of them a whole tree {path: blob}."""

    def __init__(self):
        self.trees: dict[str, dict[str, str]] = {}
        self.lock = threading.Lock()
        self._record({}, parent="")

    def _record(self, tree: dict[str, str], parent: str) -> None:
        commit = hashlib.sha1(json.dumps([parent, sorted(tree.items())]).encode()).hexdigest()
        self.trees[commit] = tree
        self.head = commit

    def resolve(self, revision: str) -> str:
        """The commit that "main" or a commit's own hash stands for."""
        commit = self.head if revision == "main" else revision
        if commit not in self.trees:
            raise _Refusal(404, f"Invalid revision: {revision}", "RevisionNotFound")
        return commit

    def commit(self, changes: list[tuple[str, str | None]], parent: str) -> str:
        """Add (path, blob) or delete (path, None) files and folders, if "main" is still at `parent` (any if empty)."""
        with self.lock:
            if not self.head.startswith(parent):
                raise _Refusal(412, "A commit has happened since. Please refresh and try again.")
            tree = dict(self.trees[self.head])
            for path, blob in changes:
                if blob is not None:
                    tree[path] = blob
                    continue
                doomed = [p for p in tree if p == path or p.startswith(path.rstrip("/") + "/")]
                if not doomed:
                    raise _Refusal(404, f"{path} does not exist on main", "EntryNotFound", self.head)
                for p in doomed:
                    del tree[p]
            self._record(tree, parent=self.head)
            return self.head


def _card_metadata(card: str) -> dict:
    """The YAML block that a model or dataset card opens with."""
    block = re.match(r"---\n(.*?)\n---\s", card, re.DOTALL)
    return yaml.safe_load(block[1]) or {} if block else {}


class _Handler(BaseHTTPRequestHandler):
    """One request: `_answer` looks up what it is about, then calls the method of its route (see ROUTES)."""

    server: HubServer

    def log_message(self, *args):
        pass

    def _answer(self) -> None:
        verb, url = self.command.replace("HEAD", "GET"), urlsplit(self.path)
        self.query = parse_qs(url.query)
        self.unread = int(self.headers.get("Content-Length", 0))
        try:
            for route_verb, pattern, method in self.ROUTES:
                if verb == route_verb and (match := re.fullmatch(pattern, url.path)):
                    self._look_up(**{name: unquote(part) for name, part in match.groupdict("").items()})
                    return method(self)
            raise _Refusal(501, f"The stand-in Hub does not serve {verb} {url.path}")
        except _Refusal as refusal:
            for _ in self._body_lines():  # a connection closed with data unread is reset, and the answer lost
                pass
            self._send_json({"error": str(refusal)}, refusal.status, refusal.headers)

    do_GET = do_HEAD = do_POST = do_PUT = _answer

    def _look_up(self, kind: str = "", repo_id: str = "", revision: str = "", path: str = "") -> None:
        self.kind, self.repo_id, self.entry = kind or "models", repo_id, path
        if not repo_id:
            return
        if (self.kind, repo_id) not in self.server.repositories:
            raise _Refusal(404, "Repository not found", "RepoNotFound")
        self.repository = self.server.repositories[self.kind, repo_id]
        self.commit = self.repository.resolve(revision or "main")
        self.tree = self.repository.trees[self.commit]

    # Requests and answers

    def _body_lines(self) -> Iterator[bytes]:
        while self.unread:
            line = self.rfile.readline(self.unread)
            if not line:
                raise ConnectionError("The client left in the middle of its request.")
            self.unread -= len(line)
            yield line

    def _body(self) -> bytes:
        return b"".join(self._body_lines())

    def _send_head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()

    def _send_json(self, answer: dict | list, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(answer).encode()
        self._send_head(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    # Repositories

    def _url(self, kind: str, repo_id: str) -> str:
        return f"{self.server.endpoint}/{'datasets/' if kind == 'datasets' else ''}{repo_id}"

    def create_repository(self) -> None:
        request = json.loads(self._body())
        kind, repo_id = f"{request.get('type', 'model')}s", f"{request['organization'] or 'user'}/{request['name']}"
        created = _Repository()
        exists = self.server.repositories.setdefault((kind, repo_id), created) is not created
        self._send_json({"url": self._url(kind, repo_id)}, 409 if exists else 200)

    def validate_card(self) -> None:
        try:
            _card_metadata(json.loads(self._body())["content"])
        except yaml.YAMLError as error:
            self._send_json({"errors": [{"message": str(error)}]}, 400)
        else:
            self._send_json({"errors": []})

    def repository_info(self) -> None:
        card = {}
        if "README.md" in self.tree:
            card = _card_metadata((self.server.blobs / self.tree["README.md"]).read_text("utf-8"))
        siblings = [{"rfilename": path} for path in self.tree]
        info = {"id": self.repo_id, "sha": self.commit, "siblings": siblings, "cardData": card}
        self._send_json(info | {key: card[key] for key in ("library_name", "pipeline_tag", "tags") if key in card})

    # Uploads

    def choose_upload_modes(self) -> None:
        paths = [file["path"] for file in json.loads(self._body())["files"]]
        modes = {path: "lfs" if path.endswith((".parquet", ".safetensors")) else "regular" for path in paths}
        files = [{"path": p, "uploadMode": modes[p], "shouldIgnore": False, "oid": self.tree.get(p)} for p in paths]
        self._send_json({"files": files})

    def choose_lfs_uploads(self) -> None:
        objects = json.loads(self._body())["objects"]
        for item in objects:
            if not (self.server.blobs / item["oid"]).exists():
                item["actions"] = {"upload": {"href": f"{self.server.endpoint}/lfs/{item['oid']}"}}
        self._send_json({"objects": objects})

    def take_lfs_upload(self) -> None:
        self.server.keep(self.entry, self._body_lines())
        self._send_json({})

    def commit_files(self) -> None:
        parent, changes = "", []
        for line in self._body_lines():  # one file at a time in memory, however large the commit
            key, value = (item := json.loads(line))["key"], item["value"]
            match key:
                case "header":
                    parent = value.get("parentCommit", "")
                case "file":
                    content = base64.b64decode(value["content"])
                    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # as git does
                    self.server.keep(blob, [content])
                    changes.append((value["path"], blob))
                case "lfsFile":
                    changes.append((value["path"], value["oid"]))
                case "deletedFile" | "deletedFolder":
                    changes.append((value["path"], None))
                case _:
                    raise _Refusal(400, f"The stand-in Hub does not commit {key}")
        commit = self.repository.commit(changes, parent)
        self._send_json({"commitOid": commit, "commitUrl": f"{self._url(self.kind, self.repo_id)}/commit/{commit}"})

    # Downloads

    def list_folder(self) -> None:
        prefix = f"{self.entry}/" if self.entry else ""
        folders = {str(folder) for path in self.tree for folder in PurePosixPath(path).parents} - {"."}
        sizes = {path: (self.server.blobs / blob).stat().st_size for path, blob in self.tree.items()}
        entries = [{"type": "directory", "path": folder, "oid": "0" * 40} for folder in folders]
        entries += [{"type": "file", "path": p, "oid": blob, "size": sizes[p]} for p, blob in self.tree.items()]
        entries = [entry for entry in entries if entry["path"].startswith(prefix)]
        if prefix and not entries:
            raise _Refusal(404, f"{self.entry} does not exist", "EntryNotFound", self.commit)
        if self.query.get("recursive") != ["true"]:
            entries = [entry for entry in entries if "/" not in entry["path"].removeprefix(prefix)]
        self._send_json(sorted(entries, key=lambda entry: entry["path"]))

    def send_file(self) -> None:
        if self.entry not in self.tree:
            raise _Refusal(404, f"{self.entry} does not exist", "EntryNotFound", self.commit)
        blob = self.tree[self.entry]
        headers = {"ETag": f'"{blob}"', "X-Repo-Commit": self.commit, "Accept-Ranges": "bytes"}
        with (self.server.blobs / blob).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            status, start, stop = 200, 0, size
            if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                status, start, stop = 206, int(match[1]), min(int(match[2] or size) + 1, size)
                if start >= size:
                    raise _Refusal(416, f"{self.entry} has {size} bytes")
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
            self._send_head(status, headers | {"Content-Length": str(stop - start)})
            if self.command != "HEAD" and stop > start:
                self.connection.sendfile(file, start, stop - start)

    _API = r"/api/(?P<kind>models|datasets)/(?P<repo_id>[^/]+/[^/]+)"
    _PAGE = r"/((?P<kind>datasets)/)?(?P<repo_id>[^/]+/[^/]+)"
    _REVISION = r"(?P<revision>[^/]+)"
    ROUTES = (
        ("POST", r"/api/repos/create", create_repository),
        ("POST", r"/api/validate-yaml", validate_card),
        ("GET", rf"{_API}(/revision/{_REVISION})?", repository_info),
        ("POST", rf"{_API}/preupload/{_REVISION}", choose_upload_modes),
        ("POST", rf"{_PAGE}\.git/info/lfs/objects/batch", choose_lfs_uploads),
        ("PUT", r"/lfs/(?P<path>[0-9a-f]{64})", take_lfs_upload),
        ("POST", rf"{_API}/commit/main", commit_files),
        ("GET", rf"{_API}/tree/{_REVISION}(/(?P<path>.+))?", list_folder),
        ("GET", rf"{_PAGE}/resolve/{_REVISION}/(?P<path>.+)", send_file),
    )
