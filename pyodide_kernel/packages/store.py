"""Images of packages: out of the cache, or fetched, checked, unpacked and kept there."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pyodide_kernel.errors import PackageError
from pyodide_kernel.packages.archive import MAX_METADATA_BYTES, read_metadata, write_image
from pyodide_kernel.packages.cache import BYTECODE, Cache
from pyodide_kernel.packages.constraints import Constraint, problem_of
from pyodide_kernel.packages.distribution import Distribution
from pyodide_kernel.packages.downloads import MAX_WHEEL_BYTES, Downloads
from pyodide_kernel.packages.indexes import Index, IndexFile, fits_python, runs_here
from pyodide_kernel.packages.jobs import Interrupted, Job, PartOf
from pyodide_kernel.packages.lockfile import LockedPackage, is_project_name, normalized
from pyodide_kernel.packages.origins import check_listed, with_credentials

AT_ONCE: Final = 4
"""Archives fetched and unpacked at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """An archive and the image that is made of it."""

    label: str
    sha256: str
    name: str
    version: str
    file_name: str
    origin: str
    library: bool
    fetch: Callable[[Job], Path]


class Store:
    """What a kernel's packages come out of. Safe in many threads."""

    def __init__(
        self,
        *,
        cache: Cache,
        downloads: Downloads,
        distribution: Distribution | None,
        indexes: Sequence[Index],
        bundled: Sequence[str],
        python: str,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        self._cache = cache
        self._downloads = downloads
        self._distribution = distribution
        self._indexes = {index.url: index for index in indexes}
        self._order = tuple(indexes)
        self._bundled = frozenset(map(normalized, bundled))
        self._python = python
        self._constraints = constraints
        self._asked: dict[str, _Wanted] = {}

    @property
    def index_urls(self) -> tuple[str, ...]:
        """The indexes as they were configured, in their order."""
        return tuple(index.url for index in self._order)

    # Packages of the distribution, and wheels of the indexes

    def load(
        self,
        names: Sequence[str],
        wheels: Sequence[tuple[str, str]],
        job: Job,
        loaded: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        """Images of packages by name, with all that they need, and of wheels (project, file).

        What is `loaded` (names) is left out, in whatever version. Raises PackageError, and
        Interrupted.
        """
        wanted = [self._locked(package) for package in self._closure(names, loaded)]
        wanted += [self._listed(project, file, job) for project, file in wheels]
        self._asked.update({entry.sha256: entry for entry in wanted})
        missing = [entry for entry in wanted if not (self._cache.images / entry.sha256).is_dir()]
        if missing:
            job.report(_sentence([entry.label for entry in missing]))
        return self._images(wanted, job)

    def file_name(self, sha256: str) -> str:
        """The name of an archive that was asked for. Raises KeyError."""
        return self._asked[sha256].file_name

    def archive(self, sha256: str, job: Job) -> Path:
        """An archive that was asked for: in the cache, or where it lies.

        Raises PackageError, and KeyError.
        """
        return self._asked[sha256].fetch(job)

    def _images(self, wanted: Sequence[_Wanted], job: Job) -> list[dict[str, Any]]:
        part = replace(job, cancelled=PartOf(job.cancelled))
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="packages") as pool:
            tasks = [pool.submit(self._image, entry, part) for entry in wanted]
            finished, _ = wait(tasks, return_when=FIRST_EXCEPTION)
            failures = [error for task in finished if (error := task.exception()) is not None]
            if failures:
                part.cancelled.set()
                pool.shutdown(cancel_futures=True)
                raise failures[0]
            return [task.result() for task in tasks]

    def _closure(self, names: Sequence[str], loaded: Sequence[str]) -> list[LockedPackage]:
        if not names:
            return []
        if self._distribution is None:
            raise PackageError("there is no package distribution; see --package-url")
        packages = self._distribution.lock.closure(
            names, without={*self._bundled, *map(normalized, loaded)}
        )
        for package in packages:
            if problem := problem_of(package, self._constraints):
                raise PackageError(problem)
        return packages

    def _image(self, wanted: _Wanted, job: Job) -> dict[str, Any]:
        if job.cancelled.is_set():
            raise Interrupted
        folder = self._cache.image(wanted.sha256)
        if folder is None:
            archive = wanted.fetch(job)
            folder = self._cache.keep_image(
                wanted.sha256,
                lambda new: write_image(archive, new, name=wanted.label, origin=wanted.origin),
            )
        bytecode = self._cache.image(wanted.sha256 + BYTECODE)
        return {
            "name": wanted.name,
            "version": wanted.version,
            "folders": [str(path) for path in (folder, bytecode) if path is not None],
            "library": wanted.library,
        }

    def _locked(self, package: LockedPackage) -> _Wanted:
        distribution = self._distribution
        assert distribution is not None

        def fetch(job: Job) -> Path:
            if (local := distribution.local(package)) is not None:
                return local
            if url := distribution.remote(package):
                return self._download(url, package.sha256, job)
            return self._of_an_index(package, job)

        return _Wanted(
            label=f"{package.name} {package.version}",
            sha256=package.sha256,
            name=normalized(package.name),
            version=package.version,
            file_name=package.file_name,
            origin="pyodide",
            library=package.kind == "shared_library",
            fetch=fetch,
        )

    def _of_an_index(self, package: LockedPackage, job: Job) -> Path:
        """The archive of a package that a lock file names and the distribution does not have."""
        if (kept := self._cache.wheel(package.sha256)) is not None:
            return kept
        project = normalized(package.name)
        index, file = self._find(project, package.file_name, job)
        if not file.url.startswith("/"):
            return self._download(self._file_url(index, project, file), package.sha256, job)
        if file.sha256 != package.sha256:
            raise PackageError(
                f"{file.url} has SHA-256 {file.sha256}, but the lock file says {package.sha256}; "
                "it is not used"
            )
        return Path(file.url)

    def _listed(self, project: str, filename: str, job: Job) -> _Wanted:
        index, file = self._find(project, filename, job)
        name, version = filename.split("-")[:2]
        local = Path(file.url) if file.url.startswith("/") else None
        digest = file.sha256 or self._remembered_digest(index, project, file, job)

        def fetch(job: Job) -> Path:
            return local or self._download(self._file_url(index, project, file), digest, job)

        return _Wanted(
            label=f"{name} {version}",
            sha256=digest,
            name=normalized(name),
            version=version,
            file_name=filename,
            origin="pypi",
            library=False,
            fetch=fetch,
        )

    def _download(self, url: str, sha256: str | None, job: Job) -> Path:
        """An archive in the cache; without a digest, whatever is there."""
        if sha256 is not None and (kept := self._cache.wheel(sha256)) is not None:
            return kept
        name = unquote(urlsplit(url).path.rpartition("/")[2])
        job.report(f"Downloading {name} …")

        def progress(received: int) -> None:
            job.report(f"Downloading {name}: {received / 1e6:.1f} MB …")

        with self._cache.scratch() as scratch:
            path = scratch / "archive"
            with path.open("w+b") as target:
                answer = self._downloads.fetch(
                    url,
                    target,
                    limit_bytes=MAX_WHEEL_BYTES,
                    sha256=sha256,
                    cancelled=job.cancelled,
                    progress=progress,
                )
            return self._cache.keep_wheel(answer.sha256, path)

    def _remembered_digest(self, index: Index, project: str, file: IndexFile, job: Job) -> str:
        """The digest of a file whose index gives none: what it was when it came."""
        url = self._file_url(index, project, file)
        key = f"digest of {url}"
        if (saved := self._cache.page(key)) is not None:
            return saved[0].decode()
        digest = self._download(url, None, job).name
        self._cache.keep_page(key, digest.encode())
        return digest

    # Pages of the indexes

    def page(self, project: str, index_url: str, job: Job) -> dict[str, Any]:
        """The wheels of a project that may run in the guest, in the form of PEP 691.

        Raises PackageError if no index has the project. `others` says what else there is.
        """
        found: list[dict[str, Any]] = []
        others = {"wheels": 0, "sdists": 0, "python": 0}
        for index in self._chosen(index_url):
            for file in index.files(project, job.cancelled):
                if not runs_here(file):
                    kind = "wheels" if file.filename.endswith(".whl") else "sdists"
                    others[kind] += 1
                elif not fits_python(file, self._python):
                    others["python"] += 1
                else:
                    found.append(_entry(project, file))
            if found or any(others.values()):
                break
        else:
            raise PackageError(f"no package index has a project {project!r}")
        return {"name": project, "files": found, "others": others}

    def metadata(self, project: str, filename: str, job: Job) -> str:
        """The METADATA of a wheel. Raises PackageError."""
        index, file = self._find(project, filename, job)
        if file.url.startswith("/"):
            return read_metadata(Path(file.url), name=filename)
        url = self._file_url(index, project, file)
        if file.metadata:
            return self._metadata_beside(url, file, job)
        digest = file.sha256 or self._remembered_digest(index, project, file, job)
        return read_metadata(self._download(url, digest, job), name=filename)

    def _metadata_beside(self, url: str, file: IndexFile, job: Job) -> str:
        key = f"metadata {file.metadata_sha256 or url}"
        if (saved := self._cache.page(key)) is not None:
            return saved[0].decode("utf-8")
        body = io.BytesIO()
        self._downloads.fetch(
            f"{url}.metadata",
            body,
            limit_bytes=MAX_METADATA_BYTES,
            sha256=file.metadata_sha256,
            cancelled=job.cancelled,
        )
        self._cache.keep_page(key, body.getvalue())
        return body.getvalue().decode("utf-8")

    def _chosen(self, index_url: str) -> Sequence[Index]:
        if not index_url:
            return self._order
        if (index := self._indexes.get(index_url.rstrip("/"))) is None:
            raise PackageError(
                f"{index_url[:200]!r} is not among the configured package indexes; "
                "name it with --index-url when the kernel starts"
            )
        return [index]

    def _find(self, project: str, filename: str, job: Job) -> tuple[Index, IndexFile]:
        if not is_project_name(project):
            raise PackageError(f"{project[:80]!r} is no name of a project")
        for index in self._order:
            for file in index.files(project, job.cancelled):
                if file.filename == filename and runs_here(file):
                    return index, file
        raise PackageError(f"no package index lists {filename[:120]!r} for {project}")

    def _file_url(self, index: Index, project: str, file: IndexFile) -> str:
        page = f"{index.url}/{project}/"
        check_listed(file.url, page=page)
        return with_credentials(file.url, page)


def _entry(project: str, file: IndexFile) -> dict[str, Any]:
    """A file as the guest sees it: no URL of any server, and nothing that it may choose."""
    return {
        "filename": file.filename,
        "url": f"https://index.invalid/{project}/{file.filename}",
        "hashes": {"sha256": file.sha256} if file.sha256 else {},
        "core-metadata": True,
        "yanked": file.yanked,
        **({"size": file.size} if file.size is not None else {}),
    }


def _sentence(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:5])
    more = f" and {len(labels) - 5} more" if len(labels) > 5 else ""
    return f"Loading {shown}{more} …"
