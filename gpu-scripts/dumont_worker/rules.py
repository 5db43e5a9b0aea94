"""What a snapshot leaves out: patterns of `--exclude` and of `.dumontignore` files, and caches."""

import os
import stat
from collections.abc import Iterable
from typing import Literal

from .ignore_patterns import FILE_LIMIT, Pattern, parse_patterns
from .paths import READ_FLAGS

Decision = Literal["keep", "excluded", "cache"]

IGNORE_FILE = b".dumontignore"
CACHE_TAG = b"CACHEDIR.TAG"
TAG_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"

_NEVER_CACHES = (b".git", b"huggingface")
_HUB_PREFIXES = (b"models--", b"datasets--", b"spaces--")


class Rules:
    """The rules in force in one directory; immutable, so that every directory keeps its own.

    Patterns of `--exclude` count as if they stood in an ignore file at the top of every root; the
    deeper ignore file wins over the higher, the later line over the earlier, as in git.
    """

    __slots__ = ("_files", "exclude_caches")

    def __init__(self, excludes: Iterable[bytes] = (), exclude_caches: bool = False) -> None:
        patterns = parse_patterns(b"\n".join(excludes))
        self._files: tuple[tuple[int, tuple[Pattern, ...]], ...] = (
            ((0, patterns[::-1]),) if patterns else ()
        )
        self.exclude_caches = exclude_caches

    def below(self, directory: bytes, text: bytes) -> "Rules":
        """Gives the rules with those of `directory`/.dumontignore added; the path is relative."""
        patterns = parse_patterns(text)
        if not patterns:
            return self
        rules = Rules(exclude_caches=self.exclude_caches)
        start = len(directory) + 1 if directory else 0
        rules._files = ((start, patterns[::-1]), *self._files)
        return rules

    def without_caches(self) -> "Rules":
        """Gives the rules for what lies in a cache that is never left out."""
        rules = Rules()
        rules._files = self._files
        return rules

    def decide(self, path: bytes, is_dir: bool) -> Decision:
        """Decides on a path below the root whose parents are all kept; the root itself is kept."""
        if not path:
            return "keep"
        if self._files:
            name = path.rpartition(b"/")[2]
            for start, patterns in self._files:
                relative = path[start:]
                for pattern in patterns:
                    if pattern.matches(relative, name, is_dir):
                        if not pattern.negative:
                            return "excluded"
                        return self._by_name(name, is_dir)
            return self._by_name(name, is_dir)
        return self._by_name(path.rpartition(b"/")[2], is_dir) if self.exclude_caches else "keep"

    def _by_name(self, name: bytes, is_dir: bool) -> Decision:
        return "cache" if self.exclude_caches and is_dir and name == b"__pycache__" else "keep"


def is_precious(path: bytes, names: Iterable[bytes]) -> bool:
    """Whether a directory is a Hugging Face cache or `.git`: never left out, tagged or not.

    `path` is absolute; `names` are what the directory holds.
    """
    if any(part in _NEVER_CACHES for part in path.split(b"/")):
        return True
    return any(name.startswith(_HUB_PREFIXES) for name in names)


def cache_kind(fd: int, path: bytes, names: list[bytes]) -> str:
    """Says which surely re-creatable cache an open directory is: pip, uv, conda or tagged; else "".

    `path` is absolute. The caller has asked `is_precious` first.
    """
    held = set(names)
    above, _, name = path.rpartition(b"/")
    parent = above.rpartition(b"/")[2]
    if name == b"pip" and parent == b".cache" and held & {b"http", b"http-v2", b"wheels"}:
        return "pip"
    if name == b"uv" and parent == b".cache" and any(n.startswith(b"archive-v") for n in held):
        return "uv"
    if name == b"pkgs" and b"urls.txt" in held and held & {b"urls", b"cache"}:
        return "conda"
    # uv and virtualenv tag their environments, yet what was installed into one by hand exists
    # nowhere else.
    if b"pyvenv.cfg" in held:
        return ""
    if CACHE_TAG in held and read_small(fd, CACHE_TAG, len(TAG_SIGNATURE)) == TAG_SIGNATURE:
        return "tagged"
    return ""


def read_small(directory: int, name: bytes, limit: int = FILE_LIMIT) -> bytes | None:
    """Reads the first `limit` bytes of a regular file in an open directory; None for other types.

    Raises OSError where it cannot be read.
    """
    fd = os.open(name, READ_FLAGS, dir_fd=directory)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        parts = []
        while limit > 0 and (part := os.read(fd, limit)):
            parts.append(part)
            limit -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)
