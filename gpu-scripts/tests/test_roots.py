import os
from pathlib import Path

import pytest

from dumont_worker.errors import WorkerError
from dumont_worker.mounts import Mount, MountTable
from dumont_worker.roots import Root, resolve_roots


def resolved(*paths: Path | str) -> list[Root]:
    return resolve_roots([os.fsencode(path) for path in paths], MountTable(()))


def test_drops_duplicates_and_collapses_nested_roots(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "ab").mkdir()
    found = resolved(
        tmp_path / "ab", tmp_path / "a/b", tmp_path / "a", f"{tmp_path}/a//", tmp_path / "ab"
    )
    assert [root.path for root in found] == [bytes(tmp_path / "a"), bytes(tmp_path / "ab")]
    assert found[0].named == (bytes(tmp_path / "a/b"),)


def test_records_what_was_given_where_a_link_led_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert resolved(tmp_path / "link") == [Root(bytes(tmp_path / "real"), bytes(tmp_path / "link"))]


def test_a_plain_path_written_untidily_is_not_recorded_as_given(tmp_path: Path) -> None:
    assert resolved(f"{tmp_path}/./") == [Root(bytes(tmp_path))]


def test_a_file_can_be_a_root_and_one_inside_a_root_is_no_root_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").touch()
    assert resolved(tmp_path / "d/f")[0].kind == "file"
    assert [root.kind for root in resolved(tmp_path / "d/f", tmp_path / "d")] == ["dir"]


def test_everything_lies_in_the_file_systems_root(tmp_path: Path) -> None:
    assert [root.path for root in resolved(tmp_path, "/")] == [b"/"]


def test_roots_are_in_path_order_not_in_order_of_bytes(tmp_path: Path) -> None:
    for name in ("a-b", "a/b"):
        (tmp_path / name).mkdir(parents=True)
    found = resolved(tmp_path / "a-b", tmp_path / "a/b")
    assert [root.path.rpartition(b"/")[2] for root in found] == [b"b", b"a-b"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (b"relative", "not an absolute path"),
        (b"", "not an absolute path"),
        (b"/no/such/place", "/no/such/place does not exist on the box"),
        (b"/etc/passwd/x", "does not exist"),
        (b"/dev/null", "neither a directory nor a regular file"),
        (b"/x\0y", "not an absolute path"),
        (b"/gone-\xff", "does not exist"),
    ],
)
def test_refuses_a_path_that_cannot_be_saved(path: bytes, message: str) -> None:
    with pytest.raises(WorkerError, match=message) as refused:
        resolve_roots([path], MountTable(()))
    assert refused.value.code == "USAGE"


def test_refuses_links_that_lead_nowhere_or_in_circles(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "circle").symlink_to("circle")
    for name in ("dangling", "circle"):
        with pytest.raises(WorkerError) as refused:
            resolved(tmp_path / name)
        assert refused.value.code == "USAGE"


def test_refuses_an_empty_list_and_the_kernels_own_trees() -> None:
    with pytest.raises(WorkerError, match="no path"):
        resolve_roots([])
    with pytest.raises(WorkerError, match="kernel"):
        resolve_roots([b"/proc/sys"], MountTable([Mount(b"/proc", b"proc")]))
