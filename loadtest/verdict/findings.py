"""When each judge acted on each run, what had failed until then, and whether that was seen or drawn from what was seen."""

import dataclasses
import math
import statistics

from judges import PEERS

ANDON = "Andon"
JUDGES = [ANDON, *(peer.name for peer in PEERS)]
NEEDS = {ANDON: 0} | {peer.name: peer.needs for peer in PEERS}  # seconds before a judge can act at all


@dataclasses.dataclass(frozen=True)
class Act:
    """What one judge did about one run; a peer counts once for each of its phases."""

    at: float = math.inf  # seconds since the fault began; infinite: it did nothing as long as it was looked at
    failed: float = math.inf  # canary requests since the fault began
    extended: bool = False  # it rests on more than was seen

    def plain(self):
        """For JSON, which knows no infinity."""
        return {key: None if value == math.inf else value for key, value in dataclasses.asdict(self).items()}


NOTHING = Act()


def judged(recording, pool, andon_at, seed):
    """Judge to acts, for one run; the pool is that of its situation."""
    andon = NOTHING
    if andon_at is not None and andon_at <= recording.end:
        andon = Act(andon_at, recording.failed_until(andon_at))
    extended = pool.extend(recording, seed)
    acts = {ANDON: [andon]}
    for peer in PEERS:
        acts[peer.name] = [act_of(peer, phase, recording, extended) for phase in peer.phases()]
    return acts


def act_of(peer, phase, seen, extended):
    """Live if what was seen was enough to act on; else what it does when it has more."""
    at = peer.acts(seen, phase=phase)
    if at is not None:
        return Act(at, seen.failed_until(at))
    at = peer.acts(extended, phase=phase)
    if at is None:
        return Act(extended=True)
    return Act(at, extended.failed_until(at), True)


@dataclasses.dataclass(frozen=True)
class Delay:
    """From the fault to the act, over all runs and phases. Whoever acted before the fault is not in it."""

    acts: int
    acted: int
    seconds: float  # median; infinite if fewer than half acted
    seconds_least: float
    seconds_most: float  # of those that acted
    failed: float
    extended: bool


def delay(acts):
    later = [act for act in acts if act.at >= 0]
    acted = [act for act in later if math.isfinite(act.at)]
    times = sorted(act.at for act in acted)
    return Delay(
        acts=len(later),
        acted=len(acted),
        seconds=statistics.median([act.at for act in later]) if later else math.inf,
        seconds_least=times[0] if times else math.inf,
        seconds_most=times[-1] if times else math.inf,
        failed=statistics.median([act.failed for act in later]) if later else math.inf,
        extended=any(act.extended for act in later),
    )


def false_alarms(judge, acts, seconds, before=math.inf):
    """The share that acted, up to a time, on what was seen alone; None if so many seconds are too few for this judge."""
    if NEEDS[judge] >= seconds:
        return None
    return sum(math.isfinite(act.at) and act.at < before and not act.extended for act in acts) / len(acts)


def false_alarms_in_an_hour(acts):
    """The same within the hour of a peer, most of which is drawn."""
    return sum(math.isfinite(act.at) for act in acts) / len(acts)
