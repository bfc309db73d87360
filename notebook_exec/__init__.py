"""Jupyter notebooks run on the server: outputs live in the document, not in the browser."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Where jupyter_server finds the extension."""
    # Imported when asked for: a nanny imports this package too, and must stay small.
    app = import_module("notebook_exec.server.app")
    return [{"module": "notebook_exec", "app": app.NotebookExecApp}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Where JupyterLab finds the front end in a development install."""
    return [{"src": "labextension", "dest": "notebook-exec"}]
