"""Text to tokens. A dotted reference, hyphens and all, is one token.

In: text within the limits. Out: a list of tokens that ends with an `end`. Never: work beyond one pass.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from .limits import INT_MAX, MAX_SOURCE, MAX_TOKENS
from .site import Site

TokenKind = Literal["sign", "name", "member", "value", "end"]


class Token(NamedTuple):
    """`value` is the sign, the names of a reference, the name of a member, or the literal's value."""

    kind: TokenKind
    value: object
    at: int


_WORD = r"\w+(?:-+\w+)*"
_STRINGS = r"""
      '''(?s:[^\\']|\\.|'(?!''))*'''
    | \"{3}(?s:[^\\"]|\\.|"(?!""))*\"{3}
    | '[^'\\\n\r]*(?:\\[^\n\r][^'\\\n\r]*)*'
    | "[^"\\\n\r]*(?:\\[^\n\r][^"\\\n\r]*)*"
"""
_RAW_STRINGS = r"""
      '''(?s:.)*?''' | \"{3}(?s:.)*?\"{3} | '[^'\n\r]*' | "[^"\n\r]*"
"""
LITERAL = re.compile(rf"(?:(?P<raw>[rR](?:{_RAW_STRINGS}))|(?P<string>{_STRINGS}))", re.VERBOSE)
"""A string literal; also used to find the placeholders that lie inside one."""

_TOKEN = re.compile(
    rf"""
      (?P<blank>(?:\s+|//[^\n]*)+)
    | (?P<raw>[rR](?:{_RAW_STRINGS}))
    | (?P<bytes>[bB][rR]?['"])
    | (?P<name>[^\W\d]\w*(?:-+\w+)*(?:\s*\.\s*{_WORD})*)
    | (?P<double>\d+(?:\.\d+(?:[eE][-+]?\d+)?|[eE][-+]?\d+)(?![\w]))
    | (?P<int>(?:0[xX][0-9a-fA-F]+|\d+)(?![\w]))
    | (?P<number>\d\w*)
    | (?P<string>{_STRINGS})
    | (?P<member>\.\s*{_WORD})
    | (?P<sign>\{{\{{|===?|!==?|<>|[<>]=?|&&?|\|\|?|[-+*/%!?:,()\[\]{{}}=])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"\\(?:[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.?))",
    re.DOTALL,
)
_SHORT = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "?": "?", '"': '"', "'": "'", "`": "`",
}  # fmt: skip
WRONG_SIGNS = {
    "=": "to compare, write ==",
    "===": "to compare, write ==",
    "!==": "to compare, write !=",
    "<>": "to compare, write !=",
    "&": "write &&",
    "|": "write ||",
    "{{": "write the key without the braces: an expression reads keys directly",
}


def tokens(text: str) -> list[Token]:
    """Every token of `text`. Raises InvalidExpression."""
    if len(text) > MAX_SOURCE:
        raise Site("", 0).exhausted(
            f"the expression has {len(text)} characters; at most {MAX_SOURCE} are allowed",
            "pass long values as parameters and refer to them",
        )
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise Site(text, exc.start).syntax(
                "this character is half of a surrogate pair"
            ) from exc
    found: list[Token] = []
    at, end = 0, len(text)
    match = _TOKEN.match
    while at < end:
        token = match(text, at)
        if token is None:
            raise _unreadable(text, at)
        group = token.lastgroup
        if group == "name":
            names = token.group()
            if "." in names:
                words = tuple([word.strip() for word in names.split(".")])
            else:
                words = (names,)
            found.append(Token("name", words, at))
        elif group == "sign":
            found.append(Token("sign", _sign(text, at, token.group()), at))
        elif group != "blank":
            found.append(_literal(text, at, group or "", token.group()))
        if len(found) > MAX_TOKENS:
            raise Site(text, at).exhausted(
                f"the expression has more than {MAX_TOKENS} words and signs", "split it up"
            )
        at = token.end()
    found.append(Token("end", "", end))
    return found


def _sign(text: str, at: int, sign: str) -> str:
    if sign in WRONG_SIGNS:
        raise Site(text, at).syntax(f"'{sign}' is no operator here", WRONG_SIGNS[sign])
    return sign


def _literal(text: str, at: int, group: str, written: str) -> Token:
    site = Site(text, at)
    if group == "string" or group == "raw":
        return Token("value", string_value(written, site), at)
    if group == "member":
        return Token("member", written[1:].strip(), at)
    if group == "int":
        value = int(written, 16) if written[:2] in ("0x", "0X") else _decimal(written)
        if value > INT_MAX + 1:  # one more than fits: it may stand behind a minus
            raise site.syntax(f"{written[:40]} does not fit into 64 bits", "write it as a double")
        return Token("value", value, at)
    if group == "double":
        number = float(written)
        if number - number != 0:
            raise site.syntax(f"{written[:40]} is too large for a double")
        return Token("value", number, at)
    if group == "bytes":
        raise site.syntax("there are no bytes in this language", "use a string")
    if written[-1:] in "uU" and written[:-1].isdigit():
        raise site.syntax("there are no unsigned numbers", f"write {written[:-1][:20]}")
    raise site.syntax(
        f"'{written[:40]}' is no number",
        "a name cannot begin with a digit unless a dot precedes it",
    )


def _decimal(written: str) -> int:
    digits = written.lstrip("0") or "0"
    return int(digits) if len(digits) < 20 else INT_MAX + 2


def string_value(written: str, site: Site) -> str:
    """What a string literal stands for. Raises InvalidExpression for a bad escape."""
    if written[0] in "rR":
        body = written[1:]
        return body[3:-3] if body[:3] in ("'''", '"""') else body[1:-1]
    body = written[3:-3] if written[:3] in ("'''", '"""') else written[1:-1]
    return _unescaped(body, site) if "\\" in body else body


def _unescaped(body: str, site: Site) -> str:
    def one(match: re.Match[str]) -> str:
        two, four, eight, octal, short = match.groups()
        if short is not None:
            if short not in _SHORT:
                raise site.syntax(
                    f"'\\{short}' is no escape",
                    "double the backslash, or put r before the opening quote",
                )
            return _SHORT[short]
        code = int(octal, 8) if octal else int(two or four or eight, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise site.syntax(f"'{match.group()}' is no character")
        return chr(code)

    return _ESCAPE.sub(one, body)


def _unreadable(text: str, at: int) -> Exception:
    site, sign = Site(text, at), text[at]
    if sign in "'\"":
        return site.syntax("this string has no closing quote", f"close it with {sign}")
    if sign == ".":
        return site.syntax("a dot needs a name before and behind it", "write 0.5, not .5")
    return site.syntax(f"{sign!r} has no meaning here", "put text into quotes")
