"""Reads code up to the cursor: what is being written there, and which names it depends on.

Works on tokens, since unfinished code has no syntax tree. Where it can't be sure, it says so.
"""

from __future__ import annotations

import ast
import io
import itertools
import keyword
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass, field
from tokenize import TokenInfo
from typing import Final

_LAYOUT: Final = frozenset(
    {
        *(tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
        *(tokenize.COMMENT, tokenize.ENDMARKER, tokenize.ENCODING, tokenize.TYPE_COMMENT),
    }
)
_CLOSING: Final = {")": "(", "]": "[", "}": "{"}
_UNTERMINATED: Final = re.compile(r"unterminated (triple-quoted )?string literal")
"""What the tokenizer says of a string; of one with expressions in it, it says something else."""

_ENDS_PRIMARY: Final = frozenset({tokenize.NAME, tokenize.NUMBER, tokenize.STRING})
_COMPARISONS: Final = frozenset({"==", "!=", "<=", ">="})
_OPERATORS: Final = _COMPARISONS | frozenset(
    ["+", "-", "*", "/", "//", "%", "**", "<", ">", "&", "|", "^", "and", "or", "is"]
)
"""A name in front of one of these is read."""

_BEFORE_LAST: Final = _OPERATORS | frozenset(
    ["=", "in", "not", "return", "if", "elif", "while", "await", "yield"]
)
"""A name that ends a statement is read behind one of these."""

_BIND_INSIDE: Final = frozenset({"def", "class", "lambda", "for", "case"})
_COMPOUND: Final = frozenset(
    "if elif else for while try except finally with match case".split()  # noqa: SIM905  # words
)
_STATEMENTS: Final = frozenset({"import", "from", "def", "class", "global", "nonlocal", "del"})
"""Statements in which names are written that are no expressions."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A name that an import statement binds: a module, or an attribute of it."""

    module: str
    attribute: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The call whose arguments are being written."""

    function: ast.expr
    positional: int
    """How many positional arguments are there already."""

    keywords: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """An expression that ends at the cursor."""

    prefix: str
    """The part of the name that is there, maybe nothing."""

    value: ast.expr | None = None
    """What the name is to be an attribute of."""

    call: Call | None = None
    starts_statement: bool = False
    is_text: bool = False
    """Whether the cursor is in a string or a comment, so that there is no expression."""

    imported: dict[str, Imported] = field(default_factory=dict)
    """What the code itself imports, by name."""

    bound: frozenset[str] = frozenset()
    """Names that the code may bind in another way than by an import."""

    names: frozenset[str] = frozenset()
    """All names in the code."""


def read(code: str) -> Unfinished | None:
    """What is being written at the end of `code`; None if that can't be told."""
    try:
        tokens = _tokens(code)
    except _InTextError:
        return Unfinished(prefix="", is_text=True)
    if tokens is None:
        return None
    prefix = ""
    if tokens and tokens[-1].type == tokenize.NAME and code.endswith(tokens[-1].string):
        prefix = tokens.pop().string
    line = _last_statement(_logical_line(tokens))
    if line and (line[0].string in _STATEMENTS or line[-1].string == "as"):
        return None
    value = None
    if tokens and tokens[-1].string == "." and not _is_relative(tokens):
        value = _primary(tokens[:-1])
        if value is None:
            return None
    elif tokens and tokens[-1].type in _ENDS_PRIMARY and not keyword.iskeyword(tokens[-1].string):
        return None
    call, unclear = (None, False) if value else _call(tokens)
    if unclear or _imports_all(tokens):
        return None
    imported, bound, names = _names(tokens)
    return Unfinished(
        prefix=prefix,
        value=value,
        call=call,
        starts_statement=not line,
        imported=imported,
        bound=bound,
        names=names,
    )


class _InTextError(Exception):
    """The code ends in a string or a comment."""


def _tokens(code: str) -> list[TokenInfo] | None:
    """The tokens that mean something, with the ends of logical lines; None if it is no Python.

    Raises _InTextError.
    """
    tokens: list[TokenInfo] = []
    last_line = code.count("\n") + 1
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.ERRORTOKEN and not token.string.isspace():
                return None
            if token.type == tokenize.COMMENT and token.end[0] == last_line:
                raise _InTextError
            if token.type == tokenize.NEWLINE or token.type not in _LAYOUT:
                tokens.append(token)
    except (tokenize.TokenError, SyntaxError) as error:
        if found := _UNTERMINATED.search(str(error)):
            if found[1] or _line_of(error) == last_line:
                raise _InTextError from None
            return None  # a shell's line, say, with an apostrophe in it
        if "EOF in multi-line statement" not in str(error):
            return None
    # The tokenizer ends the last line, whether it is ended or not.
    while tokens and tokens[-1].type == tokenize.NEWLINE and not tokens[-1].string:
        tokens.pop()
    return tokens


def _line_of(error: tokenize.TokenError | SyntaxError) -> int:
    return (error.lineno or 0) if isinstance(error, SyntaxError) else int(error.args[1][0])


def _logical_line(tokens: Sequence[TokenInfo]) -> Sequence[TokenInfo]:
    """The tokens of the last statement."""
    depth = 0
    for index in range(len(tokens) - 1, -1, -1):
        token = tokens[index]
        if token.string in _CLOSING:
            depth += 1
        elif token.string in _CLOSING.values():
            depth -= 1
        elif token.type == tokenize.NEWLINE or (token.string == ";" and not depth):
            return tokens[index + 1 :]
    return tokens


def _last_statement(line: Sequence[TokenInfo]) -> Sequence[TokenInfo]:
    """A logical line without the head of the compound statement that it follows, or `async`."""
    if line and line[0].string == "async":
        line = line[1:]
    if not line or line[0].string not in _COMPOUND:
        return line
    depth = 0
    for index, token in enumerate(line):
        if token.string in _CLOSING.values():
            depth += 1
        elif token.string in _CLOSING:
            depth -= 1
        elif token.string == ":" and not depth and line[0].string not in {"def", "class"}:
            return line[index + 1 :]
    return line


def _is_relative(tokens: Sequence[TokenInfo]) -> bool:
    return len(tokens) < 2 or tokens[-2].string in {".", "from"}


def _primary(tokens: Sequence[TokenInfo]) -> ast.expr | None:
    """The expression that a dot behind these tokens would belong to."""
    start = len(tokens)
    wants_primary = True
    while start:
        token = tokens[start - 1]
        if token.string in _CLOSING:
            opening = _opening(tokens, start - 1)
            if opening is None:
                return None
            start = opening
            # A bracket is a primary itself, or follows one.
            wants_primary = bool(start) and _may_be_called(tokens[start - 1])
            if not wants_primary:
                break
        elif wants_primary and token.type in _ENDS_PRIMARY:
            start -= 1
            wants_primary = False
        elif not wants_primary and token.string == ".":
            start -= 1
            wants_primary = True
        else:
            break
    if wants_primary and start and tokens[start - 1].string == ".":
        return None
    return _parse(tokens[start:])


def _may_be_called(token: TokenInfo) -> bool:
    if token.type == tokenize.NAME:
        return not keyword.iskeyword(token.string)
    return token.type == tokenize.STRING or token.string in {")", "]"}


def _opening(tokens: Sequence[TokenInfo], closing: int) -> int | None:
    """Index of the bracket that the one at `closing` closes."""
    depth = 0
    for index in range(closing, -1, -1):
        string = tokens[index].string
        if tokens[index].type != tokenize.OP:
            continue
        if string in _CLOSING:
            depth += 1
        elif string in _CLOSING.values():
            depth -= 1
            if not depth:
                return index
    return None


def _parse(tokens: Sequence[TokenInfo]) -> ast.expr | None:
    try:
        return ast.parse(" ".join(token.string for token in tokens), mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _call(tokens: Sequence[TokenInfo]) -> tuple[Call | None, bool]:
    """The call that is being written, and whether that can't be told."""
    depth, commas, unclear = 0, 0, False
    keywords: set[str] = set()
    for index in range(len(tokens) - 1, -1, -1):
        token = tokens[index]
        if token.type == tokenize.NEWLINE:
            return None, False
        if token.type != tokenize.OP:
            continue
        if token.string in _CLOSING:
            depth += 1
        elif token.string in _CLOSING.values() and depth:
            depth -= 1
        elif token.string == "(":
            if not index or not _may_be_called(tokens[index - 1]):
                return None, False
            if unclear:
                return None, True
            function = _primary(tokens[:index])
            if function is None:
                return None, True
            positional = max(0, commas - len(keywords))
            if tokens[-1].string == "=":  # a value is being written, not a name
                return None, False
            call = Call(function=function, positional=positional, keywords=frozenset(keywords))
            return call, False
        elif token.string in {"[", "{"}:
            return None, False
        elif depth:
            continue
        elif token.string == ",":
            commas += 1
        elif token.string == "=" and index:
            keywords.add(tokens[index - 1].string)
        elif token.string in {":", "*", "**"}:  # a lambda, or arguments from a container
            unclear = True
    return None, False


def _imports_all(tokens: Sequence[TokenInfo]) -> bool:
    return any(
        token.string == "*" and before.string == "import"
        for before, token in itertools.pairwise(tokens)
    )


def _names(
    tokens: Sequence[TokenInfo],
) -> tuple[dict[str, Imported], frozenset[str], frozenset[str]]:
    """What imports bind, what may be bound otherwise, and all names."""
    imported: dict[str, Imported] = {}
    bound: set[str] = set()
    names: set[str] = set()
    for line in _statements(tokens):
        if line[0].string in {"import", "from"}:
            found = _imports(line)
            if found is None:
                bound.update(token.string for token in line if token.type == tokenize.NAME)
            else:
                imported.update(found)
            continue
        for index, token in enumerate(line):
            if token.type != tokenize.NAME or keyword.iskeyword(token.string):
                continue
            if index and line[index - 1].string == ".":
                continue
            names.add(token.string)
            if not _only_uses(line, index):
                bound.add(token.string)
    return imported, frozenset(bound), frozenset(names)


def _statements(tokens: Sequence[TokenInfo]) -> list[list[TokenInfo]]:
    lines: list[list[TokenInfo]] = [[]]
    for token in tokens:
        if token.type == tokenize.NEWLINE or token.string in {";", ":"}:
            lines.append([])
        else:
            lines[-1].append(token)
    return [line for line in lines if line]


def _imports(line: Sequence[TokenInfo]) -> dict[str, Imported] | None:
    """What an import statement binds; None if that can't be told."""
    text = " ".join(token.string for token in line)
    try:
        statement = ast.parse(text).body[0]
    except SyntaxError:
        return None
    if isinstance(statement, ast.Import):
        return {
            alias.asname or alias.name.partition(".")[0]: Imported(
                alias.name if alias.asname else alias.name.partition(".")[0]
            )
            for alias in statement.names
        }
    if not isinstance(statement, ast.ImportFrom) or statement.level or statement.module is None:
        return None
    return {
        alias.asname or alias.name: Imported(statement.module, alias.name)
        for alias in statement.names
    }


def _only_uses(line: Sequence[TokenInfo], index: int) -> bool:
    """Whether a name is certainly read here, and what it stands for is not changed."""
    before = line[index - 1].string if index else ""
    if before in {"def", "class"}:
        return False
    end = index + 1
    while end < len(line) and line[end].string == ".":
        end += 2
    after = line[end].string if end < len(line) else ""
    if line[0].string == "case":
        return False
    if after == "[":
        return not _is_assigned(line, end)
    if after == "(":
        return True
    if end > index + 1:
        return not after.endswith("=") or after in _COMPARISONS
    if any(token.string in _BIND_INSIDE for token in line):
        return False
    if after in {",", ")"}:
        return _is_argument(line, index)
    return after in _OPERATORS if after else before in _BEFORE_LAST


def _is_assigned(line: Sequence[TokenInfo], opening: int) -> bool:
    """Whether what stands in front of a bracket is assigned to."""
    depth = 0
    for position in range(opening, len(line)):
        string = line[position].string
        depth += (string in _CLOSING.values()) - (string in _CLOSING)
        if not depth:
            after = line[position + 1].string if position + 1 < len(line) else ""
            return after.endswith("=") and after not in _COMPARISONS
    return False


def _is_argument(line: Sequence[TokenInfo], index: int) -> bool:
    """Whether the innermost open bracket is that of a call."""
    depth = 0
    for position in range(index - 1, 0, -1):
        string = line[position].string
        if string in _CLOSING:
            depth += 1
        elif string in _CLOSING.values():
            if not depth:
                return string == "(" and _may_be_called(line[position - 1])
            depth -= 1
    return False
