"""Functions that can't work in WebAssembly, and commands of shells."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

from pyodide_kernel.check.findings import Finding
from pyodide_kernel.network import Network, read_host
from pyodide_kernel.reading.code import Command
from pyodide_kernel.reading.installs import pip_line
from pyodide_kernel.reading.uses import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Functions and classes that fail for one reason."""

    names: tuple[str, ...]
    """Full names, `*` for any rest."""
    reason: str
    instead: str
    examples: tuple[str, ...]
    """Cells that show it; the tests run them in a kernel."""


_PROCESSES: Final = "starts a process, and WebAssembly has none"
_PYTHON_INSTEAD: Final = (
    "Use Python: pathlib and shutil for files, a module's functions for a tool, %pip for packages."
)
_NO_SOCKETS: Final = "opens a socket, and WebAssembly has none"
_SERVERS: Final = "waits for connections, and nothing can connect to WebAssembly"

RULES: Final = (
    Rule(
        names=(
            *("os.system", "os.popen", "os.fork", "os.forkpty", "os.exec*", "os.spawn*"),
            *("os.posix_spawn*", "subprocess.run", "subprocess.Popen", "subprocess.call"),
            *("subprocess.check_*", "subprocess.get*output", "pty.spawn"),
            *("asyncio.create_subprocess_*", "asyncio.subprocess.create_subprocess_*"),
        ),
        reason=_PROCESSES,
        instead=_PYTHON_INSTEAD,
        examples=(
            "import os\nos.system('ls')",
            "from os import popen as p\np('ls')",
            "import os\nos.fork()",
            "import os\nos.execv('/bin/ls', ['ls'])",
            "import subprocess as sp\nsp.run(['ls'])",
            "from subprocess import check_output\ncheck_output('ls')",
            "import subprocess\nsubprocess.getoutput('ls')",
            "import asyncio\nawait asyncio.create_subprocess_exec('ls')",
        ),
    ),
    Rule(
        names=(
            *("multiprocessing.Process", "multiprocessing.Pool", "multiprocessing.Manager"),
            *("multiprocessing.*Queue", "multiprocessing.Event", "multiprocessing.Condition"),
            *("multiprocessing.Barrier", "multiprocessing.*Lock", "multiprocessing.*Semaphore"),
            *("multiprocessing.Value", "multiprocessing.Array", "multiprocessing.Pipe"),
            *("multiprocessing.pool.*Pool", "multiprocessing.dummy.Pool"),
            *("concurrent.futures.ProcessPoolExecutor", "concurrent.futures.process.*Executor"),
        ),
        reason="needs processes, and WebAssembly has none",
        instead="Use plain loops, or asyncio for what waits.",
        examples=(
            "import multiprocessing\nmultiprocessing.Pool(2)",
            "from multiprocessing import Process\nProcess(target=print).start()",
            "import multiprocessing as mp\nmp.Value('i', 0)",
            "from multiprocessing.pool import ThreadPool\nThreadPool(2)",
            "from concurrent.futures import ProcessPoolExecutor\nProcessPoolExecutor()",
        ),
    ),
    Rule(
        names=(
            *("threading.Thread", "threading.Timer", "_thread.start_new*"),
            *("concurrent.futures.ThreadPoolExecutor", "concurrent.futures.thread.*Executor"),
            "logging.handlers.QueueListener",
        ),
        reason="starts a thread, and WebAssembly has none here",
        instead="Use asyncio (create_task, gather, to_thread), or call the function directly.",
        examples=(
            "import threading\nthreading.Thread(target=print).start()",
            "from threading import Timer\nTimer(1, print).start()",
            "import threading\nclass T(threading.Thread):\n    pass\nT().start()",
            "import concurrent.futures as f\nf.ThreadPoolExecutor().submit(print)",
        ),
    ),
    Rule(
        names=(
            *("socket.socket", "socket.create_connection", "socket.socketpair"),
            *("asyncio.open_connection", "asyncio.open_unix_connection"),
            *("smtplib.SMTP*", "smtplib.LMTP", "ftplib.FTP*", "imaplib.IMAP4*", "poplib.POP3*"),
            "aiohttp.ClientSession",
        ),
        reason=_NO_SOCKETS,
        instead="Use http or https with --allow-net: urllib.request, requests, httpx or pyfetch.",
        examples=(
            "import socket\nsocket.socket().connect(('127.0.0.1', 9))",
            "import socket\nsocket.create_connection(('127.0.0.1', 9))",
            "import asyncio\nawait asyncio.open_connection('127.0.0.1', 9)",
            "import smtplib\nsmtplib.SMTP('127.0.0.1')",
            "from ftplib import FTP\nFTP('127.0.0.1')",
        ),
    ),
    Rule(
        names=(
            *("socket.create_server", "asyncio.start_server", "asyncio.start_unix_server"),
            *("http.server.*Server", "socketserver.*Server", "xmlrpc.server.*Server"),
            "wsgiref.simple_server.make_server",
        ),
        reason=_SERVERS,
        instead="Run servers outside of the kernel.",
        examples=(
            "import socket\nsocket.create_server(('127.0.0.1', 0))",
            "import asyncio\nawait asyncio.start_server(print, '127.0.0.1', 0)",
            "from http.server import HTTPServer, BaseHTTPRequestHandler\n"
            "HTTPServer(('', 0), BaseHTTPRequestHandler)",
            "import socketserver\nsocketserver.TCPServer(('', 0), socketserver.BaseRequestHandler)",
        ),
    ),
    Rule(
        names=("signal.alarm", "signal.setitimer", "signal.sigwait", "signal.pthread_kill"),
        reason="needs signals of a system, and WebAssembly has none",
        instead="Use asyncio.timeout, or the setting --cell-timeout.",
        examples=("import signal\nsignal.alarm(1)", "import signal\nsignal.setitimer(0, 1)"),
    ),
    Rule(
        names=("webbrowser.open*",),
        reason="opens a browser, and the kernel has none",
        instead="Use IPython.display.HTML or a link.",
        examples=("import webbrowser\nwebbrowser.open('http://example.com')",),
    ),
)

