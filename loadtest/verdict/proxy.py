"""The real Andon: a route for each run, what it decided, and what its access log says."""

import collections
import contextlib
import datetime
import json
import os
import pathlib
import re
import urllib.request
from typing import NamedTuple

import machine
from machine import Failure
from traffic import Busy

HERE = pathlib.Path(__file__).resolve().parent
PORTS = ["stable", "canary", "public", "admin"]
ANSWER_SECONDS_MAX = 10
DECISIONS_MAX = 1000

ROUTE = """
[[route]]
name = "run-{number}"
path = "/{number}"
stable = "v1"

[[route.canary]]
upstream = "v2"
weight = "{percent}%"

[route.guard]
on_unhealthy = "{on_unhealthy}"
{more}
"""


class Line(NamedTuple):
    """A request, from the access log. Times are of the clock."""

    run: int
    is_canary: bool
    began: float
    ended: float
    ms: float
    failed: bool  # in the eyes of the guard
    rescued: bool  # stable answered in the canary's place
    harmed: bool  # the user saw a failure


@contextlib.contextmanager
def running(andon, folder, ports, runs, log):
    config = pathlib.Path(folder) / "andon.toml"
    config.write_text(configured(ports, runs))
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    with machine.running([andon, "run", "-c", config], cores, log, ports["public"]):
        yield


def configured(ports, runs):
    routes = "".join(ROUTE.format(number=number, percent=run.situation.canary_percent, on_unhealthy=run.on_unhealthy,
                                  more="" if run.rescue else "rescue = false") for number, run in enumerate(runs))
    places = {name: str(ports[name]) for name in PORTS} | {"routes": routes}
    return re.sub(r"@([a-z]+)@", lambda found: places[found[1]], (HERE / "andon.conf").read_text())


def decisions(admin_port):
    """When the immune system first acted on each run, or would have: (clock, sentence)."""
    url = f"http://127.0.0.1:{admin_port}/api/v1/decisions?limit={DECISIONS_MAX}"
    with urllib.request.urlopen(url, timeout=ANSWER_SECONDS_MAX) as answer:
        record = json.load(answer)["decisions"]
    found = {}
    for decision in record:  # newest first
        if decision["by"] == "immune system" and decision["action"] in ("watch", "back_off"):
            found[int(decision["route"].removeprefix("run-"))] = (decision["at_ms"] / 1000, decision["why"])
    return found


def read_log(path, requests):
    """Every request, by run. The log drops lines when it cannot keep up; then there is nothing to compare."""
    runs = collections.defaultdict(list)
    count = 0
    with open(path, "rb") as lines:
        for count, text in enumerate(lines, 1):
            line = parse(json.loads(text))
            runs[line.run].append(line)
    if count != requests:
        raise Busy(f"the access log has {count} of {requests} requests")
    return runs


def parse(line):
    if line["blame"] not in ("nobody", "upstream") or line["variant"] is None:
        raise Failure(f"a request ended in a way that is nobody's outcome: {line}")
    began = datetime.datetime.fromisoformat(line["time"]).timestamp()
    ms = line["total_ms"]
    rescued, harmed = line["rescue"] is not None, line["blame"] == "upstream"
    return Line(run=int(line["target"][1:]), is_canary=line["variant"] != "stable", began=began, ended=began + ms / 1000,
                ms=ms, failed=rescued or harmed, rescued=rescued, harmed=harmed)
