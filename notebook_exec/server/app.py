"""The extension application: its options and its routes."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from traitlets import Bool, Float, Int, TraitError, Unicode, validate

from notebook_exec.documents.access import DocumentAccess
from notebook_exec.kernels.shutdown import end_all_whatever_fails

from .collector import calm_collector
from .kernel_websocket import KernelWebsocket
from .lasting_kernels import LastingKernels
from .routes import handlers
from .services import SETTINGS_KEY, Services
from .settings import Settings
from .wiring import Program

_DEFAULTS = Settings()


class NotebookExecApp(ExtensionApp):
    """Runs notebooks on the server and keeps their outputs in the shared document."""

    name = "notebook_exec"
    app_name = "Notebook Exec"
    description = "Runs notebooks on the server: outputs live in the document, not in the browser."
    load_other_extensions = True

    state_dir = Unicode(
        "",
        config=True,
        help="""Where documents, executions and kernel records are kept. Empty: a folder for this
        root directory in Jupyter's data directory.""",
    )
    nanny = Bool(
        _DEFAULTS.nanny,
        config=True,
        help="""Whether kernels are started under a nanny, a process that lets them go on while
        there is no server. On by default, but not on Windows, where there is none. Another
        default kernel provisioner, if one is configured, comes first.
        """,
    )
    keep_kernels = Bool(
        _DEFAULTS.keep_kernels,
        config=True,
        help="Whether kernels go on when the server stops in an orderly way.",
    )
    save_delay = Float(
        _DEFAULTS.save_delay_s,
        config=True,
        help="A document is saved at most so many seconds after its first unsaved change.",
    )
    unload_delay = Float(
        _DEFAULTS.unload_delay_s,
        config=True,
        help="Seconds for which a document stays in memory after its last use.",
    )
    file_poll_interval = Float(
        _DEFAULTS.file_poll_interval_s,
        config=True,
        help="Seconds between looks at an open document's file for changes made by others.",
    )
    orphan_timeout = Float(
        _DEFAULTS.orphan_timeout_s,
        config=True,
        help="Seconds after which a kernel that no server asks for ends itself.",
    )
    frame_interval = Float(
        _DEFAULTS.frame_interval_s,
        config=True,
        help="Outputs are written into a document at most once in so many seconds.",
    )
    idle_grace = Float(
        _DEFAULTS.idle_grace_s,
        config=True,
        help="Seconds to wait for a kernel's idle message after its reply.",
    )
    interrupt_grace = Float(
        _DEFAULTS.interrupt_grace_s,
        config=True,
        help="Seconds after which a kernel that ignores an interrupt is reported.",
    )
    max_output_bytes = Int(
        _DEFAULTS.max_output_bytes,
        config=True,
        help="Bytes of output that a cell shows before its middle is left out.",
    )
    max_log_bytes = Int(
        _DEFAULTS.max_log_bytes,
        config=True,
        help="Bytes of output that are kept on disk for one run of a cell.",
    )
    max_message_bytes = Int(
        _DEFAULTS.max_message_bytes,
        config=True,
        help="The largest message that a document's client may send.",
    )
    max_backlog_bytes = Int(
        _DEFAULTS.max_backlog_bytes,
        config=True,
        help="Bytes that may wait for a slow client before its connection is closed.",
    )
    max_room_clients = Int(
        _DEFAULTS.max_room_clients,
        config=True,
        help="How many clients may have one document open.",
    )
    max_body_bytes = Int(
        _DEFAULTS.max_body_bytes,
        config=True,
        help="The largest body of a request to the HTTP API.",
    )
    max_cells_per_request = Int(
        _DEFAULTS.max_cells_per_request,
        config=True,
        help="How many cells one request may run.",
    )
    max_queue_length = Int(
        _DEFAULTS.max_queue_length,
        config=True,
        help="How many executions may wait for one kernel.",
    )
    max_wait = Float(
        _DEFAULTS.max_wait_s,
        config=True,
        help="The longest time in seconds that a request may wait for an execution to end.",
    )
    history_days = Float(
        _DEFAULTS.history_days,
        config=True,
        help="Days for which records of executions are kept.",
    )
    history_bytes = Int(
        _DEFAULTS.history_bytes,
        config=True,
        help="Bytes of outputs kept in all for executions that are not their cell's last.",
    )

    @validate(
        "save_delay",
        "unload_delay",
        "file_poll_interval",
        "orphan_timeout",
        "frame_interval",
        "idle_grace",
        "interrupt_grace",
        "max_output_bytes",
        "max_log_bytes",
        "max_message_bytes",
        "max_backlog_bytes",
        "max_room_clients",
        "max_body_bytes",
        "max_cells_per_request",
        "max_queue_length",
        "max_wait",
        "history_days",
        "history_bytes",
    )
    def _not_negative(self, proposal: Any) -> Any:
        if not proposal["value"] >= 0:  # also false for NaN
            raise TraitError(f"NotebookExecApp.{proposal['trait'].name} must not be negative")
        return proposal["value"]

    def frozen_settings(self) -> Settings:
        """The options as they are now."""
        values: dict[str, Any] = {
            field.name: getattr(self, field.name.removesuffix("_s"))
            for field in fields(Settings)
            if field.name != "state_dir"
        }
        state_dir = Path(self.state_dir).expanduser() if self.state_dir else None
        return Settings(state_dir=state_dir, **values)

    _program: Program | None = None
    _lasting: LastingKernels | None = None

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        """Called by jupyter_server when its event loop runs."""
        self._program = Program(serverapp, self.services, self._lasting)
        try:
            await self._program.start()
        except Exception as error:
            # Whatever keeps it from starting, its routes say so, and Jupyter goes on without it.
            self.log.exception("notebook_exec could not be started")
            self.services.failed(f"notebook_exec could not be started: {error}")
        calm_collector()

    async def stop_extension(self) -> None:
        """Called by jupyter_server before it shuts its kernels down."""
        if self.serverapp is not None:
            end_all_whatever_fails(self.serverapp.kernel_manager)
        if self._program is not None:
            await self._program.close()

    def initialize_settings(self) -> None:
        """Called by jupyter_server before the handlers are made."""
        assert self.serverapp is not None  # set before an extension is initialized
        self.services = Services(self.frozen_settings())
        if self.services.settings.nanny:
            self._lasting = LastingKernels(self.serverapp, self.services.settings)
            self._lasting.prepare()
        settings = self.serverapp.web_app.settings
        settings[SETTINGS_KEY] = self.services
        if settings["kernel_websocket_connection_class"] is ZMQChannelsWebsocketConnection:
            # Where an extension's settings are copied from afterwards; and who closes them all.
            self.settings["kernel_websocket_connection_class"] = KernelWebsocket
            self.serverapp.kernel_websocket_connection_class = KernelWebsocket
        settings.setdefault("jupyter_server_ydoc", DocumentAccess(self.services.opened_documents))

    def initialize_handlers(self) -> None:
        """Called by jupyter_server to fill ``self.handlers``."""
        self.handlers.extend(handlers())
