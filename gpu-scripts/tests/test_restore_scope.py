"""Which entries are restored, and where they go."""

import os

import pytest

from dumont_worker.entry import Entry
from dumont_worker.errors import WorkerError
from dumont_worker.protocol import ManifestRoot
from dumont_worker.restore_scope import PARENT, WANTED, WAY, Scope, include_rule, lay_out


def root(path, kind="dir"):
    return ManifestRoot(path, None, kind)


def entry(path, kind="dir", number=0):
    return Entry(kind, number, path, 0o755, 0, 0, None, None, 0)


TREE = [
    entry(b""),
    entry(b"code"),
    entry(b"code/a.py", "file"),
    entry(b"data"),
    entry(b"data/deep"),
    entry(b"data/deep/big.bin", "file"),
    entry(b"data/deep/notes.txt", "file"),
    entry(b"data/other", "file"),
]


ONE = (root(b"/w"),)


def placed(include, tree=TREE, roots=ONE, target=b"/t"):
    scope = Scope(roots, lay_out(roots, target), include_rule(include))
    return [(item.path, item.role) for line in tree for item in scope.place(line)]


def test_without_patterns_everything_is_wanted():
    assert placed(()) == [(line.path, WANTED) for line in TREE]


def test_a_directory_that_matches_takes_all_below_it_and_what_is_above_on_the_way():
    assert placed((b"deep/",)) == [
        (b"", PARENT),
        (b"data", PARENT),
        (b"data/deep", WANTED),
        (b"data/deep/big.bin", WANTED),
        (b"data/deep/notes.txt", WANTED),
    ]


def test_parents_are_placed_once():
    assert placed((b"*.bin", b"other")) == [
        (b"", PARENT),
        (b"data", PARENT),
        (b"data/deep", PARENT),
        (b"data/deep/big.bin", WANTED),
        (b"data/other", WANTED),
    ]


def test_a_later_negative_pattern_takes_back():
    found = placed((b"data/", b"!*.txt"))
    assert (b"data/deep/big.bin", WANTED) in found
    assert all(path != b"data/deep/notes.txt" for path, _ in found)


def test_an_anchored_pattern_counts_from_the_root():
    assert placed((b"/a.py",)) == []
    assert placed((b"/code/a.py",))[-1] == (b"code/a.py", WANTED)


def test_one_directory_goes_into_the_target_itself():
    layout = lay_out((root(b"/w"),), b"/nowhere/t")
    assert (layout.bases, layout.destinations[0].path) == ((b"/nowhere/t",), b"")


def test_several_roots_go_below_the_target_with_their_whole_path():
    roots = (root(b"/a/b"), root(b"/c/file", "file"))
    tree = [entry(b""), entry(b"x", "file"), entry(b"", "file", 1)]
    assert placed((), tree, roots) == [
        (b"a", WAY),
        (b"a/b", WANTED),
        (b"a/b/x", WANTED),
        (b"c", WAY),
        (b"c/file", WANTED),
    ]


def test_a_file_goes_into_the_target_by_its_name():
    assert placed((), [entry(b"", "file")], (root(b"/a/b/file", "file"),)) == [(b"file", WANTED)]


def test_a_file_root_is_included_by_its_name():
    roots = (root(b"/a/notes.txt", "file"),)
    assert placed((b"*.txt",), [entry(b"", "file")], roots) == [(b"notes.txt", WANTED)]
    assert placed((b"*.bin",), [entry(b"", "file")], roots) == []


def test_without_target_roots_go_where_they_were(tmp_path):
    there = os.fsencode(tmp_path)
    roots = (root(there + b"/a"), root(there + b"/f", "file"))
    layout = lay_out(roots, None)
    assert layout.bases == (there + b"/a", there)
    assert [where.path for where in layout.destinations] == [b"", b"f"]


def test_a_target_that_is_a_link_is_resolved_once_and_said(tmp_path):
    (tmp_path / "real").mkdir()
    os.symlink("real", tmp_path / "link")
    layout = lay_out((root(b"/w"),), os.fsencode(tmp_path / "link"))
    real = os.fsencode(tmp_path / "real")
    assert layout.bases == (real,)
    assert layout.resolved == ((os.fsencode(tmp_path / "link"), real),)


def test_roots_that_a_link_leads_into_each_other_are_refused(tmp_path):
    (tmp_path / "a/inner").mkdir(parents=True)
    os.symlink("a/inner", tmp_path / "b")
    roots = (root(os.fsencode(tmp_path / "a")), root(os.fsencode(tmp_path / "b")))
    with pytest.raises(WorkerError, match="two roots") as caught:
        lay_out(roots, None)
    assert caught.value.code == "USAGE"


@pytest.mark.parametrize("path", [b"relative", b"/a/../b", b"/a/./b", b"/a\0b"])
def test_a_root_that_names_no_place_is_refused(path):
    with pytest.raises(WorkerError):
        lay_out((root(path),), b"/t")


@pytest.mark.parametrize(
    "lines",
    [[entry(b"x", "file")], [entry(b"", "file")], [entry(b""), entry(b"", "dir", 1)]],
)
def test_an_index_with_other_roots_than_the_manifest_is_refused(lines):
    with pytest.raises(WorkerError) as caught:
        placed((), lines)
    assert caught.value.code == "INTEGRITY"
