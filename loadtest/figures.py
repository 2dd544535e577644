"""Statistics of rounds: medians, spreads, and ratios that are taken within a round."""

import math
import statistics

OURS = "andon"
INTERVAL_OUTSIDE = 0.025  # the chance that the true median lies below an interval, and the same above
INTERVAL_VALUES_MIN = 6  # of fewer values even the lowest and the highest leave more outside


def median_of(rounds, key):
    values = [each[key] for each in rounds if each.get(key) is not None]
    return statistics.median(values) if values else None


def interval(values):
    """What holds the true median with 95%, whatever the distribution (the interval of the sign test, by order statistics); of
    fewer than six values the lowest and the highest."""
    ordered, cut, outside = sorted(values), 0, 0.0
    for below in range((len(ordered) - 1) // 2):
        outside += math.comb(len(ordered), below) / 2 ** len(ordered)
        if outside > INTERVAL_OUTSIDE:
            break
        cut = below
    return ordered[cut], ordered[-1 - cut]


def around(values):
    """The median within its interval."""
    low, high = interval(values)
    return low, statistics.median(values), high


def spread_of(rounds, key):
    """None where nothing was measured."""
    values = [each[key] for each in rounds if each.get(key) is not None]
    return around(values) if values else None


def ratios(mine, theirs, key):
    """Round by round: what was measured side by side. Rounds without a figure, or with nothing to divide by, drop out."""
    return [a[key] / b[key] for a, b in zip(mine, theirs) if a.get(key) is not None and b.get(key)]


def is_drowned(values):
    """Whether no difference can be read from a ratio: its interval holds 1; or, of a few rounds, it spreads further than it is from 1."""
    low, middle, high = around(values)
    if len(values) < INTERVAL_VALUES_MIN:
        return high - low > abs(middle - 1)
    return low <= 1 <= high


def ratio_cell(mine, theirs, key):
    values = ratios(mine, theirs, key)
    if not values:
        return "–"
    return ("~ " if is_drowned(values) else "") + cell(around(values), 2)


def cell(spread, digits):
    if spread is None:
        return "–"
    low, middle, high = (f"{value:.{digits}f}" for value in spread)
    return middle if low == high else f"{middle} ({low}–{high})"


def best_of(rows, key, floors):
    """The peer with the lowest median of a figure; neither Andon nor a floor is one. None where no peer has it."""
    medians = {name: median_of(rounds, key) for name, rounds in rows.items() if name != OURS and name not in floors}
    medians = {name: value for name, value in medians.items() if value is not None}
    return min(medians, key=medians.get) if medians else None


def table(head, rows):
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])
