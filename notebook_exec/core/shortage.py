"""Failures for want of something that there may be again: room on a disk, memory, descriptors."""

from __future__ import annotations

import errno

_ERRNOS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.EMFILE,
        errno.ENFILE,
    }
)


def is_shortage(error: BaseException) -> bool:
    """Whether the same may succeed later; ``error`` has an ``errno``, or nothing is known of it."""
    return getattr(error, "errno", None) in _ERRNOS
