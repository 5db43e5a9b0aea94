"""A strict fake of nvCOMP's Python API for tests: no GPU, no code and no format of NVIDIA's.

Its containers begin with a magic of its own, so nothing it makes can pass for the real thing.

Switches are words in the environment variable FAKE_NVCOMP or, where the environment is cleared, in
the file `switches` beside the package: `no-driver`, `no-device`, `list-api` (release 5.3), and
`<what>@<where>[:<n>]` with what one of `oom`, `error`, `corrupt`, `short`, `segv`, `kill`, `hang`,
`none`, `late` and where one of `import`, `codec`, `cuda`, `encode`, `decode`, `cpu`; `:n` lets
n - 1 calls of that place pass first. A `once` takes the file away when a fault fires;
a hang leaves the file `hanging`. With `count`, the file `calls` gets a line for each call that
codes: where, of how many buffers, of how many bytes in all.
"""

import importlib
import os
import signal
import struct
import time
import weakref
import zlib
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

__version__ = "6.0.0"
__cuda_version__ = 12090

_MAGIC = b"FAKE-nvcomp\0"
_HEAD = struct.Struct("<12s4sQI")
_FILE = Path(__file__).parents[2] / "switches"
_calls: dict[str, int] = {}


def _switches() -> list[str]:
    told = os.environ.get("FAKE_NVCOMP")
    if told is None and _FILE.exists():
        told = _FILE.read_text()
    return (told or "").split()


def _fires(place: str) -> str | None:
    """Which fault happens at this call of a place; crashes and hangs happen right here."""
    words = _switches()
    _calls[place] = _calls.get(place, 0) + 1
    for word in words:
        what, _, where = word.partition("@")
        name, _, call = where.partition(":")
        if name != place or _calls[place] < int(call or 1):
            continue
        if "once" in words:
            _FILE.unlink()
        if what == "segv":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "hang":
            _FILE.with_name("hanging").touch()
            time.sleep(3600)
        if what == "oom":
            raise RuntimeError("CUDA Runtime API failure: out of memory : code=1000.")
        if what == "error":
            raise RuntimeError("CUDA Runtime API failure: an illegal memory access : code=1000.")
        return what
    return None


def _touch_cuda() -> None:
    if "no-driver" in _switches():
        raise RuntimeError(
            "CUDA Runtime API failure: "
            "CUDA driver version is insufficient for CUDA runtime version : code=1000."
        )
    if "no-device" in _switches():
        raise RuntimeError(
            "CUDA Runtime API failure: no CUDA-capable device is detected : code=1000."
        )


class BitstreamKind(Enum):
    NVCOMP_NATIVE = 0
    RAW = 1
    WITH_UNCOMPRESSED_SIZE = 2


class ChecksumPolicy(Enum):
    NO_COMPUTE_NO_VERIFY = 0
    COMPUTE_AND_NO_VERIFY = 1
    NO_COMPUTE_AND_VERIFY_IF_PRESENT = 2
    COMPUTE_AND_VERIFY_IF_PRESENT = 3
    COMPUTE_AND_VERIFY = 4


class ExecutionPolicy(Enum):
    CONCURRENCY = 0
    LATENCY = 1


class DecompressBackend(Enum):
    NVCOMP_DECOMPRESS_BACKEND_DEFAULT = 0
    NVCOMP_DECOMPRESS_BACKEND_HARDWARE = 1
    NVCOMP_DECOMPRESS_BACKEND_CUDA = 2


class ArrayBufferKind(Enum):
    STRIDED_DEVICE = 1
    STRIDED_HOST = 2


class Array:
    """Bytes on the host or on the device; only host bytes can be read."""

    def __init__(
        self, data: Any, kind: ArrayBufferKind, dtype: str = "|u1", late: bool = False
    ) -> None:
        self._data = data
        self._late = late
        self.buffer_kind = kind
        self.dtype = dtype
        self.item_size = int(dtype[2:])
        self.precision = 8 * self.item_size
        self.ndim = 1
        self.strides = (self.item_size,)
        self.buffer_size = self.capacity = len(data)
        self.size = self.buffer_size // self.item_size
        self.shape = (self.size,)

    def cpu(self) -> "Array | None":
        data = self._read()
        if self.buffer_kind is ArrayBufferKind.STRIDED_HOST:
            return self
        fault = _fires("cpu")
        if fault == "none":
            return None
        if fault == "corrupt":
            data = _flipped(data)
        return _HostArray(bytes(data), self.dtype)

    def cuda(self, synchronize: bool = True, cuda_stream: int = 0) -> "Array | None":
        if self.buffer_kind is ArrayBufferKind.STRIDED_DEVICE:
            return self
        if _fires("cuda") == "none":
            return None
        return Array(bytes(self._read()), ArrayBufferKind.STRIDED_DEVICE, self.dtype)

    def __bytes__(self) -> bytes:
        raise TypeError("this array lies on the device: bytes() needs .cpu() first")

    def _read(self) -> Any:
        # A failed check is told at the first access and only there; the second gives wrong bytes.
        if self._late:
            self._late = False
            raise RuntimeError("checksum mismatch")
        return self._data


