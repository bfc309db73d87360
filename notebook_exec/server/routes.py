"""Which handler answers what."""

from __future__ import annotations

from typing import Any

from . import (
    collaboration,
    executions,
    kernels,
    kernels_compat,
    openapi,
    streams,
    submissions,
)


def handlers() -> list[tuple[str, type[Any]]]:
    """The routes, below the server's base URL."""
    return [
        (r"/api/executions", executions.ExecutionsHandler),
        (r"/api/executions/events", streams.EventsHandler),
        (r"/api/executions/socket", submissions.SubmissionsHandler),
        (r"/api/executions/document", executions.DocumentHandler),
        (r"/api/executions/([^/]+)", executions.ExecutionHandler),
        (r"/api/executions/([^/]+)/input", executions.InputHandler),
        (r"/api/executions/([^/]+)/log", streams.LogHandler),
        (r"/api/kernels/([^/]+)/execute", kernels_compat.ExecuteHandler),
        (r"/api/kernels/([^/]+)/requests/([^/]+)", kernels_compat.RequestHandler),
        (r"/api/kernels/([^/]+)/input", kernels_compat.InputHandler),
        (r"/api/kernels/([^/]+)/hard-restart", kernels.HardRestartHandler),
        (r"/api/kernels/([^/]+)/signal", kernels.SignalHandler),
        (r"/api/kernels/([^/]+)/log", kernels.KernelLogHandler),
        (r"/api/kernels/([^/]+)/status", kernels.StatusHandler),
        (r"/api/collaboration/session/(.+)", collaboration.SessionHandler),
        (r"/api/collaboration/room/(.+)", collaboration.RoomHandler),
        (r"/api/collaboration/fork/(.+)", collaboration.ForksHandler),
        (r"/api/collaboration/timeline/(.+)", collaboration.TimelineHandler),
        (r"/api/collaboration/undo_redo/(.+)", collaboration.TimelineHandler),
        (r"/api/notebook_exec/openapi\.json", openapi.OpenApiHandler),
    ]
