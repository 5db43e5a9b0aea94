"""A box whose GPU is a fake: what tests put on the path and into the worker's hands."""

import os
import random
import shutil
from pathlib import Path

from fake_operator import PACKAGE

FAKE = Path(__file__).parent / "fake_nvcomp"
SMI = "0, GPU-1, NVIDIA H100 80GB HBM3, 570.86.15, 81559, 81000, 9.0"


class GpuBox:
    """A directory with the fake nvCOMP, and its switches."""

    def __init__(self, root: Path) -> None:
        self.nvcomp = Path(shutil.copytree(FAKE, root / "nvcomp"))
        tools = root / "tools"
        tools.mkdir()
        smi = tools / "nvidia-smi"
        smi.write_text(f"#!/bin/sh\necho '{SMI}'\n")
        smi.chmod(0o755)
        self.path = f"{tools}:{os.environ['PATH']}"

    @property
    def arguments(self) -> list[str]:
        """What the worker is started with."""
        return ["--nvcomp", str(self.nvcomp)]

    def switch(self, words: str) -> None:
        """Breaks something of the fake, from the next GPU process on."""
        (self.nvcomp / "switches").write_text(words)

    def mend(self) -> None:
        """Lets the fake work again."""
        (self.nvcomp / "switches").unlink(missing_ok=True)


def impatient_worker(root: Path) -> Path:
    """A worker that takes a GPU process for hanging after a second."""
    program = Path(shutil.copytree(PACKAGE, root / "dumont_worker"))
    child = program / "gpu" / "child.py"
    text = child.read_text()
    assert text.count("start: float = 60.0") == text.count("patience: float = 30.0") == 1
    text = text.replace("start: float = 60.0", "start: float = 5.0")
    child.write_text(text.replace("patience: float = 30.0", "patience: float = 1.0"))
    return program


def weights(length: int, seed: int = 0) -> bytes:
    source = random.Random(seed)
    raw = bytearray(source.randbytes(length))
    raw[1::2] = source.randbytes(length // 2).translate(bytes(0x38 + (v & 3) for v in range(256)))
    return bytes(raw)
