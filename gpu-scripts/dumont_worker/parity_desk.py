"""A coordinator's way to parity: reads the list of groups once something is lost."""

import hashlib

from . import transfer
from .errors import WorkerError, integrity
from .native import BytesLike
from .parity_groups import Group, Stored, decode_groups
from .parity_rebuild import Fetch, Remains
from .protocol import ObjectRef
from .restore_index import RENEWALS, Signed, Urls, fetch_object
from .session import Link

Found = tuple[Group, list[Signed]]
"""A group, and URLs of all of its objects."""


class ParityDesk:
    """Groups of a snapshot by their objects; for one thread."""

    def __init__(self, link: Link, urls: Urls, snapshot: str, listed: ObjectRef) -> None:
        """`listed` is the manifest's list of groups."""
        self.listed = listed
        self._link = link
        self._urls = urls
        self._raw = Urls(link, raw=True)
        self._snapshot = snapshot
        self._groups: dict[str, Group] | None = None
        self._told: set[str] = set()

    def read(self) -> list[Group]:
        """Reads the list; raises INTEGRITY."""
        data = fetch_object(self._link, self._urls, self.listed, "groups")
        groups = decode_groups(data, self._snapshot)
        self._groups = {one.key: group for group in groups for one in group.objects}
        return groups

    def find(self, key: str, renew: bool = False) -> Found | None:
        """Gives the group of an object, with fresh URLs if need be; None where it has no parity.

        A list that is damaged is warned of, and is none.
        """
        group = self._known().get(key)
        if group is None:
            return None
        keys = [one.key for one in group.objects]
        if renew:
            for one in keys:
                self._raw.renew(one)
        return group, self._raw.several(keys, [])

    def tell(self, key: str) -> None:
        """Warns, once for each object, that something of it was made again."""
        if key not in self._told:
            self._told.add(key)
            words = "missing or damaged in the store; what was needed of it was made from parity: "
            words += "dumont snapshot repair makes it whole"
            self._link.warn("rebuilt", key.encode(), words)

    def index_object(self, wanted: ObjectRef, error: WorkerError) -> BytesLike:
        """Makes an object of the index again, proven by its SHA-256; raises INTEGRITY.

        `error` is why it is needed.
        """
        group = None if wanted.key == self.listed.key else self._known().get(wanted.key)
        if group is None:
            raise error

        def is_it(data: BytesLike) -> bool:
            return hashlib.sha256(data).hexdigest() == wanted.sha256

        try:
            remains = self.remains(group, (0, wanted.length), {wanted.key}, None)
            data = remains.member(wanted.key, is_it)
        except WorkerError as failure:
            if failure.code != "INTEGRITY":
                raise
            raise integrity(f"{error.message}; {failure.message}") from None
        self.tell(wanted.key)
        return data

    def remains(
        self, group: Group, span: tuple[int, int], lost: set[str], check: Fetch | None
    ) -> Remains:
        """Reads what is left of a group; `check`, where given, does the fetching around `get`."""
        return Remains(group, span, lost, check or self.get)

    def get(self, one: Stored, first: int, length: int) -> BytesLike:
        """Fetches bytes as they are stored; WorkerError as `transfer.get`."""
        for _ in range(RENEWALS):
            signed = self._raw.get(one.key)
            try:
                span = (first, first + length - 1)
                return transfer.get(signed, span, None, None, self._link.cancelled)
            except transfer.UrlExpired:
                self._raw.renew(one.key)
        raise WorkerError("ACCESS_DENIED", "the store takes every URL for an expired one")

    def _known(self) -> dict[str, Group]:
        if self._groups is None:
            self._groups = {}
            try:
                self.read()
            except WorkerError as error:
                if error.code != "INTEGRITY":
                    raise
                self._link.warn("parity", b"", f"nothing can be made again: {error.message}")
        return self._groups
