"""Multipart messages of ZMQ, sent and received for a half of what pyzmq's own methods take.

Those combine their flags as enums, for each frame: 1 µs each, and a flood of small messages
consists of little else.
"""

from __future__ import annotations

from collections.abc import Sequence

import zmq

_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)


def send(socket: zmq.Socket[bytes], frames: Sequence[bytes]) -> None:
    """Send a message. Never waits; ``zmq.Again`` where it would have to."""
    send_frame = socket.send
    for frame in frames[:-1]:
        send_frame(frame, _MORE)
    send_frame(frames[-1], _NOBLOCK)


def receive(socket: zmq.Socket[bytes]) -> list[bytes]:
    """The frames of the next message. Never waits; ``zmq.Again`` if there is none."""
    receive_frame = socket.recv
    frame = receive_frame(_NOBLOCK, copy=False)
    frames = [frame.bytes]
    while frame.more:
        frame = receive_frame(_NOBLOCK, copy=False)
        frames.append(frame.bytes)
    return frames
