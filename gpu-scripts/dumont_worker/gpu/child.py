"""A GPU process as the worker sees it: asked with a deadline, killed at the first doubt."""

import contextlib
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, cast, get_args

from ..engine_pool import engine_environment, program
from .area import Area
from .channel import Channel, Message
from .errors import FaultKind, GpuFault
from .requirement import Library

# Which GPUs, and in which order; drivers of containers lie where LD_LIBRARY_PATH says, which every
# engine keeps. Not kept, so that no other library is loaded or written about: LD_PRELOAD,
# NVCOMP_PREFER_SYSTEM_LIBRARY, NVCOMP_LOG_LEVEL, NVCOMP_LOG_FILE.
_KEPT = ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class GpuSetting:
    """Where nvCOMP and the native helpers lie, which GPU, and how long it may take.

    `room` bytes of chunks go at a time, and as many may come back. Times are in seconds.
    """

    directory: str
    native: str | None = None
    device: int = 0
    room: int = 32 << 20
    start: float = 60.0
    patience: float = 30.0


def gpu_environment(device: int) -> dict[str, str]:
    """The whitelisted environment of a GPU process, for which its GPU is the first there is.

    Arrays are made on the first, whichever a codec is made for.
    """
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    found = engine_environment() | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"} | kept
    if device > 0:
        names = found.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(device + 1)))).split(",")
        found["CUDA_VISIBLE_DEVICES"] = names[device].strip() if device < len(names) else ""
    return found


class GpuProcess:
    """One process with one GPU. After a GpuFault it is dead, and so is its shared memory."""

    def __init__(self, setting: GpuSetting) -> None:
        self._setting = setting
        self._closed = False
        self.is_dead = False
        """Whether it was killed: nothing more can be asked of it."""
        self.area = Area.make(setting.room)
        self._lifeline = os.pipe()
        try:
            self._start()
            told = self.ask(
                {
                    "area": self.area.descriptor,
                    "lifeline": self._lifeline[0],
                    "room": setting.room,
                    "directory": setting.directory,
                },
                setting.start,
            )
            self.library = _library(told)
        except BaseException:
            self._close_shared()
            raise

    def ask(self, request: Message, seconds: float | None = None) -> Message:
        """Asks and waits for the answer; raises GpuFault, after which the process is gone."""
        patience = self._setting.patience if seconds is None else seconds
        try:
            self._channel.send(request, patience)
            answer = self._channel.receive(patience)
            if "fault" in answer:
                raise _told(answer)
        except GpuFault as fault:
            self._kill()
            raise self._obituary(fault) from fault
        return answer

    def items(self, request: Message, count: int) -> list[Any]:
        """Asks for something that gives one answer for each of `count` items."""
        items = self.ask(request).get("items")
        if not isinstance(items, list) or len(items) != count:
            self._kill()
            raise GpuFault("protocol", "an answer of another length")
        return items

    def close(self) -> None:
        """Ends the process; returns when it is gone or cannot be ended. Idempotent."""
        self._kill()
        self._close_shared()

    def _close_shared(self) -> None:
        if not self._closed:
            self._closed = True
            self.area.close()
            for end in self._lifeline:
                os.close(end)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        setting = self._setting
        command = [sys.executable, "-I", program(), "gpu", str(theirs.fileno()), str(os.getpid())]
        command += ["--native", setting.native] if setting.native else []
        self._channel = Channel(ours)
        with theirs:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=2,
                    cwd="/",
                    pass_fds=[theirs.fileno(), self.area.descriptor, self._lifeline[0]],
                    env=gpu_environment(setting.device),
                )
            except OSError as error:
                ours.close()
                raise GpuFault("start", f"cannot start a GPU process: {error}") from error

    def _kill(self) -> None:
        self.is_dead = True
        self._channel.close()
        if self._process.poll() is None:
            self._process.kill()
        # A driver in trouble can hold a process for ever; nobody waits for it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)

    def _obituary(self, fault: GpuFault) -> GpuFault:
        if fault.kind != "crash" or self._process.returncode is None:
            return fault
        code = self._process.returncode
        ending = f"signal {-code}" if code < 0 else f"status {code}"
        return GpuFault("crash", f"the GPU process ended with {ending}")


def _told(answer: Message) -> GpuFault:
    kind = answer["fault"]
    known = kind if kind in get_args(FaultKind) else "library"
    return GpuFault(cast("FaultKind", known), str(answer.get("message"))[:1000])


def _library(told: Message) -> Library:
    version, cuda = told.get("version"), told.get("cuda")
    if not isinstance(version, str) or not isinstance(cuda, int):
        raise GpuFault("protocol", "a GPU process that does not say what it has loaded")
    return Library(version[:40], cuda)
