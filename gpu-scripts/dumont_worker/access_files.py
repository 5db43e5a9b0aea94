"""What keeps a box reachable: saved like everything else, and left alone by a restore."""

from collections.abc import Iterable

# Below a home directory.
_IN_HOME = (
    b".ssh/authorized_keys",
    b".ssh/authorized_keys2",
    b".ssh/environment",
    b".ssh/rc",
    b".launch",
    b".no_auto_tmux",
    b".runpod",
    b"onstart.sh",
)
_ABSOLUTE = (
    b"/etc/environment",
    b"/etc/hostname",
    b"/etc/hosts",
    b"/etc/portal.yaml",
    b"/etc/resolv.conf",
    b"/etc/rp_environment",
    b"/etc/ssh",
    b"/.launch",
    b"/.provisioning",
    b"/start.sh",
    b"/pre_start.sh",
    b"/post_start.sh",
    b"/opt/instance-tools",
    b"/opt/runpod",
    b"/runpod",
)
_PREFIXES = (b"/etc/vast", b"/var/lib/vast", b"/opt/vast", b"/etc/runpod")


def is_access_file(absolute_path: bytes, homes: Iterable[bytes]) -> bool:
    """Whether a path is, or lies below, what SSH or a vendor's agent needs to reach the box.

    `homes` are the home directories of users who log in; `/root` counts always.
    """
    if any(_at_or_below(absolute_path, place) for place in _ABSOLUTE):
        return True
    if absolute_path.startswith(_PREFIXES):
        return True
    for home in {b"/root", *homes}:
        prefix = home.rstrip(b"/") + b"/"
        if absolute_path.startswith(prefix):
            inside = absolute_path[len(prefix) :]
            if inside.startswith(b".vast") or any(_at_or_below(inside, p) for p in _IN_HOME):
                return True
    return False


def _at_or_below(path: bytes, place: bytes) -> bool:
    return path == place or path.startswith(place + b"/")
