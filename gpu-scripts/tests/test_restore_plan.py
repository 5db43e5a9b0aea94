"""How downloads are planned: every chunk once, few requests, nothing left out."""

from dumont_worker.entry import ChunkRecord
from dumont_worker.restore_crew import LEAST_BUFFER, buffer_bytes, engine_count, engine_settings
from dumont_worker.restore_index import ChunkTable
from dumont_worker.restore_plan import GAP, JOB_BYTES, JOB_USES, Job, Nobody, Window, message_of
from dumont_worker.spool import Item, Spool

KIB, MIB = 1 << 10, 1 << 20


def table(*places: tuple[int, int, int]) -> ChunkTable:
    made = ChunkTable()
    for number, (pack, at, stored) in enumerate(places):
        raw_hash = number.to_bytes(32, "little")
        made.add(ChunkRecord(raw_hash, 4 * MIB, pack, at, stored, bytes(32), "none", "zstd"))
    return made


def file(path: bytes, *chunks: int) -> Item:
    extents = tuple((n * 100, chunk, 0, 100) for n, chunk in enumerate(chunks))
    size = 100 * len(chunks)
    return Item("file", 0, 0, path, 0, 0o644, 0, 0, 0, (), size, b"", extents, None, None, None)


def plan(chunks: ChunkTable, *files: Item) -> list[Job]:
    window = Window(chunks, Nobody())
    for number, item in enumerate(files):
        window.add(number, item)
    return window.plan()


def test_a_chunk_that_many_files_use_is_fetched_once():
    jobs = plan(table((0, 0, 1000)), *(file(b"f%d" % n, 0) for n in range(50)))
    assert len(jobs) == 1
    assert jobs[0].spans == [(0, 0, 999)]
    assert len(jobs[0].files) == 50


def test_near_frames_are_fetched_in_one_request_and_far_ones_apart():
    chunks = table((0, 0, 1000), (0, 1000 + GAP, 1000), (0, 2001 + 2 * GAP, 1000))
    jobs = plan(chunks, file(b"f", 0, 1, 2))
    first, second = jobs[0].spans
    assert first == (0, 0, 1999 + GAP)
    assert second == (0, 2001 + 2 * GAP, 3000 + 2 * GAP)


def test_jobs_stay_within_packs_and_within_their_size():
    chunks = table(*((n // 4, (n % 4) * 4 * MIB, 4 * MIB) for n in range(10)))
    jobs = plan(chunks, file(b"f", *range(10)))
    assert [job.chunks for job in jobs] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert all(job.bytes <= JOB_BYTES for job in jobs)


def test_a_file_of_several_jobs_waits_for_all_of_them():
    chunks = table((0, 0, 100), (1, 0, 100))
    jobs = plan(chunks, file(b"both", 0, 1), file(b"one", 1))
    states = {state.item.path: state for job in jobs for state in job.files}
    assert (states[b"both"].jobs, states[b"one"].jobs) == (2, 1)


def test_files_without_data_need_no_pack():
    jobs = plan(table(), *(file(b"f%d" % n) for n in range(JOB_USES + 1)))
    assert [(job.packs, len(job.files)) for job in jobs] == [([], JOB_USES), ([], 1)]


def test_an_engine_learns_metadata_only_of_files_that_are_its_own():
    chunks = table((0, 0, 100), (1, 0, 100))
    jobs = plan(chunks, file(b"d/both", 0, 1), file(b"d/one", 1))
    for state in jobs[0].files:
        state.identity = (5, 6)
    *_, directories, files, uses = message_of(jobs[1], [], chunks, Nobody())
    told = {number: (identity, whole and whole[0]) for number, _, identity, whole in files}
    assert told == {0: ((5, 6), None), 1: (None, b"one")}
    assert directories == [(0, b"d")]
    assert sorted(uses[0]) == [(0, 100, 0, 100), (1, 0, 0, 100)]


def test_engines_share_the_memory_and_never_exceed_it():
    for memory in (200 * MIB, 512 * MIB, 1024 * MIB):
        for cpus in (1, 2, 8, 64):
            count = engine_count(cpus, 32, memory)
            held = engine_settings(count, 32, memory)["memory"]
            assert LEAST_BUFFER <= held <= buffer_bytes(count, memory)
            assert count * held < memory


def test_a_spool_gives_back_what_it_took_in_order(tmp_path):
    spool = Spool(bytes(tmp_path))
    items = [file(b"\xff%d" % n, *range(n % 3)) for n in range(2000)]
    for item in items:
        spool.add(item)
    for _ in range(2):
        assert [item for _, item in spool.items()] == items
    spool.close()
    assert list(tmp_path.iterdir()) == []
