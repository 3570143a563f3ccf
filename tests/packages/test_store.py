"""What the guest asks for, from the question to the image, with good and with hostile servers."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from wheels import (
    Server,
    digest,
    lock_bytes,
    lock_entry,
    make_distribution,
    running_server,
    wheel_bytes,
)

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.errors import PackageError
from pyodide_kernel.packages.cache import Cache
from pyodide_kernel.packages.constraints import read_constraints
from pyodide_kernel.packages.desk import MAX_JOBS, Desk, read_index_request, read_package_request
from pyodide_kernel.packages.distribution import Distribution, open_distribution
from pyodide_kernel.packages.downloads import Downloads
from pyodide_kernel.packages.image import BLOB, INDEX
from pyodide_kernel.packages.indexes import FolderIndex, WebIndex
from pyodide_kernel.packages.jobs import Job
from pyodide_kernel.packages.store import Store
from pyodide_kernel.runtime import runtime_dir

LOCK = runtime_dir() / "pyodide" / "pyodide-lock.json"
DEMO = wheel_bytes("demo", "1", {"demo.py": "x = 1"})
MakeDownloads = Callable[..., Downloads]


def opened(setting: object, cache: Cache, downloads: Downloads) -> Distribution:
    return open_distribution(
        str(setting),
        default_url="https://8.8.8.8/full/",
        runtime_lock=LOCK,
        cache=cache,
        downloads=lambda: downloads,
    )


def make_store(cache: Cache, downloads: Downloads, **options: Any) -> Store:
    defaults: dict[str, Any] = {
        "distribution": None,
        "indexes": [],
        "bundled": ["comm"],
        "python": "3.14.2",
    }
    return Store(cache=cache, downloads=downloads, **(defaults | options))


def contents(image: Mapping[str, Any]) -> dict[str, bytes]:
    folder = Path(image["folders"][0])
    blob = (folder / BLOB).read_bytes()
    index = json.loads((folder / INDEX).read_text("utf-8"))["files"]
    return {name: blob[start : start + size] for name, (start, size) in index.items()}


def is_empty(cache: Cache) -> bool:
    return not any(usage.entries for usage in cache.usage() if usage.part != "pages")


# The distribution


def test_a_folder_gives_a_package_and_what_it_needs(
    tmp_path: Path, cache: Cache, downloads: Downloads, job: Job
) -> None:
    folder = make_distribution(
        tmp_path / "dist",
        demo=("1", DEMO, ("base", "comm")),
        base=("2", wheel_bytes("base", "2", {"base.py": ""}), ()),
    )
    store = make_store(cache, downloads, distribution=opened(folder, cache, downloads))
    images = store.load(["demo"], [], job)
    assert [(image["name"], image["version"]) for image in images] == [("base", "2"), ("demo", "1")]
    assert contents(images[1])["demo.py"] == b"x = 1"
    assert store.load(["demo"], [], job) == images


def test_a_package_that_is_not_what_the_lock_says_is_refused(
    tmp_path: Path, cache: Cache, downloads: Downloads, job: Job
) -> None:
    folder = make_distribution(tmp_path / "dist", demo=("1", DEMO, ()))
    (folder / "demo-1-py3-none-any.whl").write_bytes(DEMO + b"more")
    store = make_store(cache, downloads, distribution=opened(folder, cache, downloads))
    with pytest.raises(PackageError, match=r"has SHA-256 .* but the lock file says"):
        store.load(["demo"], [], job)
    assert is_empty(cache)


def serve_distribution(server: Server, data: bytes = DEMO, sha256: str | None = None) -> str:
    entry = lock_entry("demo", "1", DEMO) | ({"sha256": sha256} if sha256 else {})
    server.serve("/full/pyodide-lock.json", lock_bytes(entry))
    server.serve("/full/demo-1-py3-none-any.whl", data)
    return f"{server.url}/full/"


def test_a_url_is_asked_once_and_works_offline_then(
    server: Server, cache: Cache, make_downloads: MakeDownloads, job: Job
) -> None:
    url = serve_distribution(server)
    for offline in (False, False, True):
        downloads = make_downloads(offline=offline)
        store = make_store(cache, downloads, distribution=opened(url, cache, downloads))
        assert contents(store.load(["demo"], [], job)[0])["demo.py"] == b"x = 1"
    assert sorted(server.asked) == ["/full/demo-1-py3-none-any.whl", "/full/pyodide-lock.json"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [(DEMO[:-40], "has SHA-256"), (b"", "has SHA-256"), (b"<html>", "has SHA-256")],
)
def test_a_wrong_or_truncated_package_leaves_the_cache_as_it_was(
    server: Server, cache: Cache, downloads: Downloads, job: Job, data: bytes, reason: str
) -> None:
    url = serve_distribution(server, data)
    store = make_store(cache, downloads, distribution=opened(url, cache, downloads))
    with pytest.raises(PackageError, match=reason):
        store.load(["demo"], [], job)
    assert is_empty(cache)
    server.serve("/full/demo-1-py3-none-any.whl", DEMO)
    assert store.load(["demo"], [], job)


def test_a_hostile_wheel_with_the_right_digest_leaves_no_image(
    server: Server, cache: Cache, downloads: Downloads, job: Job, tmp_path: Path
) -> None:
    evil = wheel_bytes("demo", "1", {"../../evil.py": "x"})
    url = serve_distribution(server, evil, digest(evil))
    store = make_store(cache, downloads, distribution=opened(url, cache, downloads))
    with pytest.raises(PackageError, match="leads elsewhere"):
        store.load(["demo"], [], job)
    assert list(cache.images.iterdir()) == []
    assert not list(tmp_path.rglob("evil.py"))


def test_a_distribution_for_another_pyodide_is_refused(
    tmp_path: Path, cache: Cache, downloads: Downloads
) -> None:
    tmp_path.joinpath("pyodide-lock.json").write_bytes(lock_bytes(abi="2025_0"))
    with pytest.raises(PackageError, match="has packages for the ABI 2025_0"):
        opened(tmp_path, cache, downloads)


def test_a_folder_without_a_lock_is_named(
    tmp_path: Path, cache: Cache, downloads: Downloads
) -> None:
    with pytest.raises(PackageError, match=r"--package-url: .*pyodide-lock\.json can't be read"):
        opened(tmp_path, cache, downloads)


def test_a_damaged_image_is_made_again(
    tmp_path: Path, cache: Cache, downloads: Downloads, job: Job
) -> None:
    folder = make_distribution(tmp_path / "dist", demo=("1", DEMO, ()))
    store = make_store(cache, downloads, distribution=opened(folder, cache, downloads))
    blob = Path(store.load(["demo"], [], job)[0]["folders"][0]) / BLOB
    blob.write_bytes(bytes(blob.stat().st_size))
    assert contents(store.load(["demo"], [], job)[0])["demo.py"] == b"x = 1"


# Indexes


@pytest.fixture
def web(server: Server, cache: Cache, downloads: Downloads) -> Store:
    index = WebIndex(f"{server.url}/simple", downloads=downloads, cache=cache)
    return make_store(cache, downloads, indexes=[index])


def test_a_listed_wheel_is_loaded_and_the_guest_sees_no_url(
    server: Server, web: Store, job: Job
) -> None:
    name = server.list_wheel("demo", "1", DEMO)
    page = web.page("demo", "", job)
    assert server.url not in json.dumps(page)
    assert [entry["filename"] for entry in page["files"]] == [name]
    assert "Name: demo" in web.metadata("demo", name, job)
    assert contents(web.load([], [("demo", name)], job)[0])["demo.py"] == b"x = 1"


def test_what_no_index_lists_is_not_fetched(server: Server, web: Store, job: Job) -> None:
    server.list_wheel("demo", "1", DEMO)
    server.serve("/files/secret-1-py3-none-any.whl", DEMO)
    with pytest.raises(PackageError, match="no package index lists 'secret-1"):
        web.load([], [("demo", "secret-1-py3-none-any.whl")], job)
    assert server.asked == ["/simple/demo/"]


def test_an_index_that_is_not_configured_is_not_asked(server: Server, web: Store, job: Job) -> None:
    with running_server() as other:
        with pytest.raises(PackageError, match="is not among the configured package indexes"):
            web.page("demo", f"{other.url}/simple", job)
        assert other.asked == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "/etc/passwd", "../../../etc/passwd", "ftp://127.0.0.1/x"]
)
def test_a_listed_url_of_a_file_is_never_read(
    server: Server, web: Store, cache: Cache, job: Job, url: str
) -> None:
    name = server.list_wheel("demo", "1", DEMO, url=url, sha256=digest(DEMO))
    with pytest.raises(PackageError):
        web.load([], [("demo", name)], job)
    assert is_empty(cache)


def test_a_wheel_with_the_wrong_digest_is_refused(
    server: Server, web: Store, cache: Cache, job: Job
) -> None:
    name = server.list_wheel("demo", "1", DEMO, sha256=digest(b"other"))
    with pytest.raises(PackageError, match="it is not used"):
        web.load([], [("demo", name)], job)
    assert is_empty(cache)


def test_what_else_an_index_has_is_counted(server: Server, web: Store, job: Job) -> None:
    names = ("demo-1-cp314-cp314-win_amd64.whl", "demo-1.tar.gz")
    old = {"filename": "demo-1-py3-none-any.whl", "url": "x", "requires-python": "<3"}
    server.list("demo", *({"filename": name, "url": name} for name in names), old)
    page = web.page("demo", "", job)
    assert page["files"] == []
    assert page["others"] == {"wheels": 1, "sdists": 1, "python": 1}


def test_without_a_digest_the_first_download_counts(server: Server, web: Store, job: Job) -> None:
    name = "demo-1-py3-none-any.whl"
    server.serve(f"/files/{name}", DEMO)
    server.list("demo", {"filename": name, "url": f"/files/{name}"})
    assert web.load([], [("demo", name)], job)
    assert web.load([], [("demo", name)], job)
    assert server.asked.count(f"/files/{name}") == 1


def test_a_folder_of_wheels_serves_without_a_network(
    tmp_path: Path, cache: Cache, make_downloads: MakeDownloads, job: Job
) -> None:
    name = "demo-1-py3-none-any.whl"
    (tmp_path / name).write_bytes(DEMO)
    downloads = make_downloads(offline=True)
    store = make_store(cache, downloads, indexes=[FolderIndex(tmp_path)])
    assert [entry["filename"] for entry in store.page("demo", "", job)["files"]] == [name]
    assert "Name: demo" in store.metadata("demo", name, job)
    assert contents(store.load([], [("demo", name)], job)[0])["demo.py"] == b"x = 1"


# The desk


class Answers:
    """Where answers go."""

    def __init__(self) -> None:
        self.came = threading.Event()
        self.answers: list[tuple[str, Mapping[str, Any]]] = []
        self.lines: list[str] = []

    def reply(self, question: str, content: Mapping[str, Any]) -> None:
        self.answers.append((question, content))
        self.came.set()


def desk_of(store: Callable[[], Store], answers: Answers) -> Desk:
    return Desk(
        store=store,
        reply=answers.reply,
        begin=lambda _: answers.lines.append,
        end=lambda _: None,
        after=lambda _: None,
        log=logging.getLogger("test"),
    )


def ask(desk: Desk, msg_type: str, **content: Any) -> None:
    desk.ask(Message(msg_type=msg_type, id="q", parent_id="cell", content=content))


def test_a_question_gets_an_answer(server: Server, web: Store) -> None:
    server.list_wheel("demo", "1", DEMO)
    answers = Answers()
    ask(desk_of(lambda: web, answers), "index_request", index="", project="Demo", file="")
    assert answers.came.wait(30)
    assert answers.answers[0][1]["page"]["name"] == "demo"


def test_a_failure_is_an_answer_too(web: Store) -> None:
    def fail() -> Store:
        raise RuntimeError("a bug")

    for store, reason in ((lambda: web, "no package distribution"), (fail, "a bug")):
        answers = Answers()
        ask(desk_of(store, answers), "package_request", names=["numpy"], wheels=[])
        assert answers.came.wait(30)
        assert answers.answers[0][1]["status"] == "error"
        assert reason in answers.answers[0][1]["evalue"]


def test_a_failed_download_is_answered_and_so_are_the_ones_beside_it(
    server: Server, web: Store
) -> None:
    good = server.list_wheel("demo", "1", DEMO)
    bad = server.list_wheel("other", "1", DEMO, sha256=digest(b"other"))
    answers = Answers()
    desk = desk_of(lambda: web, answers)
    ask(desk, "package_request", names=[], wheels=[["demo", good], ["other", bad]])
    assert answers.came.wait(30)
    assert "it is not used" in answers.answers[0][1]["evalue"]


def test_a_cancelled_question_gets_no_answer_and_its_download_ends(
    server: Server, web: Store
) -> None:
    asked = threading.Event()
    name = server.list_wheel("demo", "1", DEMO)

    def wait(request: Any) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(b"x" * 300_000)
        asked.set()
        request.close_connection = True
        try:
            while not server.stop.wait(0.01):
                request.wfile.write(b"x" * 300_000)
        except OSError:
            pass

    server.answers[f"/files/{name}"] = wait
    answers = Answers()
    desk = desk_of(lambda: web, answers)
    ask(desk, "package_request", names=[], wheels=[["demo", name]])
    assert asked.wait(30)
    threads = [thread for thread in threading.enumerate() if thread.name == "packages"]
    desk.cancel()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert answers.answers == []


def test_a_flood_of_questions_is_refused_from_some_number_on(web: Store) -> None:
    gate, answers = threading.Event(), Answers()

    def slow() -> Store:
        gate.wait(30)
        return web

    desk = desk_of(slow, answers)
    for _ in range(MAX_JOBS + 3):
        ask(desk, "package_request", names=["numpy"], wheels=[])
    threads = [thread for thread in threading.enumerate() if thread.name == "packages"]
    assert len(threads) == MAX_JOBS
    assert ["too many" in answer["evalue"] for _, answer in answers.answers] == [True] * 3
    gate.set()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize(
    ("names", "wheels"),
    [
        (["../x"], []),
        ([1], []),
        ([""], []),
        (["a"] * 1001, []),
        ([], ["x"]),
        ([], [["demo"]]),
        ([], [["../demo", "demo-1-py3-none-any.whl"]]),
        ([], [["demo", "nothing"]]),
        ([], [["demo", 1]]),
        ([], [{"project": "demo"}]),
    ],
)
def test_a_hostile_question_for_packages_is_refused(names: list[Any], wheels: list[Any]) -> None:
    with pytest.raises(PackageError):
        read_package_request({"names": names, "wheels": wheels})


@pytest.mark.parametrize(
    ("index", "project", "file"),
    [("", "../x", ""), ("", "", ""), ("", "a/b", ""), ("x" * 2001, "a", ""), ("", "a", "x" * 401)],
)
def test_a_hostile_question_for_an_index_is_refused(index: str, project: str, file: str) -> None:
    with pytest.raises(PackageError):
        read_index_request({"index": index, "project": project, "file": file})


def test_what_is_not_allowed_is_not_loaded_and_what_is_loaded_counts_as_there(
    cache: Cache, downloads: Downloads, tmp_path: Path, job: Job
) -> None:
    (tmp_path / "c").write_text("base<2\n")
    user = wheel_bytes("user", "1", {"user.py": ""})
    made = make_distribution(tmp_path / "d", user=("1", user, ("base",)), base=("2", DEMO, ()))
    store = make_store(
        cache,
        downloads,
        distribution=opened(made, cache, downloads),
        constraints=read_constraints([str(tmp_path / "c")]),
    )
    with pytest.raises(PackageError, match="base 2, but only base<2 is allowed"):
        store.load(["user"], [], job)
    assert [image["name"] for image in store.load(["user"], [], job, ["Base"])] == ["user"]


@pytest.mark.parametrize("loaded", ["x", ["../x"], [1], ["a"] * 1001])
def test_what_is_said_to_be_loaded_is_read_as_hostile(loaded: Any) -> None:
    with pytest.raises(PackageError):
        read_package_request({"names": [], "wheels": [], "loaded": loaded})
