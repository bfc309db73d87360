"""What a kernel's model tells besides what jupyter_server puts in it."""

from __future__ import annotations

import asyncio
from typing import Any

from notebook_exec.core.model import Json, KernelId
from notebook_exec.kernels.adoption import has_nanny


class KernelModels:
    """Has each kernel's model say whether a hard restart differs from one in place (K3).

    The field is ``hard_restart``, in ``GET /api/kernels`` and in sessions too.
    """

    def __init__(self, managers: Any) -> None:
        self._managers = managers
        self._original = managers.kernel_model
        if not asyncio.iscoroutinefunction(self._original):  # a gateway's
            managers.kernel_model = self._model

    def close(self) -> None:
        """Leave them as they were. May be repeated."""
        if vars(self._managers).get("kernel_model") == self._model:
            del self._managers.kernel_model

    def _model(self, kernel_id: KernelId) -> dict[str, Json]:
        model: dict[str, Json] = self._original(kernel_id)
        model["hard_restart"] = has_nanny(self._managers, kernel_id)
        return model
