"""Puts the nanny together: a process, its log, its clients, its journal, its server."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

import zmq

from notebook_exec.core import wire
from notebook_exec.core.procstat import parse_stat
from notebook_exec.core.wire import Frame, Kind, Lease
from notebook_exec.nanny.back import Back
from notebook_exec.nanny.config import Config
from notebook_exec.nanny.front import Front
from notebook_exec.nanny.journal import Journal
from notebook_exec.nanny.jupyter import Signer
from notebook_exec.nanny.kernel_log import KernelLog
from notebook_exec.nanny.link_server import Answer, CommandFailed, LinkServer
from notebook_exec.nanny.process import SIGNALS_SET, Exit, KernelProcess, StartFailed
from notebook_exec.nanny.proxy import OUTPUT, PRELUDE, Proxy
from notebook_exec.nanny.reactor import Reactor

_LAST_WORDS_S = 1.0
_SAMPLE_S = 2.0
_LOG_CHUNK_BYTES = 64 * 1024
_STREAM_MESSAGES = 20
_BREATH_S = 0.006
_PRELUDE_S = 0.003
_REQUESTS_REMEMBERED = 1000


class Supervisor:
    """One kernel's nanny, until it is told to go."""

    def __init__(self, config: Config) -> None:
        """Raises ``zmq.ZMQError`` if a port is taken, ``OSError`` if the spool is no good."""
        self._config = config
        self._began = time.monotonic()
        self._wakeup = self._catch_signals()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._reactor = Reactor()
        self._process = KernelProcess()
        self._signer = Signer(config.key, config.signature_scheme)
        self._log = KernelLog(config.spool, limit_bytes=config.max_log_bytes)
        self._journal = Journal(
            config.spool, limit_bytes=config.max_journal_bytes, first=config.first_position
        )
        self.front = Front(self._context, self._reactor, config)
        self.link = LinkServer(
            self._context,
            self._reactor,
            self._journal,
            f"tcp://{config.link_ip}:*",
            key=config.key,
            curve=(config.link_publickey, config.link_secretkey),
            lease=Lease(config.epoch, config.holder),
        )
        self._proxy = Proxy(self.front, self._reactor, self._signer, self)
        self._back: Back | None = None
        self._start: dict[str, Any] = {}  # the last START's fields
        self._incarnation = 0
        self._output = -1  # where the process's stdout and stderr come out
        self._log_begin = 0  # of this process
        self._last_exit: dict[str, Any] | None = None
        self._requests: dict[str, None] = {}  # the last ones, in their order
        self._is_journalling = False
        self._has_output = False  # in this round
        self._has_news = False  # since the last flush
        self._waits = False  # with what it has: more is about to follow
        self._outputs_in_a_row = 0
        self._keeps_spool = False
        self._wire_up()

    def run(self) -> None:
        """Until the end of this nanny."""
        self._reactor.run(self._after_round)
        self._end()

    def _wire_up(self) -> None:
        link = self.link
        link.status = self._status
        link.on_attach = self._begin_journal
        link.read_log = self._read_log
        link.handlers = {
            Kind.START: self._on_start,
            Kind.SIGNAL: self._on_signal,
            Kind.RESTART: self._on_restart,
            Kind.STATUS: lambda frame: Answer(self._long_status()),
            Kind.REQUEST: self._on_request,
            Kind.NEXT: self._on_next,
            Kind.WITHDRAW: self._on_withdraw,
            Kind.EXIT: self._on_exit_command,
        }
        link.watch_for_orphanhood(self._config.orphan_timeout_s, self._on_orphaned)
        self._reactor.add_reader(self._wakeup, self._on_wakeup)
        self._sample()

    # --- ProxyOwner -------------------------------------------------------------------------

    def record(self, channel: str, frames: list[bytes], kind: int) -> None:
        """For the server, if there ever was one that wanted it."""
        if self._is_journalling:
            self._journal.append(channel, frames)
        if kind == PRELUDE:
            if not self._waits and not self._has_news:
                self._waits = True
                self._reactor.call_later(_PRELUDE_S, self._wait_no_more)
            return
        self._has_news = self._has_output = True
        self._outputs_in_a_row = self._outputs_in_a_row + 1 if kind == OUTPUT else 0

    def interrupt(self, session: str) -> bool:
        """By a client, past the server: which is told."""
        self._proxy.withdraw()
        self._journal.note({"event": "interrupted", "session": session})
        self._has_news = True
        if self._start.get("interrupt_mode", "signal") != "signal":
            return False
        self._process.signal(signal.SIGINT)
        return True

    def answered(self, request: str, prompt: str, value: str | None) -> None:
        """By the server, which shows it when it finds it among the outputs."""
        fields = {"event": "answered", "request": request, "prompt": prompt, "value": value}
        self._journal.note(fields)
        self._has_news = True

    def go_on(self, request_id: str, frames: list[bytes]) -> None:
        """A request of the server, without its word: but not if it is away."""
        self.link.pump()  # or its absence would be noticed later
        if self.link.is_attended:
            self._request("shell", request_id, frames)

    # --- commands ---------------------------------------------------------------------------

    def _on_start(self, frame: Frame) -> Answer:
        if self._process.is_running:
            raise CommandFailed("running", "the kernel runs already")
        fields = frame.fields
        self._start = {
            "argv": [str(word) for word in fields["argv"]],
            "env": {str(name): str(value) for name, value in fields["env"].items()},
            "cwd": fields.get("cwd"),
            "interrupt_mode": str(fields.get("interrupt_mode", "signal")),
            "registers": fields.get("registers") is True,
        }
        return self._launch()

    def _on_restart(self, frame: Frame) -> Answer:
        if not self._start:
            raise CommandFailed("never_started", "the kernel was never started")
        ended = self._process.end()
        if ended is not None:
            self._on_kernel_exit(ended)
        return self._launch()

    def _on_signal(self, frame: Frame) -> Answer:
        if not self._process.is_running:
            raise CommandFailed("not_running", "the kernel does not run")
        self._proxy.withdraw()  # it is meant for what runs now
        self._process.signal(int(frame.fields["signum"]))
        return Answer()

    def _on_request(self, frame: Frame) -> None:
        """A server whose connection broke sends again what was not confirmed."""
        request_id = str(frame.fields["id"])
        self._proxy.withdraw(request_id)
        if request_id not in self._requests:
            self._request(str(frame.fields["channel"]), request_id, list(frame.parts))

    def _request(self, channel: str, request_id: str, frames: list[bytes]) -> None:
        self._requests[request_id] = None
        if len(self._requests) > _REQUESTS_REMEMBERED:
            del self._requests[next(iter(self._requests))]
        self._proxy.request(channel, frames)

    def _on_next(self, frame: Frame) -> None:
        after, request_id = str(frame.fields["after"]), str(frame.fields["id"])
        if request_id not in self._requests:
            self._proxy.hold(after, request_id, list(frame.parts))

    def _on_withdraw(self, frame: Frame) -> Answer:
        """What was forwarded already, the server reads in the journal."""
        request_id = str(frame.fields["id"])
        self._proxy.withdraw(request_id)
        return Answer({"withdrawn": request_id not in self._requests, "last": self._journal.last})

    def _on_exit_command(self, frame: Frame) -> Answer:
        ended = self._process.end()
        if ended is not None:
            self._on_kernel_exit(ended)
        self._reactor.stop()
        return Answer()

    def _on_orphaned(self) -> None:
        self._journal.note({"event": "orphaned"})
        self._keeps_spool = True
        self._reactor.stop()

    # --- the kernel's process ---------------------------------------------------------------

    def _launch(self) -> Answer:
        self._process.end()  # what an earlier process left behind
        self._log_begin = self._log.end
        self._close_output()
        with contextlib.ExitStack() as undone:
            try:
                back = self._make_back()
                undone.callback(back.close)
                self._output = self._start_process(back)
            except (StartFailed, OSError, zmq.ZMQError) as error:
                number = getattr(error, "errno", None) or 0
                raise CommandFailed("start_failed", str(error), number) from error
            undone.pop_all()
        self._reactor.add_reader(self._output, self._on_output)
        self._incarnation += 1
        self._last_exit = None
        self._back = back
        self._proxy.use(back)
        back.connect()
        self._tell({"event": "started", "pid": self._process.pid})
        return Answer(self._status())

    def _make_back(self) -> Back:
        return Back(
            self._context,
            self._reactor,
            self._signer,
            on_iopub=self._proxy.on_iopub,
            on_message=self._proxy.on_message,
            on_ready=self._on_ready,
            registers=self._start["registers"],
        )

    def _start_process(self, back: Back) -> int:
        config = self._config
        path = os.path.join(config.spool, config.connection_name)
        back.write_connection_file(
            path,
            key=config.key.decode(),
            scheme=config.signature_scheme,
            kernel_name=config.kernel_name,
        )
        argv = [word.replace("{connection_file}", path) for word in self._start["argv"]]
        env = {**self._start["env"], "JPY_PARENT_PID": str(os.getpid())}
        return self._process.start(argv, env, self._start["cwd"])

    def _on_ready(self, info: bytes) -> None:
        self._tell({"event": "ready"})
        self._proxy.ready(info)

    def _on_kernel_exit(self, ended: Exit) -> None:
        """Its last words first, then how it ended (K1)."""
        if self._back is not None:
            self._back.drain(_LAST_WORDS_S)
            self._back.close()
            self._back = None
        self._on_output()
        self._proxy.drop()
        self._last_exit = {
            "exit_code": ended.exit_code,
            "signal": ended.signal_name,
            "signum": ended.signum,
            "out_of_memory": ended.out_of_memory,
            "usage": ended.usage,
            "log_tail": self._log.tail(self._log_begin),
        }
        self._tell({"event": "exited", **self._last_exit})

    def _tell(self, fields: dict[str, Any]) -> None:
        """In the journal, at its place among the messages; and to all who are there, at once."""
        fields["incarnation"] = self._incarnation
        self._journal.note(fields)
        self._has_news = True
        self.link.tell(fields)

    def _on_output(self) -> None:
        """At most some of it: a child that writes without end does not stop the rest."""
        for _ in range(16):
            if self._output < 0:
                return
            try:
                data = os.read(self._output, 65536)
            except BlockingIOError:
                return
            if not data:
                self._close_output()
                return
            self._log.write(data)

    def _close_output(self) -> None:
        if self._output >= 0:
            self._reactor.remove_reader(self._output)
            os.close(self._output)
            self._output = -1

    # --- signals ----------------------------------------------------------------------------

    def _catch_signals(self) -> int:
        """A descriptor that can be read after each signal."""
        wakeup, wakeup_end = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(wakeup_end, False)
        signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
        for number in SIGNALS_SET:
            signal.signal(number, lambda *args: None)
        return wakeup

    def _on_wakeup(self) -> None:
        caught = os.read(self._wakeup, 4096)
        ended = self._process.reap()
        if ended is not None:
            self._on_kernel_exit(ended)
        if signal.SIGTERM in caught:
            self._reactor.stop()

    def _sample(self) -> None:
        self._process.sample()
        self._reactor.call_later(_SAMPLE_S, self._sample)

    # --- the rest ---------------------------------------------------------------------------

    def _wait_no_more(self) -> None:
        """Nothing followed so far: the server is to know all the same."""
        self._waits = False

    def _after_round(self) -> None:
        if self._waits and not self._has_news:
            return
        self._waits = self._has_news = False
        # Sent from memory, then written: a reader that is in step waits for no disk.
        self.link.pump()
        self._journal.flush()
        if self._has_output:
            self._has_output = False
            if self._outputs_in_a_row > _STREAM_MESSAGES:
                # What comes meanwhile is handled at once, for a third of the work. Nobody sees
                # it: the server writes into documents every 20 ms.
                time.sleep(_BREATH_S)

    def _begin_journal(self) -> dict[str, Any]:
        self._is_journalling = True
        self._proxy.withdraw()  # the server that comes does not know of it
        return self._proxy.of_server()

    def _status(self) -> dict[str, Any]:
        if self._process.is_running:
            ready = self._back is not None and self._back.is_ready
            state = ("busy" if self._proxy.is_busy else "idle") if ready else "starting"
        else:
            state = "dead" if self._last_exit else "none"
        return {
            "state": state,
            "pid": self._process.pid,
            "incarnation": self._incarnation,
            "exit": self._last_exit,
        }

    def _long_status(self) -> dict[str, Any]:
        return {
            **self._status(),
            **_usage(self._process.pid),
            "uptime_s": self._process.uptime_s,
            "nanny": {
                "pid": os.getpid(),
                "version": wire.VERSION,
                "uptime_s": round(time.monotonic() - self._began, 3),
            },
            "journal": {
                "first": self._journal.first,
                "last": self._journal.last,
                "bytes": self._journal.size_bytes,
                "trouble": self._journal.trouble,
            },
            "log": {"start": self._log.start, "end": self._log.end},
        }

    def _read_log(self, offset: int) -> Answer | None:
        """None if there is nothing from ``offset`` on."""
        if offset >= self._log.end:
            return None
        start, data = self._log.read(offset, _LOG_CHUNK_BYTES)
        return Answer({"offset": start}, [data])

    def _end(self) -> None:
        self._journal.note({"event": "left"})
        self._has_news = True
        self._process.end()
        if self._back is not None:
            self._back.close()
        self._close_output()
        self._after_round()
        self.link.close()
        self.front.close()
        self._journal.close(keep=self._keeps_spool)
        self._log.close()
        self._context.term()


def _usage(pid: int) -> dict[str, Any]:
    """Processor time and memory of a process, where the system says it in a file."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = parse_stat(file.read())
    except OSError:
        return {}
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    return {"cpu_s": round(stat.cpu_ticks / tick, 2), "rss_bytes": stat.rss_pages * page}
