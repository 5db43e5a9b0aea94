"""Give an entry its owner, mode, attributes and times, in an order where no call undoes another.

Owners are set by number, as rsync does with --numeric-ids: root of a box is root on the next one,
and a name that means another number here would hand files to a stranger.
"""

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from typing import NamedTuple

from .spool import Item

ACL_ACCESS = b"system.posix_acl_access"
ACL_DEFAULT = b"system.posix_acl_default"
CAPABILITY = b"security.capability"
SPECIAL_BITS = 0o6000


class Meta(NamedTuple):
    """What an entry of any kind carries besides its content; times in nanoseconds."""

    mode: int
    uid: int
    gid: int
    mtime: int
    xattrs: tuple[tuple[bytes, bytes], ...]


class Issue(NamedTuple):
    """One thing that could not be set: `owner` and `privileges` are notes, `xattr` is a warning."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Who is restoring, and whether setuid, setgid and capabilities of files may come back."""

    privileges: bool
    uid: int
    groups: frozenset[int]

    @staticmethod
    def of_this_process(privileges: bool) -> "Policy":
        """Return the policy for the user that runs this process."""
        groups = frozenset([os.getegid(), *os.getgroups()])
        return Policy(privileges, os.geteuid(), groups)


Handle = int | str


def apply(handle: Handle, kind: str, meta: Meta, policy: Policy, clean: bool) -> list[Issue]:
    """Set everything on an open object (a descriptor, or `target.by_descriptor` of an O_PATH one).

    `clean` removes attributes that the entry lacks: some may be there on an existing entry, and
    on a new one in a directory with a default ACL. OSError only when mode or times cannot be
    set.
    """
    issues: list[Issue] = []
    owned = set_owner(handle, meta, policy, issues)
    mode, xattrs = allowed(kind, meta, policy, owned, issues)
    if clean:
        remove_foreign_xattrs(handle, {name for name, _ in xattrs}, issues)
    # User attributes need a writable mode, ACLs refine the mode: so one before and one after it.
    set_xattrs(handle, [pair for pair in xattrs if not is_acl(pair[0])], issues)
    if kind != "symlink":
        os.chmod(handle, mode)
    set_xattrs(handle, [pair for pair in xattrs if is_acl(pair[0])], issues)
    os.utime(handle, ns=(meta.mtime, meta.mtime))
    return issues


def set_owner(handle: Handle, meta: Meta, policy: Policy, issues: list[Issue]) -> bool:
    """Set user and group by number; False, and an `owner` issue, where this user may not."""
    try:
        if policy.uid == 0:
            os.chown(handle, meta.uid, meta.gid)
            return True
        if meta.gid in policy.groups:
            os.chown(handle, -1, meta.gid)
            if meta.uid == policy.uid:
                return True
        issues.append(Issue("owner", "only root can give files to another user or group"))
    except OSError as error:
        # In a user namespace even root cannot give files to a user that the namespace does not map.
        if error.errno not in (errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.EOVERFLOW):
            raise
        issues.append(Issue("owner", reason(error)))
    return False


def allowed(
    kind: str, meta: Meta, policy: Policy, owned: bool, issues: list[Issue]
) -> tuple[int, tuple[tuple[bytes, bytes], ...]]:
    """Return mode and attributes without what must not come back.

    setuid, setgid and capabilities of a file go when privileges are off, and when its owner
    could not be set: they would then speak for the wrong user. Bits of directories grant
    nothing and stay.
    """
    if kind == "dir" or (policy.privileges and owned):
        return meta.mode, meta.xattrs
    mode = meta.mode & ~SPECIAL_BITS
    xattrs = tuple(pair for pair in meta.xattrs if pair[0] != CAPABILITY)
    if not policy.privileges:
        xattrs = tuple(pair for pair in xattrs if not pair[0].startswith(b"security."))
    if mode != meta.mode or len(xattrs) != len(meta.xattrs):
        issues.append(Issue("privileges", "setuid, setgid or capabilities were left out"))
    return mode, xattrs


def is_acl(name: bytes) -> bool:
    """Tell whether an attribute is a POSIX ACL."""
    return name in (ACL_ACCESS, ACL_DEFAULT)


def is_ours(name: bytes) -> bool:
    """Tell whether an attribute is part of a snapshot, and no security label of the box's own."""
    return name.startswith(b"user.") or is_acl(name) or name == CAPABILITY


def set_xattrs(handle: Handle, xattrs: list[tuple[bytes, bytes]], issues: list[Issue]) -> None:
    """Set attributes; each that the file system or the user cannot have becomes an issue."""
    for name, value in xattrs:
        try:
            os.setxattr(handle, name, value)
        except OSError as error:
            issues.append(Issue("xattr", f"{os.fsdecode(name)}: {reason(error)}"))


def remove_foreign_xattrs(handle: Handle, wanted: set[bytes], issues: list[Issue]) -> None:
    """Remove attributes of the kinds a snapshot holds that this entry does not have."""
    try:
        present = [os.fsencode(name) for name in os.listxattr(handle)]
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            issues.append(Issue("xattr", reason(error)))
        return
    for name in present:
        if is_ours(name) and name not in wanted:
            try:
                os.removexattr(handle, name)
            except OSError as error:
                issues.append(Issue("xattr", f"{os.fsdecode(name)}: {reason(error)}"))


def differs(handle: Handle, found: os.stat_result, kind: str, meta: Meta, policy: Policy) -> bool:
    """Tell whether an existing entry's metadata is other than what `apply` would leave there."""
    if found.st_mtime_ns != meta.mtime:
        return True
    if policy.uid == 0 and (found.st_uid, found.st_gid) != (meta.uid, meta.gid):
        return True
    if policy.uid != 0 and found.st_gid != meta.gid and meta.gid in policy.groups:
        return True
    owned = (found.st_uid, found.st_gid) == (meta.uid, meta.gid)
    mode, xattrs = allowed(kind, meta, policy, owned, [])
    if kind != "symlink" and stat.S_IMODE(found.st_mode) != mode:
        return True
    return read_xattrs(handle) != dict(xattrs)


def read_xattrs(handle: Handle) -> dict[bytes, bytes]:
    """Return the attributes of the kinds a snapshot holds; none where they are unsupported."""
    found: dict[bytes, bytes] = {}
    with contextlib.suppress(OSError):
        for text in os.listxattr(handle):
            name = os.fsencode(text)
            if is_ours(name):
                found[name] = os.getxattr(handle, name)
    return found


def has_default_acl(handle: Handle) -> bool:
    """Tell whether what is made in a directory inherits an ACL."""
    try:
        os.getxattr(handle, ACL_DEFAULT)
    except OSError:
        return False
    return True


def reason(error: OSError) -> str:
    """Return the system's words for a failure, without paths."""
    return error.strerror or str(error)


def of_item(item: Item) -> Meta:
    """Return the metadata of a spooled entry."""
    return Meta(item.mode, item.uid, item.gid, item.mtime, item.xattrs)
