import struct
import zlib

import pytest

from dumont_worker import delta
from dumont_worker.codecs.base import Encoded
from dumont_worker.codecs.choose import encode_chunk
from dumont_worker.errors import WorkerError
from dumont_worker.frame import HEADER, FrameHeader, decode_frame, encode_frame, parse_header
from dumont_worker.native import blake3
from dumont_worker.planes import encode_planes

RAW = b"the raw bytes of a chunk, " * 300
HASH = blake3(RAW)
FRAME = b"".join(
    [bytes(p) for p in encode_frame(len(RAW), HASH, encode_chunk(RAW, None, "auto", 3))]
)


def header(  # noqa: PLR0913
    *,
    version: int = 1,
    length: int = 56,
    transform: int = 0,
    codec: int = 0,
    delta: int = 0,
    encryption: int = 0,
    zero: int = 0,
    raw: int = 4,
    payload: int = 4,
) -> bytes:
    head = b"dmtC" + bytes([version, length, transform, codec, delta, encryption])
    head += struct.pack("<HII", zero, raw, payload) + blake3(b"data")
    if length == 88:
        head += bytes(32)
    return head + struct.pack("<I", zlib.crc32(head))


def refused(frame: bytes, raw: bytes = b"data") -> WorkerError:
    with pytest.raises(WorkerError) as caught:
        decode_frame(frame, blake3(raw), len(raw))
    return caught.value


def test_a_frame_describes_itself_without_an_index() -> None:
    assert parse_header(FRAME) == FrameHeader(56, "none", "zstd", len(RAW), len(FRAME) - 56, HASH)


def test_a_frame_has_the_bytes_of_the_page() -> None:
    made = b"".join(encode_frame(4, blake3(b"data"), Encoded("none", "none", (b"data",))))
    assert made == header() + b"data"
    assert bytes(decode_frame(made, blake3(b"data"), 4)) == b"data"


@pytest.mark.parametrize("place", range(HEADER))
@pytest.mark.parametrize("bit", [0, 7])
def test_every_flipped_header_bit_is_refused(place: int, bit: int) -> None:
    frame = bytearray(FRAME)
    frame[place] ^= 1 << bit
    assert refused(bytes(frame), RAW).code == "INTEGRITY"


@pytest.mark.parametrize(
    "changes",
    [
        {"transform": 4},
        {"codec": 3},
        {"delta": 3},
        {"delta": 1},
        {"length": 88},
        {"zero": 1},
        {"raw": 0, "payload": 0},
        {"payload": 0},
        {"payload": 5},
        {"raw": (4 << 20) + 1},
        {"raw": 3},
        {"raw": 5},
        {"payload": 3},
        {"transform": 1},
        {"codec": 1},
    ],
)
def test_a_lying_header_with_a_good_checksum_is_refused(changes: dict[str, int]) -> None:
    assert refused(header(**changes) + b"data").code == "INTEGRITY"


@pytest.mark.parametrize(
    "changes", [{"raw": (4 << 20) + 1}, {"payload": 5}, {"payload": 0}, {"raw": 0, "payload": 0}]
)
def test_a_header_alone_bounds_what_it_asks_for(changes: dict[str, int]) -> None:
    with pytest.raises(WorkerError, match="impossible length"):
        parse_header(header(**changes))


def test_what_only_a_gpu_decodes_is_refused_where_there_is_none() -> None:
    assert refused(header(codec=2) + b"data").code == "BOX_UNSUITABLE"


@pytest.mark.parametrize("changes", [{"version": 2}, {"encryption": 1}])
def test_what_a_later_release_writes_is_refused_as_newer(changes: dict[str, int]) -> None:
    assert refused(header(**changes) + b"data").code == "FORMAT_NEWER"


@pytest.mark.parametrize("cut", [0, 3, 55, 56, len(FRAME) - 1])
def test_a_cut_frame_is_refused(cut: int) -> None:
    assert refused(FRAME[:cut], RAW).code == "INTEGRITY"


def test_bytes_behind_a_frame_are_refused() -> None:
    assert refused(FRAME + b"x", RAW).code == "INTEGRITY"


def test_another_chunks_frame_is_refused() -> None:
    assert "another chunk" in refused(FRAME, b"data").message


def test_an_error_names_the_chunk() -> None:
    assert blake3(RAW).hex()[:16] in refused(FRAME[:-1], RAW).message


def test_the_stored_bytes_are_checked_before_they_are_decoded() -> None:
    with pytest.raises(WorkerError, match="the stored bytes have changed"):
        decode_frame(FRAME, HASH, len(RAW), bytes(32))


def test_no_frame_is_made_of_a_payload_longer_than_the_chunk() -> None:
    with pytest.raises(ValueError, match="payload"):
        encode_frame(3, HASH, Encoded("none", "none", (b"data",)))


BASE = bytes(range(256)) * 64 + b"tail!"
CHANGED = bytes([byte ^ (3 if at % 9 == 0 else 0) for at, byte in enumerate(BASE)])


def differing(operation: str, transform: str = "planes2") -> bytes:
    change = delta.difference(CHANGED, BASE, operation, 2 if transform == "planes2" else 4)
    encoded = encode_planes(change, transform)
    base = (operation, blake3(BASE))
    parts = encode_frame(len(CHANGED), blake3(CHANGED), encoded, base)
    return b"".join([bytes(part) for part in parts])


@pytest.mark.parametrize("operation", ["xor", "ordered"])
@pytest.mark.parametrize("transform", ["planes2", "planes4"])
def test_a_difference_comes_back_with_its_base(operation: str, transform: str) -> None:
    frame = differing(operation, transform)
    asked = []

    def find(raw_hash: bytes) -> bytes:
        asked.append(raw_hash)
        return BASE

    found = decode_frame(frame, blake3(CHANGED), len(CHANGED), blake3(frame), find_base=find)
    assert bytes(found) == CHANGED
    assert asked == [blake3(BASE)]
    assert parse_header(frame).base == (operation, blake3(BASE))


@pytest.mark.parametrize("base", [BASE[:-1], BASE + b"x", BASE[:-1] + b"?", b""])
def test_a_base_that_is_not_the_one_named_is_noticed(base: bytes) -> None:
    with pytest.raises(WorkerError, match="differs from has changed"):
        decode_frame(differing("xor"), blake3(CHANGED), len(CHANGED), find_base=lambda _: base)


@pytest.mark.parametrize("base", [b"?" + BASE[1:], BASE[:-1]])
def test_a_base_that_is_wrongly_taken_for_proven_is_noticed(base: bytes) -> None:
    what = (differing("xor"), blake3(CHANGED), len(CHANGED))
    with pytest.raises(WorkerError, match=r"not the chunk's|has changed"):
        decode_frame(*what, find_base=lambda _: base, base_is_proven=True)


def test_a_difference_alone_is_nothing() -> None:
    assert "not at hand" in refused(differing("ordered"), CHANGED).message


def test_a_difference_of_numbers_names_their_width() -> None:
    base = ("ordered", blake3(b"base"))
    encoded = Encoded("none", "none", (b"data",))
    frame = b"".join(encode_frame(4, blake3(b"data"), encoded, base))
    assert "width" in refused(frame).message
