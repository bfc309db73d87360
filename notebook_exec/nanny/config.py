"""What a nanny is told at its start, in a file that nobody else may read."""

from __future__ import annotations

import json
import os
import stat
from typing import Any, NamedTuple

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
_KEYS = ("key", "link_publickey", "link_secretkey", "curve_publickey", "curve_secretkey")


class ConfigError(Exception):
    """The file is not what it must be. The text says why."""


class Config(NamedTuple):
    """The fields of the file. Those with a default may be left out."""

    key: bytes
    spool: str  # a folder of the nanny's own
    connection_name: str = "kernel.json"  # how the kernel sees its connection file named
    kernel_name: str = ""
    signature_scheme: str = "hmac-sha256"
    transport: str = "tcp"
    ip: str = "127.0.0.1"
    ports: tuple[int, ...] = (0, 0, 0, 0, 0)  # in the order of CHANNELS; 0: any
    link_ip: str = "127.0.0.1"
    link_publickey: bytes = b""  # encrypt the link; needed where it leaves this machine
    link_secretkey: bytes = b""
    curve_publickey: bytes = b""
    curve_secretkey: bytes = b""
    epoch: int = 0
    holder: str = ""
    orphan_timeout_s: float = 86400.0
    max_journal_bytes: int = 2**30
    max_log_bytes: int = 4 * 2**20
    first_position: int = 1


def load(path: str) -> Config:
    """Read the file at ``path``. Raises ``ConfigError``."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError("others may read or write the configuration file")
            fields: dict[str, Any] = json.load(file)
        for name in _KEYS:
            fields[name] = str(fields.get(name, "")).encode()
        if "ports" in fields:
            fields["ports"] = tuple(int(fields["ports"][channel]) for channel in CHANNELS)
        config = Config(**fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"the configuration file is no good: {error!r}") from error
    if not config.link_secretkey and not config.link_ip.startswith("127."):
        raise ConfigError(f"a link at {config.link_ip} must be encrypted: its keys are missing")
    return config
