import pytest

from dumont_worker.codecs import zstd
from dumont_worker.errors import WorkerError
from dumont_worker.native import zstd as module

DATA = b"some text, some text, some text" * 1000


@pytest.mark.parametrize("encode", [zstd.huffman, lambda data: zstd.compress(data, 3)])
@pytest.mark.parametrize("data", [b"a", DATA, bytes(4 << 20)])
def test_frames_come_back_and_state_their_size(encode: object, data: bytes) -> None:
    frame = encode(data)  # type: ignore[operator]
    assert module().get_frame_info(frame).decompressed_size == len(data)
    assert zstd.decompress(frame, len(data)) == data


@pytest.mark.parametrize("length", [0, 1, len(DATA) - 1, len(DATA) + 1])
def test_another_length_than_expected_is_refused(length: int) -> None:
    with pytest.raises(WorkerError, match="instead of") as caught:
        zstd.decompress(zstd.compress(DATA, 3), length)
    assert caught.value.code == "INTEGRITY"


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = module().compress(bytes(256 << 20))
    with pytest.raises(WorkerError, match="instead of 4096"):
        zstd.decompress(bomb, 4096)


def test_a_frame_that_lies_about_its_size_makes_no_more_than_it_says() -> None:
    frame = bytearray(zstd.compress(bytes(1 << 20), 3))
    assert frame[4] & 0xC0  # a content size of two bytes or more follows
    frame[5:9] = (4096).to_bytes(4, "little")
    with pytest.raises(WorkerError) as caught:
        zstd.decompress(frame, 4096)
    assert caught.value.code == "INTEGRITY"


def test_a_frame_without_content_size_is_refused() -> None:
    compressor = module().ZstdCompressor()
    frame = compressor.compress(DATA) + compressor.flush()
    with pytest.raises(WorkerError, match="instead of"):
        zstd.decompress(frame, len(DATA))


def test_a_window_larger_than_any_chunk_needs_is_refused() -> None:
    p = module().CompressionParameter
    compressor = module().ZstdCompressor(options={p.window_log: 27, p.content_size_flag: 1})
    compressor.set_pledged_input_size(200 << 20)
    frame = compressor.compress(bytes(200 << 20)) + compressor.flush()
    with pytest.raises(WorkerError) as caught:
        zstd.decompress(frame, 200 << 20)
    assert caught.value.code == "INTEGRITY"


@pytest.mark.parametrize("cut", [1, 4, 5, 9, -1])
def test_a_cut_frame_is_refused(cut: int) -> None:
    with pytest.raises(WorkerError) as caught:
        zstd.decompress(zstd.compress(DATA, 3)[:cut], len(DATA))
    assert caught.value.code == "INTEGRITY"
