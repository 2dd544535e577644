"""System calls per request. The tracing slows the proxy many times over: the counts are true, the times are not."""

import contextlib
import signal
import subprocess

from machine import Failure, STOP_SECONDS_MAX


@contextlib.contextmanager
def counting(pids, file):
    """Attaches to the processes, and fills the dictionary that it yields when the block ends: name to calls."""
    attach = [word for pid in pids for word in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-c", "-f", "-o", str(file), *attach], stderr=subprocess.PIPE, text=True)
    calls = {}
    try:
        wait_until_attached(tracer, len(pids))
        yield calls
    finally:
        tracer.send_signal(signal.SIGINT)
        try:
            tracer.communicate(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            tracer.kill()
            tracer.communicate()
    calls.update(parse(file.read_text()))


def wait_until_attached(tracer, count):
    for line in tracer.stderr:
        count -= line.rstrip().endswith("attached") or "attached with" in line
        if count == 0:
            return
    raise Failure("strace cannot attach; may this user trace processes (kernel.yama.ptrace_scope)?")


def parse(text):
    """The lines of the table of `strace -c`: share, seconds, microseconds per call, calls, errors if any, name."""
    rows = [line.split() for line in text.splitlines()]
    return {row[-1]: int(row[3]) for row in rows if len(row) >= 5 and row[3].isdigit() and row[-1] != "total"}


def table(name, calls, requests):
    lines = [f"{name}: system calls per request, over {requests} requests"]
    for call, count in sorted(calls.items(), key=lambda entry: -entry[1]):
        if count / requests >= 0.001:
            lines.append(f"  {call:<20} {count / requests:7.3f}")
    lines.append(f"  {'all':<20} {sum(calls.values()) / requests:7.3f}")
    return "\n".join(lines)
