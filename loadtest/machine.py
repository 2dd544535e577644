"""Processes on their cores, and what the kernel says that they cost. Whatever is started here is stopped here."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
READY_SECONDS_MAX = 60  # a configuration of 10 000 routes takes some proxies that long
STOP_SECONDS_MAX = 5
PORTS = range(21000, 32000)  # below those that the kernel gives to outgoing connections
PORTS_APART = 16  # runs at the same time begin their search for free ports so far from each other


class Failure(Exception):
    """Something that the person who started this must know; printed without a trace."""


def free_ports(names):
    """A free port of 127.0.0.1 for each name."""
    found, first = {}, os.getpid() * PORTS_APART % len(PORTS)
    for port in [*PORTS[first:], *PORTS[:first]]:
        if len(found) == len(names):
            return found
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found[names[len(found)]] = port
    raise Failure(f"no {len(names)} free ports from {PORTS.start} to {PORTS.stop}")


@contextlib.contextmanager
def running(command, cores, log, port):
    """Starts a server on its core or cores, waits until it accepts, and stops it, by its process id, whatever happens."""
    with open(log, "ab") as output:
        said_before = output.tell()
        process = subprocess.Popen(
            ["taskset", "-c", str(cores), *map(str, command)], stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    try:
        wait_until_accepting(process, port, log, said_before)
        yield process.pid
    finally:
        stop(process)


def wait_until_accepting(process, port, log, said_before):
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    said = pathlib.Path(log).read_bytes()[said_before:][-2000:].decode(errors="replace")
    raise Failure(f"{' '.join(map(str, process.args))} does not accept on port {port}; it said:\n{said}")


def stop(process):
    """Asks, then insists, for the process and for the children that it leaves behind."""
    tree = tree_of(process.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        for pid in tree[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


def kill_tree(root):
    """At once and without a farewell, as a crash does it."""
    for pid in tree_of(root):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def tree_of(root):
    """A process and all its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry)] = int(stat_of(entry)[1])
    tree = [root]
    for pid in tree:
        tree += [child for child, parent in parents.items() if parent == pid]
    return tree


def stat_of(pid):
    """The fields of /proc/PID/stat after the name, which may itself hold spaces and brackets."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(root):
    """User and system time of a process and its descendants, their ended children included."""
    total = 0
    for pid in tree_of(root):
        with contextlib.suppress(OSError):
            total += sum(int(ticks) for ticks in stat_of(pid)[11:15])
    return total / TICKS_PER_SECOND


def rss_mib(root):
    """Resident memory of a process and its descendants, added up; shared pages count once a process."""
    total_kib = 0
    for pid in tree_of(root):
        with contextlib.suppress(OSError):
            lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            total_kib += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return total_kib / 1024


def said_by(command):
    """The first line that a command prints, on whichever stream."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return ((done.stdout + done.stderr).strip().splitlines() or ["unknown"])[0]
