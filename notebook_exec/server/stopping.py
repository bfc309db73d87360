"""What is waited for last, before the server's event loop stops (SPEC R5)."""

from __future__ import annotations

import asyncio
import logging
import time

from anyio.to_thread import current_default_thread_limiter

log = logging.getLogger(__name__)

_LIMIT_S = 10.0
_LOOK_AGAIN_S = 0.05


async def requests_at_rest() -> None:
    """Wait until no request has work in one of anyio's threads; no longer than ten seconds.

    Such a thread ends with the task of its request. If the loop stops before that, the process
    waits for the thread for ever. jupyter_server reads files in them, and each page that is opened
    asks for its export formats, which takes a second there (seen with 2.21).
    """
    deadline = time.monotonic() + _LIMIT_S
    threads = current_default_thread_limiter()
    if threads.borrowed_tokens:
        log.warning("The server ends when the requests that still read or write are through")
    looks = 0
    while looks < 2 and time.monotonic() < deadline:  # one may fall between two works
        looks = 0 if threads.borrowed_tokens else looks + 1
        await asyncio.sleep(_LOOK_AGAIN_S)
