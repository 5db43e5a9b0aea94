"""The Merkle root over the entries of a snapshot, RFC 6962 section 2.1 with SHA-256."""

from hashlib import sha256


class MerkleTree:
    """Takes leaves one by one and keeps only the roots of complete subtrees."""

    def __init__(self) -> None:
        self._subtrees: list[bytes] = []
        self._count = 0

    def add(self, leaf: bytes) -> None:
        """Adds the next leaf."""
        node = sha256(b"\0" + leaf).digest()
        count = self._count
        while count & 1:
            node = sha256(b"\1" + self._subtrees.pop() + node).digest()
            count >>= 1
        self._subtrees.append(node)
        self._count += 1

    def root(self) -> bytes:
        """Gives the root over all leaves so far."""
        if not self._subtrees:
            return sha256().digest()
        node = self._subtrees[-1]
        for left in reversed(self._subtrees[:-1]):
            node = sha256(b"\1" + left + node).digest()
        return node
