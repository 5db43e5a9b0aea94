"""What this box is: the facts of `hello`, and the worker's private directory."""

import contextlib
import hashlib
import math
import os
import platform
import pwd
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .gpu.devices import Device

_CONTAINER_NAMES = (b"CONTAINER_ID", b"RUNPOD_POD_ID", b"VAST_CONTAINERLABEL")


class PrivateDir:
    """The worker's own directory on the box: identity, journals, record of restores."""

    def __init__(self, path: bytes) -> None:
        self.path = path
        os.makedirs(path, mode=0o700, exist_ok=True)

    def make(self, name: str) -> bytes:
        """A subdirectory, made when missing."""
        path = os.path.join(self.path, os.fsencode(name))
        os.makedirs(path, mode=0o700, exist_ok=True)
        return path

    def node(self) -> tuple[int, int]:
        """Device and inode, by which a scan knows to leave the directory out."""
        found = os.stat(self.path)
        return (found.st_dev, found.st_ino)

    def identity(self) -> bytes:
        """32 random bytes in hexadecimal, made once."""
        path = os.path.join(self.path, b"identity")
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            found = file.read(65).strip()
            if len(found) == 64:
                return found
        fresh = secrets.token_hex(32).encode()
        temporary = path + b"." + secrets.token_hex(4).encode()
        with open(temporary, "xb", opener=_private) as file:
            file.write(fresh)
            file.flush()
            os.fsync(file.fileno())
        try:
            # Whoever links first wins; a damaged file is replaced, and the box is then a new box.
            os.link(temporary, path)
        except FileExistsError:
            if os.stat(path).st_size >= 64:
                os.unlink(temporary)
                return Path(os.fsdecode(path)).read_bytes()[:64]
            os.replace(temporary, path)
            return fresh
        os.unlink(temporary)
        return fresh


def _private(path: str | bytes, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def host_facts(private: PrivateDir, gpus: Sequence[Device]) -> dict[str, Any]:
    """The `host` object of `hello`: what the manifest records, without the address."""
    return {
        "box": box_identity(private),
        "boot": _read("/proc/sys/kernel/random/boot_id").decode("ascii", "replace"),
        "os": _os_name(),
        "kernel": platform.release(),
        "arch": platform.machine(),
        "python": platform.python_version(),
        "cpus": cpu_count(),
        "memory": memory_bytes(),
        "gpus": [gpu.fact() for gpu in gpus],
    }


def box_identity(private: PrivateDir) -> str:
    """64 hexadecimal digits that stay as long as disk, machine and container do."""
    machine = _read("/etc/machine-id") or _read("/var/lib/dbus/machine-id")
    return hashlib.sha256(b"\0".join((private.identity(), machine, _container()))).hexdigest()


def home() -> bytes:
    """The worker's home directory: HOME, as shells have it, else of the password database."""
    told = os.environb.get(b"HOME", b"")
    if told.startswith(b"/"):
        return told
    with contextlib.suppress(KeyError):
        return os.fsencode(pwd.getpwuid(os.getuid()).pw_dir)
    return b"/"


def cpu_count() -> int:
    """Cores this process may use, container quota included; at least 1."""
    cores = len(os.sched_getaffinity(0))
    fields = _read("/sys/fs/cgroup/cpu.max").split()
    if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit() and int(fields[1]) > 0:
        cores = min(cores, math.ceil(int(fields[0]) / int(fields[1])))
    return max(1, cores)


def memory_bytes() -> int:
    """Memory this process may use: the machine's, or the container's limit when that is lower."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        limit = _read(path)
        if limit.isdigit():
            most = min(most, int(limit))
    return most


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 16).strip()
    except OSError:
        return b""


def _container() -> bytes:
    """The vendor's or engine's id of this container; empty on a machine of its own."""
    environment = dict(
        item.split(b"=", 1) for item in _read("/proc/1/environ").split(b"\0") if b"=" in item
    )
    for name in _CONTAINER_NAMES:
        found = environment.get(name) or os.environb.get(name)
        if found:
            return found
    contained = os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv")
    return os.fsencode(platform.node()) if contained or b"container" in environment else b""


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")[:200]
    except OSError:
        return platform.system()
