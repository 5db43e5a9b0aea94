"""Questions to nvCOMP that only a GPU answers."""

import json
import os
import sys
from collections.abc import Callable, Sequence

from . import manners, speeds
from .library import Answers, Gpu

QUESTIONS: dict[str, Callable[..., Answers]] = {
    "blocks": speeds.blocks,
    "zstd frames": manners.zstd_frames,
    "copies": speeds.copies,
    "forms": manners.forms,
    "deterministic": manners.deterministic,
    "damaged": manners.damaged,
    "cut short": manners.cut_short,
    "after a fault": manners.after_fault,
    "memory": speeds.memory,
    "interpreter lock": speeds.interpreter_lock,
    "other build": manners.other_build,
}
MAY_DIE = ("forms", "damaged", "cut short", "after a fault")
"""What does to the library what it was not made for: that it dies of it is an answer."""


def answer(arguments: Sequence[str]) -> None:
    """Answers one question, a JSON array of name and answer a line, and ends this process.

    Arguments: NAME MOST NVCOMP NATIVE OTHER, the last two may be empty.
    """
    name, most, directory, native, other = arguments
    sys.path[:0] = [native] if native else []
    gpu = Gpu(directory, native or None, int(most))
    more = (other,) if name == "other build" else ()
    for told in QUESTIONS[name](gpu, *more):
        print(json.dumps(told), flush=True)
    # Tearing a CUDA context down may hang, and there is nothing to be saved.
    os._exit(0)
