"""The description of the HTTP API, served as it lies beside this file (SPEC A6)."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from notebook_exec.core.model import Json

from .base import ApiHandler, allowed


@cache
def document() -> dict[str, Json]:
    """The OpenAPI 3.1 document."""
    text = files(__package__).joinpath("openapi.json").read_text(encoding="utf-8")
    parsed: dict[str, Json] = json.loads(text)
    return parsed


class OpenApiHandler(ApiHandler):
    """``/api/notebook_exec/openapi.json``."""

    @allowed("read", "api")
    async def get(self) -> None:
        """Send it, with this server's base URL."""
        served = dict(document())
        served["servers"] = [{"url": self.base_url}]
        self.reply(served)
