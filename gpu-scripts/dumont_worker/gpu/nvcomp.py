"""nvCOMP, spoken to in the one way that its releases 5 and 6 share. For GPU processes alone.

An exception of the library is final: after it the CUDA context may be lost, and reading again what
failed to be read was seen to give wrong bytes without an error.
"""

import importlib
import os
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..native import BytesLike
from .errors import GpuFault
from .requirement import PINNED, Library
from .ways import BLOCK

LENGTH_MAX = 64 << 20
"""Most bytes that one buffer may decode to: no chunk has as many, the self-test has."""
_TYPES = {"u1": "|u1", "f2": "<f2", "f4": "<f4"}
KINDS = (*_TYPES, "zstd")
"""What a buffer may be coded as: ANS of bytes, halves or floats; a plain zstd frame."""
_UNABLE = ("driver version is insufficient", "no cuda-capable device", "no kernel image")
_NO_MEMORY = ("out of memory", "memoryallocation", "badalloc", "failed to allocate")


class Nvcomp:
    """The first GPU that this process sees.

    Raises GpuFault, `memory` when less at a time may go through.
    """

    def __init__(self, directory: str) -> None:
        with _faults():
            self._module = load(directory)
            # It imports anywhere; the first array asks the driver.
            self._module.as_array(bytes(16))
        self.library = Library.found_in(directory, self._module.__cuda_version__)
        self._codecs: dict[str, Any] = {}

    def encode(self, kind: str, buffers: Sequence[BytesLike]) -> list[bytes]:
        """Codes each buffer by itself; halves and floats must be whole."""
        with _faults():
            return self._read(self._codec(kind).encode(self._on_device(buffers)), len(buffers))

    def decode(self, kind: str, buffers: Sequence[BytesLike]) -> list[bytes]:
        """Decodes buffers that `encode` made; wrong ones may give anything, or a fault."""
        with _faults():
            return self._read(self._codec(kind).decode(self._on_device(buffers)), len(buffers))

    def _codec(self, kind: str) -> Any:
        codec = self._codecs.get(kind)
        if codec is None:
            codec = self._codecs[kind] = self._module.Codec(**codec_arguments(self._module, kind))
        return codec

    def _on_device(self, buffers: Sequence[BytesLike]) -> Any:
        # Sources that lie on the device already are wrapped, not copied, by every release.
        sources = [self._module.as_array(buffer).cuda() for buffer in buffers]
        if any(source is None for source in sources):
            raise GpuFault("library", "nvCOMP could not copy to the GPU")
        return self._module.as_arrays(sources)

    def _read(self, batch: Any, count: int) -> list[bytes]:
        if len(batch) != count:
            raise GpuFault("library", f"nvCOMP gave {len(batch)} buffers for {count}")
        # A list in release 5; in 6 a batch, whose views hold no longer than itself.
        return [_bytes_of(batch[index]) for index in range(count)]


def codec_arguments(module: Any, kind: str) -> dict[str, Any]:
    """Gives every keyword that a codec is made with."""
    kinds = module.BitstreamKind
    if kind == "zstd":
        # RAW: a buffer becomes one frame that any zstd reads.
        return {"algorithm": "Zstd", "device_id": 0, "bitstream_kind": kinds.RAW}
    return {
        "algorithm": "ANS",
        "device_id": 0,
        "bitstream_kind": kinds.NVCOMP_NATIVE,
        "data_type": _TYPES[kind],
        "uncomp_chunk_size": BLOCK,
    }


def load(directory: str) -> Any:
    """Imports nvCOMP from this directory and from no other."""
    # Other packages of the box may bring an `nvidia/__init__.py`, which would hide ours.
    space = types.ModuleType("nvidia")
    space.__path__ = [os.path.join(directory, "nvidia")]
    sys.modules["nvidia"] = space
    module: Any = importlib.import_module("nvidia.nvcomp")
    if ".".join(str(module.__version__).split(".")[:2]) != ".".join(PINNED.split(".")[:2]):
        raise GpuFault("unable", f"nvCOMP {module.__version__} instead of {PINNED}")
    strange = [path for path in _mapped() if not path.startswith(os.path.realpath(directory))]
    if strange:
        raise GpuFault("unable", f"another nvCOMP was loaded: {strange[0]}")
    return module


def _mapped() -> Iterator[str]:
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            path = line.rstrip("\n").partition("/")
            if "libnvcomp" in path[2].rpartition("/")[2]:
                yield "/" + path[2]


def _bytes_of(array: Any) -> bytes:
    if array.buffer_size > LENGTH_MAX:
        raise GpuFault("library", f"nvCOMP gave a buffer of {array.buffer_size} bytes")
    host = array.cpu()
    if host is None:
        raise GpuFault("library", "nvCOMP could not copy from the GPU")
    return bytes(host)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except GpuFault:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"[:500]
        if isinstance(error, ImportError) or any(sign in text.lower() for sign in _UNABLE):
            raise GpuFault("unable", text) from error
        short = isinstance(error, MemoryError) or any(
            sign in text.lower().replace("_", "") for sign in _NO_MEMORY
        )
        raise GpuFault("memory" if short else "library", text) from error
