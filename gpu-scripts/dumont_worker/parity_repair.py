"""Makes lost objects of a store again as a whole, proves them, and sends them."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .entry import Entry
from .errors import WorkerError, integrity
from .index import IndexReader, decode_packs
from .memory_plan import COORDINATOR, MIB
from .native import BytesLike, blake3
from .operator_desk import OperatorDesk
from .parity_desk import ParityDesk
from .parity_groups import Group, Stored
from .protocol import RepairRequest
from .restore_index import Urls, fetch_object
from .serve import Box
from .session import Link
from .upload import upload

Frame = tuple[int, int, bytes]
"""Where a frame lies in its pack, its length and its hash."""


def run(link: Link, request: RepairRequest, box: Box) -> dict[str, Any]:
    """Does what can be done and tells of each object; gives the fields of `result`.

    Cancelled, and WorkerError: INTEGRITY for a list of groups or an index that cannot be had.
    """
    del box
    started = time.monotonic()
    link.progress.phase("index")
    repair = _Repair(link, request)
    repair.all()
    return repair.totals | {"seconds": round(time.monotonic() - started, 3)}


@dataclass(frozen=True, slots=True)
class _Damage:
    group: Group
    lost: tuple[Stored, ...]


class _Repair:
    def __init__(self, link: Link, request: RepairRequest) -> None:
        self._link = link
        self._request = request
        self._urls = Urls(link)
        self._parity = ParityDesk(link, self._urls, request.snapshot, request.groups)
        self._desk = OperatorDesk(link)
        self._frames: dict[str, list[Frame]] | None = None
        self._digests = {one.key: one.sha256 for one in (*request.segments, request.packs)}
        self.totals = {"repaired": 0, "hopeless": 0, "bytes": 0}

    def all(self) -> None:
        """Repairs one group after the other, those of the index first: it proves the packs."""
        groups = self._parity.read()
        known = {one.key for group in groups for one in group.objects}
        for key in self._request.lost:
            if key not in known:
                self._give_up(key, "it is in no group that this snapshot keeps")
        self._link.progress.phase("transfer")
        damages = list(self._damages(groups))
        for damage in sorted(damages, key=lambda one: _kind(one.group.members[0].key) == "pack"):
            self._link.check()
            try:
                made = self._made(damage)
            except WorkerError as error:
                if error.code != "INTEGRITY":
                    raise
                for one in damage.lost:
                    self._give_up(one.key, error.message)
                continue
            for one in damage.lost:
                self._send(one, made[one.key])

    def _damages(self, groups: list[Group]) -> Iterator[_Damage]:
        lost = set(self._request.lost)
        for group in groups:
            found = tuple(one for one in group.objects if one.key in lost)
            if found:
                yield _Damage(group, found)

    def _made(self, damage: _Damage) -> dict[str, BytesLike]:
        """Gives all that a group has lost; each sum, and each of what is solved, is that long."""
        group, length = damage.group, damage.group.parity[0].length
        needed = COORDINATOR + (2 * len(group.parity) + 3) * length
        if needed > self._request.memory:
            shown = f"{-(-needed // MIB)} MiB"
            raise WorkerError("USAGE", f"a repair needs at least {shown}", f"--memory {shown}")
        lost = {one.key for one in damage.lost}
        return self._parity.remains(group, (0, length), lost, self._whole).all()

    def _whole(self, one: Stored, first: int, length: int) -> BytesLike:
        """Fetches an object, held to its pin; INTEGRITY."""
        data = self._parity.get(one, first, length)
        self._link.progress.add(transferred=len(data))
        if not one.has_pin(data):
            raise integrity(f"{one.key} is damaged")
        return data

    def _send(self, one: Stored, data: BytesLike) -> None:
        """Sends an object that is proven."""
        try:
            self._prove(one, data)
        except WorkerError as error:
            if error.code != "INTEGRITY":
                raise
            self._give_up(one.key, error.message)
            return
        pin = {"kind": one.pin_kind, "value": one.pin_value}
        told = {"kind": _kind(one.key), "part": 0, "length": one.length, "pin": pin}
        upload(self._desk, told | {"key": one.key}, [data], None, self._link.cancelled)
        self.totals["repaired"] += 1
        self.totals["bytes"] += one.length
        self._link.send("repaired", key=one.key, length=one.length)

    def _give_up(self, key: str, why: str) -> None:
        self.totals["hopeless"] += 1
        self._link.send("hopeless", key=key, message=why[:500])

    def _prove(self, one: Stored, data: BytesLike) -> None:
        if not one.has_pin(data):
            raise integrity("what the rest of its group gives does not have its checksum")
        if (digest := self._digests.get(one.key)) is not None:
            if hashlib.sha256(data).hexdigest() != digest:
                raise integrity("what the rest of its group gives does not have its SHA-256")
        elif one.key.startswith("packs/"):
            view = memoryview(data)
            for at, stored, frame_hash in self._frames_of(one.key):
                if blake3(view[at : at + stored]) != frame_hash:
                    raise integrity("what the rest of its group gives holds a damaged chunk")

    def _frames_of(self, key: str) -> list[Frame]:
        """Gives what the index tells of a pack, nothing for one that it does not name."""
        if self._frames is None:
            self._frames = self._read_index()
        return self._frames.get(key, [])

    def _read_index(self) -> dict[str, list[Frame]]:
        request, lost = self._request, set(self._request.lost)
        listed = fetch_object(self._link, self._urls, request.packs, "packs")
        packs = decode_packs(listed, request.snapshot, self._urls.sealed)
        frames: dict[str, list[Frame]] = {}
        segments = (
            fetch_object(self._link, self._urls, ref, "segment") for ref in request.segments
        )
        for line in IndexReader(segments, request.snapshot, packs):
            if isinstance(line, Entry):
                continue
            _, chunk = line
            key = packs[chunk.pack].key
            if key in lost:
                frames.setdefault(key, []).append((chunk.at, chunk.stored, chunk.frame))
        return frames


def _kind(key: str) -> str:
    if key.startswith("index/"):
        return "packs" if key.endswith("/packs") else "segment"
    return "parity" if key.startswith("parity/") else "pack"
