import os

from dumont_worker.mounts import parse_mountinfo, read_mounts

TABLE = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 254:0 /data /data1/my\040data rw - ext4 /dev/vda rw
41 27 0:40 / /data1/a rw master:2 propagate_from:3 - tmpfs none rw
42 41 0:41 / /data1/a rw - nfs4 server:/x rw
43 27 0:42 / /workshop rw - tmpfs none rw
nonsense
44 27 0:43 / /data1/line\012end rw - tmpfs none rw
"""


def test_unescapes_mount_points() -> None:
    table = parse_mountinfo(TABLE)
    assert table.at(b"/data1/my data") is not None
    assert table.at(b"/data1/line\nend") is not None


def test_of_two_mounts_at_one_point_the_later_counts() -> None:
    mount = parse_mountinfo(TABLE).at(b"/data1/a")
    assert mount is not None
    assert mount.type == b"nfs4"


def test_mounts_below_a_root_are_neither_the_root_nor_its_namesakes() -> None:
    below = parse_mountinfo(TABLE).below(b"/data1")
    assert below.at(b"/data1/a")
    assert not below.at(b"/workshop")
    assert not parse_mountinfo(TABLE).below(b"/data1/a")
    assert parse_mountinfo(TABLE).below(b"/").at(b"/proc")
    assert not parse_mountinfo(TABLE).below(b"/").at(b"/")


def test_knows_pseudo_file_systems_by_type_and_by_place() -> None:
    table = parse_mountinfo(TABLE + b"9 1 0:9 / /dev/shm rw - tmpfs shm rw\n")
    assert table.holding(b"/proc/1").pseudo  # type: ignore[union-attr]
    assert table.at(b"/dev/shm").pseudo  # type: ignore[union-attr]
    assert not table.at(b"/workshop").pseudo  # type: ignore[union-attr]


def test_says_which_mount_a_path_lies_on() -> None:
    table = parse_mountinfo(TABLE)
    assert table.holding(b"/data1/a/b/c").point == b"/data1/a"  # type: ignore[union-attr]
    assert table.holding(b"/etc").point == b"/"  # type: ignore[union-attr]


def test_reads_this_processs_own_table() -> None:
    assert read_mounts().holding(os.fsencode(os.getcwd())) is not None
