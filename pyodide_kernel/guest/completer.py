"""Completion: from the objects that are there if possible, else by static analysis.

jedi takes some 300 ms for each completion in WebAssembly, even for the attributes of a variable.
Those are looked up here instead, in the form in which IPython gets them from jedi. Whatever depends
on code that has not run yet is left to jedi.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import keyword
import re
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from IPython.core.completer import IPCompleter, cursor_to_position

from pyodide_kernel.guest import unfinished
from pyodide_kernel.guest.unfinished import Call, Imported, Unfinished

SIGNATURES_S: Final = 0.05
"""Time for the signatures of one completion; functions that come later have none."""

_STARTS_EXPRESSION: Final = ("False", "None", "True", "await", "lambda", "not", "yield")
_STARTS_STATEMENT: Final = sorted({*keyword.kwlist} - {"and", "as", "in", "is", "or"})
_HARMLESS_DESCRIPTORS: Final = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.WrapperDescriptorType,
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    classmethod,
    staticmethod,
)
"""Getting an attribute through one of these runs no code of the user's."""

_KINDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "class": type,
    "module": types.ModuleType,
    "function": (
        types.FunctionType,
        types.BuiltinFunctionType,
        types.MethodType,
        types.MethodDescriptorType,
        types.ClassMethodDescriptorType,
        types.WrapperDescriptorType,
        types.MethodWrapperType,
    ),
}
_HARMLESS_LOOKUPS: Final = (
    object.__getattribute__,
    type.__getattribute__,
    types.ModuleType.__getattribute__,
)
_MISSING: Final = object()


class CannotTellError(Exception):
    """The value of an expression is not known without running code, or analysing it."""


@dataclass(frozen=True, slots=True)
class Found:
    """One completion, with the names of a completion of jedi."""

    name_with_symbols: str
    complete: str
    type: str
    signature: Callable[[], str]

    @property
    def name(self) -> str:
        """The name, as filters see it."""
        return self.name_with_symbols

    def get_signatures(self) -> Sequence[Any]:
        """The signature, if it is a function that has one."""
        text = self.signature()
        return [Signature(f"{self.name_with_symbols}{text}")] if text else []


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature of a function, with the one name of jedi's that is used."""

    text: str

    def to_string(self) -> str:
        """Name and parameters."""
        return self.text


class GuestCompleter(IPCompleter):
    """IPython's completer, which asks jedi only for what can't be looked up."""

    def _jedi_matches(self, cursor_column: int, cursor_line: int, text: str) -> Iterator[Any]:
        before = text[: cursor_to_position(text, cursor_line, cursor_column)]
        found = self._look_up(before)
        if found is not None:
            return iter(found)
        return super()._jedi_matches(cursor_column, cursor_line, text)

    def _look_up(self, before: str) -> list[Found] | None:
        """What the objects that are there tell; None if they don't tell enough."""
        code = unfinished.read(before)
        if code is None:
            return None
        if code.is_text:
            return []  # IPython's own matchers find files and keys
        namespaces = [self.namespace, self.global_namespace or {}, vars(builtins)]
        scope = _Scope(namespaces, code)
        try:
            if code.value is not None:
                return self._attributes(scope.value(code.value), code.prefix)
            return _globals(scope, code)
        except CannotTellError:
            return None

    def _attributes(self, value: object, prefix: str) -> list[Found]:
        names = [name for name in _dir(value) if name.startswith(prefix)]
        if not prefix:
            names = [name for name in names if not self._is_omitted(name)]
        members = {name: _static(value, name) for name in names}
        return _found(members, prefix, lambda name: getattr(value, name))

    def _is_omitted(self, name: str) -> bool:
        if self.omit__names == 2:
            return name.startswith("_")
        return bool(self.omit__names) and name.startswith("__") and name.endswith("__")


class _Scope:
    """What names and simple expressions stand for at the cursor."""

    def __init__(self, namespaces: Sequence[Mapping[str, Any]], code: Unfinished) -> None:
        self._namespaces = namespaces
        self._code = code

    def names(self) -> dict[str, Any]:
        """All names and their values. Raises CannotTellError if the code itself binds some."""
        known: dict[str, Any] = {}
        for namespace in reversed(self._namespaces):
            known.update(namespace)
        for name, imported in self._code.imported.items():
            known[name] = _imported(imported)
        prefix = self._code.prefix
        if any(name.startswith(prefix) and name not in known for name in self._code.names):
            raise CannotTellError
        return known

    def value(self, expression: ast.expr) -> object:
        """The value of an expression, if getting it runs no code. Raises CannotTellError."""
        match expression:
            case ast.Constant(value):
                return value
            case ast.Name(name):
                return self._name(name)
            case ast.Attribute(base, name):
                return _attribute(self.value(base), name)
            case ast.Subscript(base, ast.Constant(key)):
                return _item(self.value(base), key)
            case ast.List(elts=[]):
                return []
            case ast.Dict(keys=[]):
                return {}
        raise CannotTellError

    def _name(self, name: str) -> object:
        if name in self._code.bound:
            raise CannotTellError
        if name in self._code.imported:
            return _imported(self._code.imported[name])
        for namespace in self._namespaces:
            if name in namespace:
                return namespace[name]
        raise CannotTellError


