import pytest

from dumont_worker.access_files import is_access_file

HOMES = [b"/home/ubuntu"]


@pytest.mark.parametrize(
    "path",
    [
        b"/root/.ssh/authorized_keys",
        b"/home/ubuntu/.ssh/authorized_keys",
        b"/etc/ssh/ssh_host_ed25519_key",
        b"/etc/environment",
        b"/etc/vast_boot.d/10-start.sh",
        b"/root/.vast_containerlabel",
        b"/root/onstart.sh",
        b"/.launch",
        b"/start.sh",
    ],
)
def test_protects_what_keeps_a_box_reachable(path: bytes) -> None:
    assert is_access_file(path, HOMES)


@pytest.mark.parametrize(
    "path",
    [
        b"/workspace/.ssh/authorized_keys",
        b"/root/.ssh/config",
        b"/root/.ssh/id_ed25519",
        b"/home/other/.ssh/authorized_keys",
        b"/etc/environment.d",
        b"/etc/sshfs",
        b"/root/project/start.sh",
        b"/rooted/.ssh/authorized_keys",
    ],
)
def test_leaves_everything_else_to_the_restore(path: bytes) -> None:
    assert not is_access_file(path, HOMES)
