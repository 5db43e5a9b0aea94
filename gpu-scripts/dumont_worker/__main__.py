"""Entry point: `worker.pyz --native DIR --private DIR`, `engine FD PARENT` or `gpu FD PARENT`."""

import argparse
import contextlib
import gc
import os
import resource
import sys
import threading
from typing import NoReturn

if not __package__:
    # Run as a directory (from the source tree): the package's own modules must not shadow the
    # standard library's.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    __package__ = "dumont_worker"

_COLLECT_AFTER = 20_000


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 after the end of stdin, 130 when a request was cut short."""
    # A core dump would hold signed URLs; engines inherit this.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Hardly anything here is cyclic, and each search for cycles walks through all young objects.
    gc.set_threshold(_COLLECT_AFTER, 20, 100)
    arguments = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="dumont-worker", allow_abbrev=False)
    parser.add_argument("--native", help="directory with the native helpers")
    if arguments[:1] in (["engine"], ["gpu"]):
        parser.add_argument("descriptor", type=int)
        parser.add_argument("parent", type=int)
        options = parser.parse_args(arguments[1:])
        _use_native(options.native)
        if arguments[0] == "gpu":
            from dumont_worker.gpu import process  # noqa: PLC0415 - nobody else needs it

            return process.main(options.descriptor, options.parent)
        from dumont_worker import engine  # noqa: PLC0415 - an engine needs little

        return engine.main(options.descriptor, options.parent)
    parser.add_argument("--private", required=True, help="the worker's own directory")
    parser.add_argument("--nvcomp", help="directory with nvCOMP, for GPU processes alone")
    options = parser.parse_args(arguments)
    _use_native(options.native)
    from dumont_worker import serve  # noqa: PLC0415 - the path is set only now

    return serve.main(os.fsencode(options.private), options.native, options.nvcomp)


def _use_native(path: str | None) -> None:
    if path is not None:
        sys.path.insert(1, path)


def _end(broken: threading.ExceptHookArgs) -> None:
    """Ends the process with a thread that dies of what nobody caught, such as a lack of memory.

    Whoever waits for what that thread was to do would wait for ever.
    """
    if broken.exc_type is SystemExit:
        return
    try:
        if broken.exc_value is not None:
            sys.excepthook(broken.exc_type, broken.exc_value, broken.exc_traceback)
        sys.stderr.flush()
    finally:
        os._exit(1)


def run() -> NoReturn:
    """Ends with the exit code at once: tearing an interpreter down takes its time, unseen here."""
    threading.excepthook = _end
    code = main()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
