"""Records of a nanny's journal as the messages that they are."""

from __future__ import annotations

from notebook_exec.core.wire import Record
from notebook_exec.kernels.messages import Received, Wire
from notebook_exec.kernels.room_for_output import is_about_room


def of_record(wire: Wire, record: Record) -> Received | None:
    """None for what is not ours: replies of another link to the same kernel.

    Raises ``ProtocolError``.
    """
    message, parent = wire.parse(record.channel, record.frames)
    if record.channel != "iopub" and parent.session != wire.session:
        return None
    if is_about_room(parent.msg_id):
        return None
    message.position = record.position
    return message, parent
