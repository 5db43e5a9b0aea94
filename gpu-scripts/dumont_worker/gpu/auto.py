"""`--codec auto`: begins with the portable codec, asks the GPU only where that is the limit.

While the uplink or the disk is what all wait for, no codec helps, and nothing of the GPU is
touched. Else the engines pause, a sample of what they read is coded by all that runs here, and they
go on with what gets bytes into the store fastest.
"""

import contextlib
import os
import resource
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from ..cancellation import Cancelled
from ..create_messages import Stretch
from ..cut import Piece
from ..entry import CHUNK_MAX
from ..errors import WorkerError
from ..file_state import Lost, open_file
from ..memory_plan import MemoryPlan
from ..protocol import CreateRequest
from ..session import Link
from .choice import TIE, Choice, choose
from .devices import refusal
from .requirement import installed
from .uplink import Rates, Watch
from .use import GPU_CODECS, GpuUse, gpu_use

if TYPE_CHECKING:
    from ..serve import Box
    from .measuring import Sample

_SAMPLE_MOST = 16
BUSY = 0.6
"""Where processors are idle more than this leaves, it is not the codec that all wait for."""
_PATIENCE = 600.0
"""The package index of the box may be slow; the engines go on meanwhile."""


Plans = Callable[[int], MemoryPlan]
"""Gives the plan of a create in which so many GPUs code; raises USAGE when there is no room."""


class Change(NamedTuple):
    """What the engines go on with; no GPU: with the portable codec."""

    plan: MemoryPlan
    gpu: GpuUse | None


class Auto:
    """The choice of one create. `choice` is what holds at the end; its steps are the main thread's.

    `watch` sees what comes of the portable codec.
    """

    def __init__(
        self,
        link: Link,
        request: CreateRequest,
        box: "Box",
        plans: Plans,
        watch: Watch,
    ) -> None:
        self.choice = Choice("zstd", "zstd: it was done before there was a reason to ask the GPU")
        self._link = link
        self._request = request
        self._box = box
        self._plan = plans(0)
        self._watch = watch
        self._spent = _spent_by_engines()
        self._asking: threading.Thread | None = None
        self._directory: str | None = None
        self._gpu_plan = self._plan_with_gpu(plans)
        self._decided = self._gpu_plan is None

    def is_due(self) -> bool:
        """Whether the engines are to pause, and `decide` to be called."""
        rates = None if self._decided else self._watch.rates()
        if rates is None:
            return False
        if self._asking is None:
            if rates.uplink < TIE * rates.sent:
                self._settle(f"the uplink is the limit ({rates.sent / 1e6:.0f} MB/s)")
                return False
            self._asking = threading.Thread(target=self._ask, name="nvcomp", daemon=True)
            self._asking.start()
        if self._asking.is_alive():
            return False
        if self._directory is None:
            self._settle("NVIDIA's nvCOMP is not there and cannot or may not be installed")
            return False
        return True

    def decide(self) -> Change:
        """Measures while nothing else works, the engines have ended; says what to go on with."""
        self._decided = True
        rates = self._watch.rates()
        box = self._box
        if self._share_of_processors() < BUSY:
            self._settle("the processors wait for files to be read, no codec helps that")
        elif rates is not None and self._gpu_plan is not None:
            uses = [gpu_use(one, self._directory, box.native, box.gpus) for one in GPU_CODECS]
            self.choice = self._measured(rates, uses, self._gpu_plan)
            for use in uses:
                if use.codec == self.choice.codec:
                    return Change(self._gpu_plan, use)
        return Change(self._plan, None)

    def _share_of_processors(self) -> float:
        """How busy the engines kept those processors that they could use."""
        watch = self._watch
        seconds = 0.0 if watch.since is None else watch.now() - watch.since
        lanes = min(self._box.cpus, self._plan.engines * self._plan.threads)
        return (_spent_by_engines() - self._spent) / max(seconds * lanes, 1e-9)

    def _measured(self, rates: Rates, uses: list[GpuUse], plan: MemoryPlan) -> Choice:
        from .measuring import measured  # noqa: PLC0415 - it brings all codecs

        troubles: list[str] = []
        table = measured(
            self._sample(),
            uses,
            lanes=(min(self._box.cpus, self._plan.engines * self._plan.threads), plan.engines),
            level=self._request.level,
            warn=troubles.append,
        )
        if troubles:
            self._link.warn("gpu", b"", troubles[0])
        return choose(table, rates.uplink, rates.sent)

    def _plan_with_gpu(self, plans: Plans) -> MemoryPlan | None:
        """The plan with a GPU codec; None, and why, where there cannot be any."""
        reason = refusal(self._box.gpus)
        if reason is not None:
            self._settle(reason[0])
            return None
        try:
            return plans(sum(one.unsuitable() is None for one in self._box.gpus))
        except WorkerError:
            self._settle("--memory has no room for a GPU codec")
            return None

    def _settle(self, why: str) -> None:
        self._decided = True
        self.choice = Choice("zstd", f"zstd: {why}")

    def _ask(self) -> None:
        """Finds nvCOMP, or has the operator's machine install it."""
        found = self._box.nvcomp
        if found is None or installed(found) is None:
            # Whatever stands in the way, the portable codec does as well.
            with contextlib.suppress(WorkerError, Cancelled):
                answer = self._link.request("nvcomp", _PATIENCE).get("nvcomp")
                found = answer if isinstance(answer, str) else None
        if found is not None and installed(found) is not None:
            self._directory = found

    def _sample(self) -> "list[Sample]":
        chunks = [chunk for unit in self._watch.units for chunk in _chunks(unit)]
        return chunks[:: max(1, len(chunks) // _SAMPLE_MOST)]


def _spent_by_engines() -> float:
    """Processor seconds of all children that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _chunks(unit: Stretch) -> "list[Sample]":
    """Reads the first pieces of a unit once more."""
    span = unit.span
    pieces = span.pieces or (Piece(span.start, min(CHUNK_MAX, span.end - span.start), None),)
    # What has gone meanwhile tells nothing.
    with contextlib.suppress(Lost, OSError):
        fd, _ = open_file(unit.root, unit.path, None)
        try:
            read = [(os.pread(fd, one.length, one.offset), one.width) for one in pieces[:2]]
            return [one for one in read if one[0]]
        finally:
            os.close(fd)
    return []
