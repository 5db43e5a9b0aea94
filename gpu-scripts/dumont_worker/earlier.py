"""Asks which packs of an interrupted run may be used; only the operator's machine can know."""

from .create_messages import StoredPack
from .session import Link

_BATCH = 1000


def accepted_packs(link: Link, packs: list[StoredPack]) -> list[StoredPack]:
    """Gives those of the journal's packs that the store holds and that may be named again."""
    accepted: set[str] = set()
    for start in range(0, len(packs), _BATCH):
        asked = [
            {
                "key": pack.key,
                "length": pack.length,
                "pin": {"kind": pack.pin_kind, "value": pack.pin_value},
            }
            for pack in packs[start : start + _BATCH]
        ]
        answer = link.request("earlier", packs=asked).get("accepted")
        accepted.update(key for key in answer or [] if isinstance(key, str))
    return [pack for pack in packs if pack.key in accepted]
