"""What `pyodide-kernel check` takes for failing does fail, and its modules are those there are."""

from __future__ import annotations

import ast
import sys

import pytest
from real_kernel import RealKernel

from pyodide_kernel.check.calls import FETCHES, NO_PROGRAMS, RULES
from pyodide_kernel.check.modules import BUILT_IN, GONE, INTERPRETER, Modules
from pyodide_kernel.runtime import runtime_dir

pytestmark = pytest.mark.deno


@pytest.mark.parametrize("code", [code for rule in (*RULES, FETCHES) for code in rule.examples])
def test_what_each_rule_is_about_fails(kernel: RealKernel, code: str) -> None:
    cell = kernel.run(code)
    assert cell.status == "error"
    assert cell.ename not in ("DeadKernelError", "NameError", "SyntaxError", "TypeError")


def test_programs_that_are_said_to_be_missing_are(kernel: RealKernel) -> None:
    cell = kernel.run(
        "there = []\n"
        f"for name in {sorted(NO_PROGRAMS)!r}:\n"
        "    !$name < /dev/null > /dev/null 2>&1\n"
        "    if _exit_code != 127: there.append(name)\n"
        "there"
    )
    assert cell.result == "[]"


IN_DISTRIBUTION = {"pydoc_data"}
"""Parts of the standard library that are packages of Pyodide's distribution."""

MODULES = """
import importlib.util, sys
def is_there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return name in sys.modules
"""


def test_modules_of_the_standard_library_are_there_or_known_to_be_gone(kernel: RealKernel) -> None:
    modules = Modules(runtime_dir())
    names = {*sys.stdlib_module_names, *modules.standard, *GONE, *INTERPRETER}
    names = {name for name in names if not name.startswith("_")}
    has = sorted(name for name in names if modules.has(name))
    cell = kernel.run(f"{MODULES}\n[name for name in {has!r} if not is_there(name)]")
    assert cell.result == "[]"
    lacks = sorted(names - set(has))
    assert set(lacks) - set(GONE) <= IN_DISTRIBUTION
    cell = kernel.run(f"[name for name in {lacks!r} if is_there(name)]")
    assert cell.result == "[]"
    assert set(GONE).isdisjoint(has)


def test_the_built_in_modules_are_those_of_the_interpreter(kernel: RealKernel) -> None:
    code = "import sys; sorted(n for n in sys.builtin_module_names if not n.startswith('_'))"
    assert ast.literal_eval(kernel.run(code).result or "") == sorted(BUILT_IN)
