"""Which nvCOMP made, and which must read, a snapshot's ANS chunks.

nvCOMP 6.0 changed the ANS format, and nothing promises that the next release will not. So a decoder
is named by its generation, and the exact version that wrote is on record beside it.
"""

from dataclasses import dataclass
from typing import Any

DISTRIBUTION = "nvidia-nvcomp-cu12"
PINNED = "6.0.0.12"
"""The release this worker was written for; it stands in requirements/nvcomp-*.txt with its hash."""


@dataclass(frozen=True, slots=True)
class Library:
    """An installed nvCOMP: its full version, and its CUDA runtime, such as 12090 (0: unknown)."""

    version: str
    cuda: int

    @classmethod
    def found_in(cls, directory: str, cuda: int) -> "Library":
        """Reads the full version, of which the module itself knows three parts."""
        return cls(installed(directory) or "unknown", cuda)

    def requirement(self) -> dict[str, Any]:
        """The manifest's record of a decoder; the operator's machine adds the wheels' hashes."""
        return {
            "name": generation(self.version),
            "distribution": DISTRIBUTION,
            "version": self.version,
            **({"cuda": self.cuda} if self.cuda else {}),
        }


def installed(directory: str) -> str | None:
    """Gives the full version of the nvCOMP that lies in a directory, without importing it."""
    import importlib.metadata  # noqa: PLC0415 - it takes its time, and few boxes have a use for it

    for found in importlib.metadata.distributions(path=[directory]):
        if found.metadata["Name"] == DISTRIBUTION:
            return found.version
    return None


def capabilities(directory: str | None, usable: bool) -> list[str]:
    """Names what `hello` may offer besides the CPU's decoders, without starting anything.

    `usable`: a GPU is there that nothing speaks against. What it is worth, the self-test shows.
    """
    version = installed(directory) if directory and usable else None
    return [] if version is None else ["ans", generation(version)]


def generation(version: str) -> str:
    """Names what a version's ANS is compatible with: `nvcomp-ans-6` for 6.0.x.

    A version with a local part is nobody's release; what it writes only it reads.
    """
    public, _, local = version.partition("+")
    major, _, rest = public.partition(".")
    minor = rest.partition(".")[0]
    # Only 6.0 is known to be one format; a later minor is another until a GPU has shown otherwise.
    name = f"nvcomp-ans-{major}" if minor == "0" else f"nvcomp-ans-{major}.{minor}"
    return f"{name}+{local}" if local else name
