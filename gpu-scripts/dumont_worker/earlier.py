"""Asks which packs of an interrupted run may be used; only the operator's machine can know."""

from .create_messages import StoredPack
from .parity_groups import Group, Stored
from .session import Link

_BATCH = 1000


def accepted_packs(link: Link, packs: list[StoredPack]) -> list[StoredPack]:
    """Gives those of the journal's packs that the store holds and that may be named again."""
    told = [Stored(pack.key, pack.length, pack.pin_kind, pack.pin_value) for pack in packs]
    accepted = _accepted(link, told)
    return [pack for pack in packs if pack.key in accepted]


def accepted_groups(link: Link, groups: list[Group], packs: list[StoredPack]) -> list[Group]:
    """Gives those groups every object of which may be used; `packs` may be, as is known."""
    known = {pack.key for pack in packs}
    asked = {one.key: one for group in groups for one in group.objects if one.key not in known}
    known |= _accepted(link, list(asked.values()))
    return [group for group in groups if all(one.key in known for one in group.objects)]


def _accepted(link: Link, objects: list[Stored]) -> set[str]:
    accepted: set[str] = set()
    for start in range(0, len(objects), _BATCH):
        asked = [one.fields() for one in objects[start : start + _BATCH]]
        answer = link.request("earlier", packs=asked).get("accepted")
        accepted.update(key for key in answer or [] if isinstance(key, str))
    return accepted
