"""Wheels, distributions and indexes made for tests, and a server that misbehaves as it is told."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pyodide_kernel.runtime import runtime_dir

ABI = json.loads((runtime_dir() / "pyodide" / "pyodide-lock.json").read_text("utf-8"))["info"][
    "abi_version"
]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel_bytes(
    name: str, version: str, files: Mapping[str, str | bytes], *, requires: tuple[str, ...] = ()
) -> bytes:
    """A wheel of pure Python."""
    needs = "".join(f"Requires-Dist: {text}\n" for text in requires)
    info = f"{name}-{version}.dist-info"
    own = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path, content in {**files, **own}.items():
            archive.writestr(zipfile.ZipInfo(path), content)
    return target.getvalue()


def lock_entry(
    name: str,
    version: str,
    data: bytes,
    *,
    imports: tuple[str, ...] | None = None,
    depends: tuple[str, ...] = (),
    **more: Any,
) -> dict[str, Any]:
    """What a lock file says of a wheel."""
    return {
        "name": name,
        "version": version,
        "file_name": f"{name}-{version}-py3-none-any.whl",
        "sha256": digest(data),
        "imports": list(imports if imports is not None else (name,)),
        "depends": list(depends),
        "install_dir": "site",
        "package_type": "package",
        "unvendored_tests": False,
        **more,
    }


def lock_bytes(*entries: Mapping[str, Any], abi: str = ABI) -> bytes:
    """A lock file."""
    info = {"abi_version": abi, "arch": "wasm32", "platform": "emscripten", "python": "3.14.2"}
    packages = {entry["name"]: entry for entry in entries}
    return json.dumps({"info": info, "packages": packages}).encode()


def make_distribution(folder: Path, **wheels: tuple[str, bytes, tuple[str, ...]]) -> Path:
    """A folder with a lock file: version, wheel and needs of each package by name."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, (version, data, depends) in wheels.items():
        entry = lock_entry(name, version, data, depends=depends)
        (folder / entry["file_name"]).write_bytes(data)
        entries.append(entry)
    (folder / "pyodide-lock.json").write_bytes(lock_bytes(*entries))
    return folder


Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """A server on loopback: answers by path, and notes what was asked."""

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def serve(
        self, path: str, data: bytes, *, form: str = "application/octet-stream", status: int = 200
    ) -> None:
        """Answer with some bytes."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            request.send_header("Content-Type", form)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)

        self.answers[path] = answer

    def redirect(self, path: str, target: str) -> None:
        """Send whoever asks somewhere else."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(302)
            request.send_header("Location", target)
            request.send_header("Content-Length", "0")
            request.end_headers()

        self.answers[path] = answer

    def list(self, project: str, *files: Mapping[str, Any]) -> None:
        """A page of an index."""
        page = {"meta": {"api-version": "1.0"}, "name": project, "files": list(files)}
        form = "application/vnd.pypi.simple.v1+json"
        self.serve(f"/simple/{project}/", json.dumps(page).encode(), form=form)

    def list_wheel(
        self, name: str, version: str, data: bytes, *, sha256: str | None = None, url: str = ""
    ) -> str:
        """A page that lists one wheel, and the wheel itself; its file name."""
        filename = f"{name}-{version}-py3-none-any.whl"
        self.serve(f"/files/{filename}", data)
        self.list(
            name,
            {
                "filename": filename,
                "url": url or f"{self.url}/files/{filename}",
                "hashes": {"sha256": sha256 or digest(data)},
            },
        )
        return filename


@contextmanager
def running_server() -> Iterator[Server]:
    """A server until the end of the context."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.asked.append(self.path)
            server.headers.append(dict(self.headers))
            answer = server.answers.get(self.path)
            if answer is None:
                self.send_error(404)
            else:
                answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Server(url=f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        http.shutdown()
        http.server_close()
        thread.join()
