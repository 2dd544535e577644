"""The rules of the peers, as pure functions over a recording: the second at which each would act, or None.

Every peer gets its metrics complete and without delay, where in truth they come by way of a scrape and a query. What
runs at intervals has a `phase`: how long it first runs after there is enough for its window.

Read in fluxcd/flagger `pkg/controller/scheduler.go`, argoproj/argo-rollouts `analysis/analysis.go`, envoyproxy/envoy
`outlier_detection.proto`, spinnaker/kayenta `NetflixACAJudge.scala` and `MannWhitneyClassifier.scala`.
"""

import dataclasses
import functools
from typing import Callable

from mann_whitney import is_high

PHASES = 10
MINUTE = 60


def ticks(recording, interval, phase):
    """Not before what was seen begins, nor before a window of one interval is full."""
    return range(max(recording.live.start, recording.begin + interval) + phase, recording.end + 1, interval)


def flagger(recording, phase, interval, threshold, success_min=0.99, slow_share_max=0.01):
    """The counter of failed checks never decreases, and is looked at before the check: so the run after acts."""
    failed_checks = 0
    for tick in ticks(recording, interval, phase):
        if failed_checks >= threshold:
            return tick
        seen = recording.tally(tick - interval, tick)
        succeeded = seen.requests - seen.failed
        good = succeeded >= success_min * seen.requests and seen.slow <= slow_share_max * seen.requests
        failed_checks += not (good and seen.requests)  # no data is a failed check
    return None


def argo(recording, phase, interval, failure_limit, success_min):
    """One failure more than the limit. Without requests there is no measurement."""
    failures = 0
    for tick in ticks(recording, interval, phase):
        seen = recording.tally(tick - interval, tick)
        failures += seen.requests - seen.failed < success_min * seen.requests
        if failures > failure_limit:
            return tick
    return None


def envoy_in_a_row(recording, phase, failures=5):
    """The canary is one host. Its ejection is taken for the end of its traffic, which Envoy does not promise."""
    streak = 0
    for number in range(recording.live.start, recording.end):
        for outcome in recording.between(number, number + 1)[0].canary:
            streak = streak + 1 if outcome.failed else 0
            if streak == failures:
                return number + outcome.at
    return None


def envoy_success_rate(recording, phase, interval=10, deviations=1.9, hosts_min=5, requests_min=100):
    """The canary is one of equal hosts of one cluster, and stable's requests were dealt to the others in turn."""
    others = stable_hosts(recording)
    for tick in ticks(recording, interval, phase):
        seen = recording.tally(tick - interval, tick)
        requests = recording.stable_requests(tick - interval, tick) // others
        if seen.requests < requests_min or requests < requests_min or others + 1 < hosts_min:
            continue
        failed = [0] * others
        dealt = 0
        for second in recording.between(tick - interval, tick):
            for place in second.stable_failures:
                failed[(dealt + place) % others] += 1
            dealt += len(second.stable)
        canary = 1 - seen.failed / seen.requests
        rates = [canary, *(1 - count / requests for count in failed)]
        mean = sum(rates) / len(rates)
        deviation = (sum((rate - mean) ** 2 for rate in rates) / len(rates)) ** 0.5
        if canary < mean - deviations * deviation:
            return tick
    return None


def kayenta(recording, phase, points=50):
    """Judged once, when there are enough points of a minute: failures, and the 99th percentile of the latency.

    Baseline is as large as the canary: every so many-th request of stable. Both metrics are critical.
    """
    end = recording.live.start + points * MINUTE
    if recording.end < end:
        return None
    others = stable_hosts(recording)
    metrics = [([], []), ([], [])]
    for begin in range(recording.live.start, end, MINUTE):
        minute = recording.between(begin, begin + MINUTE)
        canary = [each for second in minute for each in second.canary]
        baseline = [each for second in minute for each in second.stable[::others]]
        for side, outcomes in enumerate([canary, baseline]):
            metrics[0][side].append(sum(each.failed for each in outcomes))
            metrics[1][side].append(percentile_99(outcomes))
    return end if any(is_high(canary, baseline) for canary, baseline in metrics) else None


def percentile_99(outcomes):
    latencies = sorted(each.ms for each in outcomes)
    return latencies[len(latencies) * 99 // 100] if latencies else 0.0


def stable_hosts(recording):
    """How many hosts as large as the canary stable would be."""
    canary = recording.tally(recording.live.start, recording.live.stop).requests
    return max(round(recording.stable_requests(recording.live.start, recording.live.stop) / max(canary, 1)), 1)


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    acts: Callable
    needs: int  # seconds of traffic before it can act
    interval: int = 1

    def phases(self):
        """Spread over the interval, since nobody knows when in it a fault begins."""
        if self.interval == 1:
            return [0]
        return sorted({self.interval * number // PHASES for number in range(PHASES)})


def at_intervals(name, rule, interval, needs, **settings):
    return Peer(name, functools.partial(rule, interval=interval, **settings), needs, interval)


PEERS = [
    at_intervals("Flagger 60 s, threshold 5", flagger, 60, 360, threshold=5),
    at_intervals("Flagger 10 s, threshold 1", flagger, 10, 20, threshold=1),
    at_intervals("Argo 5 min, failureLimit 3, 95%", argo, 300, 1200, failure_limit=3, success_min=0.95),
    at_intervals("Argo 60 s, failureLimit 0, 99%", argo, 60, 60, failure_limit=0, success_min=0.99),
    Peer("Envoy, five 5xx in a row", envoy_in_a_row, 0),
    at_intervals("Envoy, success rate of hosts", envoy_success_rate, 10, 10),
    Peer("Kayenta, 50 points of 1 min", kayenta, 50 * MINUTE),
]
