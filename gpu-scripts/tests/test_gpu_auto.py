"""`--codec auto`: what it sees of the uplink, when it asks the GPU, and that all comes back."""

import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from fake_operator import FakeOperator, FakeStore, restore_of
from gpu_box import GpuBox, weights
from read_snapshot import Snapshot, content_of

from dumont_worker.box import PrivateDir
from dumont_worker.gpu.choice import Measured, choose
from dumont_worker.gpu.uplink import Rates, Watch, remember, remembered

MIB = 1 << 20
REPOSITORY = "0" * 32


# What is seen of the uplink


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def watched(coded: list[int], sent: list[int], room: int = 100 * MIB) -> Rates | None:
    """A second for each pair of what was coded and sent."""
    clock = Clock()
    watch = Watch(room, clock)
    for more, gone in zip(coded, sent, strict=True):
        clock.time += 1
        watch.count(more * MIB, gone * MIB)
    return watch.rates()


def test_an_uplink_that_is_the_limit_is_as_fast_as_it_sends() -> None:
    rates = watched([130, *[50] * 9], [30, *[50] * 9])
    assert rates is not None
    assert rates.sent == rates.uplink == 50 * MIB


def test_an_uplink_that_waits_may_take_twice_as_much_and_nobody_knows_how_much_more() -> None:
    rates = watched([35, *[50] * 9], [30, *[50] * 9])
    assert rates is not None
    assert (rates.sent, rates.uplink) == (50 * MIB, 100 * MIB)


def test_an_uplink_that_falls_behind_is_the_limit_before_much_waits() -> None:
    rates = watched([35, *[50] * 9], [30, *[40] * 9], room=10_000 * MIB)
    assert rates is not None
    assert rates.sent == rates.uplink == 40 * MIB


def test_an_uplink_half_at_work_may_take_what_the_idle_half_would() -> None:
    rates = watched([110, *[50] * 9], [30, *[50] * 9])
    assert rates is not None
    assert rates.uplink == pytest.approx(rates.sent / 0.8)


@pytest.mark.parametrize(
    ("coded", "sent"),
    [([50] * 9, [0] * 9), ([200, 0], [0, 200]), ([1] * 9, [1] * 9), ([], [])],
)
def test_too_little_tells_nothing(coded: list[int], sent: list[int]) -> None:
    assert watched(coded, sent) is None


def test_what_is_sent_anew_does_not_count_twice() -> None:
    rates = watched([130, 50, 50, 50, 50], [30, 50, -50, 100, 50])
    assert rates is not None
    assert rates.sent == 37.5 * MIB


def test_a_dry_run_knows_the_uplink_of_the_latest_create(tmp_path: Path) -> None:
    private = PrivateDir(bytes(tmp_path))
    assert remembered(private, REPOSITORY) is None
    remember(private, REPOSITORY, Rates(1e6, 2e6))
    remember(private, REPOSITORY, Rates(1e6, 3e6))
    assert remembered(private, REPOSITORY) == 3e6
    assert remembered(private, "1" * 32) is None
    assert [file.name for file in (tmp_path / "uplink").iterdir()] == [REPOSITORY]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"uplink": "much"}', '{"uplink": 0}', '{"uplink": -1}',
             '{"uplink": 1e999}', '{"uplink": NaN}', '{"uplink": null}', "\xff"]
)  # fmt: skip
def test_a_damaged_memory_is_none(tmp_path: Path, text: str) -> None:
    private = PrivateDir(bytes(tmp_path))
    remember(private, REPOSITORY, Rates(1e6, 2e6))
    (tmp_path / "uplink" / REPOSITORY).write_text(text, encoding="latin-1")
    assert remembered(private, REPOSITORY) is None


def test_what_every_codec_is_short_of_speaks_for_the_portable_one() -> None:
    table = [Measured("zstd", 1000, 600, 1e-6), Measured("ans", 1000, 600, 1e-8)]
    assert choose(table, 5e9).codec == "ans"
    assert choose(table, 5e9, sent=0.59e9).codec == "ans"
    # Nine tenths of the time go elsewhere: not even an endless speed would gain 15 %.
    slow = choose(table, 5e9, sent=0.06e9)
    assert slow.codec == "zstd"
    assert "zstd 100 MB/s at 0.60, ans 110 MB/s at 0.60" in slow.why


# Whole creates


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    # Twelve are handed out before the first of them is stored.
    for number in range(20):
        (root / f"weights-{number:02}.bin").write_bytes(weights(4 * MIB, number))
    (root / "zzz.txt").write_bytes(b"all work and no play\n" * 1000)
    return root


SMALL = {"parts": 2, "memory": 780 * MIB}
"""Room for one engine with a GPU, and for two packs at a time."""


