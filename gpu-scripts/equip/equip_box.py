"""Prepares a box for the worker; sent over the session, run by the Python that was found there.

Called as `equip_box(request, payload)` by two lines of boot code. Prints one answer line; what
comes before it on stdout is noise of the login.
"""

import contextlib
import errno
import hashlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pwd
import shlex
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

MARKER = "dumont-complete"
TEMPORARY = "equip-tmp-"
STALE_SECONDS = 24 * 3600
UNSUITABLE = 9
SHELL = 3
"""Descriptor behind which the shell waits for what to turn into."""


class Refused(Exception):
    """Something the operator can act on: a code of dumont's own, a message and a hint."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.answer = {"code": code, "message": message, "hint": hint}


def equip_box(request: dict[str, Any], payload: BinaryIO) -> int:
    """Does what the request asks and prints the answer; gives the exit status."""
    try:
        answer = {"ok": DEEDS[request["do"]](request, payload)}
    except Refused as refused:
        answer = {"refused": refused.answer}
    except OSError as error:
        answer = {"refused": _os_refusal(error).answer}
    print("dumont-equip 1 " + json.dumps(answer), flush=True)
    return 0


def look(request: dict[str, Any], _payload: BinaryIO) -> dict[str, Any]:
    """Says what is here already; in a Python of no use ends the process with status 9."""
    tag = _tag()
    machine = os.uname().machine
    keys = request["natives"].get(f"{tag}-{machine}")
    reason = _unsuitable(keys is not None, f"{tag} on {machine}")
    if reason is not None:
        said = {"path": sys.executable, "version": _version(), "reason": reason}
        print("dumont-python " + json.dumps(said), flush=True)
        sys.exit(UNSUITABLE)
    private = _private_directory()
    own_numpy = _has_package("numpy")
    key = keys["native" if own_numpy else "native+numpy"]
    nvcomp = request["nvcomp"].get(machine, "")
    worker, native = Path(private, _worker_name(request["worker"])), Path(private, f"native-{key}")
    gpu = Path(private, f"nvcomp-{nvcomp}")
    found = {
        "worker": _is_whole(worker),
        "native": _is_complete(native, key),
        "nvcomp": _is_complete(gpu, nvcomp),
        "driver": os.path.exists("/dev/nvidiactl") or os.path.exists("/proc/driver/nvidia/version"),
    }
    options = ["--native", str(native), "--private", private]
    if request.get("useNvcomp") is True and found["nvcomp"]:
        options += ["--nvcomp", str(gpu)]
    lacks_nvcomp = request.get("useNvcomp") is True and found["driver"] and not found["nvcomp"]
    # What `auto` may want later need not be there before the worker starts.
    can_wait = not lacks_nvcomp or request.get("nvcompLater") is True
    has_all = found["worker"] and found["native"] and can_wait
    return found | {
        "python": sys.executable,
        "version": _version(),
        "platform": f"{tag}-{machine}",
        "libc": os.confstr("CS_GNU_LIBC_VERSION"),
        "numpy": own_numpy,
        "private": private,
        "key": key,
        "uv": _find_uv() if lacks_nvcomp or not has_all else None,
        "pip": importlib.util.find_spec("pip") is not None,
        "free": _free(private),
        "serving": has_all and _serve(request, private, [str(worker), *options]),
    }


def receive(request: dict[str, Any], payload: BinaryIO) -> dict[str, Any]:
    """Unpacks the payload as the worker once it hashed right, by renaming: whole or not at all."""
    private = Path(request["private"])
    directory = _working_directory(private)
    try:
        content = _checked(payload, request["bytes"], request["sha256"], "the worker")
        target, final = directory / "worker", private / _worker_name(request["sha256"])
        target.mkdir()
        _unpack_worker(content, target, final)
        (target / MARKER).write_text(_digest(target), encoding="utf-8")
        _put_in_place(target, final, _is_whole)
    finally:
        _remove(directory)
    return {}


def install(request: dict[str, Any], _payload: BinaryIO) -> dict[str, Any]:
    """Installs the pinned helpers with uv or pip; `failed` tells why they could not."""
    private = Path(request["private"])
    directory = _working_directory(private)
    try:
        requirements = directory / "requirements.txt"
        requirements.write_text(request["requirements"], encoding="utf-8")
        target = directory / "native"
        command = _installer(request["uv"], target, requirements)
        output = _run_installer(command, directory, request["seconds"])
        if output is not None:
            return {"failed": output}
        _finish(target, private, request)
    finally:
        _remove(directory)
    return {}


def unpack(request: dict[str, Any], payload: BinaryIO) -> dict[str, Any]:
    """Unpacks the wheels of the payload, each after it hashed right."""
    private = Path(request["private"])
    directory = _working_directory(private)
    try:
        target = directory / "native"
        target.mkdir()
        for wheel in request["wheels"]:
            content = _checked(payload, wheel["bytes"], wheel["sha256"], wheel["name"])
            _unpack_wheel(content, target)
        _finish(target, private, request)
    finally:
        _remove(directory)
    return {}


def _serve(request: dict[str, Any], private: str, worker: list[str]) -> bool:
    """Has the shell around this turn into the worker when this ends, if that is wanted."""
    if request.get("serve") is not True:
        return False
    command = shlex.join([sys.executable, "-I", *worker])
    try:
        os.write(SHELL, os.fsencode(command))
    except OSError:
        return False  # a shell that keeps its descriptors to itself
    with contextlib.suppress(OSError):  # it only saves time
        _remember(private)
    return True


def _remember(private: str) -> None:
    """Notes which Python serves here: the next look begins with it."""
    path, line = os.path.join(private, "python"), os.fsencode(sys.executable) + b"\n"
    with contextlib.suppress(FileNotFoundError):
        if Path(path).read_bytes() == line:
            return
    beside = f"{path}-{os.getpid()}"
    Path(beside).write_bytes(line)
    os.replace(beside, path)


DEEDS = {"look": look, "receive": receive, "install": install, "unpack": unpack}


def _unsuitable(pinned: bool, what: str) -> str | None:
    if sys.implementation.name != "cpython":
        return "not CPython"
    if "t" in sys.abiflags:
        return "a free-threaded build"
    missing = [
        name for name in ("_ssl", "zlib", "_hashlib") if importlib.util.find_spec(name) is None
    ]
    if missing:
        return "built without " + ", ".join(missing)
    if not pinned:
        return f"no checked helpers for {what}"
    if any("musl" in suffix for suffix in importlib.machinery.EXTENSION_SUFFIXES):
        return "no checked helpers for musl libc"
    return None


def _private_directory() -> str:
    home = os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    path = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache"), "dumont")
    if not os.path.isabs(path):
        raise Refused(
            "TARGET_UNWRITABLE", f"{path} is not absolute", "set HOME or XDG_CACHE_HOME on the box"
        )
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        _check_owned(path)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return path


def _check_owned(path: str) -> None:
    found = os.lstat(path)
    wrong = None
    if not stat.S_ISDIR(found.st_mode):
        wrong = "is not a directory (links are not followed)"
    elif found.st_uid != os.geteuid():
        wrong = f"belongs to user {found.st_uid}, not to {os.geteuid()}"
    elif found.st_mode & 0o022:
        wrong = "may be written by others"
    if wrong is not None:
        raise Refused(
            "TARGET_UNWRITABLE",
            f"{path} {wrong}",
            f"look into {path} on the box, then move it away",
        )
    if found.st_mode & 0o077:
        os.chmod(path, 0o700)


def _version() -> str:
    return sys.version.split()[0]


def _worker_name(digest: str) -> str:
    """By content and by Python: what was compiled for one is of no use to another."""
    return f"worker-{digest}-{_tag()}"


def _tag() -> str:
    return f"cp{sys.version_info[0]}{sys.version_info[1]}"


def _is_whole(worker: Path) -> bool:
    """Whether a directory, no link, holds what was unpacked into it and nothing else."""
    try:
        if not stat.S_ISDIR(worker.lstat().st_mode):
            return False
        return (worker / MARKER).read_text(encoding="utf-8") == _digest(worker)
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return False


def _digest(directory: Path) -> str:
    """Hashes names and contents of all that lies in a directory but the mark."""
    found = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        kind = path.lstat().st_mode
        if name == MARKER or stat.S_ISDIR(kind):
            continue
        content = path.read_bytes() if stat.S_ISREG(kind) else b"no file"
        found.update(f"{name}\0{len(content)}\0{stat.S_IFMT(kind)}\0".encode() + content)
    return found.hexdigest()


def _is_complete(directory: Path, key: str) -> bool:
    try:
        return (directory / MARKER).read_text(encoding="utf-8") == key
    except (FileNotFoundError, NotADirectoryError):
        return False


def _has_package(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def _free(directory: str) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def _find_uv() -> str | None:
    import shutil  # noqa: PLC0415

    home = os.environ.get("HOME", "")
    beside = os.path.join(os.path.dirname(sys.executable), "uv")
    usual = [
        os.path.join(home, ".local/bin/uv"),
        os.path.join(home, ".cargo/bin/uv"),
        "/usr/local/bin/uv",
    ]
    return next((path for path in [beside, *usual] if os.access(path, os.X_OK)), shutil.which("uv"))


def _checked(payload: BinaryIO, length: int, digest: str, name: str) -> bytes:
    content = payload.read(length)
    if len(content) != length or hashlib.sha256(content).hexdigest() != digest:
        raise Refused("INTEGRITY", f"{name} arrived damaged on the box", "run the command again")
    return content


def _installer(uv: str | None, target: Path, requirements: Path) -> list[str]:
    checks = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--target", str(target)]
    if uv is not None:
        return [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            sys.executable,
            *checks,
            "-r",
            str(requirements),
        ]
    quiet = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-compile",
        "--timeout",
        "10",
        "--retries",
        "1",
    ]
    return [sys.executable, "-I", "-m", "pip", "install", *quiet, *checks, "-r", str(requirements)]


def _run_installer(command: list[str], directory: Path, seconds: float) -> str | None:
    """Gives None when all went well, else what the installer said; refuses wrong bytes."""
    import subprocess  # noqa: PLC0415

    try:
        done = subprocess.run(
            command,
            check=False,
            cwd=directory,
            env={**os.environ, "UV_NO_PROGRESS": "1", "UV_HTTP_TIMEOUT": "10"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not end within {seconds} s"
    except OSError as error:
        return f"{command[0]} did not start: {error}"
    if done.returncode == 0:
        return None
    said = done.stdout.decode("utf-8", "replace")
    if "do not match the hashes" in said.lower() or "hash mismatch" in said.lower():
        raise Refused(
            "INTEGRITY",
            f"a helper for the box is not the one dumont pins: {said[-600:]}",
            HASH_HINT,
        )
    if "no space left on device" in said.lower():
        raise _os_refusal(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    return said[-600:]


HASH_HINT = (
    "the package index of the box serves other bytes than were pinned; do not use this index"
)


def _unpack_worker(content: bytes, target: Path, final: Path) -> None:
    """Unpacks the archive and compiles it: from an archive Python compiles at every start."""
    import py_compile  # noqa: PLC0415
    import zipfile  # noqa: PLC0415

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(target)
    for path in sorted(target.rglob("*.py")):
        # What a traceback shows is where the file will lie.
        py_compile.compile(str(path), dfile=str(final / path.relative_to(target)), doraise=True)


def _unpack_wheel(content: bytes, target: Path) -> None:
    import zipfile  # noqa: PLC0415

    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        for member in wheel.infolist():
            path = _place(member.filename)
            if path is None or member.is_dir():
                continue
            if path.is_absolute() or ".." in path.parts:
                raise Refused("INTEGRITY", f"a wheel names {member.filename}", HASH_HINT)
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_bytes(wheel.read(member))


def _place(name: str) -> Path | None:
    """Where a member goes; modules may lie under NAME.data/, scripts are of no use here."""
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return Path(name)
    kind, _, rest = rest.partition("/")
    return Path(rest) if kind in ("purelib", "platlib") and rest else None


def _finish(target: Path, private: Path, request: dict[str, Any]) -> None:
    """Puts a directory in place whole: imported once for proof, then marked, then renamed."""
    key, final = request["key"], private / f"{request['set']}-{request['key']}"
    _try_import(target, request["modules"])
    (target / MARKER).write_text(key, encoding="utf-8")
    _put_in_place(target, final, lambda found: _is_complete(found, key))


def _put_in_place(target: Path, final: Path, is_complete: Callable[[Path], bool]) -> None:
    """Renames a finished directory; what lies there and is not complete goes out of the way."""
    try:
        if not final.is_symlink():
            os.rename(target, final)
            return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
    if is_complete(final):
        return  # another run was faster
    os.rename(final, target.parent / "broken")
    os.rename(target, final)


IMPORTS = """
import importlib, sys
sys.path.insert(1, sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
"""


def _try_import(directory: Path, modules: list[str]) -> None:
    import subprocess  # noqa: PLC0415

    command = [sys.executable, "-I", "-c", IMPORTS, str(directory), *modules]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        said = done.stderr.decode("utf-8", "replace").strip()
        failed = done.returncode != 0
    except subprocess.TimeoutExpired:
        failed, said = True, "no end within 60 s"
    if failed:
        last = said.splitlines()[-1] if said else "no message"
        hint = (
            "look whether the box's disk is mounted noexec, or use an image with a current Python"
        )
        raise Refused(
            "BOX_UNSUITABLE", f"the helpers do not run with {sys.executable}: {last[:400]}", hint
        )


def _working_directory(private: Path) -> Path:
    """A fresh one, once what runs that were killed have left behind is gone."""
    import tempfile  # noqa: PLC0415 - a look, which every command begins with, needs none of these

    _sweep(private)
    return Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=private))


def _remove(directory: Path) -> None:
    import shutil  # noqa: PLC0415

    shutil.rmtree(directory, ignore_errors=True)


def _sweep(private: Path) -> None:
    """Removes what runs that were killed have left behind."""
    for path in private.glob(TEMPORARY + "*"):
        try:
            if time.time() - path.lstat().st_mtime < STALE_SECONDS:
                continue
            if path.is_dir() and not path.is_symlink():
                _remove(path)
            else:
                path.unlink()
        except FileNotFoundError:
            continue  # another run sweeps too


def _os_refusal(error: OSError) -> Refused:
    where = f" ({error.filename})" if error.filename else ""
    said = f"{error.strerror or error}{where}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refused(
            "BOX_DISK_FULL",
            f"the box has no room for the worker: {said}",
            "free some space on the box",
        )
    hint = "make ~/.cache writable on the box, or set XDG_CACHE_HOME for its SSH sessions"
    return Refused(
        "TARGET_UNWRITABLE", f"the worker's directory on the box cannot be used: {said}", hint
    )
