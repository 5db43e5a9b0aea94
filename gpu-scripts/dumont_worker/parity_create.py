"""Parity of what a create stores: summed as packs are sent, listed at the end."""

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from .cancellation import Cancelled, Flag
from .create_messages import MadeGroup, StoredPack
from .index import PackRecord
from .memory_plan import SETS
from .native import BytesLike
from .pack_builder import pin_of
from .parity_groups import Group, Stored, encode_groups
from .parity_sums import MEMBERS_MOST, Sums
from .seal import Kind
from .transfer import OnProgress
from .upload import Desk, upload

_LOOK_SECONDS = 0.5


class ClosedGroup:
    """What of a group is to be sent: its members' numbers, and their sums."""

    def __init__(self, count: int, room: int) -> None:
        self.numbers: list[int] = []
        self.count = count
        self.sums = Sums(count, room)

    def send(
        self,
        desk: Desk,
        part: int,
        pin_kind: str,
        show: Callable[[int], OnProgress | None],
        cancelled: Flag,
    ) -> tuple[Stored, ...]:
        """Sends the parity objects; `show` gives what hears of each, by its length."""
        sent = []
        for row in range(self.count):
            content = self.sums.parity(row)
            stored = Stored("", len(content), pin_kind, pin_of(pin_kind, content))
            told = stored.fields()
            wanted = {"kind": "parity", "part": part, "length": told["length"], "pin": told["pin"]}
            key = upload(desk, wanted, [content], show(len(content)), cancelled)
            sent.append(Stored(key, stored.length, pin_kind, stored.pin_value))
        return tuple(sent)


class EngineParity:
    """The group that an engine is at; for any thread. At most `SETS` groups have memory."""

    def __init__(self, count: int, room: int, failed: Flag) -> None:
        """`count` parity objects a group, for packs of up to `room` bytes."""
        self._count = count
        self._room = room
        self._failed = failed
        self._changed = threading.Condition()
        self._group: ClosedGroup | None = None
        self._sending = 0

    def add(self, number: int, content: BytesLike) -> ClosedGroup | None:
        """Adds a pack; gives the group if it is full. `sent` is to be called for it."""
        with self._changed:
            while self._group is None and self._sending >= SETS:
                self._changed.wait(_LOOK_SECONDS)
                if self._failed.is_set():
                    raise Cancelled
            group = self._group = self._group or ClosedGroup(self._count, self._room)
            group.sums.add(content)
            # The last that is added comes first.
            group.numbers.insert(0, number)
            return self._close() if len(group.numbers) == MEMBERS_MOST else None

    def close(self) -> ClosedGroup | None:
        """Gives the group as it is, if it has any member."""
        with self._changed:
            return self._close() if self._group is not None else None

    def sent(self) -> None:
        """Makes room for another group."""
        with self._changed:
            self._sending -= 1
            self._changed.notify_all()

    def _close(self) -> ClosedGroup | None:
        group, self._group = self._group, None
        self._sending += 1
        return group


class IndexParity:
    """Groups of the objects of an index, which are sent one after the other."""

    def __init__(self, desk: Desk, pin_kind: str, cancelled: Flag, count: int) -> None:
        self.groups: list[Group] = []
        self._members: list[Stored] = []
        self._count = count
        self._sums = ClosedGroup(count, 0)
        self._send = partial(self._sent, desk, pin_kind, cancelled)

    def add(self, member: Stored, content: BytesLike) -> None:
        """Takes an object that is stored."""
        self._sums.sums.add(content)
        self._members.insert(0, member)
        if len(self._members) == MEMBERS_MOST:
            self.finish()

    def finish(self) -> None:
        """Sends what is left."""
        if self._members:
            self.groups.append(Group(tuple(self._members), self._send()))
            self._members, self._sums = [], ClosedGroup(self._count, 0)

    def _sent(self, desk: Desk, pin_kind: str, cancelled: Flag) -> tuple[Stored, ...]:
        return self._sums.send(desk, 0, pin_kind, lambda _: None, cancelled)


class ParityResult(NamedTuple):
    """What the result of a create tells besides: of its index, in its bytes, and by itself."""

    manifest: dict[str, Any]
    bytes: dict[str, int]
    told: dict[str, Any]


Send = Callable[[Kind, int, bytes], dict[str, Any]]
"""Stores an object of the index, and gives what the manifest says of it."""


class GroupLedger:
    """The groups that a create can name, on its main thread.

    Those of its parent and of an interrupted run, and those its engines have made.
    """

    def __init__(self, kept: Iterable[Group], note: Callable[[Group], None]) -> None:
        """`note` hears of each group that has become whole."""
        self._kept = list(kept)
        self._note = note
        self._packs: dict[tuple[int, int], Stored] = {}
        self._waiting: list[tuple[int, MadeGroup]] = []
        self._made: list[Group] = []

    def stored(self, engine: int, pack: StoredPack) -> None:
        """Takes note of a pack that the store has accepted."""
        told = Stored(pack.key, pack.length, pack.pin_kind, pack.pin_value)
        self._packs[engine, pack.pack] = told
        self._settle()

    def made(self, engine: int, group: MadeGroup) -> None:
        """Takes a group whose parity is stored; some of its members may still be on their way."""
        self._waiting.append((engine, group))
        self._settle()

    def _settle(self) -> None:
        waiting, self._waiting = self._waiting, []
        for engine, made in waiting:
            members = [self._packs.get((engine, number)) for number in made.members]
            found = [member for member in members if member is not None]
            if len(found) < len(members):
                self._waiting.append((engine, made))
                continue
            group = Group(tuple(found), tuple(Stored(*one) for one in made.parity))
            self._made.append(group)
            self._note(group)

    def close(
        self, snapshot: str, packs: list[PackRecord], index: IndexParity | None, send: Send
    ) -> ParityResult:
        """Sends the list of groups that a snapshot of these packs names, if there are any."""
        if index is None and not self._kept:
            return ParityResult({}, {}, {})
        named = {pack.key for pack in packs}
        used: set[str] = set()
        kept = [group for group in self._kept if _is_alive(group, named, used)]
        made = [group for group in self._made if _is_alive(group, named, used)]
        told = {"kept": len(kept), "made": len(made), "unprotected": len(named - used)}
        new = self._made
        if index is not None:
            index.finish()
            new = new + index.groups
            made = made + index.groups
            told["made"] = len(made)
        stored = sum(one.length for group in new for one in group.parity)
        groups = [*kept, *made]
        listed = {"groups": send("groups", 0, encode_groups(snapshot, groups))} if groups else {}
        return ParityResult(listed, {"parity": stored}, {"parity": told})


def _is_alive(group: Group, named: set[str], used: set[str]) -> bool:
    """Whether half of its members are named, and nothing of it is in another group."""
    keys = {one.key for one in group.objects}
    if keys & used or 2 * len(named & keys) < len(group.members):
        return False
    used |= keys
    return True
