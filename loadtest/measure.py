"""One measurement: a peer and its upstreams started, checked, warmed up, measured, and left at work for the next one."""

import contextlib
import dataclasses
import json
import os
import select
import subprocess
import tempfile
import time

import disturb
import machine
import upstreams
from check import check_equal_work
from load import Load
from machine import Failure
from scenarios import OPEN_LOOP_LOADS
from shape import Shape

DISTURBED_LOAD = 0.5
OPENED_SECONDS_MAX = 120
REST_SECONDS_MIN = 5  # what a proxy gives back of a rush it has given back by then


@dataclasses.dataclass
class Bench:
    """What all measurements of a run share. The folder of `places` holds those of the units."""

    places: dict
    generator: str
    proxy_cores: list
    load_core: str
    seconds: int
    warm_up_seconds: int
    log_of: object  # a function: name of a process to the path of its log


@dataclasses.dataclass
class Unit:
    """A peer at work in a scenario, in a folder and on ports of its own: others may be at work beside it."""

    bench: Bench
    places: dict
    peer: object
    scenario: object
    shape: Shape
    load: Load
    pid: int = 0
    upstream_pids: dict = dataclasses.field(default_factory=dict)

    def write_configuration(self, **changes):
        return self.peer.prepare(dataclasses.replace(self.shape, **changes), self.places)


@contextlib.contextmanager
def started(bench, peer, scenario, shape):
    places = bench.places | places_of_its_own(bench.places["dir"])
    load = Load(bench.load_core, bench.generator, places["public"], places["dir"])
    unit = Unit(bench, places, peer, scenario, shape, load)
    with contextlib.ExitStack() as stack:
        behind = upstreams.running(scenario, shape, places, bench.generator, bench.load_core, bench.log_of("upstream"))
        unit.upstream_pids = stack.enter_context(behind)
        command = unit.write_configuration()
        cores = ",".join(bench.proxy_cores[: shape.workers])
        unit.pid = stack.enter_context(machine.running(command, cores, bench.log_of(peer.name), places["public"]))
        yield unit


def places_of_its_own(parent):
    folder = tempfile.mkdtemp(dir=parent)
    os.chmod(folder, 0o755)  # nginx as root gives its worker another user
    ports = machine.free_ports(["stable", "canary", "public", "admin"])
    return ports | {"dir": folder, "access_log": f"{folder}/access.log"}


class Field:
    """All units of a scenario. They stay at work from round to round, so that what is compared is measured moments apart; where
    the work leaves its traces in a process, each measurement begins with a new one."""

    def __init__(self, bench, scenario):
        self.bench, self.scenario, self.stack = bench, scenario, contextlib.ExitStack()
        self.units, self.capacities = {}, {}  # by name of the peer and variation

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def measure(self, peer, variation):
        """Figures by the name of the row: the variation, or the loads of an open loop. Where all keep one pace there are none the
        first time: then it is found out what each can carry."""
        if self.scenario.leaves_traces:
            with self.ready(peer, variation) as (unit, share):
                return self.rows(unit, share, variation)
        key = (peer.name, variation)
        if key not in self.units:
            self.units[key] = self.stack.enter_context(self.ready(peer, variation))
        unit, share = self.units[key]
        if self.scenario.has_one_pace and key not in self.capacities:
            self.capacities[key] = capacity(unit)
            return {}
        return self.rows(unit, share, variation)

    @contextlib.contextmanager
    def ready(self, peer, variation):
        """Checked for equal work and warmed up, and the canary's share in that."""
        shape = dataclasses.replace(self.scenario.shape, **self.scenario.variations[variation])
        with started(self.bench, peer, self.scenario, shape) as unit:
            share = None if peer.is_floor else check_equal_work(peer, self.scenario, shape, unit.load)
            if self.bench.warm_up_seconds and self.scenario.load != "idle":
                unit.load.run(closed(self.scenario), shape, self.bench.warm_up_seconds)
            yield unit, share

    def rows(self, unit, share, variation):
        if self.scenario.has_one_pace:
            rows = open_loop(unit, min(self.capacities.values()))
        else:
            rows = KINDS.get(self.scenario.load, closed_loop)(unit, variation)
        return {name: figures | {"canary_share": share} for name, figures in rows.items()}


