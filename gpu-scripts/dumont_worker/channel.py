"""Messages between processes of one worker: any value that can be pickled, each of them whole."""

import pickle
import socket
import struct
from typing import Any

_HEAD = struct.Struct("<I")
_ROOM = 1 << 16


class Channel:
    """One end of a pair of connected sockets.

    One thread may receive while another sends. What multiprocessing offers takes as long to import
    as all of an engine's own modules, and twice as many calls for each message.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._held = bytearray()

    def send(self, message: object) -> None:
        """Sends one message; raises OSError when the other end is gone or this one is closed."""
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._socket.sendall(_HEAD.pack(len(data)) + data)

    def receive(self) -> Any:
        """Waits for the next message; raises EOFError at the end, OSError."""
        (length,) = _HEAD.unpack(self._take(_HEAD.size))
        return pickle.loads(self._take(length))

    def close(self) -> None:
        """Gives the socket back; whoever uses it afterwards gets OSError."""
        self._socket.close()

    def _take(self, count: int) -> bytes:
        held = self._held
        while len(held) < count:
            data = self._socket.recv(max(_ROOM, count - len(held)))
            if not data:
                raise EOFError
            held += data
        taken = bytes(held[:count])
        del held[:count]
        return taken
