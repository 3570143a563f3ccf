"""The connection file, checked before ipykernel reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.errors import ConfigurationError

TRANSPORTS: Final = ("tcp", "ipc")
PORTS: Final = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
TEXTS: Final = ("ip", "key", "signature_scheme", "curve_publickey", "curve_secretkey")

REMEDY: Final = "start the kernel through Jupyter, or remove the file and a new one is written"


def check_connection_file(path: Path) -> None:
    """Raise ConfigurationError, naming file, member and remedy, if it can't be used."""
    try:
        info = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"Can't read the connection file {path}: {error.strerror}"
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"The connection file {path} is not JSON ({error}); {REMEDY}"
        ) from error
    if problem := find_problem(info):
        raise ConfigurationError(f"The connection file {path} can't be used: {problem}; {REMEDY}")


def find_problem(info: Any) -> str | None:
    """What is wrong with the content of a connection file, or None."""
    if not isinstance(info, dict):
        return "it holds no JSON object"
    if info.get("transport", "tcp") not in TRANSPORTS:
        return f"transport is {info['transport']!r}, not tcp or ipc"
    for name in PORTS:
        port = info.get(name, 0)
        if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
            return f"{name} is {port!r}, not a port number"
    for name in TEXTS:
        if not isinstance(info.get(name, ""), str):
            return f"{name} is {info[name]!r}, not text"
    scheme = info.get("signature_scheme", "hmac-sha256")
    return None if scheme.startswith("hmac-") else f"signature_scheme is {scheme!r}, not hmac-…"
