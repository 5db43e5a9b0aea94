"""What every codec gives and takes."""

from dataclasses import dataclass

from ..native import BytesLike


@dataclass(frozen=True, slots=True)
class Encoded:
    """A chunk's payload in parts.

    Parts may be views of the raw chunk or of scratch buffers of the thread that made them: they
    hold until that thread encodes its next chunk.
    """

    transform: str
    codec: str
    parts: tuple[BytesLike, ...]

    @property
    def length(self) -> int:
        """Bytes of all parts."""
        return sum([len(part) for part in self.parts])
