"""What happens to a canary, and to stable beside it, while all judges watch. A new one is an entry in SITUATIONS.

Latencies are lognormal with a median of 50 ms and a 99th percentile of 202 ms, times `slower`. Failures are drawn by
lot for each request; with `clump` above 1 they come so many in a row, and the share that fails is the same.
"""

import dataclasses

MEDIAN_MS = 50
SIGMA = 0.6


@dataclasses.dataclass(frozen=True)
class Health:
    """How one variant answers."""

    fails: float = 0.001
    slower: float = 1.0
    clump: int = 1


GOOD = Health()


@dataclasses.dataclass(frozen=True)
class Situation:
    name: str
    says: str
    canary_percent: float
    # Seconds of traffic before the fault and after its beginning; the second pair is for --quick.
    seconds: tuple[int, int]
    quick: tuple[int, int]
    is_fault: bool = True  # the canary's; of all else any action is a false alarm
    canary: Health = GOOD  # from the fault on
    stable: Health = GOOD  # from the fault on
    lasts: int | None = None  # seconds of the fault; none: to the end

    def health(self, is_canary, since_fault):
        """How a variant answers a request that comes so many seconds after the beginning of the fault."""
        if since_fault < 0 or (self.lasts is not None and since_fault >= self.lasts):
            return GOOD
        return self.canary if is_canary else self.stable

    def ending(self, options):
        """Seconds before and after the beginning of the fault."""
        return self.quick if options.quick else self.seconds


CLUMPS = Health(fails=0.005, clump=10)
INCIDENT = Health(fails=0.3)

SITUATIONS = {
    situation.name: situation
    for situation in [
        Situation("total", "100% fail, canary 1%", 1, (60, 65), (8, 14), canary=Health(fails=1)),
        Situation("half", "50% fail, canary 5%", 5, (60, 65), (8, 14), canary=Health(fails=0.5)),
        Situation("five", "5% fail beside 0.1%, canary 5%", 5, (60, 75), (8, 22), canary=Health(fails=0.05)),
        Situation("one", "1% fail beside 0.1%, canary 5%", 5, (60, 150), (8, 40), canary=Health(fails=0.01)),
        Situation("slow", "twice as slow, canary 5%", 5, (60, 60), (15, 25), canary=Health(slower=2)),
        Situation("good", "a good canary, 5%", 5, (0, 150), (0, 30), is_fault=False),
        Situation("incident", "30% of both fail for 10 s, canary 5%", 5, (60, 75), (10, 20), is_fault=False,
                  canary=INCIDENT, stable=INCIDENT, lasts=10),
        Situation("clumps", "0.5% of both fail, ten in a row, canary 20%", 20, (0, 150), (0, 30), is_fault=False,
                  canary=CLUMPS, stable=CLUMPS),
    ]
}

# Judged by nobody but Andon, which stops them for real.
STOPPED = [
    Situation("total", "100% fail, canary 1%", 1, (15, 15), (5, 8), canary=Health(fails=1)),
    Situation("half", "50% fail, canary 5%", 5, (15, 15), (5, 8), canary=Health(fails=0.5)),
]
