"""Tables out of rounds. Medians, with the spread from the lowest to the highest round beside them."""

import statistics

COLUMNS = [  # key of a round, title, digits
    ("cpu_us", "CPU µs/request", 1),
    ("requests_per_second", "requests/s", 0),
    ("p50_ms", "p50 ms", 2),
    ("p99_ms", "p99 ms", 2),
    ("rss_mib", "RSS MiB", 1),
    ("busy", "core busy", 2),
]
RATIOS = ["cpu_us", "requests_per_second", "p99_ms", "rss_mib"]
METHOD = """\
CPU: user and system time of the proxy and its children (/proc/PID/stat) over the measured phase, divided by the
requests that wrk counted. One core for the proxy, another for wrk and the upstreams. Peers in turn, their order
rotated each round, each started afresh. Figures are medians over the rounds, in brackets the lowest and the highest.
A ratio is taken within each round, against the peer measured beside it, then the median. `~` marks a ratio whose spread
exceeds its distance from 1: do not read a difference into it. RSS adds up all processes of a peer."""
BUSY_MIN = 0.8  # below, the load did not fill the proxy's core, so requests/s and latency are not the proxy's


def report(scenario, rounds, references, facts):
    """The whole report as Markdown; `rounds` maps each peer to its rounds."""
    parts = [f"# {scenario.name}: {scenario.says}", facts, METHOD, figures(rounds)]
    idle = [name for name, mine in rounds.items() if median_of(mine, "busy") < BUSY_MIN]
    if idle:
        parts.append(f"**Not a quiet run**: the core of {', '.join(idle)} was busy for less than {BUSY_MIN:.0%} of the "
                     "time, so something else held the machine back. Read CPU per request only, and with care.")
    present = [name for name in references if name in rounds]
    if present:
        first, best = present[0], min(present, key=lambda name: median_of(rounds[name], "cpu_us"))
        parts.append(ratios(rounds, first, f"relative to {first}"))
        if best != first:
            parts.append(ratios(rounds, best, f"relative to the best of {', '.join(present)} in CPU, {best}"))
    return "\n\n".join(parts) + "\n"


def figures(rounds):
    rows = [[name, *(spread([each[key] for each in mine], digits) for key, _, digits in COLUMNS)]
            for name, mine in rounds.items()]
    return table(["peer", *(title for _, title, _ in COLUMNS)], rows)


def ratios(rounds, reference, title):
    titles = {key: title for key, title, _ in COLUMNS}
    rows = []
    for name, mine in rounds.items():
        if name != reference:
            rows.append([name, *(ratio(mine, rounds[reference], key) for key in RATIOS)])
    return table([title, *(titles[key] for key in RATIOS)], rows)


def ratio(mine, theirs, key):
    values = [a[key] / b[key] for a, b in zip(mine, theirs)]
    drowned = max(values) - min(values) > abs(statistics.median(values) - 1)
    return ("~ " if drowned else "") + spread(values, 2)


def spread(values, digits):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def median_of(mine, key):
    return statistics.median(each[key] for each in mine)


def table(head, rows):
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    return "\n".join([line(head), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])
