"""Small JSON messages between the worker and a GPU process, none waited for without a limit."""

import json
import socket
import struct
import time
from typing import Any

from .errors import GpuFault

_LENGTH = struct.Struct("<I")
_MOST = 1 << 20

Message = dict[str, Any]


class Channel:
    """One end of a socket pair."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def send(self, message: Message, seconds: float | None = None) -> None:
        """Sends one message; raises GpuFault when the other side is gone or does not take it."""
        data = json.dumps(message).encode()
        if len(data) > _MOST:
            raise GpuFault("protocol", "a message that is too long")
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(_LENGTH.pack(len(data)) + data)
        except TimeoutError:
            raise GpuFault("hang", f"it takes no message within {seconds} s") from None
        except OSError as error:
            raise GpuFault("crash", f"it is gone: {error}") from None

    def receive(self, seconds: float | None = None) -> Message:
        """Waits for one message; raises GpuFault when none comes in time or it is none."""
        deadline = None if seconds is None else time.monotonic() + seconds
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        if length > _MOST:
            raise GpuFault("protocol", "an answer that is too long")
        try:
            message = json.loads(self._read(length, deadline))
        except ValueError:
            raise GpuFault("protocol", "an answer that is no message") from None
        if not isinstance(message, dict):
            raise GpuFault("protocol", "an answer that is no message")
        return message

    def close(self) -> None:
        """Closes this end: the other side's reading ends."""
        self._socket.close()

    def _read(self, length: int, deadline: float | None) -> bytes:
        data = b""
        while len(data) < length:
            left = None if deadline is None else deadline - time.monotonic()
            try:
                if left is not None and left <= 0:
                    raise TimeoutError
                self._socket.settimeout(left)
                piece = self._socket.recv(length - len(data))
            except TimeoutError:
                raise GpuFault("hang", "no answer in time") from None
            except OSError as error:
                raise GpuFault("crash", f"it is gone: {error}") from None
            if not piece:
                raise GpuFault("crash", "it is gone")
            data += piece
        return data
