"""The GPU as the decoder of ANS chunks: tried again after a fault, and believed by hash alone."""

import sys

from ..errors import WorkerError
from ..native import BytesLike, blake3
from .child import GpuSetting
from .codec import GpuCodec, Payload
from .errors import GpuFault


class AnsDecoder:
    """Decodes for a whole process; starts nothing before the first chunk."""

    def __init__(self, setting: GpuSetting) -> None:
        self._codec = GpuCodec(setting, "ans", lambda message: print(message, file=sys.stderr))

    def __call__(
        self, payload: BytesLike, transform: str, raw_length: int, raw_hash: bytes
    ) -> BytesLike:
        """Gives the raw bytes of an intact payload; raises BOX_UNSUITABLE when the GPU cannot."""
        why = self._codec.off
        # Every fault costs the codec a life, so this ends.
        while self._codec.off is None:
            try:
                (raw,) = self._codec.decode([Payload(payload, transform, raw_length)])
            except GpuFault as fault:
                why = fault.message
                continue
            if blake3(raw) == raw_hash:
                return raw
            why = "a chunk did not come back as it was"
            self._codec.mistrust(why)
        raise WorkerError(
            "BOX_UNSUITABLE",
            f"the GPU cannot decode a chunk: {why}",
            "run the command again, or restore to another box with an NVIDIA GPU",
        )

    def close(self) -> None:
        """Leaves no GPU process behind."""
        self._codec.close()
