"""The same figures as pictures: SVG of our own, which follows the reader's light or dark ground.

Nothing is said by colour alone: each bar has its numbers beside it, and each curve its name at its end.
"""

import html
import math

from figures import OURS, best_of, cell, median_of, ratio_cell, spread_of
from report import COLUMNS, label, title_of

WIDTH, MARGIN, ROW, HEAD = 980, 16, 22, 34
BAR_BEGIN, BAR_END = 230, 580
CURVE_HEIGHT, CURVE_BEGIN, CURVE_END = 260, 70, 820
LABEL_GAP = 15
DASHES = ["", "8 3", "2 3", "8 3 2 3", "12 4", "5 5", "1 5"]
PERCENTILES = [0, 50, 90, 99, 99.9, 99.99]
STYLE = """\
svg { background: #ffffff; font: 13px system-ui, sans-serif }
.ground { fill: #ffffff } text { fill: #1b2027 } .faint { fill: #59636e } .strong { font-weight: bold }
.bar { fill: #8c959f } .ours { fill: #0969da } .spread { stroke: #1b2027; stroke-width: 1.5 } .grid { stroke: #d1d9e0 }
.curve { fill: none; stroke: #59636e; stroke-width: 1.5 } .curve.our { stroke: #0969da; stroke-width: 2.5 }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117 } .ground { fill: #0d1117 } text { fill: #e6edf3 } .faint { fill: #9198a1 }
.bar { fill: #656c76 } .ours { fill: #4493f8 } .spread { stroke: #e6edf3 } .grid { stroke: #3d444d }
.curve { stroke: #9198a1 } .curve.our { stroke: #4493f8 }
}"""
LEGEND = ("Bar: median over the rounds. Line: where the true one lies with 95%. Beside it the same in figures, then the ratio to the best "
          "peer; ~ where that may be 1.")


def bars(title, results, scenarios, floors):
    """The headline figure of each scenario, a bar for each peer."""
    parts, y = [text(MARGIN, MARGIN + 14, title, "strong"), text(MARGIN, MARGIN + 34, LEGEND, "faint")], MARGIN + 34
    for name, rows in results.items():
        for row, peers in rows.items():
            if any(spread_of(rounds, scenarios[name].headline) for rounds in peers.values()):
                y += HEAD
                parts += group(scenarios[name], row, peers, floors, y)
                y += ROW * len(peers)
    return drawing(title, parts, y + MARGIN)


def group(scenario, row, peers, floors, top):
    key = scenario.headline
    digits = next(digits for column, _, digits in COLUMNS if column == key)
    best = best_of(peers, key, floors)
    spreads = {name: spread_of(rounds, key) for name, rounds in peers.items()}
    most = max(spread[2] for spread in spreads.values() if spread) or 1
    parts = [text(MARGIN, top, f"{label(scenario.name, row)}: {title_of(key, scenario)}", "strong")]
    for number, (name, spread) in enumerate(spreads.items(), 1):
        y = top + ROW * number
        parts.append(text(MARGIN + 14, y, name))
        if spread:
            said = cell(spread, digits)
            if best and best != name:
                said += f"; {ratio_cell(peers[name], peers[best], key).partition(' (')[0]} × {best}"
            parts += bar(spread, most, y, name == OURS)
            parts.append(text(BAR_END + 14, y, said))
    return parts


def bar(spread, most, y, is_ours):
    low, middle, high = (BAR_BEGIN + max(0, value) / most * (BAR_END - BAR_BEGIN) for value in spread)
    kind = "ours" if is_ours else "bar"
    return [f'<rect class="{kind}" x="{BAR_BEGIN}" y="{y - 12}" width="{max(1, middle - BAR_BEGIN):.1f}" height="14"/>',
            line(low, y - 5, high, y - 5, "spread")]


def curves(title, results, scenarios):
    """Latency by percentile for each row of the scenarios with an open loop; nothing where there is none."""
    parts, y = [text(MARGIN, MARGIN + 14, title, "strong")], MARGIN + 14
    for name, rows in results.items():
        for row, peers in rows.items():
            drawn = {peer: median_curve(rounds) for peer, rounds in peers.items() if rounds and rounds[0].get("curve")}
            if drawn and scenarios[name].load == "open-loop":
                y += HEAD
                parts.append(text(MARGIN, y, f"{label(name, row)}: latency in ms by percentile", "strong"))
                parts += panel(drawn, y + 12)
                y += CURVE_HEIGHT + 36
    return drawing(title, parts, y + MARGIN) if y > MARGIN + 14 else None


def median_curve(rounds):
    """At each percentile the median of the rounds."""
    points = [[{"ms": point[1]} for point in each["curve"]] for each in rounds]
    return [(percentile, median_of([each[at] for each in points], "ms"))
            for at, (percentile, _) in enumerate(rounds[0]["curve"])]


def panel(drawn, top):
    values = [max(0.001, ms) for curve in drawn.values() for _, ms in curve]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values) * 1.01))
    y_of = lambda ms: top + CURVE_HEIGHT * (1 - (math.log10(max(0.001, ms)) - low) / (high - low))
    parts = []
    for power in range(low, high + 1):
        parts.append(line(CURVE_BEGIN, y_of(10**power), CURVE_END, y_of(10**power), "grid"))
        parts.append(text(CURVE_BEGIN - 8, y_of(10**power) + 4, f"{10**power:g}", "faint", "end"))
    for percentile in PERCENTILES:
        parts.append(line(x_of(percentile), top, x_of(percentile), top + CURVE_HEIGHT, "grid"))
        parts.append(text(x_of(percentile), top + CURVE_HEIGHT + 16, f"{percentile:g}%", "faint", "middle"))
    ends = apart({name: y_of(curve[-1][1]) for name, curve in drawn.items()})
    for number, (name, curve) in enumerate(drawn.items()):
        points = " ".join(f"{x_of(percentile):.1f},{y_of(ms):.1f}" for percentile, ms in curve)
        kind = "curve our" if name == OURS else "curve"
        parts.append(f'<polyline class="{kind}" stroke-dasharray="{DASHES[number % len(DASHES)]}" points="{points}"/>')
        parts.append(text(CURVE_END + 8, ends[name] + 4, f"{name} {curve[-1][1]:.1f}", "strong" if name == OURS else ""))
    return parts


def apart(heights):
    """Names at the ends of the curves, moved down until none covers another."""
    placed, last = {}, -math.inf
    for name, y in sorted(heights.items(), key=lambda entry: entry[1]):
        last = placed[name] = max(y, last + LABEL_GAP)
    return placed


def x_of(percentile):
    """Each nine takes the same room, so that the rare and slow are not squeezed into the last pixel."""
    nines = min(4.5, -math.log10(max(1e-9, 1 - percentile / 100)))
    return CURVE_BEGIN + nines / 4.5 * (CURVE_END - CURVE_BEGIN)


def drawing(title, parts, height):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>{html.escape(title)}</title>", f"<style>\n{STYLE}\n</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>', *parts, "</svg>\n",
    ])


def text(x, y, words, kind="", anchor="start"):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
