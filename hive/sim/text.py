"""A small reader of nix's text: words, strings, brackets, attribute sets; it evaluates nothing."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    #: What stands behind an `=`: a set, a string, or None for all that is not read.
    Value = dict[str, "Value"] | str | None

_TOKEN = re.compile(
    r"""(?P<space>\s+ | \#[^\n]* | /\*.*?\*/)
      | (?P<string>"(?:[^"\\]|\\.)*" | ''(?:[^']|'(?!')|''['$\\])*'')
      | (?P<path>(?:\.\.?|~)?/[A-Za-z0-9._+/-]+)
      | (?P<word>[A-Za-z_][A-Za-z0-9_'-]*)
      | (?P<mark>\$\{ | . )""",
    re.VERBOSE | re.DOTALL,
)
_PAIRS = {"{": "}", "${": "}", "(": ")", "[": "]"}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class Wrong(Exception):
    """The text is not nix, or says that it fails: nix's words, and where."""

    def __init__(self, words: str, offset: int = -1) -> None:
        super().__init__(words)
        self.words, self.offset = words, offset


class Token:
    __slots__ = ("kind", "offset", "text")

    def __init__(self, kind: str, text: str, offset: int) -> None:
        self.kind, self.text, self.offset = kind, text, offset


def tokens(source: str) -> list[Token]:
    """Comments and spaces set aside."""
    found = (Token(str(m.lastgroup), m[0], m.start()) for m in _TOKEN.finditer(source))
    return [token for token in found if token.kind != "space"]


def check_syntax(source: str) -> None:
    """Raises what nix would say of the brackets; too early an end is at the last token."""
    starts = [found.start() for found in _TOKEN.finditer(source)]
    _check_brackets(tokens(source), starts[-1] if starts else 0)


def check_throws(source: str) -> None:
    """Raises what nix would say of a `throw`, an `abort` and an `assert false`."""
    found = tokens(source)
    for token, after in zip(found, [*found[1:], Token("mark", "", 0)], strict=True):
        if token.kind == "word" and token.text in ("throw", "abort"):
            said = literal(after.text) if after.kind == "string" else "thrown"
            aborted = f"evaluation aborted with the following error message: '{said}'"
            raise Wrong(said if token.text == "throw" else aborted)
        if (token.text, after.text) == ("assert", "false"):
            raise Wrong("assertion 'false' failed", token.offset)


def _check_brackets(found: list[Token], end: int) -> None:
    waiting: list[str] = []
    for token in found:
        if token.kind != "mark":
            continue
        if token.text in ("'", '"'):  # what the string pattern did not take has no end
            break
        if token.text in _PAIRS:
            waiting.append(_PAIRS[token.text])
        elif token.text in _PAIRS.values():
            if not waiting:
                raise Wrong(
                    f"syntax error, unexpected '{token.text}', expecting end of file", token.offset
                )
            if waiting.pop() != token.text:
                raise Wrong(f"syntax error, unexpected '{token.text}'", token.offset)
        elif token.text == ";" and waiting and waiting[-1] in ")]":
            raise Wrong("syntax error, unexpected ';'", token.offset)
    else:
        if not waiting:
            return
    raise Wrong("syntax error, unexpected end of file", end)


def where(source: str, offset: int) -> str:
    """`line:column`, from one."""
    before = source[:offset]
    return f"{before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))}"


def literal(quoted: str) -> str:
    r"""What a string literal says: `\n`, `\"`, `\${` and the like undone."""
    if quoted.startswith("''"):
        return quoted[2:-2].strip()
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), quoted[1:-1], flags=re.DOTALL)


def paths(source: str) -> Iterator[str]:
    """The relative paths that it names: files that have to be there."""
    return (t.text for t in tokens(source) if t.kind == "path" and t.text.startswith("."))


def words(source: str) -> set[str]:
    return {token.text for token in tokens(source) if token.kind == "word"} | {
        literal(token.text) for token in tokens(source) if token.kind == "string"
    }


def attributes(source: str) -> dict[str, Value]:
    """The outermost set, behind the heads of functions. What is not a set or a string is None."""
    found = tokens(source)
    at = _body(found, 0)
    if at >= len(found) or found[at].text != "{":
        return {}
    return _set(found, at + 1)[0]


def _body(found: list[Token], at: int) -> int:
    """Past `{ a, b, ... }:` and `name:` heads."""
    while at < len(found):
        if found[at].kind == "word" and _is(found, at + 1, ":"):
            at += 2
        elif found[at].text == "{" and _is(found, _past(found, at), ":"):
            at = _past(found, at) + 1
        else:
            return at
    return at


def _is(found: list[Token], at: int, text: str) -> bool:
    return at < len(found) and found[at].text == text


def _past(found: list[Token], at: int) -> int:
    """The index behind the bracket that closes the one at `at`."""
    depth = 0
    while at < len(found):
        if found[at].kind == "mark":
            depth += (found[at].text in _PAIRS) - (found[at].text in _PAIRS.values())
        at += 1
        if depth == 0:
            break
    return at


def _set(found: list[Token], at: int) -> tuple[dict[str, Value], int]:
    """The bindings up to the closing bracket, and the index behind it."""
    said: dict[str, Value] = {}
    while at < len(found) and found[at].text != "}":
        keys: list[str] = []
        while at < len(found) and found[at].kind in ("word", "string"):
            keys.append(literal(found[at].text) if found[at].kind == "string" else found[at].text)
            at += 2 if _is(found, at + 1, ".") else 1
        if _is(found, at, "="):
            value, at = _value(found, at + 1)
            _put(said, keys, value)
        while at < len(found) and found[at].text not in (";", "}"):
            at = _past(found, at)
        at += _is(found, at, ";")
    return said, at + 1


def _value(found: list[Token], at: int) -> tuple[Value, int]:
    if at < len(found) and found[at].kind == "string" and _is(found, at + 1, ";"):
        return literal(found[at].text), at + 1
    if _is(found, at, "{") and not _is(found, _past(found, at), ":"):
        return _set(found, at + 1)
    if found[at].text == "false" and _is(found, at + 1, ";"):
        return "false", at + 1
    return None, at


def _put(said: dict[str, Value], keys: list[str], value: Value) -> None:
    """`a.b = …` and `a = { b = …; }` are one thing."""
    for key in keys[:-1]:
        inner = said.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        said = inner
    there = said.get(keys[-1]) if keys else None
    if isinstance(there, dict) and isinstance(value, dict):
        there.update(value)
    elif keys:
        said[keys[-1]] = value


def strings(said: Value, *keys: str) -> dict[str, str]:
    """The strings of the set at `keys`."""
    for key in keys:
        said = said.get(key) if isinstance(said, dict) else None
    found = said.items() if isinstance(said, dict) else ()
    return {key: value for key, value in found if isinstance(value, str)}
