"""The Mann-Whitney test as Kayenta uses it on one metric, written anew from its published rule.

The metric is High if the lower end of the confidence interval for the shift from baseline to canary exceeds a
quarter of the estimated shift. The interval is the asymptotic one, with corrections for ties and continuity: its ends
are where the standardised rank sum, canary moved down by the shift, crosses the quantile.

That function is a flight of stairs, so a root is the edge of a step. Kayenta's solver stops within 1e-4 of the edge, on
either side. Where both numbers are that small the comparison would be of two remainders of the solver; here that is a
pass, so a canary is High only if the lower end is beyond the solver's tolerance as well.
"""

import collections
import math
import statistics

CONFIDENCE = 0.98
TOLERANCE = 0.25
SOLVER_TOLERANCE = 1e-4
ALLOWED_INCREASE = 1.0
HALVINGS = 60


def is_high(canary, baseline):
    if list(canary) == list(baseline):
        return False
    lower = shift(canary, baseline, statistics.NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2))
    limit = TOLERANCE * abs(shift(canary, baseline, 0))
    return lower > limit + SOLVER_TOLERANCE and mean_ratio(canary, baseline) >= ALLOWED_INCREASE


def mean_ratio(canary, baseline):
    below = statistics.fmean(baseline)
    return statistics.fmean(canary) / below if below else math.inf


def shift(canary, baseline, quantile):
    """How far the canary must be moved down until it stands above baseline by so many standard deviations only."""
    low, high = min(canary) - max(baseline), max(canary) - min(baseline)
    if standing(canary, baseline, low) <= quantile:
        return low
    if standing(canary, baseline, high) >= quantile:
        return high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if standing(canary, baseline, middle) > quantile:
            low = middle
        else:
            high = middle
    return low


def standing(canary, baseline, moved):
    """Of the canary above baseline, in standard deviations, when it is moved down."""
    ours, theirs = len(canary), len(baseline)
    both = ours + theirs
    moved_down = [value - moved for value in canary]
    ranks, ties = ranked(moved_down + list(baseline))
    above = sum(ranks[value] for value in moved_down) - ours * (ours + 1) / 2 - ours * theirs / 2
    correction = math.copysign(0.5, above) if above else 0.0
    variance = ours * theirs / 12 * (both + 1 - ties / (both * (both - 1)))
    return (above - correction) / math.sqrt(variance) if variance > 0 else 0.0


def ranked(values):
    """The rank of each value, those of equal ones averaged, and the sum of t^3 - t over the ties."""
    ranks, before, ties = {}, 0, 0
    for value, count in sorted(collections.Counter(values).items()):
        ranks[value] = before + (count + 1) / 2
        before += count
        ties += count**3 - count
    return ranks, ties
