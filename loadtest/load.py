"""The loads: wrk, h2load and our own generator, each on the load's core, and what they counted.

A load returns a dictionary with requests, requests_per_second, failed and p50_ms, p99_ms, p999_ms. A failed request
makes a run worthless, so it is an error, unless the caller allows it.
"""

import json
import pathlib
import re
import subprocess

from machine import Failure

HERE = pathlib.Path(__file__).resolve().parent
SECONDS_MORE_MAX = 60  # what a load may take longer than its phase
STREAMS = 8  # of one HTTP/2 connection at once
GRPC_MESSAGE = b"\0\0\0\0\x05hello"
HOST = "shop.example"


class Load:
    """Where the load comes from (`core`, the `generator`) and where it goes to (`port`)."""

    def __init__(self, core, generator, port, folder):
        self.core, self.generator, self.port, self.folder = core, generator, port, pathlib.Path(folder)

    def run(self, scenario, shape, seconds):
        return LOADS[scenario.load](self, scenario, shape, seconds)

    def wrk(self, scenario, shape, seconds):
        headers = {"Host": HOST} | scenario.headers
        words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
        said = self.said(["wrk", "-t1", f"-c{scenario.connections}", f"-d{seconds}s", "--timeout", "5s", *words,
                          "-s", HERE / "wrk.lua", self.url(scenario.path, shape),
                          "--", scenario.method, str(scenario.body_bytes)], seconds)
        return without_failures(parse_wrk(said), "wrk")

    def h2load(self, scenario, shape, seconds):
        log = self.folder / "h2load.log"
        log.unlink(missing_ok=True)
        words = [word for name, value in scenario.headers.items() for word in ("-H", f"{name}: {value}")]
        if scenario.method == "POST":
            message = self.folder / "grpc-message"
            message.write_bytes(GRPC_MESSAGE)
            words += ["-d", message]
        url = self.url(scenario.path, shape).replace("127.0.0.1", HOST)
        said = self.said(["h2load", "-t1", f"-c{scenario.connections}", f"-m{STREAMS}", f"-D{seconds}",
                          f"--connect-to=127.0.0.1:{self.port}", f"--log-file={log}", *words, url], seconds)
        return without_failures(parse_h2load(said, log.read_text(), seconds), "h2load")

    def connections(self, scenario, shape, seconds):
        return self.generated("connections", scenario, shape, seconds)

    def websocket(self, scenario, shape, seconds):
        return self.generated("websocket", scenario, shape, seconds)

    def generated(self, subcommand, scenario, shape, seconds, more=(), failures_allowed=False):
        words = [subcommand, self.url(scenario.path, shape), "--seconds", str(seconds),
                 "--connections", str(scenario.connections), *more]
        counted = parse_generated(self.said([self.generator, *words], seconds))
        return counted if failures_allowed else without_failures(counted, f"generator {subcommand}")

    def rate(self, scenario, shape, seconds, rate, failures_allowed=False):
        return self.generated("rate", scenario, shape, seconds, ["--rate", str(rate)], failures_allowed)

    def url(self, path, shape):
        scheme = "http" if shape.downstream in ("http", "h2c") else "https"
        return f"{scheme}://127.0.0.1:{self.port}{path_in(shape, path)}"

    def said(self, command, seconds):
        command = ["taskset", "-c", self.core, *map(str, command)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + SECONDS_MORE_MAX)
        except subprocess.TimeoutExpired:
            raise Failure(f"{command[3]} did not end within {seconds + SECONDS_MORE_MAX} s") from None
        if done.returncode != 0:
            raise Failure(f"{pathlib.Path(command[3]).name} failed: {(done.stdout + done.stderr)[-1000:]}")
        return done.stdout


LOADS = {"wrk": Load.wrk, "h2load": Load.h2load, "connections": Load.connections, "websocket": Load.websocket}


def path_in(shape, path):
    """With many routes, the last of them is asked."""
    return path if shape.routes == 1 else f"/r{shape.routes - 1}{path}"


def without_failures(counted, name):
    if not counted["requests"] and not counted["failed"]:
        raise Failure(f"{name} got no answer during the whole phase; a longer one (--seconds) may bring some")
    if counted["failed"]:
        why = counted.get("failures") or f"{counted['failed']} of them"
        raise Failure(f"{name} saw failed requests, so the run is worthless: {why}, {counted['requests']} requests in all")
    return counted


def parse_wrk(text):
    """The line of wrk.lua; wrk's own figures stand before it."""
    line = next((line for line in text.splitlines() if line.startswith('{"requests"')), None)
    if line is None:
        raise Failure(f"wrk printed no figures:\n{text}")
    return with_rate(json.loads(line))


def parse_generated(text):
    return with_rate(json.loads(text))


def with_rate(counted):
    return counted | {"requests_per_second": counted["requests"] / counted["seconds"]}


def parse_h2load(text, log, seconds):
    """The counts that h2load prints, and the percentiles out of its log: start, status, microseconds."""
    found = re.search(r"^requests: .* (\d+) done, (\d+) succeeded, (\d+) failed", text, re.MULTILINE)
    codes = re.search(r"^status codes: (\d+) 2xx", text, re.MULTILINE)
    if not found or not codes:
        raise Failure(f"h2load printed no figures:\n{text}")
    done, succeeded = int(found[1]), int(found[2])
    took = sorted(int(line.split("\t")[2]) for line in log.splitlines() if line.count("\t") == 2)
    if not took:
        raise Failure(f"h2load logged no request:\n{text}")
    at = lambda share: took[min(len(took) - 1, int(len(took) * share))] / 1000
    return with_rate({
        "requests": succeeded, "failed": int(found[3]) + done - succeeded, "seconds": seconds,
        "p50_ms": at(0.5), "p99_ms": at(0.99), "p999_ms": at(0.999),
    })
