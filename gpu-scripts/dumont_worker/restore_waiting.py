"""Files that wait for others to be written, because they hold bases of their differences."""

from .restore_holders import Holders
from .spool import Item


class Waiting:
    """Keeps each file until the last of those that it waits for is written, or has failed."""

    def __init__(self, holders: Holders) -> None:
        """Ask `holders` what is to be waited for."""
        self._holders = holders
        self._files: dict[int, tuple[Item, set[int]]] = {}
        self._waiters: dict[int, list[int]] = {}
        self.uses = 0
        """Stretches of all files that wait: what they take of memory."""

    def add(self, number: int, item: Item) -> bool:
        """Keep a file; False when there is nothing that it would have to wait for."""
        awaited = self._holders.awaited(number, item)
        if not awaited:
            return False
        self._files[number] = (item, awaited)
        self.uses += len(item.extents)
        for other in awaited:
            self._waiters.setdefault(other, []).append(number)
        return True

    def arrived(self, number: int) -> list[tuple[int, Item]]:
        """Take note that a file is written, or failed, and return those that waited for it last."""
        self._holders.arrived(number)
        ready = []
        for other in self._waiters.pop(number, []):
            item, awaited = self._files[other]
            awaited.discard(number)
            if not awaited:
                ready.append((other, item))
                self._forget(other)
        return ready

    def all(self) -> list[tuple[int, Item]]:
        """Return whatever waits, which does so no longer."""
        ready = [(number, item) for number, (item, _) in self._files.items()]
        for number, _ in ready:
            self._forget(number)
        self._waiters.clear()
        return ready

    def _forget(self, number: int) -> None:
        item, _ = self._files.pop(number)
        self.uses -= len(item.extents)
