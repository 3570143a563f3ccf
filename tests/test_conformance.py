"""Jupyter's own conformance suite with every optional attribute, over all transports."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import jupyter_kernel_test as suite
import pytest
from jupyter_client.manager import KernelManager
from real_kernel import TIMEOUT_S, kernel_environment, kernel_spec

pytestmark = pytest.mark.deno


class Start:
    """Starts the kernel for a test case of the suite, over one transport."""

    transport: ClassVar[str] = "tcp"
    folder: ClassVar[Any]
    km: ClassVar[KernelManager]
    kc: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        path = Path(cls.folder.name)
        cls.km = KernelManager(connection_file=str(path / "connection.json"))
        if cls.transport == "ipc":
            cls.km.transport, cls.km.ip = "ipc", str(path / "ipc")
        if cls.transport == "curve":
            cls.km.transport_encryption = "required"
        cls.km._kernel_spec = kernel_spec()
        cls.km.start_kernel(env=kernel_environment(path))
        info = json.loads(Path(cls.km.connection_file).read_text("utf-8"))
        assert ("curve_secretkey" in info) == (cls.transport == "curve")
        assert (info["transport"] == "ipc") == (cls.transport == "ipc")
        cls.kc = cls.km.client()
        cls.connect()

    @classmethod
    def connect(cls) -> None:
        cls.kc.start_channels()
        cls.kc.wait_for_ready(timeout=TIMEOUT_S)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.kc.stop_channels()
        cls.km.shutdown_kernel()
        cls.km.cleanup_resources()
        cls.folder.cleanup()


class Requests(Start, suite.KernelTests):  # type: ignore[misc]  # without type information
    kernel_name = "pyodide"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples: ClassVar = [
        {"text": "zi", "matches": {"zip"}},
        {"text": "'\U0001f600'; zi", "matches": {"zip"}},
    ]
    complete_code_samples: ClassVar = [
        "1",
        "print('hello, world')",
        "def f(x):\n  return x*2\n\n\n",
    ]
    incomplete_code_samples: ClassVar = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples: ClassVar = ["import = 7q"]
    code_page_something = "zip?"
    code_generate_error = "raise"
    code_execute_result: ClassVar = [
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
        {"code": "1+2+3", "result": "6"},
        {"code": "7", "result": "7"},
    ]
    code_display_data: ClassVar = [
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))",
            "mime": "text/html",
        },
        {
            "code": "from IPython.display import Math, display; display(Math('\\\\frac{1}{2}'))",
            "mime": "text/latex",
        },
    ]
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


class Welcome(Start, suite.IopubWelcomeTests):  # type: ignore[misc]  # without type information
    kernel_name = "pyodide"
    support_iopub_welcome = True

    @classmethod
    def connect(cls) -> None:
        """The test connects by itself, to see the very first message."""


class TestRequestsOverTcp(Requests):
    pass


class TestRequestsOverIpc(Requests):
    transport = "ipc"


class TestRequestsWithCurve(Requests):
    transport = "curve"


class TestWelcomeOverTcp(Welcome):
    pass


class TestWelcomeOverIpc(Welcome):
    transport = "ipc"


class TestWelcomeWithCurve(Welcome):
    transport = "curve"


del Requests, Welcome
