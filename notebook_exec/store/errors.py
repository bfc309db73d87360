"""What can be wrong with a store as a whole."""

from __future__ import annotations

from notebook_exec.core.model import NotebookExecError


class StoreError(NotebookExecError):
    """The store cannot be used; the message says why and what to do."""

    reason = "store"


class StoreInUse(StoreError):
    """Another server has the store open."""

    reason = "store_in_use"


class StoreTooNew(StoreError):
    """A newer version of the program wrote the store; it was left as it is (R8)."""

    reason = "store_too_new"
