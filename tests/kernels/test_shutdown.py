"""The end of all kernels of a server."""

from __future__ import annotations

import logging

import pytest

from notebook_exec.kernels.shutdown import end_all_whatever_fails


class Managers:
    """Whose kernels named "bad" cannot be shut down, and "stubborn" ones not even be killed."""

    def __init__(self, *kernel_ids: str) -> None:
        self.kernel_ids = list(kernel_ids)

    def list_kernel_ids(self) -> list[str]:
        return list(self.kernel_ids)

    async def shutdown_kernel(self, kernel_id: str, now: bool = False) -> None:
        if kernel_id == "stubborn" or (kernel_id == "bad" and not now):
            raise RuntimeError(f"{kernel_id} does not answer")
        self.kernel_ids.remove(kernel_id)

    async def shutdown_all(self, now: bool = False) -> None:
        for kernel_id in self.list_kernel_ids():
            await self.shutdown_kernel(kernel_id, now)


async def test_r5_no_kernel_keeps_a_server_from_stopping(caplog: pytest.LogCaptureFixture) -> None:
    """R5: what fails is told, and what is left is killed."""
    managers = Managers("good", "bad", "stubborn", "another")
    end_all_whatever_fails(managers)
    await managers.shutdown_all()
    assert managers.kernel_ids == ["stubborn"]
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 2
    assert "stubborn" in errors[1]


async def test_r5_nothing_is_told_where_all_end(caplog: pytest.LogCaptureFixture) -> None:
    """R5: as without us."""
    managers = Managers("good")
    end_all_whatever_fails(managers)
    await managers.shutdown_all(now=True)
    assert managers.kernel_ids == []
    assert not caplog.records
