"""The texts that the scheduler puts into cells: what happened, what is known of it, what next."""

from __future__ import annotations

from .model import DeathReport, ExecutionError

_HINTS = {
    "SIGSEGV": "It crashed in compiled code (SIGSEGV is an invalid access to memory).",
    "SIGBUS": "It crashed in compiled code (SIGBUS is an invalid access to memory).",
    "SIGILL": "It ran a machine instruction that this processor does not have.",
    "SIGFPE": "It crashed in compiled code, on an arithmetic error.",
    "SIGABRT": "It ended itself on an internal error.",
    "SIGKILL": "It was killed from outside.",
    "SIGTERM": "It was asked to end from outside.",
}


def death_cause(report: DeathReport) -> str:
    """How a kernel ended, as far as it is known; never a guess (K1)."""
    if report.out_of_memory:
        by = f" ({report.signal})" if report.signal else ""
        return f"The system ended it because it was out of memory{by}."
    if report.signal is not None:
        hint = _HINTS.get(report.signal, "")
        return f"It was ended by signal {report.signal}. {hint}".rstrip()
    if report.exit_code is not None:
        return f"It exited with code {report.exit_code}."
    return "How it ended is not known."


def death_error(report: DeathReport, *, restarting: bool) -> ExecutionError:
    """The error output of the cell during which the kernel died."""
    cause = f"{death_cause(report)}{_usage(report)}"
    following = (
        "The kernel is being restarted. Its variables are gone: run the cells again from the top."
        if restarting
        else "Restart the kernel, then run the cells again from the top."
    )
    return _error("KernelDied", f"The kernel died. {cause}", report.log_tail, following)


def _usage(report: DeathReport) -> str:
    if report.cpu_s is None or report.max_rss_bytes is None:
        return ""
    held = report.max_rss_bytes / 2**20
    amount = f"{held / 1024:.1f} GiB" if held >= 1024 else f"{held:.0f} MiB"
    return f" It had used {report.cpu_s:.1f} s of processor time, and at most {amount} of memory."


def start_error(message: str, log_tail: str) -> ExecutionError:
    """The error output of the first cell that waited for a kernel that did not start (Q10)."""
    following = "Nothing was run. Mend the cause, then run the cells again."
    return _error("KernelStartError", message, log_tail, following)


def time_limit_error(limit_s: float, grace_s: float) -> ExecutionError:
    """The error output of a cell that had to be ended by a restart (Q15)."""
    what = (
        f"The time limit of {limit_s:g} s was reached, and the interrupt had no effect "
        f"within {grace_s:g} s."
    )
    following = "The kernel is restarted. Its variables are gone: run the cells again from the top."
    return _error("TimeLimitExceeded", what, "", following)


def time_limit_text(limit_s: float, grace_s: float) -> str:
    """Said when the limit is reached (Q15)."""
    return (
        f"The time limit of {limit_s:g} s is reached: the cell is interrupted. "
        f"If that has no effect within {grace_s:g} s, the kernel is restarted.\n"
    )


def interrupt_ignored_text(grace_s: float) -> str:
    """Said once, when an interrupt had no effect (Q8)."""
    return (
        f"The kernel has not reacted to the interrupt for {grace_s:g} s. "
        "Restart the kernel to end this cell; its variables are then gone.\n"
    )


def idle_missing_text(grace_s: float) -> str:
    """Said when the reply came and the idle did not."""
    return (
        f"The kernel replied, but did not become idle within {grace_s:g} s. "
        "Output may be missing here.\n"
    )


def reply_missing_text(grace_s: float) -> str:
    """Said when the idle came and the reply did not."""
    return (
        f"The kernel became idle, but its reply did not come within {grace_s:g} s. "
        "How this cell ended is not known.\n"
    )


UNEXPLAINED = ExecutionError("Error", "The kernel reported an error without saying which.")


def _error(ename: str, evalue: str, log_tail: str, following: str) -> ExecutionError:
    lines = [f"{ename}: {evalue}"]
    if log_tail.strip():
        lines += ["", "The last lines of the kernel's log:", *log_tail.rstrip().splitlines()]
    return ExecutionError(ename, evalue, (*lines, "", following))
