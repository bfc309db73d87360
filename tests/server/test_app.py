"""The options of the extension, and what it offers to other extensions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from jupyter_ydoc import YNotebook
from pycrdt import Doc
from traitlets import TraitError

from notebook_exec.core.model import DocumentId
from notebook_exec.documents.access import DocumentAccess
from notebook_exec.server.app import NotebookExecApp
from notebook_exec.server.settings import Settings


def test_every_option_has_its_default_in_one_place() -> None:
    """One option, one default: what the traits say is what Settings say."""
    assert NotebookExecApp().frozen_settings() == Settings()


def test_every_option_arrives() -> None:
    """The units in the settings' names are the traits'."""
    app = NotebookExecApp(state_dir="~/state", save_delay=3.0, max_output_bytes=5)
    settings = app.frozen_settings()
    assert settings.state_dir == Path("~/state").expanduser()
    assert (settings.save_delay_s, settings.max_output_bytes) == (3.0, 5)


@pytest.mark.parametrize("name", sorted(set(NotebookExecApp.class_own_traits(config=True))))
def test_every_option_is_explained_and_refuses_nonsense(name: str) -> None:
    """A wrong option stops the start with a message, not a run with an odd failure."""
    trait = NotebookExecApp.class_own_traits()[name]
    assert trait.help
    with pytest.raises(TraitError):
        setattr(NotebookExecApp(), name, object())
    if isinstance(trait.default_value, int | float) and not isinstance(trait.default_value, bool):
        with pytest.raises(TraitError):
            setattr(NotebookExecApp(), name, -1)


class _Live:
    def __init__(self, ydocument: YNotebook) -> None:
        self.ydocument = ydocument

    @property
    def room(self) -> _Live:
        return self


class _Documents:
    """One notebook, not open at first."""

    def __init__(self) -> None:
        self.live: _Live | None = None

    async def document_id(self, path: str, format: str, type: str) -> DocumentId:
        return DocumentId(f"{format}:{type}:{path}")

    def get(self, document_id: DocumentId) -> _Live | None:
        return self.live

    async def open(self, document_id: DocumentId) -> _Live:
        notebook = YNotebook(Doc())
        notebook.source = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        self.live = _Live(notebook)
        return self.live


async def test_d1_other_extensions_get_documents() -> None:
    """D1: ``get_document`` as jupyter-collaboration has it: a copy, or the document itself."""
    documents = _Documents()

    async def opened() -> Any:
        return documents

    access = DocumentAccess(cast(Any, opened))
    of_file = {"path": "x.ipynb", "content_type": "notebook", "file_format": "json"}
    assert await access.get_document(**of_file) is None  # type: ignore[arg-type]
    itself = await access.get_document(**of_file, create=True, copy=False)  # type: ignore[arg-type]
    assert documents.live is not None and itself is documents.live.ydocument
    copy = await access.get_document(room_id="json:notebook:x.ipynb")
    assert isinstance(copy, YNotebook) and copy is not itself
    assert copy.source == documents.live.ydocument.source
    copy.append_cell({"cell_type": "code", "source": "mine", "metadata": {}, "outputs": []})
    assert copy.cell_number == documents.live.ydocument.cell_number + 1
    for wrong in ({}, {"path": "x"}, {**of_file, "room_id": "json:notebook:x"}):
        with pytest.raises(ValueError, match="either room_id"):
            await access.get_document(**wrong)  # type: ignore[arg-type]