class _HostArray(Array):
    def __init__(self, data: Any, dtype: str = "|u1") -> None:
        super().__init__(data, ArrayBufferKind.STRIDED_HOST, dtype)

    def __bytes__(self) -> bytes:
        return bytes(self._read())


class _View(Array):
    """An entry of a batch, which must not outlive it."""

    def __init__(self, batch: "BatchArray", entry: Array) -> None:
        super().__init__(entry._data, entry.buffer_kind, entry.dtype, entry._late)
        entry._late = False
        self._batch = weakref.ref(batch)

    def _read(self) -> Any:
        if self._batch() is None:
            raise RuntimeError("a view was used after its batch had gone")
        return super()._read()


class BatchArray:
    def __init__(self, arrays: list[Array]) -> None:
        self._arrays = arrays

    def __len__(self) -> int:
        return len(self._arrays)

    def __getitem__(self, index: int) -> Array:
        return _View(self, self._arrays[index])

    @property
    def buffer_sizes(self) -> list[int]:
        return [array.buffer_size for array in self._arrays]

    def cpu(self) -> "BatchArray":
        return BatchArray([_made(array.cpu()) for array in self._arrays])

    def cuda(self, synchronize: bool = True, cuda_stream: int = 0) -> "BatchArray":
        return BatchArray([_made(array.cuda()) for array in self._arrays])


def _made(array: Array | None) -> Array:
    if array is None:
        raise RuntimeError("copy failed")
    return array


def as_array(source: Any, cuda_stream: int = 0) -> Array:
    _touch_cuda()
    if isinstance(source, Array):
        return source
    view = memoryview(source)
    if not view.c_contiguous:
        raise ValueError("the buffer is not C-contiguous; make a contiguous copy of it first")
    if view.nbytes == 0:
        raise ValueError("a NULL or empty host buffer")
    return _HostArray(view.cast("B"))


def as_arrays(*sources: Any, cuda_stream: int = 0) -> Any:
    if len(sources) == 3:
        buffer, offsets, sizes = sources
        view = memoryview(buffer).cast("B")
        if not offsets:
            raise ValueError("Cannot create a BatchArray from an empty list of sources")
        if any(offset % 16 for offset in offsets):
            raise ValueError("an offset that is not aligned")
        arrays = [as_array(view[at : at + size]) for at, size in zip(offsets, sizes, strict=True)]
    else:
        (listed,) = sources
        if not isinstance(listed, list):
            raise TypeError("as_arrays(): incompatible function arguments")
        if not listed:
            raise ValueError("Cannot create a BatchArray from an empty list of sources")
        arrays = [as_array(source) for source in listed]
    return arrays if "list-api" in _switches() else BatchArray(arrays)


_ALGORITHMS = ("ans", "zstd", "lz4", "gdeflate", "bitcomp", "cascaded", "deflate", "gzip")
_WIDTHS = {"|u1": 1, "|i1": 1, "|f1": 1, "<f2": 2, "<f4": 4}
_ENUMS = {
    "bitstream_kind": BitstreamKind,
    "checksum_policy": ChecksumPolicy,
    "execution_policy": ExecutionPolicy,
    "decompress_backend": DecompressBackend,
}
_COMMON = {"algorithm", "device_id", "cuda_stream", "uncomp_chunk_size", "use_de_sort", *_ENUMS}
_OWN = {
    "ans": {
        "data_type",
        "states_per_lane",
        "histogram_reduction_log2",
        "max_sub_chunk_count",
        "skip_validate",
    }
}


