"""Whether, with which codec and on which GPUs a create codes chunks."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ..errors import WorkerError
from .devices import Device, refusal
from .requirement import installed

if TYPE_CHECKING:
    from .child import GpuSetting
    from .payload import GpuCodecName

GPU_CODECS: "tuple[GpuCodecName, ...]" = ("gzstd", "ans")

_PATIENCE = 20.0


class GpuUse(NamedTuple):
    """What the engines of a run share; engines take the devices in turn."""

    codec: "GpuCodecName"
    directory: str
    native: str | None
    devices: tuple[int, ...]

    def setting(self, engine: int) -> "GpuSetting":
        """What an engine's GPU processes are started with."""
        from .child import GpuSetting  # noqa: PLC0415 - it brings what only they need

        return GpuSetting(self.directory, self.native, self.devices[engine % len(self.devices)])


def gpu_use(
    codec: "GpuCodecName", directory: str | None, native: str | None, found: Sequence[Device]
) -> GpuUse:
    """Says how to use this codec here; BOX_UNSUITABLE, with reason and remedy, when it cannot."""
    reason = refusal(found)
    if reason is not None:
        raise _unsuitable(codec, *reason)
    if directory is None or installed(directory) is None:
        raise _unsuitable(
            codec,
            "NVIDIA's nvCOMP is not installed on the box",
            "allow it (no --no-gpu) and give the box a way to its package index; or --codec zstd",
        )
    suitable = sorted(
        (device for device in found if device.unsuitable() is None),
        key=lambda device: -device.free,
    )
    return GpuUse(codec, directory, native, tuple(device.ordinal for device in suitable))


def require_able(use: GpuUse, check: Callable[[], None]) -> None:
    """Starts nvCOMP once; raises BOX_UNSUITABLE where it says that it cannot run here.

    Whatever else goes wrong may go well the next time, and a run falls back from it. `check` raises
    when nobody waits for the answer any more.
    """
    from .child import GpuProcess  # noqa: PLC0415 - it brings what only they need
    from .errors import GpuFault  # noqa: PLC0415

    faults: list[GpuFault] = []
    setting = use.setting(0)

    def start() -> None:
        try:
            GpuProcess(replace(setting, start=min(_PATIENCE, setting.start), room=4096)).close()
        except GpuFault as fault:
            faults.append(fault)

    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.05)
        check()
    if faults and faults[0].kind == "unable":
        raise _unsuitable(
            use.codec,
            faults[0].message,
            "use --codec zstd, which restores anywhere, or a box with a GPU and driver for nvCOMP",
        )


def _unsuitable(codec: "GpuCodecName", reason: str, remedy: str) -> WorkerError:
    return WorkerError("BOX_UNSUITABLE", f"--codec {codec} cannot be used here: {reason}", remedy)
