"""Statistics of rounds: medians, spreads, and ratios that are taken within a round."""

import statistics

OURS = "andon"


def median_of(rounds, key):
    values = [each[key] for each in rounds if each.get(key) is not None]
    return statistics.median(values) if values else None


def spread_of(rounds, key):
    """Lowest, median, highest; none where nothing was measured."""
    values = [each[key] for each in rounds if each.get(key) is not None]
    return (min(values), statistics.median(values), max(values)) if values else None


def ratios(mine, theirs, key):
    """Round by round: what was measured side by side. Rounds without a figure, or with nothing to divide by, drop out."""
    return [a[key] / b[key] for a, b in zip(mine, theirs) if a.get(key) is not None and b.get(key)]


def is_drowned(values):
    """Whether the spread of a ratio exceeds its distance from 1, so that no difference can be read from it."""
    return max(values) - min(values) > abs(statistics.median(values) - 1)


def ratio_cell(mine, theirs, key):
    values = ratios(mine, theirs, key)
    if not values:
        return "–"
    return ("~ " if is_drowned(values) else "") + cell((min(values), statistics.median(values), max(values)), 2)


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
