"""Why a dry run measured no codec of a GPU."""

from pathlib import Path

import pytest
from fake_operator import FakeOperator, FakeStore
from gpu_box import GpuBox


def why(tmp_path: Path) -> str:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "text.txt").write_bytes(b"all work and no play\n" * 1000)
    store = FakeStore()
    with FakeOperator(store, tmp_path / "private") as operator:
        result = operator.create(tree, dryRun=True)
    store.close()
    assert [row["codec"] for row in result["sample"]] == ["zstd", "none"]
    assert result["choice"]["codec"] == "zstd"
    return str(result["choice"]["why"])


def test_a_box_without_a_gpu_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert why(tmp_path) == "zstd: the box shows no NVIDIA GPU (nvidia-smi names none)"


def test_a_library_that_is_not_there_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", GpuBox(tmp_path).path)
    assert why(tmp_path) == "zstd: NVIDIA's nvCOMP is not installed on the box"
