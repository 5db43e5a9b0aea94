"""The roots of a snapshot: absolute, without links, none inside another."""

import os
import stat
from dataclasses import dataclass, replace

from .byte_string import to_json
from .entry import path_key
from .errors import WorkerError
from .mounts import MountTable, is_at_or_below, read_mounts

_NO_ROOTS = frozenset((b"proc", b"sysfs"))


@dataclass(frozen=True, slots=True)
class Root:
    """One tree or file to save.

    `given` is what the operator wrote, where a link led elsewhere; `named` are paths inside it
    that were asked for too, so mounts that hold them are crossed.
    """

    path: bytes
    given: bytes | None = None
    kind: str = "dir"
    named: tuple[bytes, ...] = ()

    @property
    def shown(self) -> str:
        """The path for messages."""
        return _shown(self.path)


def resolve_roots(paths: list[bytes], mounts: MountTable | None = None) -> list[Root]:
    """Resolves links, drops duplicates and what lies in another root; gives roots in path order.

    Raises USAGE for a path that is relative, missing, or neither directory nor regular file.
    """
    if not paths:
        raise WorkerError("USAGE", "no path to save was given")
    table = read_mounts() if mounts is None else mounts
    found: dict[bytes, Root] = {}
    for path in paths:
        root = _resolve(path, table)
        if root.path not in found or root.given is None:
            found[root.path] = root
    return _outermost(sorted(found.values(), key=lambda root: path_key(root.path.strip(b"/"))))


def _resolve(given: bytes, mounts: MountTable) -> Root:
    shown = _shown(given)
    if not given.startswith(b"/") or b"\0" in given:
        raise WorkerError("USAGE", f"{shown} is not an absolute path", "begin it with /")
    try:
        path = os.path.realpath(given, strict=True)
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise WorkerError("USAGE", f"{shown} does not exist on the box") from None
    except OSError as error:
        raise WorkerError("USAGE", f"{shown} cannot be reached: {error.strerror}") from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise WorkerError("USAGE", f"{shown} is neither a directory nor a regular file")
    mount = mounts.holding(path)
    if mount is not None and mount.type in _NO_ROOTS:
        raise WorkerError("USAGE", f"{shown} shows the kernel's state and cannot be saved")
    plain = b"/" + b"/".join(part for part in given.split(b"/") if part not in (b"", b"."))
    kind = "dir" if stat.S_ISDIR(mode) else "file"
    return Root(path, None if plain == path else given, kind)


def _outermost(roots: list[Root]) -> list[Root]:
    kept: list[Root] = []
    for root in roots:
        # In path order, what a root holds follows right behind it.
        if kept and kept[-1].kind == "dir" and is_at_or_below(root.path, kept[-1].path):
            kept[-1] = replace(kept[-1], named=(*kept[-1].named, root.path))
        else:
            kept.append(root)
    return kept


def _shown(path: bytes) -> str:
    value = to_json(path)
    return (
        value if isinstance(value, str) else os.fsdecode(path).encode("ascii", "replace").decode()
    )
