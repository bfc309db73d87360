"""A contents manager that reads one file for as long as a test wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

SLOW = "slow.txt"


class SlowContents(AsyncLargeFileManager):
    """Says in the pipe ``reading`` that it reads; goes on when there is something in ``go``."""

    async def get(self, path: str, *args: Any, **kwargs: Any) -> Any:
        if path.strip("/") == SLOW:
            await run_sync(self._hold)
        return await super().get(path, *args, **kwargs)

    def _hold(self) -> None:
        (Path(self.root_dir) / "reading").write_text("now")
        (Path(self.root_dir) / "go").read_text()
