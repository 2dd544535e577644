"""The same figures as a picture: an SVG of our own, which follows the reader's light or dark ground.

Nothing is said by colour alone: a full disc is a live figure, an open square one that rests on drawn seconds, and each
has its numbers beside it.
"""

import html
import math

from findings import ANDON, JUDGES, delay, false_alarms
from situations import SITUATIONS
from tables import delay_cell, percent

WIDTH, MARGIN, ROW, HEAD = 940, 16, 22, 40
NAMES_END, AXIS_BEGIN, AXIS_END = 256, 270, 680
SECONDS_MIN, SECONDS_MAX = 0.5, 3600
MARKS = {1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h"}
STYLE = """\
svg { background: #ffffff; color: #1b2027; font: 13px system-ui, sans-serif }
.ground { fill: #ffffff } text { fill: #1b2027 } .faint { fill: #59636e }
.grid { stroke: #d1d9e0 } .bar { stroke: #59636e; stroke-width: 2 } .live { fill: #0969da; stroke: #0969da }
.drawn { fill: #ffffff; stroke: #bc4c00; stroke-width: 2 } .share { fill: #bc4c00 } .ours { font-weight: bold }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; color: #e6edf3 }
.ground { fill: #0d1117 } text { fill: #e6edf3 } .faint { fill: #9198a1 }
.grid { stroke: #3d444d } .bar { stroke: #9198a1 } .live { fill: #4493f8; stroke: #4493f8 }
.drawn { fill: #0d1117; stroke: #f0883e } .share { fill: #f0883e }
}"""
LEGEND = ["Median time from the fault to the act / failed canary requests until then. Line: from least to most.",
          "Disc: live. Open square: (extended), it rests on seconds that were drawn from those that were seen."]


def picture(acts, options):
    faults = [name for name in acts if SITUATIONS[name].is_fault]
    harmless = [name for name in acts if not SITUATIONS[name].is_fault]
    parts, y = [], MARGIN + 14
    parts.append(text(MARGIN, y, "How long until a bad canary is acted on", "ours"))
    for says in LEGEND:
        y += 20
        parts.append(text(MARGIN, y, says, "faint"))
    for name in faults:
        y += HEAD
        parts += delays(acts[name], SITUATIONS[name], y, options)
        y += ROW * len(JUDGES)
    for name in harmless:
        y += HEAD
        parts += alarms(acts[name], SITUATIONS[name], y, options)
        y += ROW * len(JUDGES)
    height = y + MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img">',
        "<title>How long until a bad canary is acted on, by judge and fault</title>",
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        *parts,
        "</svg>\n",
    ])


def delays(acts, situation, top, options):
    parts = [text(MARGIN, top, situation.says, "ours")]
    bottom = top + ROW * len(JUDGES) + 4
    for mark, label in MARKS.items():
        parts.append(line(x_of(mark), top + 6, x_of(mark), bottom, "grid"))
        parts.append(text(x_of(mark), top, label, "faint", "middle"))
    for number, judge in enumerate(JUDGES, 1):
        y = top + ROW * number
        parts.append(name_of(judge, y))
        found = delay(acts[judge])
        if math.isfinite(found.seconds):
            parts += marker(found, y - 4)
        parts.append(text(AXIS_END + 14, y, delay_cell(judge, acts[judge], situation, options)))
    return parts


def marker(found, y):
    x = x_of(found.seconds)
    parts = [line(x_of(found.seconds_least), y, x_of(found.seconds_most), y, "bar")]
    if found.extended:
        parts.append(f'<rect class="drawn" x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10"/>')
    else:
        parts.append(f'<circle class="live" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    return parts


def alarms(acts, situation, top, options):
    seconds = sum(situation.ending(options))
    says = f"False alarms, live within {seconds} s: {situation.says}"
    parts = [text(MARGIN, top, says, "ours")]
    for number, judge in enumerate(JUDGES, 1):
        y = top + ROW * number
        share = false_alarms(judge, acts[judge], seconds)
        parts.append(name_of(judge, y))
        parts.append(line(AXIS_BEGIN, y - 12, AXIS_BEGIN, y + 4, "grid"))
        width = (AXIS_END - AXIS_BEGIN) * (share or 0)
        parts.append(f'<rect class="share" x="{AXIS_BEGIN}" y="{y - 10}" width="{width:.1f}" height="12"/>')
        parts.append(text(AXIS_BEGIN + width + 8, y, percent(share)))
    return parts


def name_of(judge, y):
    return text(NAMES_END, y, judge, "ours" if judge == ANDON else "", "end")


def x_of(seconds):
    """On an axis of logarithms."""
    inside = min(max(seconds, SECONDS_MIN), SECONDS_MAX)
    return AXIS_BEGIN + (AXIS_END - AXIS_BEGIN) * math.log(inside / SECONDS_MIN) / math.log(SECONDS_MAX / SECONDS_MIN)


def text(x, y, content, style="", anchor="start"):
    words = html.escape(content)
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{words}</text>'


def line(x1, y1, x2, y2, style):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'
