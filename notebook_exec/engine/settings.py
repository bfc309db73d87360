"""What of the configuration the engine needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Limits and delays; the defaults are right for one person's laptop."""

    frame_interval_s: float = 0.02
    max_output_bytes: int = 10 * 2**20
    max_log_bytes: int = 2**30
    history_bytes: int = 64 * 2**20
    max_queue_length: int = 10_000  # executions that are not over, of one kernel
    idle_grace_s: float = 1.0
    interrupt_grace_s: float = 10.0
