"""Patterns in gitignore syntax on byte paths, matched as git matches them."""

from dataclasses import dataclass

from .wildmatch import Matcher, compile_pattern

FILE_LIMIT = 1 << 20
"""Most bytes of one ignore file; git has no limit, a hostile workspace needs one."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of an ignore file, ready to match."""

    negative: bool
    directories_only: bool
    by_name: bool
    match: Matcher

    def matches(self, path: bytes, name: bytes, is_dir: bool) -> bool:
        """Whether it matches a path, relative to its ignore file, whose last part is `name`."""
        if self.directories_only and not is_dir:
            return False
        return self.match(name if self.by_name else path)


def parse_patterns(text: bytes) -> tuple[Pattern, ...]:
    """Reads an ignore file; the last pattern that matches decides."""
    patterns = []
    for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        stripped = line.removesuffix(b"\r").partition(b"\0")[0]
        if stripped and not stripped.startswith(b"#"):
            patterns.append(parse_pattern(_without_trailing_spaces(stripped)))
    return tuple(patterns)


def parse_pattern(line: bytes) -> Pattern:
    """Reads one pattern as it stands, without comments and trailing spaces."""
    negative = line.startswith(b"!")
    body = line[1:] if negative else line
    directories_only = body.endswith(b"/")
    body = body[:-1] if directories_only else body
    return Pattern(negative, directories_only, b"/" not in body, compile_pattern(body))


def _without_trailing_spaces(line: bytes) -> bytes:
    end = 0
    at = 0
    while at < len(line):
        if line[at : at + 1] == b"\\":
            at += 1
            if at == len(line):
                return line
            end = at + 1
        elif line[at : at + 1] != b" ":
            end = at + 1
        at += 1
    return line[:end]
