"""A Jupyter kernel that runs Python in Pyodide (WebAssembly) inside Deno."""

__version__ = "0.1.0"
