from hashlib import sha256

import pytest

from dumont_worker.merkle import MerkleTree


def by_the_rfc(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1" + by_the_rfc(leaves[:k]) + by_the_rfc(leaves[k:])).digest()


@pytest.mark.parametrize("count", [*range(20), 31, 32, 33, 100])
def test_the_root_is_that_of_the_rfc(count: int) -> None:
    leaves = [b"leaf %d" % number for number in range(count)]
    tree = MerkleTree()
    for leaf in leaves:
        tree.add(leaf)
    assert tree.root() == by_the_rfc(leaves)


def test_a_known_root_of_the_published_test_vectors() -> None:
    tree = MerkleTree()
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657"):
        tree.add(bytes.fromhex(leaf))
    tree.add(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
    root = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert tree.root().hex() == root
