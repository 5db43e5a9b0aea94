"""One object into the store: signed, sent, settled when ambiguous, signed anew when expired."""

from collections.abc import Sequence
from typing import Any, Protocol

from . import transfer
from .cancellation import Flag
from .errors import WorkerError

# A URL lives up to 15 minutes, and every round ends in a decision of the store.
_ROUNDS = 6


class Desk(Protocol):
    """Who can answer for the store: the operator's machine, reached one way or the other."""

    def sign(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Gives `{"key", "url", "headers"}` for one object as in the `sign` message."""
        ...

    def settle(self, key: str) -> bool:
        """Whether the store holds exactly the pinned bytes under this key."""
        ...


def upload(
    desk: Desk,
    wanted: dict[str, Any],
    buffers: Sequence[transfer.Buffer],
    on_progress: transfer.OnProgress | None,
    cancelled: Flag,
) -> str:
    """Gives the key under which the store accepted exactly these bytes; raises WorkerError."""
    key: str | None = None
    for _ in range(_ROUNDS):
        signed = desk.sign(wanted if key is None else {**wanted, "key": key})
        allotted: str = signed["key"]
        try:
            outcome = transfer.put(signed, buffers, on_progress, cancelled)
        except WorkerError as error:
            # A store that has it may refuse it again so early that its answer is lost every time.
            if error.code == "UNREACHABLE" and desk.settle(allotted):
                return allotted
            raise
        if outcome.kind == "stored":
            return allotted
        if outcome.kind == "exists":
            if desk.settle(allotted):
                return allotted
            # Something else lies there: never overwrite, never believe it.
            key = None
        elif outcome.kind == "expired":
            key = allotted
        else:
            raise _refused(outcome)
    raise WorkerError(
        "STORE_BUSY",
        f"the store did not accept an object in {_ROUNDS} rounds ({outcome.detail})",
        retry=True,
    )


def _refused(outcome: transfer.PutOutcome) -> WorkerError:
    if outcome.status in (401, 403):
        return WorkerError(
            "ACCESS_DENIED",
            f"the store refused an upload ({outcome.detail})",
            "check that the credentials may write to this bucket and prefix, and the clocks",
        )
    if outcome.status == 404:
        return WorkerError("BUCKET_MISSING", f"the store has no such bucket ({outcome.detail})")
    return WorkerError("STORE_UNSUITABLE", f"the store refused an upload ({outcome.detail})")
