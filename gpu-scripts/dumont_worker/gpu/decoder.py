"""The GPU as the decoder of ANS chunks: tried again after a fault, and believed by hash alone."""

import sys
from collections.abc import Mapping

from ..errors import WorkerError
from ..native import BytesLike, blake3
from .child import GpuSetting
from .codec import GpuCodec, Payload
from .errors import GpuFault

_OTHER = "a chunk did not come back as it was"


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
            why = _OTHER
            self._codec.mistrust(why)
        raise WorkerError(
            "BOX_UNSUITABLE",
            f"the GPU cannot decode a chunk: {why}",
            "run the command again, or restore to another box with an NVIDIA GPU",
        )

    def together(self, payloads: Mapping[bytes, Payload]) -> dict[bytes, bytes]:
        """Gives the raw bytes of intact payloads by raw hash, proven; none after a fault.

        One call of the GPU for as many as it takes at a time.
        """
        try:
            raws = self._codec.decode(list(payloads.values()))
        except GpuFault:
            return {}
        found = {
            raw_hash: raw
            for raw_hash, raw in zip(payloads, raws, strict=True)
            if blake3(raw) == raw_hash
        }
        if len(found) < len(payloads):
            self._codec.mistrust(_OTHER)
        return found

    def close(self) -> None:
        """Leaves no GPU process behind."""
        self._codec.close()
