"""Puts what gpu_check.py needs on a machine: pinned wheels, from a folder or from a package index.

Nothing of the machine's own Python is changed; wheels are proven by hash and unpacked aside.
"""

import hashlib
import importlib.util
import io
import platform
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PINS = Path(__file__).resolve().parents[1] / "requirements"
_PIN = re.compile(r"^([\w.-]+)==(\S+) --hash=sha256:([0-9a-f]{64})$", re.MULTILINE)
_PIP_SECONDS = 180
NVCOMP, HELPERS, CUDA13 = "nvcomp", "helpers", "cuda13"


class Missing(Exception):
    """A wheel cannot be had; says which and what to do."""


class Pin(NamedTuple):
    """A wheel by name, version and hash; with `module` it is not needed where that is at hand."""

    name: str
    version: str
    sha256: str
    module: str | None = None


def pins(machine: str, python: str) -> dict[str, list[Pin]]:
    """Gives what is pinned for a machine such as x86_64 and a Python such as 3.12, by purpose."""
    tag = f"cp{python.replace('.', '')}-{machine}"
    helpers = [
        # Nothing here needs the cutter, whose own needs the typing extensions are.
        pin
        for pin in _read(f"native-{tag}")
        if pin.name not in ("pyfastcdc", "typing-extensions")
    ]
    numpy = [pin._replace(module="numpy") for pin in _read(f"numpy-{tag}")]
    return {
        NVCOMP: _read(f"nvcomp-{machine}"),
        HELPERS: [*helpers, *numpy],
        CUDA13: _read(f"cuda13-{machine}", Path(__file__).parent, may_lack=True),
    }


def _read(name: str, folder: Path = PINS, *, may_lack: bool = False) -> list[Pin]:
    file = folder / f"{name}.txt"
    if may_lack and not file.exists():
        return []
    if not file.exists():
        raise Missing(f"nothing is pinned for {name}: use Python 3.10 to 3.14 on x86_64 or aarch64")
    return [Pin(*found) for found in _PIN.findall(file.read_text())]


def here() -> dict[str, list[Pin]]:
    """Gives the pins for this Python on this machine."""
    return pins(platform.machine(), f"{sys.version_info[0]}.{sys.version_info[1]}")


def fetch(wanted: Iterable[Pin], folder: Path, options: Iterable[str] = ()) -> None:
    """Has pip download pinned wheels into a folder; raises Missing."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{pin.name}=={pin.version} --hash=sha256:{pin.sha256}\n" for pin in wanted]
    listed = folder / "requirements.txt"
    listed.write_text("".join(lines))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"]
    try:
        done = subprocess.run(
            [*command, *options, "--dest", str(folder), "-r", str(listed)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PIP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"pip took longer than {_PIP_SECONDS} s") from None
    finally:
        listed.unlink(missing_ok=True)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["pip failed"]
        raise Missing(f"{said[0][:300]} (without a way out: --fetch elsewhere, --wheels here)")


def unpack(wanted: Iterable[Pin], folder: Path, target: Path) -> None:
    """Unpacks pinned wheels that lie in a folder; raises Missing for one that does not."""
    for pin in wanted:
        content = _content(pin, folder)
        if content is not None:
            _unpack(content, target)
        elif pin.module is None or importlib.util.find_spec(pin.module) is None:
            raise Missing(f"no wheel of {pin.name} {pin.version} with the pinned hash in {folder}")


def _content(pin: Pin, folder: Path) -> bytes | None:
    for file in sorted(folder.glob("*.whl")):
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() == pin.sha256:
            return content
    return None


def _unpack(content: bytes, target: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        for name in wheel.namelist():
            if name.startswith("/") or ".." in Path(name).parts:
                raise Missing(f"a wheel names {name}")
        wheel.extractall(target)
