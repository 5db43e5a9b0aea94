import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dumont_worker import wildmatch
from dumont_worker.rules import Rules

GIT = ["git", "-c", "core.excludesFile=/dev/null", "-c", "core.ignoreCase=false"]
PATHS = [
    b"a", b"ab", b"abc", b"b.log", b"foo", b"foo.tar", b"Foo", b"x-y", b"x]y", b"a b", b"a ",
    b"#hash", b"!bang", b"back\\slash", b"star*", b"q?", b"[br", b"\xff\xfe", b"t\tab",
        b"new\nline",
    b"d/a", b"d/b.log", b"d/foo", b"d/e/a", b"d/e/b.log", b"d/e/f/a", b"foo/bar", b"foo/x/bar",
    b"foo/x/y/bar", b"foobar/a", b"build/out", b"src/build/out", b"src/a.pyc", b"9/z", b"-/-",
]  # fmt: skip


def all_paths() -> list[tuple[bytes, bool]]:
    """Gives files and their directories, without those whose name is also a file's."""
    files = [path for path in PATHS if not any(p.startswith(path + b"/") for p in PATHS)]
    found: dict[bytes, bool] = dict.fromkeys(files, False)
    for path in files:
        while b"/" in path:
            path = path.rpartition(b"/")[0]  # noqa: PLW2901
            found[path] = True
    return sorted(found.items())


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as top:
        root = Path(top)
        subprocess.run(["git", "init", "-q", top], check=True)
        for path, is_dir in all_paths():
            full = os.fsencode(root) + b"/" + path
            if is_dir:
                os.makedirs(full, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "wb"):
                    pass
        yield root


def ignored_by_git(root: Path, files: dict[bytes, bytes]) -> set[bytes]:
    for directory, text in files.items():
        path = Path(os.fsdecode(os.path.join(os.fsencode(root), directory, b".gitignore")))
        path.write_bytes(text)
    try:
        run = subprocess.run(
            [*GIT, "check-ignore", "--no-index", "-z", "--stdin"],
            cwd=root,
            input=b"\0".join(path for path, _ in all_paths()) + b"\0",
            capture_output=True,
            check=False,
        )
        assert run.returncode in (0, 1), run.stderr
        return set(run.stdout.split(b"\0")) - {b""}
    finally:
        for directory in files:
            os.unlink(os.path.join(os.fsencode(root), directory, b".gitignore"))


def ignored_by_us(files: dict[bytes, bytes]) -> set[bytes]:
    out: set[bytes] = set()
    rules = {b"": Rules().below(b"", files.get(b"", b""))}
    for path, is_dir in sorted(all_paths(), key=lambda item: item[0].split(b"/")):
        above = path.rpartition(b"/")[0]
        if above in out or rules[above].decide(path, is_dir) == "excluded":
            out.add(path)
        elif is_dir:
            rules[path] = rules[above].below(path, files.get(path, b""))
    return out


@pytest.mark.parametrize(
    "text",
    [
        b"a", b"/a", b"a/", b"d/a", b"d/", b"/d/e", b"*.log", b"!*.log", b"*.log\n!d/b.log",
        b"d\n!d/a", b"**/foo", b"foo/**", b"foo/**/bar", b"foo/*/bar", b"**", b"*", b"*\n!d",
        b"foo**/bar", b"foo**", b"d/**/a", b"d/e**", b"[ab]", b"[!a]", b"[^a]", b"[a-c]*",
        b"x[]-]y",
        b"x[-]y", b"x[!-]y", b"[", b"[a", b"[]", b"[[:upper:]]oo", b"[[:nope:]]", b"[[:upper]oo",
        b"[[:alnum:][:space:]]", b"a\\", b"\\#hash", b"#hash", b"\\!bang", b"!bang",
        b"back\\\\slash",
        b"star\\*", b"star[*]", b"q\\?", b"\\[br", b"a\\ ", b"a ", b"a  ", b"a b  ", b"\\ ", b" ",
        b"a\r\nfoo\r\n", b"\xef\xbb\xbfa", b"\xff*", b"*\xfe", b"?", b"??", b"f?o", b"f*",
        b"f*o", b"/*",
        b"/*/", b"*/", b"*/a", b"/*/a", b"//a", b"a//", b"d//a", b"/", b"//", b"!", b"!!bang",
        b"**/",
        b"/**", b"**/e/**", b"***/a", b"d***", b"foo/***/bar", b"d/**a", b"**a/b", b"foo**bar/a",
        b"foo/**/", b"**\\/a", b"d\\/a", b"/**/a", b"[--9]/z", b"-/-", b"x[a-]y", b"x[+--]y",
        b"[z-a]", b"[\\]]", b"x[\\]]y", b"[[]br", b"foo\n!foo", b"*\n!*/\n!*.log",
        b"/*\n!/foo\n/foo/*\n!/foo/bar",
        b"build", b"/build", b"src/*.pyc", b"*.py[co]", b"t[[:blank:]]ab", b"?[!/]?", b"d[/]a",
        b"d?a",
        b"new*", b"*line", b"Foo", b"a\\b", b"[a\\-z]", b"[[:digit:]-z]/z",
    ],
)  # fmt: skip
def test_agrees_with_git(tree: Path, text: bytes) -> None:
    assert ignored_by_us({b"": text}) == ignored_by_git(tree, {b"": text})


@pytest.mark.parametrize(
    "files",
    [
        {b"": b"*.log", b"d": b"!b.log"},
        {b"": b"!*.log", b"d": b"*.log", b"d/e": b"!*.log"},
        {b"d": b"/a\ne/a", b"d/e": b"!a"},
        {b"d": b"d/a\n/e/**"},
        {b"": b"d", b"d": b"!a"},
        {b"foo": b"**/bar\n!x/bar"},
    ],
)
def test_agrees_with_git_on_nested_files(tree: Path, files: dict[bytes, bytes]) -> None:
    assert ignored_by_us(files) == ignored_by_git(tree, files)


SYNTAX = rb"a b foo d e x bar .log * ** ? / / ! \\ [ ] [a-f] [!a] [^x] [[:alpha:]] - # ***"
piece = st.sampled_from([*SYNTAX.split(b" "), b" ", b"\xff"])
line = st.lists(piece, min_size=1, max_size=7).map(b"".join)
text = st.lists(line, min_size=1, max_size=4).map(b"\n".join)


@settings(max_examples=150, deadline=None)
@given(text, text)
def test_agrees_with_git_on_any_patterns(tree: Path, top: bytes, nested: bytes) -> None:
    files = {b"": top, b"d": nested}
    assert ignored_by_us(files) == ignored_by_git(tree, files)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(b"a b / * ** ? **/ [ab]".split()), max_size=6).map(b"".join),
    st.lists(st.sampled_from(b"a b /".split()), max_size=6).map(b"".join),
)
def test_both_matchers_agree(pattern: bytes, path: bytes) -> None:
    tokens = wildmatch._Parser(pattern).run()
    if tokens is not None:
        by_regex, by_bits = wildmatch._regex(tokens), wildmatch._bits(tokens)
        assert by_regex(path) == by_bits(path)


def test_a_pattern_of_many_stars_is_matched_in_reasonable_time() -> None:
    rules = Rules([b"*a" * 12 + b"b"])
    assert rules.decide(b"a" * 60, False) == "keep"
