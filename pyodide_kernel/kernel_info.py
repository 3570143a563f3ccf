"""What kernel_info says about the language: known from the runtime's manifest, before it runs."""

from __future__ import annotations

from typing import Any, Final

from ipykernel._version import kernel_protocol_version

from pyodide_kernel import __version__
from pyodide_kernel.runtime import Manifest

IMPLEMENTATION: Final = "pyodide-kernel"


def kernel_info(manifest: Manifest) -> dict[str, Any]:
    """Content of a kernel_info_reply, but for its status: only the features that work."""
    return {
        "protocol_version": kernel_protocol_version,
        "implementation": IMPLEMENTATION,
        "implementation_version": __version__,
        "language_info": language_info(manifest),
        "banner": banner(manifest),
        "help_links": help_links(manifest),
        "supported_features": [],
    }


def language_info(manifest: Manifest) -> dict[str, Any]:
    """The `language_info` of ipykernel, with the version of the Python inside Pyodide."""
    return {
        "name": "python",
        "version": manifest.python,
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": 3},
        "pygments_lexer": "ipython3",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    }


def banner(manifest: Manifest) -> str:
    """IPython's banner, with the versions that run in the guest."""
    return (
        f"Python {manifest.python} (Pyodide {manifest.pyodide}, WebAssembly)\n"
        "Type 'copyright', 'credits' or 'license' for more information\n"
        f"IPython {manifest.packages.get('ipython', '')} -- An enhanced Interactive Python."
        " Type '?' for help.\n"
    )


def help_links(manifest: Manifest) -> list[dict[str, str]]:
    """Links for the help menu of a frontend."""
    minor = ".".join(manifest.python.split(".")[:2])
    links = {
        "Python Reference": f"https://docs.python.org/{minor}",
        "IPython Reference": "https://ipython.readthedocs.io/en/stable/",
        "Pyodide Reference": f"https://pyodide.org/en/{manifest.pyodide}/",
        "NumPy Reference": "https://docs.scipy.org/doc/numpy/reference/",
        "SciPy Reference": "https://docs.scipy.org/doc/scipy/reference/",
        "Matplotlib Reference": "https://matplotlib.org/contents.html",
        "SymPy Reference": "https://docs.sympy.org/latest/index.html",
        "pandas Reference": "https://pandas.pydata.org/pandas-docs/stable/",
    }
    return [{"text": text, "url": url} for text, url in links.items()]
