"""The report, as Markdown."""

import math

from findings import ANDON, JUDGES, delay, false_alarms, false_alarms_in_an_hour
from recording import HORIZON_SECONDS
from report import table
from situations import SITUATIONS

METHOD = """\
Andon was run live and only watched; its figure is the time of its recorded decision. The peers' rules were applied afterwards
to the same requests, out of the access log. They get complete metrics without delay, which flatters them. A peer that
runs at intervals counts with ten phases of its interval for each run. Figures are medians; failed requests are those of the canary from
the beginning of the fault until the act.

**(extended)**: the judge needs more than was seen, in at least one of its cases, and the rest was drawn from the recorded
seconds of all runs of the situation, with replacement, up to an hour after the fault. Such a figure is no measurement. Andon has none: it judges only what it sees."""
ALARMS = """\
Shares of the cases in which a judge acted though the canary was no worse than stable. *Live* is within what was seen; "too short" where
that is less than the judge needs for a decision. *In an hour* is drawn, of peers only, and longer: do not compare it with Andon's
live share. With {runs} runs none in {runs} only shows that the share is probably below {most:.0%}."""
STOPPED = """\
The same proxy with `on_unhealthy = "abort"`. All requests are of one run each, from the fault on."""


def report(acts, stopped, facts, picture, options):
    faults = [name for name in acts if SITUATIONS[name].is_fault]
    harmless = [name for name in acts if not SITUATIONS[name].is_fault]
    parts = ["# How long until a bad canary is acted on", facts, METHOD, f"![]({picture})"]
    if faults:
        parts += ["## Time / failed requests until action", delays(acts, faults, options)]
    alarms_of = {"runs": options.runs, "most": 1 - 0.05 ** (1 / options.runs)}
    parts += ["## False alarms", ALARMS.format(**alarms_of), alarms(acts, faults, harmless, options)]
    parts += ["## Stopped for real", STOPPED, stops(stopped)]
    return "\n\n".join(parts) + "\n"


def delays(acts, faults, options):
    head = ["judge", *(SITUATIONS[name].says for name in faults)]
    rows = [[judge, *(delay_cell(judge, acts[name][judge], SITUATIONS[name], options) for name in faults)]
            for judge in JUDGES]
    return table(head, rows)


def delay_cell(judge, acts, situation, options):
    found = delay(acts)
    mark = " (extended)" if found.extended else ""
    if found.acts == 0:
        return "acted before the fault"
    if found.acted == 0:
        return f"not in {situation.ending(options)[1]} s" if judge == ANDON else f"not in {span(HORIZON_SECONDS)}{mark}"
    share = "" if found.acted == found.acts else f", {share_of(found, judge)}"
    if math.isinf(found.seconds):
        return f"mostly not{share}{mark}"
    return f"{span(found.seconds)} / {count(found.failed)}{share}{mark}"


def share_of(found, judge):
    return f"{found.acted} of {found.acts}" if judge == ANDON else f"{found.acted / found.acts:.0%}"


def alarms(acts, faults, harmless, options):
    head = ["judge"]
    for name in harmless:
        head += [f"{SITUATIONS[name].says}: live, {sum(SITUATIONS[name].ending(options))} s", "in an hour (extended)"]
    before = min((SITUATIONS[name].ending(options)[0] for name in faults), default=0)
    head += [f"before a fault: live, {before} s or more"] if faults else []
    rows = []
    for judge in JUDGES:
        row = [judge]
        for name in harmless:
            live = false_alarms(judge, acts[name][judge], sum(SITUATIONS[name].ending(options)))
            row += [percent(live), "" if judge == ANDON else percent(false_alarms_in_an_hour(acts[name][judge]))]
        if faults:
            early = [act for name in faults for act in acts[name][judge]]
            row.append(percent(false_alarms(judge, early, before, before=0)))
        rows.append(row)
    return table(head, rows)


def stops(stopped):
    head = ["fault", "rescue", "decision after", "last canary request began", "canary requests failed", "users saw"]
    rows = []
    for run in stopped:
        last = run["last_canary_seconds"] * 1000
        rows.append([run["situation"], "on" if run["rescue"] else "off", f"{run['seconds']:.1f} s",
                     f"{abs(last):.0f} ms {'after' if last > 0 else 'before'} the decision", str(run["failed"]),
                     str(run["harmed"])])
    return table(head, rows)


def span(seconds):
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def count(number):
    return f"{number:.0f}" if number < 10_000 else f"{number / 1000:.0f}k"


def percent(share):
    return "too short" if share is None else f"{share:.0%}"