class Auto:
    """A worker whose `auto` sees and measures what a test wants it to."""

    def __init__(self, store: FakeStore, tmp_path: Path, box: GpuBox) -> None:
        self._where = (store, tmp_path)
        self.box = box
        self.asked = threading.Event()
        store.before_put = self._wait

    def _wait(self, key: str) -> None:
        """Keeps the create busy until it has asked, and then for a while."""
        if key.startswith("packs/"):
            self.asked.wait(0.3)
            threading.Event().wait(0.1)

    def start(
        self,
        rates: tuple[float, float] | None = (1e8, 2e8),
        table: str | None = None,
        arguments: list[str] | None = None,
        busy: float = 0.0,
    ) -> FakeOperator:
        store, tmp_path = self._where
        program = tmp_path / "worker.py"
        program.write_text(
            textwrap.dedent(f"""
                import sys
                sys.path.insert(0, {str(self.box.program.parent)!r})
                from dumont_worker import memory_plan
                from dumont_worker.gpu import auto, measuring, uplink
                from dumont_worker.gpu.choice import Measured
                rates, table = {rates!r}, {table}
                uplink.Watch.rates = lambda self: (
                    uplink.Rates(*rates) if rates and self._begun else None
                )
                auto.BUSY = {busy}
                # So that units wait for packs to be sent.
                memory_plan.LARGEST_PACK = memory_plan.SMALLEST_PACK
                if table:
                    measuring.measured = lambda sample, uses, **_: [Measured(*r) for r in table]
                from dumont_worker.__main__ import run
                run()
                """)
        )
        operator = FakeOperator(store, tmp_path / "private", arguments or [], program)
        operator.on_message = lambda message: (
            self.asked.set() if message["type"] == "nvcomp" else None
        )
        operator.nvcomp = str(self.box.nvcomp)
        return operator


@pytest.fixture
def auto(store: FakeStore, tmp_path: Path, gpu_box: GpuBox) -> Auto:
    return Auto(store, tmp_path, gpu_box)


ANS = [("zstd", 100, 70, 1.0), ("gzstd", 100, 70, 1.0), ("ans", 100, 66, 0.01)]
GZSTD = [("zstd", 100, 70, 1.0), ("gzstd", 100, 66, 0.01), ("ans", 100, 66, 0.01)]


def test_it_goes_over_to_the_gpu_where_the_codec_is_the_limit(
    auto: Auto, tree: Path, tmp_path: Path
) -> None:
    with auto.start((1e2, 2e2), repr(ANS)) as operator:
        created = operator.create(tree, codec="auto", **SMALL)
        assert created["choice"]["codec"] == "ans"
        assert created["choice"]["why"].startswith("ans: the ")
        assert created["nvidia"]["name"] == "nvcomp-ans-6+fake"
        codecs = created["bytes"]["codecs"]
        assert codecs["planes2/zstd"]["raw"] > 0
        assert codecs["none/ans"]["raw"] > 0
        assert created["counts"]["files"] == 21
        snapshot = operator.snapshot
        assert len(operator.of_type("nvcomp")) == 1
    assert operator.broken_rules == []
    with auto.start(arguments=auto.box.arguments) as other:
        other.snapshot = snapshot
        other.send("restore", **restore_of(other, created, tmp_path / "out"))
        assert other.wait()["failed"] == 0
    for file in tree.iterdir():
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()


def test_the_zstd_of_the_gpu_restores_anywhere(auto: Auto, store: FakeStore, tree: Path) -> None:
    with auto.start((1e2, 2e2), repr(GZSTD)) as operator:
        created = operator.create(tree, codec="auto", **SMALL)
        assert created["choice"]["codec"] == "gzstd"
        assert "nvidia" not in created
        snapshot = Snapshot(store, created, operator.snapshot)
    for file in tree.iterdir():
        assert content_of(snapshot, file.name.encode()) == file.read_bytes()


def created_by(auto: Auto, tree: Path, **how: Any) -> tuple[dict[str, Any], FakeOperator]:
    with auto.start(**how) as operator:
        created = operator.create(tree, codec="auto", **SMALL)
    assert operator.broken_rules == []
    assert "ans" not in created["decoders"]
    assert created["choice"]["codec"] == "zstd"
    return created, operator


def test_where_the_uplink_is_the_limit_nobody_is_asked_for_anything(auto: Auto, tree: Path) -> None:
    created, operator = created_by(auto, tree, rates=(1e8, 1.1e8))
    assert created["choice"]["why"] == "zstd: the uplink is the limit (100 MB/s)"
    assert operator.of_type("nvcomp") == []


