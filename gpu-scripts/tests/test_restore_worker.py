"""Whole restores: what the real worker created comes back through the real worker."""

import os
import subprocess
import sys
import time
from pathlib import Path

from compare_trees import compare_trees
from fake_operator import FakeOperator, FakeStore, Fault, restore_of
from restore_rig import temps_below

MATRIX = Path(__file__).parents[2] / "test/support/tree/make_matrix.py"
MIB = 1 << 20


def test_what_create_saved_comes_back(operator: FakeOperator, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    subprocess.run([sys.executable, MATRIX, source], check=True, capture_output=True)
    created = operator.create(source)
    request = restore_of(operator, created, out)
    operator.send("restore", **request)
    result = operator.wait()
    assert (result["failed"], result["warnings"]) == (0, {})
    found = [str(one) for one in compare_trees(os.fsencode(source), os.fsencode(out), ["sockets"])]
    assert found == []
    phases = [message["phase"] for message in operator.of_type("progress")]
    assert phases[-1] == "metadata"
    operator.send("restore", **(request | {"id": 1001}))
    again = operator.wait()
    assert (again["written"], again["bytes"]["fetched"]) == (0, 0)


def test_a_lost_session_leaves_nothing_running_and_nothing_temporary(
    store: FakeStore, tmp_path: Path
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    for number in range(10):
        (source / f"file{number}").write_bytes(os.urandom(6 * MIB))
    with FakeOperator(store, tmp_path / "private") as operator:
        created = operator.create(source)
        request = restore_of(operator, created, out)
        store.faults.append(Fault("GET", "busy", times=10**6, after=4))
        operator.send("restore", **request)
        deadline = time.monotonic() + 20
        while not (out.exists() and temps_below(out)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        engines = Path(f"/proc/{operator.process.pid}/task/{operator.process.pid}/children")
        children = engines.read_text().split()
        begun = time.monotonic()
        assert operator.end() == 130
        assert time.monotonic() - begun < 2
        assert not any(Path(f"/proc/{child}").exists() for child in children)
    assert temps_below(out) == []
    store.faults.clear()
    with FakeOperator(store, tmp_path / "private") as operator:
        operator.snapshot = request["snapshot"]
        operator.send("restore", **request)
        result = operator.wait()
        assert result["failed"] == 0
        assert result["same"] + result["written"] == 10
    assert compare_trees(os.fsencode(source), os.fsencode(out)) == []
