"""Requests: the check that a peer does its share of the work, and the load of wrk."""

import collections
import http.client
import re
import subprocess

from machine import Failure

CHECKS = 2000
CANARY_SHARE = 0.05
CANARY_SHARE_ERROR_MAX = 0.02  # four standard deviations of a random split over 2000 requests
LATENCY_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def check_equal_work(name, port):
    """Refuses a peer that does not split, does not add the headers, or answers anything else than 200."""
    variants = collections.Counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    for _ in range(CHECKS):
        connection.request("GET", "/check", headers={"Host": "shop.example"})
        answer = connection.getresponse()
        body = answer.read().decode()
        variant, *headers = body.split("|")
        if answer.status != 200 or headers[:3] != ["127.0.0.1", "http", "shop.example"] or not headers[3]:
            raise Failure(f"{name}: expected 200 and all headers upstream, found {answer.status} and {body!r}")
        variants[variant] += 1
    connection.close()
    share = variants["canary"] / CHECKS
    if abs(share - CANARY_SHARE) > CANARY_SHARE_ERROR_MAX:
        raise Failure(f"{name}: the canary got {share:.1%} of {CHECKS} requests, expected {CANARY_SHARE:.0%}")
    return share


def wrk(scenario, port, core, seconds):
    """Runs wrk and returns what it counted. Any failed request makes the run worthless, so it is an error."""
    url = f"http://127.0.0.1:{port}{scenario.path}"
    options = ["-t1", f"-c{scenario.connections}", f"-d{seconds}s", "--latency", "-H", "Host: shop.example"]
    command = ["taskset", "-c", str(core), "wrk", *options, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    return parse_wrk(done.stdout + done.stderr)


def parse_wrk(text):
    counted = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text)
    if not counted or "Socket errors" in text or "Non-2xx" in text:
        raise Failure(f"wrk failed or saw errors:\n{text}")
    latency = dict(re.findall(r"^\s+(50|99)%\s+(\S+)$", text, re.MULTILINE))
    return {
        "requests": int(counted[1]),
        "requests_per_second": int(counted[1]) / (milliseconds(counted[2] + counted[3]) / 1000),
        "p50_ms": milliseconds(latency["50"]),
        "p99_ms": milliseconds(latency["99"]),
    }


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * LATENCY_UNITS_MS[unit]
