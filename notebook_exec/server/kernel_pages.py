"""Which pages are connected to which kernel, to tell them what no kernel says (SPEC K1, O12)."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import MutableSet
from typing import Protocol

from notebook_exec.core.model import KernelId
from notebook_exec.core.outputs import UpdateWidget
from notebook_exec.core.widget_states import WidgetState


class Page(Protocol):
    """A connection to a kernel."""

    def show_state(self, widget: WidgetState) -> None:
        """Have the page's widget take ``widget``'s state, as if the kernel had said so."""
        ...

    def show_death(self) -> None:
        """Have the page show that its kernel is dead, and is not restarted by itself."""
        ...


class KernelPages:
    """The pages that are connected to each kernel."""

    def __init__(self) -> None:
        self._pages: dict[KernelId, MutableSet[Page]] = defaultdict(weakref.WeakSet)

    def add(self, kernel_id: KernelId, page: Page) -> None:
        """A page has come."""
        self._pages[kernel_id].add(page)

    def remove(self, kernel_id: KernelId, page: Page) -> None:
        """A page has gone; it may have before."""
        pages = self._pages.get(kernel_id)
        if pages is not None:
            pages.discard(page)
            if not pages:
                del self._pages[kernel_id]

    def show_widget(self, kernel_id: KernelId, update: UpdateWidget) -> None:
        """Have all pages of a kernel show what an Output widget captured."""
        for page in list(self._pages.get(kernel_id, ())):
            page.show_state(WidgetState(update.comm_id, update.state, (), ()))

    def show_death(self, kernel_id: KernelId) -> None:
        """Have all pages of a kernel show that it is dead, and is not restarted by itself."""
        for page in list(self._pages.get(kernel_id, ())):
            page.show_death()
