"""A box whose GPU is a fake: what tests put on the path and into the worker's hands."""

import os
import random
import shutil
from functools import lru_cache
from pathlib import Path

from fake_operator import PACKAGE, FakeOperator, FakeStore

FAKE = Path(__file__).parent / "fake_nvcomp"
SMI = "0, GPU-1, NVIDIA H100 80GB HBM3, 570.86.15, 81559, 81000, 9.0"


class GpuBox:
    """A directory with the fake nvCOMP, and its switches."""

    def __init__(self, root: Path, program: Path = PACKAGE) -> None:
        self._root, self.program = root, program
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

    def worker(self, store: FakeStore, private: Path) -> FakeOperator:
        """A worker on this box, and its operator."""
        return FakeOperator(store, private, self.arguments, self.program)

    def impatient_worker(self, store: FakeStore, private: Path) -> FakeOperator:
        """The same, but it takes a GPU process for hanging after a second."""
        program = altered_worker(
            self._root,
            ("gpu/child.py", "start: float = 60.0", "start: float = 5.0"),
            ("gpu/child.py", "patience: float = 30.0", "patience: float = 1.0"),
            source=self.program,
        )
        return FakeOperator(store, private, self.arguments, program)

    def switch(self, words: str) -> None:
        """Breaks something of the fake, from the next GPU process on."""
        (self.nvcomp / "switches").write_text(words)

    def mend(self) -> None:
        """Lets the fake work again."""
        (self.nvcomp / "switches").unlink(missing_ok=True)


def altered_worker(root: Path, *changes: tuple[str, str, str], source: Path = PACKAGE) -> Path:
    """A copy of the worker with other text in some of its files."""
    program = Path(shutil.copytree(source, root / "dumont_worker"))
    for file, old, new in changes:
        text = (program / file).read_text()
        assert text.count(old) == 1
        (program / file).write_text(text.replace(old, new))
    return program


def quick_worker(root: Path) -> Path:
    """A worker that tries a GPU on little: on the fake, 160 MiB of trials take most of a test."""
    return altered_worker(root, ("gpu/self_test.py", "_MIB = 1 << 20", "_MIB = 1 << 14"))


@lru_cache(32)
def weights(length: int, seed: int = 0) -> bytes:
    source = random.Random(seed)
    raw = bytearray(source.randbytes(length))
    raw[1::2] = source.randbytes(length // 2).translate(bytes(0x38 + (v & 3) for v in range(256)))
    return bytes(raw)
