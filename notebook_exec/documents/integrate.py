"""Takes anyone's update into a document; however pycrdt fails at it, it is bad data (SPEC D8)."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc

from .protocol import BadMessage


def integrate(doc: Doc[Any], update: bytes) -> None:
    """Apply ``update``, in a transaction. ValueError: it cannot be.

    What came before the part that cannot be applied has been taken in then, and the transaction's
    event tells it. The document is as good as before.
    """
    try:
        doc.apply_update(update)
    except ValueError:
        raise
    except Exception as error:
        # The border to pycrdt: what refers to what is not there ends the update in its midst.
        raise BadMessage(str(error)) from error
    except BaseException as error:
        if not is_panic(error):
            raise
        raise BadMessage(str(error)) from error


def is_panic(error: BaseException) -> bool:
    """Whether pycrdt's Rust raised it, as what is no Exception and cannot be imported."""
    return type(error).__name__ == "PanicException"
