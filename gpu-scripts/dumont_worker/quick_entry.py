"""Entries of the index in the very form this worker writes: read without going through JSON."""

import json
import re
from functools import lru_cache

from .byte_string import from_json
from .entry import (
    CHUNK_MAX,
    MODE_MAX,
    SAFE,
    UINT32,
    Entry,
    Extent,
    Stat,
    is_plain_path,
    whole_number,
)
from .errors import WorkerError

_NUMBER = "0|[1-9][0-9]{0,15}"
_WIDE = "0|-?[1-9][0-9]{0,29}"
# Text without escapes, which is what nearly all names are.
_TEXT = r'[^"\\\x00-\x1f]*'
_LINE = re.compile(
    rf'\{{"entry":"(file|dir)","root":({_NUMBER}),"path":"({_TEXT})"'
    rf',("mode":[0-9]{{1,4}},"uid":[0-9]{{1,10}},"gid":[0-9]{{1,10}}'
    rf'(?:,"user":"{_TEXT}")?(?:,"group":"{_TEXT}")?),"mtime":"({_WIDE})"'
    rf'(?:,"size":({_NUMBER}),"hash":"([0-9a-f]{{64}})"'
    rf'(?:,"extents":\[\[({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})\]\])?'
    rf'(?:,"stat":\{{"ctime":"({_WIDE})","ino":"({_WIDE})","dev":"({_WIDE})","fs":"({_WIDE})"\}})?'
    r")?\}"
)

Owner = tuple[int, int, int, bytes | None, bytes | None]


def quick_entry(line: str) -> Entry | None:
    """Gives what `decode_entry` would, or None: then it is to be asked, for an entry or an error.

    Knows directories and files of at most one extent without anything unusual.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    kind, root_, text, owner, mtime, size_, digest, *numbers = match.groups()
    root, path, owned = int(root_), text.encode(), _owner(owner)
    if owned is None or root > UINT32 or not is_plain_path(path) or (kind == "dir") == bool(digest):
        return None
    if kind == "dir":
        return Entry(kind, root, path, *owned, int(mtime))
    size = int(size_)
    extents = _extents(numbers, size)
    if extents is None or size > SAFE:
        return None
    ctime, inode, device, fs = numbers[4:]
    stat = None if ctime is None else Stat(int(ctime), int(inode), int(device), int(fs))
    return Entry(
        *(kind, root, path, *owned, int(mtime), (), size, bytes.fromhex(digest), extents),
        stat=stat,
    )


def _extents(numbers: list[str], size: int) -> tuple[Extent, ...] | None:
    if numbers[0] is None:
        return ()
    offset, chunk, at, length = map(int, numbers[:4])
    if length < 1 or at + length > CHUNK_MAX or offset + length > size:
        return None
    return (Extent(offset, chunk, at, length),)


# Few owners and modes make up a whole workspace.
@lru_cache(4096)
def _owner(text: str) -> Owner | None:
    try:
        fields = json.loads(f"{{{text}}}")
        return (
            whole_number(fields, "mode", MODE_MAX),
            whole_number(fields, "uid", UINT32),
            whole_number(fields, "gid", UINT32),
            from_json(fields["user"]) if "user" in fields else None,
            from_json(fields["group"]) if "group" in fields else None,
        )
    except (ValueError, WorkerError):
        return None
