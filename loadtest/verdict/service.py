"""Stable and canary of every run, in one process of its own: each fails and dawdles as the situation says.

Nothing is flipped from outside. The process is given the moment at which the fault of each run begins, so that the
moment is known and not measured. The path of a request is the number of its run.
"""

import asyncio
import contextlib
import multiprocessing
import random
import signal
import socket
import time

from situations import MEDIAN_MS, SIGMA

GOOD_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nserved\n"
FAILED_ANSWER = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 7\r\n\r\nfailed\n"
HEAD_BYTES_MAX = 65_536
STOP_SECONDS_MAX = 5


class Variant:
    """One variant of one run."""

    def __init__(self, run, is_canary, seed):
        self.run, self.is_canary = run, is_canary
        self.lot = random.Random(seed)
        self.clump_left = 0

    def answer(self):
        """What is answered, and after how many seconds."""
        health = self.run.situation.health(self.is_canary, time.time() - self.run.fault_at)
        delay = self.lot.lognormvariate(0, SIGMA) * health.slower * MEDIAN_MS / 1000
        return (FAILED_ANSWER if self.fails(health) else GOOD_ANSWER), delay

    def fails(self, health):
        if self.clump_left == 0 and self.lot.random() < health.fails / health.clump:
            self.clump_left = health.clump
        if self.clump_left == 0:
            return False
        self.clump_left -= 1
        return True


class Connection(asyncio.Protocol):
    """One request at a time, without a body, as a proxy sends them to HTTP/1.1 upstreams."""

    def __init__(self, variants):
        self.variants = variants
        self.head = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            number = self.head[len("GET /"):self.head.index(b" ", len("GET /"))]
            self.head = b""
            answer, delay = self.variants[int(number)].answer()
            asyncio.get_running_loop().call_later(delay, self.transport.write, answer)
        elif len(self.head) > HEAD_BYTES_MAX:
            self.transport.abort()


async def serve(runs, sockets, seed):
    loop = asyncio.get_running_loop()
    for name, listening in sockets.items():
        variants = [Variant(run, name == "canary", f"{seed} {name} {number}") for number, run in enumerate(runs)]
        await loop.create_server(lambda variants=variants: Connection(variants), sock=listening)
    await asyncio.Event().wait()


def start(runs, sockets, seed):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops us
    asyncio.run(serve(runs, sockets, seed))


@contextlib.contextmanager
def serving(runs, seed):
    """Yields the ports of stable and canary."""
    sockets = {name: socket.create_server(("127.0.0.1", 0), backlog=1024) for name in ("stable", "canary")}
    process = multiprocessing.get_context("fork").Process(target=start, args=(runs, sockets, seed), daemon=True)
    process.start()
    try:
        ports = {name: listening.getsockname()[1] for name, listening in sockets.items()}
        for listening in sockets.values():
            listening.close()  # ours; the process has its own
        yield ports
    finally:
        process.terminate()
        process.join(STOP_SECONDS_MAX)
        if process.is_alive():
            process.kill()
            process.join()
