"""What happens to a proxy while its latency is measured: weights that change, reloads, a canary that dies."""

import contextlib
import http.client
import itertools
import json
import os
import signal
import threading
import time

import machine
from machine import Failure

CHANGES_PER_SECOND = 100
RELOAD_PAUSE_SECONDS = 0.2
SIGHUP_PAUSE_SECONDS = 1.0  # a signal has no answer, so this is how long the reload gets
ADMIN_SECONDS_MAX = 30
WEIGHTS = ("4%", "6%")


@contextlib.contextmanager
def disturbed(unit, seconds):
    """Runs the disturbance of the unit's scenario beside the block; yields a dictionary that holds `changes` at the end."""
    ending, found = threading.Event(), {"changes": 0}

    def work():
        try:
            DISTURBANCES[unit.scenario.disturbance](unit, seconds, ending, found)
        except (OSError, http.client.HTTPException, Failure) as error:
            found["error"] = error

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield found
    finally:
        ending.set()
        thread.join()
    if "error" in found or not found["changes"]:
        why = found.get("error", "it did not happen once")
        raise Failure(f"{unit.peer.name}: the disturbance \"{unit.scenario.disturbance}\" failed: {why}")


def weights(unit, _seconds, ending, found):
    """By the admin API, at a constant rate: a change that is late is not left out."""
    began, connection = time.monotonic(), http.client.HTTPConnection("127.0.0.1", unit.places["admin"], timeout=5)
    route = f"/api/v1/routes/{first_route(connection)}/weight"
    for number in itertools.count():
        if ending.wait(max(0, began + number / CHANGES_PER_SECOND - time.monotonic())):
            return
        body = json.dumps({"weight": WEIGHTS[number % 2], "why": "loadtest"})
        ask_admin(connection, "PUT", route, body)
        found["changes"] += 1


def reload(unit, _seconds, ending, found):
    """One route fewer, one more, over and over: a reload of the same file could be no work at all."""
    routes = unit.shape.routes
    for number in itertools.count(1):
        unit.write_configuration(routes=routes - number % 2)
        if unit.peer.name == "andon":
            connection = http.client.HTTPConnection("127.0.0.1", unit.places["admin"], timeout=ADMIN_SECONDS_MAX)
            ask_admin(connection, "POST", "/api/v1/config/reload", "{}")
            connection.close()
        else:
            os.kill(unit.pid, signal.SIGHUP)
        found["changes"] += 1
        if ending.wait(RELOAD_PAUSE_SECONDS if unit.peer.name == "andon" else SIGHUP_PAUSE_SECONDS):
            return


def death(unit, seconds, ending, found):
    """The canary's processes are killed after a third of the phase, and do not come back."""
    if not ending.wait(seconds / 3):
        machine.kill_tree(unit.upstream_pids["canary"])
        found["changes"] += 1


def first_route(connection):
    routes = json.loads(ask_admin(connection, "GET", "/api/v1/routes"))
    routes = routes if isinstance(routes, list) else routes["routes"]
    return routes[0]["route"] if "route" in routes[0] else routes[0]["name"]


def ask_admin(connection, method, path, body=None):
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read().decode(errors="replace")
    if answer.status >= 300:
        raise Failure(f"{method} {path}: expected success, found {answer.status}: {said[:500]}")
    return said


DISTURBANCES = {"weights": weights, "reload": reload, "death": death}
