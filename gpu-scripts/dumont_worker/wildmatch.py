"""Wildcards on byte paths as git's own matcher reads them."""

import re
import string
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

PATTERN_LIMIT = 4096

_SPECIAL = b"*?[\\"
_ALNUM = string.ascii_letters + string.digits
_CLASSES = {
    b"alnum": _ALNUM,
    b"alpha": string.ascii_letters,
    b"blank": " \t",
    b"cntrl": "".join(map(chr, [*range(32), 127])),
    b"digit": string.digits,
    b"graph": _ALNUM + string.punctuation,
    b"lower": string.ascii_lowercase,
    b"print": _ALNUM + string.punctuation + " ",
    b"punct": string.punctuation,
    b"space": " \t\n\r",  # git's own table, without \v and \f
    b"upper": string.ascii_uppercase,
    b"xdigit": string.hexdigits,
}
_REGEX_STARS = 2
_EXPRESSIONS = {"star": b"[^/]*", "directories": b"(?:.*/)?", "anything": b".*"}

Token = frozenset[int] | Literal["star", "directories", "anything"]
"""The bytes that one place may hold, or what any number of bytes may be."""
Matcher = Callable[[bytes], bool]

_NO_SLASH = frozenset(range(256)) - frozenset(b"/")


@lru_cache(maxsize=1024)
def compile_pattern(body: bytes) -> Matcher:
    """Gives what tells whether a whole path matches a pattern."""
    if not body or len(body) > PATTERN_LIMIT:
        return _never
    if b"/" in body:
        body = body.removeprefix(b"/")
    # git compares the part without wildcards first and starts its matcher behind it, so that
    # `**` counts as "at the start" right there.
    literal = _literal_length(body)
    rest = _Parser(body[literal:]).run()
    if rest is None:
        return _never
    tokens = [frozenset((byte,)) for byte in body[:literal]] + rest
    # Backtracking over many stars takes for ever; who writes the ignore file may know that.
    return _regex(tokens) if sum(map(_is_open, rest)) <= _REGEX_STARS else _bits(tokens)


def _never(_: bytes) -> bool:
    return False


def _is_open(token: Token) -> bool:
    return isinstance(token, str)


def _literal_length(body: bytes) -> int:
    return next((at for at, byte in enumerate(body) if byte in _SPECIAL), len(body))


class _Parser:
    """Takes a wildcard pattern apart, as git's own matcher reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0
        self._out: list[Token] = []

    def run(self) -> list[Token] | None:
        """Gives the tokens of the whole pattern, None when it can match nothing."""
        body = self._body
        while self._at < len(body):
            char = body[self._at : self._at + 1]
            if char == b"*":
                self._stars()
            elif char == b"[":
                if not self._set():
                    return None
            elif char == b"?":
                self._out.append(_NO_SLASH)
                self._at += 1
            else:
                if char == b"\\":
                    self._at += 1
                    char = body[self._at : self._at + 1]
                    if not char:
                        return None
                self._out.append(frozenset(char))
                self._at += 1
        return self._out

    def _stars(self) -> None:
        body, start = self._body, self._at
        while body[self._at : self._at + 1] == b"*":
            self._at += 1
        rest = body[self._at :]
        opens = start == 0 or body[start - 1 : start] == b"/"
        closes = not rest or rest.startswith((b"/", b"\\/"))
        if self._at - start == 1 or not (opens and closes):
            self._out.append("star")
        elif rest.startswith(b"/"):
            self._out.append("directories")
            self._at += 1
        else:
            self._out.append("anything")

    def _set(self) -> bool:
        body, at = self._body, self._at + 1
        negated = body[at : at + 1] in (b"!", b"^")
        at += negated
        found: set[int] = set()
        previous = 0
        first = True
        while True:
            if at >= len(body):
                return False
            byte = body[at]
            if byte == 0x5D and not first:
                break
            first = False
            at, previous = self._member(at, previous, found)
            if at < 0:
                return False
        self._at = at + 1
        allowed = set(range(256)) - found if negated else found
        self._out.append(frozenset(allowed - {0x2F}))
        return True

    def _member(self, at: int, previous: int, found: set[int]) -> tuple[int, int]:
        """Takes one member of a set; gives where the next starts (-1: malformed) and its byte."""
        body = self._body
        byte = body[at]
        if byte == 0x5C:
            at += 1
            if at >= len(body):
                return -1, 0
            found.add(body[at])
            return at + 1, body[at]
        if byte == 0x2D and previous and at + 1 < len(body) and body[at + 1] != 0x5D:
            at += 1
            if body[at] == 0x5C:
                at += 1
                if at >= len(body):
                    return -1, 0
            found.update(range(previous, body[at] + 1))
            return at + 1, 0
        if byte == 0x5B and body[at + 1 : at + 2] == b":":
            return self._class(at, found)
        found.add(byte)
        return at + 1, byte

    def _class(self, at: int, found: set[int]) -> tuple[int, int]:
        body = self._body
        end = body.find(b"]", at + 2)
        if end < 0:
            return -1, 0
        if end == at + 2 or body[end - 1 : end] != b":":
            # Not closed by ":]": an ordinary member.
            found.add(0x5B)
            return at + 1, 0x5B
        members = _CLASSES.get(body[at + 2 : end - 1])
        if members is None:
            return -1, 0
        found.update(members.encode())
        return end + 1, 0


def _regex(tokens: list[Token]) -> Matcher:
    expression = re.compile(b"".join(map(_expression, tokens)), re.DOTALL)
    return lambda path: expression.fullmatch(path) is not None


def _expression(token: Token) -> bytes:
    if isinstance(token, str):
        return _EXPRESSIONS[token]
    if token == _NO_SLASH:
        return b"[^/]"
    if not token:
        return b"(?!)"
    return b"[" + b"".join(b"\\x%02x" % byte for byte in sorted(token)) + b"]"


def _bits(tokens: list[Token]) -> Matcher:
    """Matches in linear time: bit n of a number says that the tokens so far can end at byte n."""

    def match(path: bytes) -> bool:
        every = (1 << len(path)) - 1
        slashes = _places(path, frozenset(b"/"))
        names = every & ~slashes
        ends = 1
        for token in tokens:
            if not ends:
                return False
            onward = (every << 1 | 1) & ~((ends & -ends) - 1)
            if token == "star":
                # The carry of the addition runs through the bytes up to the next slash.
                ends |= ((ends & names) + names) ^ names
            elif token == "anything":
                ends = onward
            elif token == "directories":
                ends |= (onward & slashes) << 1
            elif isinstance(token, frozenset):
                ends = (ends & _places(path, token)) << 1
        return bool(ends >> len(path) & 1)

    return match


def _places(path: bytes, members: frozenset[int]) -> int:
    return sum(1 << at for at, byte in enumerate(path) if byte in members)