class Codec:
    def __init__(self, **kwargs: Any) -> None:
        self._algorithm = str(kwargs.get("algorithm", "")).lower()
        if self._algorithm and self._algorithm not in _ALGORITHMS:
            raise ValueError(f'Unknown algorithm: "{kwargs["algorithm"]}".')
        for name in kwargs:
            if name not in _COMMON | _OWN.get(self._algorithm, set()):
                raise ValueError(f'Unsupported argument: "{name}".')
        for name, kind in _ENUMS.items():
            if name in kwargs and not isinstance(kwargs[name], kind):
                raise RuntimeError("Unable to cast Python instance")
        self._block = kwargs.get("uncomp_chunk_size", 65536)
        if not isinstance(self._block, int) or self._block < 0:
            raise RuntimeError("Unable to cast Python instance")
        _touch_cuda()
        _fires("codec")
        self._device = kwargs.get("device_id", 0)
        self._native = (
            kwargs.get("bitstream_kind", BitstreamKind.NVCOMP_NATIVE) is BitstreamKind.NVCOMP_NATIVE
        )
        self._type = kwargs.get("data_type", "|u1")
        if self._type not in _WIDTHS:
            raise RuntimeError(f"data type {self._type} is not supported")
        if self._native and self._block % 16:
            raise RuntimeError("uncomp_chunk_size is not a multiple of 16")
        if self._algorithm == "ans" and self._block > 1 << 24:
            raise RuntimeError("uncomp_chunk_size is above the maximum of ANS")

    def __enter__(self) -> "Codec":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def encode(self, source: Any, out: Any = None, compression_config: Any = None) -> Any:
        return _each(source, "encode", self._here(self._encode_one))

    def decode(
        self, source: Any, data_type: str = "", out: Any = None, decompression_config: Any = None
    ) -> Any:
        return _each(source, "decode", self._here(self._decode_one))

    def _here(self, code: Any) -> Any:
        # Arrays lie on the current device, which is the first that the process sees.
        if self._device:
            raise RuntimeError("an array that lies on another device than the codec's")
        return code

    def _encode_one(self, raw: bytes) -> bytes:
        if not self._native:
            if self._algorithm != "zstd":
                raise RuntimeError("the fake knows RAW for zstd only")
            return bytes(_zstd().compress(raw, 1))
        if self._algorithm != "ans":
            raise RuntimeError("the fake knows NATIVE for ANS only")
        width = _WIDTHS[self._type]
        if len(raw) % width:
            raise RuntimeError(f"{len(raw)} bytes are no multiple of {width}")
        planes = b"".join(raw[index::width] for index in range(width))
        # Order 0, as ANS is: Huffman without matches.
        coder = zlib.compressobj(1, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
        body = coder.compress(planes) + coder.flush()
        kind = self._type.encode().ljust(4, b"\0")
        return _HEAD.pack(_MAGIC, kind, len(raw), zlib.crc32(body)) + body

    def _decode_one(self, data: bytes) -> bytes:
        if not self._native:
            return bytes(_zstd().decompress(data))
        if len(data) < _HEAD.size or not data.startswith(_MAGIC):
            raise RuntimeError(
                "The passed data was not compressed with NVCOMP_NATIVE bitstream kind."
            )
        _, kind, length, crc = _HEAD.unpack_from(data)
        body = data[_HEAD.size :]
        if zlib.crc32(body) != crc:
            raise RuntimeError("CUDA Runtime API failure: an illegal memory access : code=1000.")
        planes = zlib.decompress(body, -15)
        width = _WIDTHS[kind.rstrip(b"\0").decode()]
        raw = bytearray(length)
        for index in range(width):
            raw[index::width] = planes[index * (length // width) : (index + 1) * (length // width)]
        return bytes(raw)


def _each(source: Any, place: str, code: Any) -> Any:
    """Codes an array or a batch on the device; a list only where the API is release 5's."""
    listed = "list-api" in _switches()
    single = isinstance(source, Array)
    if not single and not isinstance(source, list if listed else BatchArray):
        raise TypeError(f"{place}(): incompatible function arguments")
    fault = _fires(place)
    entries = [source] if single else [source[index] for index in range(len(source))]
    if "count" in _switches():
        with _FILE.with_name("calls").open("a") as calls:
            calls.write(f"{place} {len(entries)} {sum(one.buffer_size for one in entries)}\n")
    made = []
    for entry in entries:
        if entry.buffer_kind is not ArrayBufferKind.STRIDED_DEVICE:
            raise RuntimeError("a host array where one on the device is needed")
        made.append(code(bytes(entry._read())))
    if fault == "corrupt":
        made[-1] = _flipped(made[-1])
    if fault == "short":
        made[-1] = made[-1][:-1]
    if fault == "none":
        made.pop()
    # What was encoded says it is signed, whatever went in.
    dtype = "|i1" if place == "encode" else "|u1"
    arrays = [
        Array(data, ArrayBufferKind.STRIDED_DEVICE, dtype, late=fault == "late") for data in made
    ]
    if single:
        return arrays[0]
    return arrays if listed else BatchArray(arrays)


def _flipped(data: Any) -> bytes:
    wrong = bytearray(data)
    wrong[len(wrong) // 2] ^= 1
    return bytes(wrong)


def _zstd() -> ModuleType:
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        return importlib.import_module("backports.zstd")


def set_device_allocator(allocator: Any = None) -> None:
    pass


set_pinned_allocator = set_host_allocator = set_device_allocator

_fires("import")
