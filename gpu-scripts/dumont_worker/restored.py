"""The record of restores on this box, by which the next create knows whose work it continues."""

import contextlib
import json
import os
import re
import secrets
from typing import Any

from .box import PrivateDir
from .byte_string import from_json, to_json
from .errors import WorkerError

_NAME = "restored.json"
_MOST = 64
_FORMS = {
    "lineage": re.compile(r"[0-9a-f]{32}\Z"),
    "snapshot": re.compile(r"[0-9]{8}T[0-9]{6}Z-[a-z2-7]{6}\Z"),
}


def read(private: PrivateDir) -> list[dict[str, Any]]:
    """The restores on record, oldest first; a damaged record counts as none."""
    try:
        with open(_path(private), "rb") as file:
            found = json.loads(file.read(1 << 20))
    except (OSError, ValueError, RecursionError):
        return []
    return [item for item in found if _sound(item)] if isinstance(found, list) else []


def record(
    private: PrivateDir, lineage: str, snapshot: str, roots: list[bytes], complete: bool
) -> None:
    """Notes where a snapshot's roots now lie; replaces what was known of these roots."""
    told = [to_json(root) for root in roots]
    items = [item for item in read(private) if item["roots"] != told]
    items.append({"lineage": lineage, "snapshot": snapshot, "roots": told, "complete": complete})
    temporary = _path(private) + b"." + secrets.token_hex(4).encode()
    try:
        with open(temporary, "xb") as file:
            file.write(json.dumps(items[-_MOST:]).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, _path(private))
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise WorkerError("WORKER", f"cannot record the restore: {error.strerror}") from error


def _path(private: PrivateDir) -> bytes:
    return os.path.join(private.path, _NAME.encode())


def _sound(item: object) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("complete"), bool):
        return False
    if any(not isinstance(item.get(k), str) or not f.match(item[k]) for k, f in _FORMS.items()):
        return False
    roots = item.get("roots")
    if not isinstance(roots, list):
        return False
    try:
        return all(from_json(root).startswith(b"/") for root in roots)
    except WorkerError:
        return False