def closed(scenario):
    """The same work as fast as it is answered."""
    return dataclasses.replace(scenario, load="wrk") if scenario.load == "open-loop" else scenario


def closed_loop(unit, variation):
    return {variation: accounted(unit, lambda: unit.load.run(unit.scenario, unit.shape, unit.bench.seconds))}


def accounted(unit, work):
    """What the work counted, and what it cost the proxy by the kernel's account."""
    cpu, began = machine.cpu_seconds(unit.pid), time.monotonic()
    counted = work()
    cpu, wall = machine.cpu_seconds(unit.pid) - cpu, time.monotonic() - began
    costs = {"cpu_us": cpu * 1e6 / counted["requests"], "busy": cpu / wall / unit.shape.workers,
             "rss_mib": machine.rss_mib(unit.pid)}
    return counted | costs


def capacity(unit):
    """Requests a second, by wrk."""
    return unit.load.run(closed(unit.scenario), unit.shape, unit.bench.seconds)["requests_per_second"]


def open_loop(unit, carried):
    """Constant rates at shares of what all can carry."""
    return {f"at {share:.0%}": at_rate(unit, int(carried * share)) for share in OPEN_LOOP_LOADS}


def at_rate(unit, rate, failures_allowed=False):
    """The last of the phase's own routes is asked, or the one before it, which reloads leave alone."""
    shape = unit.shape
    if unit.scenario.disturbance == "reload":
        shape = dataclasses.replace(shape, routes=shape.routes - 1)
    ask = lambda: unit.load.rate(unit.scenario, shape, unit.bench.seconds, max(1, rate), failures_allowed)
    return accounted(unit, ask)


def with_and_without(unit, _variation):
    rate = int(capacity(unit) * DISTURBED_LOAD)
    calm = at_rate(unit, rate)
    with disturb.disturbed(unit, unit.bench.seconds) as found:
        figures = at_rate(unit, rate, failures_allowed=unit.scenario.disturbance == "death")
    return {"disturbed": figures | {"changes": found["changes"]}, "calm": calm}


def idle(unit, variation):
    """Memory of a connection: what opening so many of them adds, divided by their number."""
    count = unit.scenario.connections
    before, began = machine.rss_mib(unit.pid), time.monotonic()
    command = [unit.bench.generator, "idle", unit.load.url("/", unit.shape), "--connections", str(count)]
    with held(["taskset", "-c", unit.bench.load_core, *command]) as holder:
        opened = open_connections(holder)
        took, cpu = time.monotonic() - began, machine.cpu_seconds(unit.pid)
        rested = max(unit.bench.seconds, REST_SECONDS_MIN)
        time.sleep(rested)
        after, idled = machine.rss_mib(unit.pid), machine.cpu_seconds(unit.pid) - cpu
        holder.stdin.close()
        still_open = open_connections(holder)
    if (opened, still_open) != (count, count):
        raise Failure(f"{unit.peer.name}: of {count} idle connections {opened} opened and {still_open} stayed")
    return {variation: {
        "requests": count, "requests_per_second": count / took, "rss_mib": after,
        "connection_kib": (after - before) * 1024 / count, "busy": idled / rested,
    }}


@contextlib.contextmanager
def held(command):
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as holder:
        try:
            yield holder
        finally:
            holder.kill()


def open_connections(holder):
    """The number in the next line that the holder prints."""
    said, deadline = b"", time.monotonic() + OPENED_SECONDS_MAX
    while not said.endswith(b"\n"):
        readable, _, _ = select.select([holder.stdout], [], [], max(0, deadline - time.monotonic()))
        if not readable:
            raise Failure(f"the idle connections were not there within {OPENED_SECONDS_MAX} s")
        read = os.read(holder.stdout.fileno(), 4096)
        if not read:
            raise Failure(f"the idle connections cannot be held: {holder.stderr.read().decode(errors='replace')}")
        said += read
    return json.loads(said)["open"]


KINDS = {"idle": idle, "open-loop": with_and_without}