FETCHES: Final = Rule(
    names=(
        *("urllib.request.urlopen", "urllib.request.urlretrieve", "urllib3.request"),
        *("urllib3.PoolManager", "http.client.HTTP*Connection", "xmlrpc.client.ServerProxy"),
        *(f"requests.{name}" for name in ("get", "post", "put", "patch", "delete", "head")),
        *("requests.options", "requests.request", "requests.Session"),
        *(f"httpx.{name}" for name in ("get", "post", "put", "patch", "delete", "head")),
        *("httpx.options", "httpx.request", "httpx.stream", "httpx.Client", "httpx.AsyncClient"),
        *("pyodide.http.open_url", "pyodide.http.pyfetch", "js.fetch", "js.XMLHttpRequest.new"),
    ),
    reason="needs the network, and this kernel has none",
    instead="Name what it may reach with --allow-net, or mount the files with --mount.",
    examples=(
        "import urllib.request\nurllib.request.urlopen('http://example.com')",
        "import http.client\nhttp.client.HTTPConnection('example.com').request('GET', '/')",
        "from pyodide.http import pyfetch\nawait pyfetch('http://example.com')",
        "from pyodide.http import open_url\nopen_url('http://example.com')",
        "import js\nawait js.fetch('http://example.com')",
    ),
)
"""Fails only without a network, or where the place is not open."""

_READERS: Final = ("pandas.read_*", "polars.read_*", "numpy.loadtxt", "numpy.genfromtxt")
"""They fetch if they are given a URL."""

_PORTS: Final = {"http": 80, "https": 443}


