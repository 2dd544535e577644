"""The report in Markdown. `results` maps a scenario to its rows, a row (variation or load) to peers, a peer to rounds."""

from figures import OURS, best_of, cell, median_of, ratio_cell, spread_of, table

COLUMNS = [  # key of a round, title with @ for the scenario's unit, digits
    ("cpu_us", "CPU µs/@", 1),
    ("requests_per_second", "@s/s", 0),
    ("p50_ms", "p50 ms", 2),
    ("p99_ms", "p99 ms", 2),
    ("p999_ms", "p99.9 ms", 2),
    ("rss_mib", "RSS MiB", 1),
    ("connection_kib", "KiB/connection", 2),
    ("failed", "failed", 0),
    ("changes", "changes", 0),
    ("busy", "core busy", 2),
]
COMPARED = ["cpu_us", "requests_per_second", "p50_ms", "p99_ms", "p999_ms", "rss_mib", "connection_kib"]
TITLES = {key: title for key, title, _ in COLUMNS}
METHOD = """\
CPU: user and system time of the proxy and its children (/proc/PID/stat) over the measured phase, divided by what the load
counted. One core for the proxy, another for the load and the upstreams. All peers and variations of a scenario are started, checked
for equal work and warmed up, and then measured in turn, their order rotated each round. Figures are medians over the rounds, in brackets
the interval that holds the true median with 95% (of fewer than six rounds the lowest and the highest). A ratio is taken within each
round, between neighbours in time, then the same. `~` marks a ratio whose interval holds 1: do not read a difference into it. RSS adds
up all processes of a peer. One failed request ends a measurement as an error, unless the scenario is about failures."""
BUSY_MIN = 0.8  # below, the load did not fill the proxy's core, so requests/s and latency are not the proxy's
LATE_MS_MAX = 1.0  # above, the open loop's own program was late too often for its latencies to be the proxy's


def report(title, results, notes, scenarios, floors, facts):
    parts = [f"# {title}", facts, METHOD, overview(results, scenarios, floors)]
    for name, rows in results.items():
        parts += section(scenarios[name], rows, notes.get(name, []), floors)
    return "\n\n".join(part for part in parts if part) + "\n"


def overview(results, scenarios, floors):
    lines = []
    for name, rows in results.items():
        scenario = scenarios[name]
        for row, peers in rows.items():
            lines += overview_line(scenario, row, peers, rows, floors)
    return table(["scenario", "figure", "andon", "best peer", "andon ÷ best peer", "goal"], lines) if lines else ""


def overview_line(scenario, row, peers, rows, floors):
    key, ours = scenario.headline, peers.get(OURS)
    if not ours:
        return []
    digits = next(digits for column, _, digits in COLUMNS if column == key)
    best = best_of(peers, key, floors) if key != "requests_per_second" else None
    name = f"{scenario.name}, {row}" if row else scenario.name
    theirs = f"{best} {median_of(peers[best], key):.{digits}f}" if best else "–"
    ratio = ratio_cell(ours, peers[best], key) if best else "–"
    return [[name, title_of(key, scenario), cell(spread_of(ours, key), digits), theirs, ratio, scenario.goal or "–"]]


def section(scenario, rows, notes, floors):
    measured = {row: peers for row, peers in rows.items() if peers}
    parts = [f"## {scenario.name}: {scenario.says}"]
    if scenario.goal:
        parts.append(f"Goal: {scenario.goal}.")
    if measured:
        parts.append(figures_table(scenario, measured))
        parts.append(comparison(scenario, measured, floors))
        parts.append(variations_table(scenario, measured))
        parts += warnings(scenario, measured)
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes))
    return parts


def figures_table(scenario, rows):
    columns = [column for column in COLUMNS if any(
        each.get(column[0]) is not None for peers in rows.values() for rounds in peers.values() for each in rounds)]
    if scenario.disturbance != "death":
        columns = [column for column in columns if column[0] != "failed"]  # elsewhere it is 0, or there is no row
    lines = [[label(name, row), *(cell(spread_of(rounds, key), digits) for key, _, digits in columns)]
             for row, peers in rows.items() for name, rounds in peers.items()]
    return table(["peer", *(title_of(key, scenario, title) for key, title, _ in columns)], lines)


def comparison(scenario, rows, floors):
    """Andon beside each peer; without Andon, each beside the best."""
    lines = []
    for row, peers in rows.items():
        reference = OURS if OURS in peers else best_of(peers, "cpu_us", floors)
        for name, rounds in peers.items():
            if name != reference and reference:
                pair = (peers[OURS], rounds) if reference == OURS else (rounds, peers[reference])
                named = f"{OURS} ÷ {label(name, row)}" if reference == OURS else f"{label(name, row)} ÷ {reference}"
                lines.append([named, *(ratio_cell(*pair, key) for key in compared(scenario, rows))])
    return table(["ratio", *(title_of(key, scenario) for key in compared(scenario, rows))], lines) if lines else ""


def variations_table(scenario, rows):
    """The first variation beside the last, for each peer: what it costs to have it."""
    names = list(rows)
    if len(names) != 2:
        return ""
    lines = [[f"{name}: {names[0]} ÷ {names[1]}",
              *(ratio_cell(rounds, rows[names[1]][name], key) for key in compared(scenario, rows))]
             for name, rounds in rows[names[0]].items() if name in rows[names[1]]]
    return table(["ratio", *(title_of(key, scenario) for key in compared(scenario, rows))], lines) if lines else ""


def compared(scenario, rows):
    """The rate of an open loop is given and not found."""
    known = {key for peers in rows.values() for rounds in peers.values() for each in rounds for key in each}
    given = {"requests_per_second"} if scenario.load == "open-loop" else set()
    return [key for key in COMPARED if key in known - given]


def warnings(scenario, rows):
    said = []
    each = [(label(name, row), rounds) for row, peers in rows.items() for name, rounds in peers.items()]
    late = [name for name, rounds in each if (median_of(rounds, "late_p99_ms") or 0) > LATE_MS_MAX]
    if late:
        said.append(f"**The load itself was late** (p99 of its own delay above {LATE_MS_MAX:.0f} ms) with {'; '.join(late)}: "
                    "those latencies are not the proxy's.")
    idle = [name for name, rounds in each if (median_of(rounds, "busy") or 0) < BUSY_MIN]
    if idle and scenario.load not in ("idle", "open-loop"):
        said.append(f"The core was busy for less than {BUSY_MIN:.0%} of the time with {'; '.join(idle)}: the load, the upstream or "
                    "something else on the machine held them back. Read CPU only, not rates and latencies.")
    return said


def label(name, row):
    return f"{name}, {row}" if row else name


def title_of(key, scenario, title=None):
    return (title or TITLES[key]).replace("@", scenario.unit)
