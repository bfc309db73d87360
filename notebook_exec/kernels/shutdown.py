"""The end of a server's kernels, which no failure of one of them holds up (SPEC R5)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from jupyter_core.utils import ensure_async

log = logging.getLogger(__name__)


def end_all_whatever_fails(managers: Any) -> None:
    """Have ``managers.shutdown_all`` raise nothing.

    jupyter_server calls it last. If it raises, nobody hears of that, the other kernels live on, and
    the server's event loop runs for ever (seen with 2.21).
    """
    shutdown_all = managers.shutdown_all

    async def attempt(*args: Any, **kwargs: Any) -> None:
        try:
            await ensure_async(shutdown_all(*args, **kwargs))
        except Exception:
            log.exception("Not all kernels were shut down; those that are left are killed")
            await _kill(managers)

    managers.shutdown_all = attempt


async def _kill(managers: Any) -> None:
    kernel_ids = managers.list_kernel_ids()
    ends = [ensure_async(managers.shutdown_kernel(known, now=True)) for known in kernel_ids]
    for known, error in zip(
        kernel_ids, await asyncio.gather(*ends, return_exceptions=True), strict=True
    ):
        if error is not None:
            log.error("Kernel %s is left to itself: %r", known, error)