def call_findings(calls: Sequence[Call], network: Network) -> Iterator[Finding]:
    """What of the calls can't work, with this network."""
    for call in calls:
        if call.guarded:
            continue
        for rule in RULES:
            if _fits(call.name, rule.names):
                yield Finding(call.place, f"{call.name} {rule.reason}", rule.instead)
        if problem := _network_problem(call, network):
            yield Finding(call.place, problem, FETCHES.instead)


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _network_problem(call: Call, network: Network) -> str:
    place = _place_of_url(call)
    if not _fits(call.name, FETCHES.names) and not (place and _fits(call.name, _READERS)):
        return ""
    if not network.granted:
        return f"{call.name} {FETCHES.reason}"
    if place and (problem := network.problem_of_host(*place)):
        return f"{call.name} may not connect to {place[0]}: {problem}"
    return ""


def _place_of_url(call: Call) -> tuple[str, int] | None:
    """Host and port of the URL that a call names in its text."""
    for node in call.node.args if call.node else ():
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        try:
            parts = urlsplit(node.value)
            if parts.scheme in _PORTS and parts.hostname:
                host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
                return read_host(host), parts.port or _PORTS[parts.scheme]
        except ValueError:  # running it will show
            continue
    return None


_SHELLS: Final = frozenset({"!", "system", "sx", "sc", "script", "bash", "sh"})
_INSTALLERS: Final = frozenset({"conda", "mamba", "micromamba", "uv"})
_SCRIPTS: Final = frozenset({"perl", "ruby", "python2", "pypy", "cmd"})
NO_PROGRAMS: Final = frozenset(
    {
        *("apt", "apt-get", "brew", "cargo", "cc", "cmake", "curl", "docker", "ffmpeg", "g++"),
        *("gcc", "git", "go", "java", "jupyter", "make", "node", "npm", "npx", "nvidia-smi"),
        *("pandoc", "perl", "R", "Rscript", "rsync", "ruby", "scp", "ssh", "sudo", "unzip"),
        *("wget", "zip"),
    }
)
"""Programs that notebooks often run, and that the shell of the sandbox does not have."""

_COMMANDS: Final = re.compile(r"[|;&\n(){}]+|\$\(|`")
_WORD: Final = re.compile(r"\s*(?:\w+=\S*\s+)*(\S+)")
_NONE_HERE: Final = {
    "man": "Use ? or help() for Python objects.",
    "edit": "Use %load and %%writefile.",
    "qtconsole": "Run `jupyter qtconsole --existing` on the host.",
    "subshell": "Use asyncio.",
}


def command_findings(commands: Sequence[Command]) -> Iterator[Finding]:
    """What of the magics and shell commands can't work."""
    for command in commands:
        if pip_line(command) is None and (found := _command_problem(command)):
            yield Finding(command.place, *found)


def _command_problem(command: Command) -> tuple[str, str] | None:
    name, text = command.name, _shortened(command)
    programs = _programs(command) if name in _SHELLS else set()
    if name in _INSTALLERS or programs & _INSTALLERS:
        return f"{text} {_PROCESSES}", "Use %pip install."
    if missing := sorted(programs & NO_PROGRAMS):
        return f"{text} runs {missing[0]}, which the sandbox's shell does not have", _PYTHON_INSTEAD
    if command.cell and name in _SCRIPTS:
        return f"{text} {_PROCESSES}", "Use a cell of Python."
    if name in _NONE_HERE and not command.cell:
        return f"{text} needs a process or a thread, and WebAssembly has none", _NONE_HERE[name]
    return None


def _programs(command: Command) -> set[str]:
    """The first words of all that a line of the shell runs, as far as they show."""
    words = (_WORD.match(part) for part in _COMMANDS.split(command.line))
    return {word[1] for word in words if word}


def _shortened(command: Command) -> str:
    text = str(command)
    return text if len(text) <= 60 else f"{text[:57]}..."
