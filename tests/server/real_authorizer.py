"""An authorizer that denies what the request's own header X-Denied names: ``action:resource``."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.authorizer import AllowAllAuthorizer


class HeaderAuthorizer(AllowAllAuthorizer):
    """Lets tests choose per request."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        denied: str = handler.request.headers.get("X-Denied", "")
        return f"{action}:{resource}" not in denied.split(",")
