"""The exceptions of pyodide-kernel.

PyodideKernelError
├── ConfigurationError        a setting is malformed; names the option, the value, the accepted form
├── DenoNotFoundError         no usable Deno
├── RuntimeDamagedError       files of the bundled runtime are missing or altered
├── WorkerStartError          Deno or Pyodide did not come up
├── StartInterruptedError     the user interrupted what waited for the interpreter to start
├── PackageError              a package can't be had; names it, the reason and the remedy
│   └── UnreachableError      it could not be fetched
│       └── NotThereError     the server does not have it
├── DeadKernelError           the interpreter ended while somebody waited for it
├── LocalProtocolError        our side broke the rules of the pipe
└── RemoteProtocolError       the other side of the pipe broke them
"""

from __future__ import annotations


class PyodideKernelError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigurationError(PyodideKernelError):
    """A setting is malformed."""


class DenoNotFoundError(PyodideKernelError):
    """No usable Deno was found; the message says what was looked for and how to install it."""


class RuntimeDamagedError(PyodideKernelError):
    """Files of the bundled runtime are missing or do not have their recorded digests."""


class WorkerStartError(PyodideKernelError):
    """Deno or Pyodide did not come up."""


class StartInterruptedError(PyodideKernelError):
    """The user interrupted what waited for the interpreter to start; nothing of it was run."""


class PackageError(PyodideKernelError):
    """A package, a wheel or an index can't be used; one line for the user."""


class UnreachableError(PackageError):
    """It could not be fetched; whether it is what it should be is another question."""


class NotThereError(UnreachableError):
    """The server does not have it."""


class DeadKernelError(PyodideKernelError):
    """The interpreter ended while somebody waited for it.

    `cause` is one sentence for the user: why it ended, and what is gone.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class LocalProtocolError(PyodideKernelError):
    """Our side tried to send what the protocol does not allow."""


class RemoteProtocolError(PyodideKernelError):
    """The other side of the pipe sent what the protocol does not allow."""
