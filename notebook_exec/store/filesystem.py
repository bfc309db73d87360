"""Which kind of file system a folder is on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_NETWORK = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs",
        "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "smb2", "smb3",
        "smbfs", "wekafs",
    }
)  # fmt: skip
_MOUNTS = Path("/proc/mounts")


def is_on_network(folder: Path) -> bool:
    """Whether ``folder`` is on a network file system; False where that cannot be known."""
    try:
        lines = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return False
    return type_of(folder.resolve(), lines) in _NETWORK


def type_of(folder: Path, mounts: Iterable[str]) -> str | None:
    """The file system type of ``folder``, an absolute path, by the lines of ``/proc/mounts``."""
    best, found = -1, None
    for line in mounts:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # The kernel writes blanks in paths as octal escapes.
        point = Path(fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        # A later mount on the same point hides the earlier one.
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), fields[2]
    return found
