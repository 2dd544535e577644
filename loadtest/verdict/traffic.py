"""Users: requests at a constant rate for each run, whatever the answers do. Bounded in number, time and connections."""

import asyncio
import collections
import time

from machine import Failure

TICK_SECONDS = 0.002
CONNECTIONS_READY = 250  # opened before the first request, so that the beginning is like the rest
CONNECTIONS_MAX = 1000  # in flight at a time; beyond it requests are left out, and counted
LEFT_OUT_SHARE_MAX = 0.001
ANSWER_SECONDS_MAX = 30
LATE_SECONDS_MAX = 2.0


class Busy(Failure):
    """Something else takes so much of this machine that the load is not what it should be. It may be tried again."""


class Connection(asyncio.Protocol):
    """Sends one request at a time; goes back to the idle ones when the whole answer is there."""

    def __init__(self, users):
        self.users = users
        self.answer = b""
        self.busy = False

    def connection_made(self, transport):
        self.transport = transport

    def send(self, request):
        self.busy = True
        self.transport.write(request)

    def data_received(self, data):
        self.answer += data
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not length.strip().isdigit():
            self.users.broken += 1
            self.transport.abort()
        elif len(body) >= int(length):
            self.users.statuses[int(head[9:12])] += 1
            self.answer, self.busy = b"", False
            self.users.idle.append(self)

    def connection_lost(self, _):
        self.users.connections -= 1
        if self.busy:
            self.users.broken += 1
        else:
            self.users.idle.remove(self)


class Users:
    def __init__(self, port):
        self.port = port
        self.idle = []
        self.connections = 0
        self.statuses = collections.Counter()
        self.sent = self.left_out = self.broken = 0
        self.late_seconds = 0.0  # the longest that the schedule was behind

    async def open(self):
        self.connections += 1
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
        return connection

    async def ask(self, request):
        (await self.open()).send(request)

    def start(self, request, opening):
        if self.idle:
            self.idle.pop().send(request)
        elif self.connections + len(opening) < CONNECTIONS_MAX:
            task = asyncio.get_running_loop().create_task(self.ask(request))
            opening.add(task)
            task.add_done_callback(opening.discard)
        else:
            self.left_out += 1
            return
        self.sent += 1

    async def keep_rate(self, runs, rate):
        """From the beginning of each run to its end; runs may end at different times."""
        requests = [b"GET /%d HTTP/1.1\r\nhost: shop.example\r\n\r\n" % number for number in range(len(runs))]
        done = [0] * len(runs)
        totals = [round((run.end_at - run.begin_at) * rate) for run in runs]
        opening = set()
        for _ in range(CONNECTIONS_READY):
            self.idle.append(await self.open())
        while done != totals:
            now = time.time()
            for number, run in enumerate(runs):
                due = min(totals[number], int((now - run.begin_at) * rate))
                self.late_seconds = max(self.late_seconds, (due - done[number]) / rate)
                for _ in range(due - done[number]):
                    self.start(requests[number], opening)
                done[number] = max(done[number], due)
            if self.late_seconds > LATE_SECONDS_MAX:
                raise Busy(f"the load was {self.late_seconds:.1f} s behind")
            await asyncio.sleep(TICK_SECONDS)
        deadline = time.time() + ANSWER_SECONDS_MAX
        while self.answered + self.broken < self.sent and time.time() < deadline:
            await asyncio.sleep(0.05)

    @property
    def answered(self):
        return self.statuses.total()


def send(runs, port, rate):
    """All requests of a leg. One without an answer makes the leg worthless, so it is an error."""
    users = Users(port)
    asyncio.run(users.keep_rate(runs, rate))
    if users.broken or users.answered != users.sent:
        raise Failure(f"{users.sent - users.answered} of {users.sent} requests got no whole answer")
    if users.left_out > LEFT_OUT_SHARE_MAX * users.sent:
        raise Busy(f"{users.left_out} of {users.sent + users.left_out} requests were left out")
    return users
