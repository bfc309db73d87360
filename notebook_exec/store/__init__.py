"""What is durable: document updates, executions, kernel records, journal positions."""

from notebook_exec.store.errors import StoreError, StoreInUse, StoreTooNew
from notebook_exec.store.ops import (
    AgreeFile,
    AppendUpdate,
    Compact,
    DropDocument,
    DropKernel,
    Op,
    PutDocument,
    PutExecution,
    PutKernel,
    PutMemory,
    PutRequest,
    SetMeta,
    SetPosition,
    SetWidgets,
)
from notebook_exec.store.records import (
    FileAgreement,
    StoredDocument,
    StoredKernel,
    StoredRequest,
)
from notebook_exec.store.store import Store

__all__ = [
    "AgreeFile",
    "AppendUpdate",
    "Compact",
    "DropDocument",
    "DropKernel",
    "FileAgreement",
    "Op",
    "PutDocument",
    "PutExecution",
    "PutKernel",
    "PutMemory",
    "PutRequest",
    "SetMeta",
    "SetPosition",
    "SetWidgets",
    "Store",
    "StoreError",
    "StoreInUse",
    "StoreTooNew",
    "StoredDocument",
    "StoredKernel",
    "StoredRequest",
]
