"""What is used of jupyter_client and jupyter_server behind their backs is what they have."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.kernelmanager import (
    AsyncMappingKernelManager,
    ServerKernelManager,
)
from jupyter_server.services.sessions.sessionmanager import SessionManager
from nanny_harness import is_running, make_specs, nanny_config, until

from notebook_exec.core.model import KernelId
from notebook_exec.kernels import adoption


@pytest.fixture(autouse=True)
def factory() -> Iterator[None]:
    """A factory of provisioners that is this test's."""
    KernelProvisionerFactory.clear_instance()
    yield
    KernelProvisionerFactory.clear_instance()


def managers_in(folder: Path) -> AsyncMappingKernelManager:
    app = ServerApp(config=nanny_config(folder, orphan_timeout_s=60.0))
    app.init_event_logger()
    return AsyncMappingKernelManager(
        parent=app,
        connection_dir=str(folder),
        root_dir=str(folder),
        kernel_spec_manager=make_specs(folder) if not (folder / "specs").exists() else None,
    )


def test_the_private_attributes_are_there() -> None:
    """R2: a version that renames one is noticed here, and not by who loses a kernel."""
    kernel, managers, sessions = (
        ServerKernelManager(),
        AsyncMappingKernelManager(),
        SessionManager(),
    )
    for holder, kind in ((kernel, "manager"), (managers, "managers"), (sessions, "sessions")):
        missing = [n for n in adoption.PRIVATE[kind] if not hasattr(holder, n)]
        assert missing == [], kind
    assert isinstance(managers._kernels, dict)
    assert sessions._connection is None and sessions._cursor is None  # opened when first needed


@pytest.mark.parametrize("chosen", ["config", "environment"])
def test_the_users_choice_of_a_provisioner_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    managers = managers_in(tmp_path)
    if chosen == "config":
        config = managers.parent.config.copy()
        config.KernelProvisionerFactory.default_provisioner_name = "local-provisioner"
        managers.parent.config = config
    else:
        monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "mine")
    adoption.start_with_nannies(managers, orphan_timeout_s=5.0)
    name = KernelProvisionerFactory.instance().default_provisioner_name
    assert name == {"config": "local-provisioner", "environment": "mine"}[chosen]


def test_sessions_are_kept_where_the_user_has_no_place_for_them(tmp_path: Path) -> None:
    """S3: in a file that is nobody else's."""
    sessions = SessionManager()
    assert adoption.keep_sessions(sessions, tmp_path / "s.sqlite")
    assert (tmp_path / "s.sqlite").stat().st_mode & 0o777 == 0o600
    sessions.cursor.execute("INSERT INTO session VALUES ('s1', 'a', 'a', 'notebook', 'k1')")
    sessions.cursor.execute("INSERT INTO session VALUES ('s2', 'b', 'b', 'notebook', 'k2')")
    adoption.drop_other_sessions(sessions, {"k2": None})
    rows = sessions.cursor.execute("SELECT session_id FROM session").fetchall()
    assert [tuple(row) for row in rows] == [("s2",)]
    sessions.close()
    sessions.connection.close()
    mine = SessionManager(database_filepath=str(tmp_path / "mine.sqlite"))
    assert not adoption.keep_sessions(mine, tmp_path / "s.sqlite")


async def test_a_kernel_that_is_let_go_is_adopted(tmp_path: Path) -> None:
    """R2, R5: same process, same ports, same file; and it can be restarted and shut down."""
    managers = managers_in(tmp_path)
    adoption.start_with_nannies(managers, orphan_timeout_s=60.0)
    kernel_id = KernelId(await managers.start_kernel(kernel_name="stub", env=_env()))
    before = managers.get_kernel(kernel_id)
    assert adoption.has_nanny(managers, kernel_id)
    record: dict[str, Any] = json.loads(json.dumps(await adoption.record_of(before)))
    assert record["env"] == {"MINE": "1"}
    await before.provisioner.address()  # it has a lease now, which the next one takes over
    pid, nanny_pid, ports = before.provisioner.pid, before.provisioner.nanny_pid, before.ports
    adoption.let_go(managers, kernel_id)
    assert kernel_id not in managers

    others = managers_in(tmp_path)
    others.kernel_spec_manager = managers.kernel_spec_manager
    assert adoption.adopt(others, kernel_id, record)
    adoption.attend(others, kernel_id, is_busy=False)
    after = others.get_kernel(kernel_id)
    assert after.ports == ports
    assert after.session.key == before.session.key
    await after.provisioner.address()
    assert after.provisioner.pid == pid
    assert await after.is_alive()
    assert others.kernel_model(kernel_id)["execution_state"] == "idle"
    assert after._launch_args["env"] == {**os.environ, "MINE": "1"}
    assert is_file(after.connection_file)
    await others.restart_kernel(kernel_id)
    assert after.provisioner.pid != pid
    assert after.provisioner.nanny_pid == nanny_pid
    await others.shutdown_kernel(kernel_id)
    assert nanny_pid is not None
    await until(lambda: not is_running(nanny_pid))
    assert not is_file(after.connection_file)
    assert not adoption.adopt(others, kernel_id, record)
    assert kernel_id not in others


def is_file(path: str) -> bool:
    return Path(path).is_file()


def _env() -> dict[str, str]:
    return {**os.environ, "MINE": "1"}