def _globals(scope: _Scope, code: Unfinished) -> list[Found]:
    names = scope.names()
    parameters = _parameters(scope, code.call) if code.call is not None else []
    members = {name: value for name, value in names.items() if name.startswith(code.prefix)}
    reserved = _STARTS_STATEMENT if code.starts_statement else _STARTS_EXPRESSION
    extra = [
        *((name, "keyword") for name in reserved if name.startswith(code.prefix)),
        *((f"{name}=", "param") for name in parameters if name.startswith(code.prefix)),
    ]
    for name, _ in extra:
        members.pop(name, None)  # False, None and True are names of builtins too
    return _found(members, code.prefix, names.__getitem__, extra)


def _parameters(scope: _Scope, call: Call) -> list[str]:
    """Names of the arguments that can still be given by name. Raises CannotTellError."""
    function = scope.value(call.function)
    try:
        parameters = _inspected(function).parameters.values()
    except Exception:  # the user's own code may be asked, and fail
        raise CannotTellError from None
    return [
        parameter.name
        for index, parameter in enumerate(parameters)
        if parameter.name not in call.keywords
        and (
            parameter.kind is parameter.KEYWORD_ONLY
            or (parameter.kind is parameter.POSITIONAL_OR_KEYWORD and index >= call.positional)
        )
    ]


def _found(
    members: Mapping[str, object],
    prefix: str,
    get: Callable[[str], object],
    extra: Iterable[tuple[str, str]] = (),
) -> list[Found]:
    """Completions in the order that jedi gives them."""
    deadline = time.monotonic() + SIGNATURES_S

    def signature(name: str) -> str:
        if time.monotonic() >= deadline:
            return ""
        try:
            return _signature(get(name))
        except Exception:  # the user's own attribute access failed
            return ""

    def found(name: str, kind: str) -> Found:
        # IPython asks twice, the second time maybe after the deadline.
        once = functools.cache(partial(signature, name))
        return Found(name, name[len(prefix) :], kind, once)

    all_found = [
        *(found(name, _kind(value)) for name, value in members.items()),
        *(found(name, kind) for name, kind in extra),
    ]
    return sorted(all_found, key=lambda one: _order(one.name))


def _order(name: str) -> tuple[bool, bool, str]:
    return name.startswith("__"), name.startswith("_"), name.lower()


def _kind(value: object) -> str:
    """The type of a completion, in jedi's words."""
    # Not `isinstance`, which asks the value for its class.
    kind = type(value)
    if issubclass(kind, (classmethod, staticmethod)):
        kind = type(value.__func__)  # type: ignore[attr-defined]
    for name, kinds in _KINDS.items():
        if issubclass(kind, kinds):
            return name
    return "instance"


def _inspected(function: object) -> inspect.Signature:
    """Its signature; raises whatever comes. Annotations are not evaluated."""
    as_text: dict[str, Any] = {}
    if sys.version_info >= (3, 14):
        import annotationlib

        as_text["annotation_format"] = annotationlib.Format.STRING
    return inspect.signature(function, **as_text)  # type: ignore[arg-type]  # or it raises


_DOCUMENTED: Final = re.compile(r"\w+(\(.*)")


def _signature(function: object) -> str:
    """Parameters in parentheses; nothing if they are not known."""
    try:
        return str(_inspected(function))
    except Exception:  # it has none, or the user's own code is asked and fails
        document = inspect.getattr_static(function, "__doc__", None)
    first, _, _ = document.partition("\n") if isinstance(document, str) else ("", "", "")
    documented = _DOCUMENTED.match(first)
    return documented[1] if documented else ""


def _dir(value: object) -> list[str]:
    try:
        names = dir(value)
    except Exception:
        raise CannotTellError from None  # the user's own `__dir__` failed
    if isinstance(value, type):  # what a class has of its own class is not listed
        names += [name for name in dir(type(value)) if not name.startswith("__")]
    return [name for name in names if isinstance(name, str)]


def _static(value: object, name: str) -> object:
    """An attribute as it is stored. None if it is made when it is asked for."""
    try:
        return inspect.getattr_static(value, name, None)
    except Exception:
        return None  # a class whose own dictionary can't be read


def _attribute(value: object, name: str) -> object:
    if type(value).__getattribute__ not in _HARMLESS_LOOKUPS:
        raise CannotTellError
    stored = inspect.getattr_static(value, name, _MISSING)
    if stored is _MISSING:
        raise CannotTellError
    if hasattr(type(stored), "__get__") and not isinstance(stored, _HARMLESS_DESCRIPTORS):
        raise CannotTellError
    try:
        return getattr(value, name)
    except AttributeError:
        raise CannotTellError from None  # a slot that is empty


def _item(value: object, key: Any) -> object:
    if type(value) not in {dict, list, tuple}:
        raise CannotTellError
    try:
        return value[key]  # type: ignore[index]
    except (LookupError, TypeError):
        raise CannotTellError from None


def _imported(imported: Imported) -> object:
    """What an import would give, if the module has been imported before."""
    module = sys.modules.get(imported.module)
    if module is None:
        raise CannotTellError
    if not imported.attribute:
        return module
    try:
        return _attribute(module, imported.attribute)
    except CannotTellError:
        submodule = sys.modules.get(f"{imported.module}.{imported.attribute}")
        if submodule is None:
            raise
        return submodule
