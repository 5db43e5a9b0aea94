"""Whether, with which codec and on which GPUs a create codes chunks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import WorkerError
from .devices import Device, refusal
from .requirement import installed

if TYPE_CHECKING:
    from .child import GpuSetting
    from .payload import GpuCodecName

GPU_CODECS: "tuple[GpuCodecName, ...]" = ("gzstd", "ans")


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


def _unsuitable(codec: "GpuCodecName", reason: str, remedy: str) -> WorkerError:
    return WorkerError("BOX_UNSUITABLE", f"--codec {codec} cannot be used here: {reason}", remedy)
