"""Records by hash."""

import hashlib

from dumont_worker.number_table import HASH, NumberTable


def _hash(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def _table(count: int, size: int = HASH) -> NumberTable:
    records = bytearray()
    table = NumberTable(records, size)
    for number in range(count):
        records += _hash(number) + bytes(size - HASH)
        table.add(number)
    return table


def test_finds_every_record_however_many_there_are() -> None:
    table = _table(5000)
    assert len(table) == 5000
    assert [table.find(_hash(number)) for number in range(5000)] == list(range(5000))


def test_finds_nothing_that_was_not_added() -> None:
    table = _table(5000)
    assert table.find(_hash(5000)) is None
    assert _hash(5001) not in table
    assert NumberTable(bytearray(), HASH).find(_hash(0)) is None


def test_of_equal_records_the_first_is_found() -> None:
    records = bytearray(_hash(1) + _hash(2) + _hash(1))
    table = NumberTable(records, HASH)
    for number in range(3):
        table.add(number)
    assert table.find(_hash(1)) == 0
    assert len(table) == 2


def test_records_may_be_longer_than_their_hash() -> None:
    table = _table(100, 82)
    assert [table.find(_hash(number)) for number in range(100)] == list(range(100))


def test_a_record_that_was_not_added_is_not_found_though_it_is_there() -> None:
    records = bytearray(_hash(1) + _hash(2))
    table = NumberTable(records, HASH)
    table.add(1)
    assert table.find(_hash(1)) is None
    assert table.find(_hash(2)) == 1
