"""The options of the extension, read once and then frozen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """What NotebookExecApp's traits say; the traits have the help texts."""

    state_dir: Path | None = None  # None: <jupyter data dir>/notebook_exec/<root>
    nanny: bool = os.name == "posix"
    keep_kernels: bool = False
    save_delay_s: float = 1.0
    unload_delay_s: float = 60.0
    file_poll_interval_s: float = 1.0
    orphan_timeout_s: float = 24 * 3600.0
    frame_interval_s: float = 0.02
    idle_grace_s: float = 1.0
    interrupt_grace_s: float = 10.0
    max_output_bytes: int = 10 * MIB
    max_log_bytes: int = 1024 * MIB
    max_message_bytes: int = 256 * MIB
    max_backlog_bytes: int = 64 * MIB
    max_room_clients: int = 1000
    max_body_bytes: int = 16 * MIB
    max_cells_per_request: int = 10_000
    max_queue_length: int = 10_000
    max_wait_s: float = 60.0
    history_days: float = 30.0
    history_bytes: int = 64 * MIB