def test_where_processors_wait_for_files_the_gpu_is_left_alone(auto: Auto, tree: Path) -> None:
    auto.box.switch("kill@import")
    created, _ = created_by(auto, tree, busy=100.0)
    assert "the processors wait for files" in created["choice"]["why"]
    assert created["warnings"] == {}


def test_a_short_create_is_done_before_there_is_a_reason(auto: Auto, tree: Path) -> None:
    created, operator = created_by(auto, tree, rates=None)
    assert "it was done before" in created["choice"]["why"]
    assert operator.of_type("nvcomp") == []


def test_a_forbidden_library_is_done_without(auto: Auto, tree: Path) -> None:
    with auto.start() as operator:
        operator.nvcomp = None
        created = operator.create(tree, codec="auto", **SMALL)
    assert created["choice"]["codec"] == "zstd"
    assert "may not be installed" in created["choice"]["why"]
    assert created["warnings"] == {}


def test_a_box_without_a_gpu_asks_for_nothing(auto: Auto, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "tools" / "nvidia-smi").unlink()
    created, operator = created_by(auto, tree)
    assert created["choice"]["why"].startswith("zstd: the box shows no NVIDIA GPU")
    assert operator.of_type("nvcomp") == []


def test_without_memory_for_a_gpu_codec_it_is_not_asked_for(auto: Auto, tree: Path) -> None:
    with auto.start() as operator:
        created = operator.create(tree, codec="auto", parts=2, memory=256 * MIB)
    assert created["choice"]["why"] == "zstd: --memory has no room for a GPU codec"
    assert operator.of_type("nvcomp") == []


@pytest.mark.parametrize("fault", ["kill@encode", "oom@cuda", "error@import", "corrupt@decode"])
def test_a_gpu_that_does_not_work_costs_one_warning(
    auto: Auto, store: FakeStore, tree: Path, fault: str
) -> None:
    auto.box.switch(fault)
    with auto.start((1e2, 2e2)) as operator:
        created = operator.create(tree, codec="auto", **SMALL)
    assert created["choice"]["codec"] == "zstd"
    assert created["warnings"] == {"gpu": 1}
    snapshot = Snapshot(store, created, operator.snapshot)
    for file in tree.iterdir():
        assert content_of(snapshot, file.name.encode()) == file.read_bytes()


def test_a_gpu_that_fails_after_it_was_chosen_leaves_a_right_snapshot(
    auto: Auto, store: FakeStore, tree: Path
) -> None:
    auto.box.switch("kill@encode")
    with auto.start((1e2, 2e2), repr(ANS)) as operator:
        created = operator.create(tree, codec="auto", **SMALL)
    assert created["choice"]["codec"] == "ans"
    assert "nvidia" not in created
    assert created["warnings"] == {"gpu": 1}
    snapshot = Snapshot(store, created, operator.snapshot)
    for file in tree.iterdir():
        assert content_of(snapshot, file.name.encode()) == file.read_bytes()


def test_after_an_interruption_what_it_chose_counts_and_what_was_asked_for_does_not(
    auto: Auto, tree: Path
) -> None:
    with auto.start((1e2, 2e2), repr(ANS)) as operator:
        operator.create(tree, codec="auto", **SMALL)  # never committed
    with auto.start(None, arguments=auto.box.arguments) as again:
        created = again.create(tree, codec="auto", **SMALL)
        assert created["bytes"]["new"] == 0
        assert created["nvidia"]["name"] == "nvcomp-ans-6+fake"
    (tree / "weights-99.bin").write_bytes(weights(5 * MIB, 99))
    with auto.start(arguments=auto.box.arguments) as asked:
        asked.create(tree, codec="ans", **SMALL)
    with auto.start(None, arguments=auto.box.arguments) as last:
        created = last.create(tree, codec="auto", **SMALL)
        # Only the operator's own ANS chunks are coded anew.
        assert created["bytes"]["new"] == 5 * MIB


def test_the_uplink_it_saw_is_in_the_table_of_the_next_dry_run(auto: Auto, tree: Path) -> None:
    created_by(auto, tree, rates=(1e8, 1.1e8))
    with auto.start(arguments=auto.box.arguments) as operator:
        for file in [*tree.glob("weights-*")][1:]:
            file.unlink()
        result = operator.create(tree, codec="auto", dryRun=True)
        assert result["uplink"] == 110_000_000
        assert result["choice"]["codec"] in ("zstd", "gzstd", "ans")
        assert {row["codec"] for row in result["sample"]} == {"zstd", "none", "gzstd", "ans"}
        assert all(row["lanes"] >= 1 for row in result["sample"])
        named = operator.create(tree, codec="zstd", dryRun=True)
        assert "choice" not in named
