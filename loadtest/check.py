"""The check of equal work: a peer that does less than the others is refused before anything is measured."""

import collections
import json

from load import HOST, path_in
from machine import Failure

CHECKS = 1000
CANARY_SHARE = 0.05
CANARY_SHARE_ERROR_MAX = 0.028  # four standard deviations of a random split over so many requests


def check_equal_work(peer, scenario, shape, load):
    """Split, headers and protocols for this shape; gives the share of the canary."""
    http2 = shape.downstream in ("h2", "h2c")
    command = [load.generator, "check", load.url("/check", shape), "--count", str(CHECKS)]
    answers = asked(load, [*command, *(["--protocol", "h2"] if http2 else [])])
    proto = "http" if shape.downstream in ("http", "h2c") else "https"
    wanted = ["127.0.0.1", proto, HOST]
    share = share_of_canary(peer.name, answers, "HTTP/2.0" if http2 else "HTTP/1.1", wanted)
    if "grpc" in scenario.headers.get("content-type", ""):
        url = load.url(scenario.path, shape)
        call = asked(load, [load.generator, "check", url, "--protocol", "h2", "--grpc"])[0]
        if call["status"] != 200 or call["grpc_status"] != "0" or not call["body"].endswith("hello"):
            raise Failure(f"{peer.name}: expected the message of gRPC and status 0 behind it, found {call}")
    return share


def asked(load, command):
    return [json.loads(line) for line in load.said(command, seconds=10).splitlines()]


def share_of_canary(name, answers, version, wanted):
    """Refuses answers other than 200 in this version of HTTP, with all headers seen upstream, split 95/5."""
    variants = collections.Counter()
    for answer in answers:
        variant, *headers = answer["body"].split("|")
        complete = headers[:3] == wanted and len(headers) == 4 and headers[3]
        if answer["status"] != 200 or answer["version"] != version or not complete:
            raise Failure(f"{name}: expected 200 in {version} and {'|'.join(wanted)}|(a request id) upstream, "
                          f"found {answer['status']} in {answer['version']} and {answer['body'][:200]!r}")
        variants[variant] += 1
    share = variants["canary"] / len(answers)
    if abs(share - CANARY_SHARE) > CANARY_SHARE_ERROR_MAX:
        raise Failure(f"{name}: the canary got {share:.1%} of {len(answers)} requests, expected {CANARY_SHARE:.0%}")
    return share
