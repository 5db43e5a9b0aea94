"""Seals by themselves: known answers, tampering, and keys and nonces that never come twice."""

import itertools
import json
import subprocess
import sys
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing import Keys

from dumont_worker import seal
from dumont_worker.errors import WorkerError
from dumont_worker.native import blake3
from dumont_worker.pack_builder import BufferPool, PackBuilder, SealedPack, pin_of
from dumont_worker.seal import HEADER, TAG, Kind, ObjectSeal, RunSeal, Sealer, open_whole, opener

VECTORS = json.loads((Path(__file__).parents[2] / "test/fixtures/seal/vectors.json").read_text())
RUN = RunSeal(b64decode(VECTORS["run"]["header"]), b64decode(VECTORS["run"]["secret"]))
OBJECTS = VECTORS["objects"][:3]
MARKER = b"a secret of somebody " * 20


def object_seal(known: dict[str, Any]) -> ObjectSeal:
    return ObjectSeal(b64decode(known["header"]), b64decode(known["objectKey"]))


def told(keys: Keys, kind: Kind, stored: bytes) -> ObjectSeal:
    fields = keys.of_object(kind, bytes(stored[24:96]))
    return ObjectSeal(b64decode(fields["header"]), b64decode(fields["secret"]))


def sealer(keys: Keys) -> Sealer:
    run = keys.new_run()
    return Sealer(RunSeal(b64decode(run["header"]), b64decode(run["secret"])))


def packs_of(
    frames: list[bytes], by: Sealer | None = None, size: int = 4096
) -> tuple[list[bytes], list[Any], list[SealedPack]]:
    """The bytes of each pack, where every frame went, and the packs; one buffer for all."""
    contents: list[bytes] = []
    sealed: list[SealedPack] = []
    pool = BufferPool(1, size)

    def take(pack: SealedPack) -> None:
        contents.append(bytes(pack.content()))
        sealed.append(pack)
        pool.give_back(pack.buffer)

    numbers = itertools.count()
    builder = PackBuilder(pool, "crc32", lambda: next(numbers), take, by or Sealer(RUN))
    places = [builder.add([frame[:3], frame[3:]]) for frame in frames]
    builder.seal()
    return contents, places, sealed


def refused(seals: ObjectSeal, kind: Kind, at: int, record: bytes) -> None:
    with pytest.raises(WorkerError) as failure:
        opener(seals, kind).open(at, record)
    assert failure.value.code == "INTEGRITY"
    assert seals.secret.hex() not in failure.value.message


@pytest.mark.parametrize("known", OBJECTS, ids=lambda known: known["kind"])
def test_known_objects_are_made(known: dict[str, Any]) -> None:
    made = Sealer(RUN, lambda _: b64decode(known["objectSalt"])).begin(known["kind"])
    assert made.header == b64decode(known["header"])
    assert made.seal == known["seal"]
    for record in known["records"]:
        plain, stored = b64decode(record["plain"]), b64decode(record["record"])
        into = bytearray(len(stored))
        made.close(record["at"], plain, memoryview(into))
        assert into == stored


@pytest.mark.parametrize("known", OBJECTS, ids=lambda known: known["kind"])
def test_known_objects_are_opened(known: dict[str, Any]) -> None:
    opened = opener(object_seal(known), known["kind"])
    for record in known["records"]:
        assert opened.open(record["at"], b64decode(record["record"])) == b64decode(record["plain"])


@pytest.mark.parametrize("known", OBJECTS[1:], ids=lambda known: known["kind"])
def test_known_objects_of_one_record_are_made_and_opened_whole(known: dict[str, Any]) -> None:
    plain, stored = b64decode(known["records"][0]["plain"]), b64decode(known["object"])
    by = Sealer(RUN, lambda _: b64decode(known["objectSalt"]))
    assert by.whole(known["kind"], plain) == (stored, known["seal"])
    assert open_whole(object_seal(known), known["kind"], stored) == plain
    assert open_whole(None, known["kind"], plain) == plain


def test_every_bit_of_a_header_counts() -> None:
    known = OBJECTS[1]
    right, stored = object_seal(known), b64decode(known["object"])
    for bit in range(8 * HEADER):
        header = bytearray(right.header)
        header[bit // 8] ^= 1 << bit % 8
        # Told otherwise by the operator's machine; and told right, but stored otherwise.
        refused(replace(right, header=bytes(header)), "segment", HEADER, stored[HEADER:])
        with pytest.raises(WorkerError, match="another seal"):
            open_whole(right, "segment", bytes(header) + stored[HEADER:])


@pytest.mark.parametrize("record", OBJECTS[0]["records"], ids=lambda record: str(record["at"]))
def test_every_byte_of_a_record_and_its_length_and_place_count(record: dict[str, Any]) -> None:
    right, stored = object_seal(OBJECTS[0]), b64decode(record["record"])
    for at in range(len(stored)):
        refused(
            right, "pack", record["at"], stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :]
        )
        refused(right, "pack", record["at"], stored[:at])
    refused(right, "pack", record["at"], stored + b"\0")
    refused(right, "pack", record["at"] + 1, stored)


def test_records_that_changed_places_are_refused() -> None:
    [content], places, _ = packs_of([b"first frame", b"other frame"])
    keys = Keys(VECTORS["repository"])
    keys.masters[b64decode(VECTORS["objects"][0]["seal"])[:8]] = b64decode(VECTORS["master"]["key"])
    right = told(keys, "pack", content)
    first, other = (content[place.at : place.at + place.stored] for place in places)
    assert opener(right, "pack").open(places[0].at, first) == b"first frame"
    refused(right, "pack", places[0].at, other)
    refused(right, "pack", places[1].at, first)


