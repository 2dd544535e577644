"""What the proxy saw, second by second: the one thing that all judges judge.

Time counts in seconds from the beginning of the fault (of a run without one, from its beginning). A request belongs to
the moment when it was answered, because nobody can judge it before.
"""

import dataclasses
import functools
import itertools
import random
from typing import NamedTuple

SLOW_MS = 500  # Flagger's limit on the 99th percentile
HISTORY_SECONDS = 300  # the longest window of a peer
HORIZON_SECONDS = 3600  # how long peers are waited for
ROUNDING = 1e-9  # of a time that is a second and a part of one
MIXED_SECONDS = 2  # after a change, when requests of before are still being answered


class Outcome(NamedTuple):
    at: float  # within its second
    failed: bool
    ms: float


@dataclasses.dataclass
class Second:
    """In the order of their answers."""

    canary: list[Outcome]
    stable: list[Outcome]

    @functools.cached_property
    def tally(self):
        return Tally(len(self.canary), sum(each.failed for each in self.canary),
                     sum(each.ms > SLOW_MS for each in self.canary))

    @functools.cached_property
    def stable_failures(self):
        """Their places among stable's answers."""
        return [place for place, each in enumerate(self.stable) if each.failed]


class Tally(NamedTuple):
    """Of the canary."""

    requests: int
    failed: int
    slow: int

    def __add__(self, other):
        return Tally(*(mine + theirs for mine, theirs in zip(self, other)))

    def __sub__(self, other):
        return Tally(*(mine - theirs for mine, theirs in zip(self, other)))


class Recording:
    """Seconds from `begin` on. Those in `live` were seen; what lies outside was drawn from them (see `extend`)."""

    def __init__(self, seconds, begin, live=None):
        self.seconds = seconds
        self.begin, self.end = begin, begin + len(seconds)
        self.live = live or range(self.begin, self.end)
        tallies = (second.tally for second in seconds)
        self.sums = list(itertools.accumulate(tallies, initial=Tally(0, 0, 0)))
        self.stable_sums = list(itertools.accumulate((len(second.stable) for second in seconds), initial=0))

    def between(self, begin, end):
        """Whole seconds. Those before the recording are not there, so an early window is a short one."""
        return self.seconds[max(begin - self.begin, 0):max(end - self.begin, 0)]

    def tally(self, begin, end):
        return self.sums[self.place(end)] - self.sums[self.place(begin)]

    def stable_requests(self, begin, end):
        return self.stable_sums[self.place(end)] - self.stable_sums[self.place(begin)]

    def place(self, time):
        return min(max(time - self.begin, 0), len(self.seconds))

    def failed_until(self, time):
        """Failed canary requests from the beginning of the fault on; `time` need not be whole."""
        whole = int(time // 1)
        begun = self.between(whole, whole + 1)
        within = sum(each.failed and each.at <= time - whole + ROUNDING for second in begun for each in second.canary)
        return self.tally(0, whole).failed + within


def recorded(outcomes, begin, end):
    """Whole seconds out of (time of the answer, is canary, failed, ms)."""
    seconds = [Second([], []) for _ in range(begin, end)]
    for time, is_canary, failed, ms in sorted(outcomes):
        if begin <= time < end:
            number = int(time // 1)
            second = seconds[number - begin]
            (second.canary if is_canary else second.stable).append(Outcome(time - number, failed, ms))
    return Recording(seconds, begin)


class Pool:
    """Seconds of all runs of one situation, for judges that need more than was seen."""

    def __init__(self, recordings, situation):
        self.good, self.bad = [], []
        for seen in recordings:
            if situation.lasts is None and not situation.is_fault:
                self.good += seen.seconds
                continue
            self.good += seen.between(seen.begin, 0)
            if situation.is_fault:
                self.bad += seen.between(MIXED_SECONDS, seen.end)
            else:
                self.good += seen.between(situation.lasts + MIXED_SECONDS, seen.end)

    def extend(self, seen, seed):
        """A recording with good seconds before it, so that windows are full, and an hour after the fault: of seconds
        of the fault, if it stays, else of good ones. All are drawn with replacement."""
        lot = random.Random(seed)
        others = round(sum(len(second.stable) for second in seen.seconds)
                       / max(sum(len(second.canary) for second in seen.seconds), 1))
        length = max(HORIZON_SECONDS - seen.end, 0)
        before = [self.alike(others, lot) for _ in range(HISTORY_SECONDS)]
        after = lot.choices(self.bad, k=length) if self.bad else [self.alike(others, lot) for _ in range(length)]
        return Recording(before + seen.seconds + after, seen.begin - HISTORY_SECONDS, range(seen.begin, seen.end))

    def alike(self, others, lot):
        """A second of good health, in which both variants are drawn from the canary's.

        They are alike in truth, but not in a few minutes of it: drawn each from its own, the difference that chance
        left between them would be repeated for an hour, and look like a worse canary.
        """
        canary, *stable = (second.canary for second in lot.choices(self.good, k=1 + others))
        return Second(canary, sorted(outcome for each in stable for outcome in each))
