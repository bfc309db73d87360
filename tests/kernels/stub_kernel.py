"""A kernel of pyzmq alone, quick to start. What it executes is one word and its arguments.

Run as ``python stub_kernel.py CONNECTION_FILE [LATE]``: stdin is bound LATE seconds after the rest.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq

DELIMITER = b"<IDS|MSG>"


class StubKernel:
    def __init__(self, path: str) -> None:
        info = json.loads(Path(path).read_text())
        self.key = info["key"].encode()
        self.count = 0
        self.asks: list[bytes] = []  # whose request it works on
        self.dozes = False
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.sockets: dict[str, zmq.Socket[bytes]] = {}
        for name in ("shell", "control", "stdin", "iopub"):
            socket = context.socket(zmq.PUB if name == "iopub" else zmq.ROUTER)
            socket.sndhwm = 0
            self.sockets[name] = socket
            if name != "stdin":
                socket.bind(f"tcp://{info['ip']}:{info[name + '_port']}")
        self.stdin_url = f"tcp://{info['ip']}:{info['stdin_port']}"
        sys.stdout.write(f"stub {os.getpid()} is up\n")
        sys.stdout.flush()

    def message(self, msg_type: str, content: dict[str, Any], parent: bytes) -> list[bytes]:
        self.count += 1
        header = {"msg_id": f"stub-{os.getpid()}-{self.count}", "msg_type": msg_type,
                  "session": "stub", "username": "stub", "version": "5.3",
                  "date": "2026-01-01T00:00:00Z"}  # fmt: skip
        parts = [json.dumps(header).encode(), parent, b"{}", json.dumps(content).encode()]
        signature = hmac.new(self.key, b"".join(parts), hashlib.sha256).hexdigest().encode()
        return [DELIMITER, signature, *parts]

    def publish(self, msg_type: str, content: dict[str, Any], parent: bytes) -> None:
        self.sockets["iopub"].send_multipart(
            [msg_type.encode(), *self.message(msg_type, content, parent)]
        )

    def serve(self, stdin_late_s: float) -> None:
        poller = zmq.Poller()
        for name in ("control", "shell"):
            poller.register(self.sockets[name], zmq.POLLIN)
        late = time.monotonic() + stdin_late_s
        while (left_s := late - time.monotonic()) > 0:
            for socket, _ in poller.poll(left_s * 1000):
                self.handle_next(socket)
        self.sockets["stdin"].bind(self.stdin_url)
        while True:
            for socket, _ in poller.poll():
                self.handle_next(socket)

    def handle_next(self, socket: Any) -> None:
        frames = socket.recv_multipart()
        start = frames.index(DELIMITER)
        self.handle(socket, frames[:start], frames[start + 2 :])

    def handle(self, socket: Any, identities: list[bytes], parts: list[bytes]) -> None:
        parent, content = parts[0], json.loads(parts[3])
        self.asks = identities
        msg_type = json.loads(parent)["msg_type"]
        self.publish("status", {"execution_state": "busy"}, parent)
        if msg_type.startswith("comm_"):  # never answered
            self.publish("status", {"execution_state": "idle"}, parent)
            return
        try:
            answer = self.answer(msg_type, content, parent)
        except KeyboardInterrupt:
            answer = {"status": "error", "ename": "KeyboardInterrupt", "evalue": "",
                      "traceback": []}  # fmt: skip
        reply = self.message(msg_type.replace("_request", "_reply"), answer, parent)
        socket.send_multipart([*identities, *reply])
        self.publish("status", {"execution_state": "idle"}, parent)
        if self.dozes:
            self.doze()
        if msg_type == "shutdown_request":
            time.sleep(0.05)  # until what was sent has left
            os._exit(0)

    def doze(self) -> None:
        """Sleep over the next request, as kernels do that use up their socket's descriptor."""
        self.dozes = False
        shell = self.sockets["shell"]
        while not int(shell.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            select.select([shell.FD], [], [])
        select.select([shell.FD], [], [])

    def answer(self, msg_type: str, content: dict[str, Any], parent: bytes) -> dict[str, Any]:
        if msg_type == "kernel_info_request":
            return {"status": "ok", "protocol_version": "5.3", "implementation": "stub",
                    "implementation_version": "1", "banner": "",
                    "language_info": {"name": "stub"}}  # fmt: skip
        if msg_type == "execute_request":
            self.execute(content["code"].split(), parent)
            return {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}
        return {"status": "ok", "restart": content.get("restart", False)}

    def execute(self, words: list[str], parent: bytes) -> None:
        match words:
            case ["print", first, last, pause_s]:
                for number in range(int(first), int(last)):
                    self.publish("stream", {"name": "stdout", "text": f"{number}\n"}, parent)
                    time.sleep(float(pause_s))
            case ["spawn"]:  # a child in a session of its own, which nobody waits for
                child = subprocess.Popen(["sleep", "600"], start_new_session=True)
                child.returncode = 0
                self.publish("stream", {"name": "stdout", "text": f"{child.pid}"}, parent)
            case ["log", *rest]:
                os.write(2, " ".join(rest).encode() + b"\n")
            case ["touch", path]:
                Path(path).touch()
            case ["comm", *then]:
                self.publish("comm_msg", {"comm_id": "c", "data": {}}, parent)
                self.execute(then, parent)
            case ["doze"]:
                self.dozes = True
            case ["exit", code]:
                os._exit(int(code))
            case _:
                self.wait(words, parent)

    def wait(self, words: list[str], parent: bytes) -> None:
        match words:
            case ["wait", path, *then]:
                self.publish("stream", {"name": "stdout", "text": "waits"}, parent)
                while not Path(path).exists():
                    time.sleep(0.005)
                self.execute(then, parent)
            case ["listen"]:  # until somebody says something on control
                self.publish("stream", {"name": "stdout", "text": "listens"}, parent)
                while not self.sockets["control"].poll(1000):
                    pass
                frames = self.sockets["control"].recv_multipart()
                start = frames.index(DELIMITER)
                told = json.loads(frames[start + 2])["msg_type"]
                self.publish("stream", {"name": "stdout", "text": told}, parent)
                self.handle(self.sockets["control"], frames[:start], frames[start + 2 :])
            case ["ask", prompt]:  # and work on whatever else comes, until it is answered
                question = self.message("input_request", {"prompt": prompt}, parent)
                self.sockets["stdin"].send_multipart([*self.asks, *question])
                while not self.sockets["stdin"].poll(5):
                    if self.sockets["shell"].poll(0):
                        self.handle_next(self.sockets["shell"])
                self.sockets["stdin"].recv_multipart()
            case ["endure"]:  # until it is interrupted
                self.publish("stream", {"name": "stdout", "text": "endures"}, parent)
                with suppress(KeyboardInterrupt):
                    time.sleep(600)


if __name__ == "__main__":
    StubKernel(sys.argv[1]).serve(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