def test_a_record_of_another_pack_of_the_same_run_is_refused() -> None:
    keys = Keys()
    by = sealer(keys)
    contents = [packs_of([b"the same frame"], by)[0][0] for _ in range(2)]
    refused(told(keys, "pack", contents[0]), "pack", HEADER, contents[1][HEADER:])


@pytest.mark.parametrize("what", ["repository", "master"])
def test_nothing_opens_with_another_repository_or_master(what: str) -> None:
    keys, others = (
        Keys(),
        Keys("f" * 32 if what == "repository" else "00112233445566778899aabbccddeeff"),
    )
    others.masters = {keys.newest: keys.masters[keys.newest] if what == "repository" else bytes(32)}
    stored, _ = sealer(keys).whole("segment", b"content")
    assert open_whole(told(keys, "segment", stored), "segment", bytes(stored)) == b"content"
    theirs = told(others, "segment", stored)
    refused(theirs, "segment", HEADER, bytes(stored[HEADER:]))
    with pytest.raises(WorkerError, match="another seal"):
        open_whole(theirs, "segment", bytes(stored))


def test_an_object_of_one_kind_is_none_of_another() -> None:
    with pytest.raises(WorkerError, match="another kind"):
        open_whole(object_seal(OBJECTS[1]), "packs", b64decode(OBJECTS[1]["object"]))


def test_what_is_sealed_among_what_is_not_is_refused_and_the_other_way_round() -> None:
    some = object_seal(OBJECTS[0])
    seal.check_alike("packs/x", some, True)
    seal.check_alike("packs/x", None, False)
    for found, sealed in ((some, False), (None, True)):
        with pytest.raises(WorkerError, match=r"packs/x is (not )?sealed") as failure:
            seal.check_alike("packs/x", found, sealed)
        assert failure.value.code == "INTEGRITY"


@given(st.lists(st.binary(min_size=1, max_size=900), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_packs_of_any_frames_come_back_with_no_nonce_twice(frames: list[bytes]) -> None:
    keys = Keys()
    contents, places, sealed = packs_of(frames, sealer(keys), size=2048)
    assert len({(place.pack, place.at) for place in places}) == len(frames)
    assert len({pack.seal for pack in sealed}) == len(sealed)
    ends = dict.fromkeys(range(len(sealed)), HEADER)
    for frame, place in zip(frames, places, strict=True):
        assert place.at == ends[place.pack]
        ends[place.pack] += place.stored
        content = contents[place.pack]
        record = content[place.at : place.at + place.stored]
        assert (len(record), blake3(record)) == (len(frame) + TAG, place.frame)
        assert keys.open("pack", content[:HEADER], place.at, record) == frame
    for number, pack in enumerate(sealed):
        content = contents[number]
        assert b64decode(pack.seal or "") == content[24:96]
        assert len(content) == pack.length == ends[number] <= 2048
        assert pack.pin_value == pin_of("crc32", content)


def test_every_attempt_has_a_key_of_its_own() -> None:
    keys = Keys()
    runs = [sealer(keys), sealer(keys)]
    made = [run.begin(kind) for _ in range(500) for run in runs for kind in ("pack", "segment")]
    assert len({one.header for one in made}) == len({one.seal for one in made}) == 2000
    secrets = {told(keys, "pack", one.header).secret for one in made[::2]}
    assert len(secrets) == 1000
    # The same bytes in the same place: nothing of the results is the same.
    contents = [packs_of([MARKER], runs[0])[0][0] for _ in range(50)]
    pieces = {content[at : at + 16] for content in contents for at in range(HEADER, 400, 16)}
    assert len(pieces) == 50 * len(range(HEADER, 400, 16))


def test_a_kind_is_part_of_the_key() -> None:
    made = {
        bytes(Sealer(RUN, bytes).begin(kind).header[96:]) for kind in ("pack", "segment", "packs")
    }
    assert len(made) == 3


def test_no_record_is_written_where_one_was() -> None:
    made = Sealer(RUN).begin("pack")
    made.close(HEADER, b"abc", memoryview(bytearray(19)))
    for at in (HEADER - 1, HEADER, HEADER + 18):
        with pytest.raises(ValueError, match="after one that ends"):
            made.close(at, b"abd", memoryview(bytearray(19)))
    made.close(HEADER + 19, b"abd", memoryview(bytearray(19)))


def test_header_and_tags_have_room_in_a_pack_that_is_full_to_the_brim() -> None:
    frame = bytes(100)
    contents, places, _ = packs_of([frame] * 3, size=HEADER + 2 * (100 + TAG))
    assert [place.pack for place in places] == [0, 0, 1]
    assert len(contents[0]) == HEADER + 2 * (100 + TAG)
    with pytest.raises(ValueError, match="does not fit"):
        packs_of([frame], size=HEADER + 100 + TAG - 1)


def test_no_text_of_a_seal_shows_its_secret() -> None:
    for one in (RUN, object_seal(OBJECTS[0])):
        assert repr(one.secret) not in repr(one)


def test_a_box_that_cannot_encrypt_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    seal._aesgcm.cache_clear()
    with pytest.raises(WorkerError, match="this box cannot encrypt") as failure:
        Sealer(RUN)
    assert failure.value.code == "BOX_UNSUITABLE"
    with pytest.raises(WorkerError, match="this box cannot encrypt"):
        opener(object_seal(OBJECTS[0]), "pack")


SHOW = """
import ctypes, sys
sys.path[:0] = [{worker!r}]
from dumont_worker import protocol, pack_builder, seal
assert not any(name.startswith("cryptography") for name in sys.modules)
before = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
seal.require()
print(before, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_whoever_holds_keys_hides_its_memory_and_nobody_else_loads_anything() -> None:
    code = SHOW.format(worker=str(Path(__file__).parents[1]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "1 0\n"
