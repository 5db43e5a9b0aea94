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
# A path with a slash behind it begins with one of these when it is, or lies below, the place: one
# call for all of them, because every path of a snapshot is asked for.
_PLACES = (*_PREFIXES, *(place + b"/" for place in _ABSOLUTE))
_PLACES_IN_HOME = (b".vast", *(place + b"/" for place in _IN_HOME))


def is_access_file(absolute_path: bytes, homes: Iterable[bytes]) -> bool:
    """Whether a path is, or lies below, what SSH or a vendor's agent needs to reach the box.

    `homes` are the home directories of users who log in; `/root` counts always.
    """
    path = absolute_path + b"/"
    if path.startswith(_PLACES):
        return True
    for home in (b"/root", *homes):
        prefix = home.rstrip(b"/") + b"/"
        if path.startswith(prefix) and path.startswith(_PLACES_IN_HOME, len(prefix)):
            return True
    return False
