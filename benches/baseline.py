#!/usr/bin/env python3
"""Compares what gungraun counted with benches/baseline.txt, or writes that file anew.

    baseline.py --check OUTPUT    fails if a bench grew by more than 3%, is new, or is gone
    baseline.py --save OUTPUT
"""

import re
import sys
from pathlib import Path

BASELINE = Path(__file__).with_name("baseline.txt")
CHANGE_MAX = 0.03
NAME = re.compile(r"^(\w+(?:::\w+)+)(?: (\w+))?(?::|\s|$)")
COUNT = re.compile(r"^\s+Instructions:\s+(\d+)\b")


def counted(output):
    """Instructions by bench, of the text that gungraun prints."""
    counts, name = {}, None
    for line in output.splitlines():
        if found := NAME.match(line):
            name = " ".join(part for part in found.groups() if part)
        elif (found := COUNT.match(line)) and name:
            counts[name] = int(found[1])
            name = None
    return counts


def read_baseline():
    if not BASELINE.exists():
        sys.exit(f"there is no {BASELINE.name}; write it with: benches/run --save")
    lines = BASELINE.read_text().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line)
    return {name.rstrip(): int(count) for name, count in pairs}


def save(counts):
    BASELINE.write_text("".join(f"{name} {count}\n" for name, count in sorted(counts.items())))
    print(f"benches/{BASELINE.name}: {len(counts)} counts")


def check(counts):
    """Prints the table, and returns what is wrong."""
    baseline, problems = read_baseline(), []
    names = sorted(baseline.keys() | counts.keys())
    width = max(len(name) for name in names)
    print(f"{'instructions':{width}} {'baseline':>12} {'now':>12} {'change':>8}")
    for name in names:
        before, now = baseline.get(name), counts.get(name)
        if before is None or now is None:
            what = "is new" if before is None else "was not counted"
            problems.append(f"{name} {what}; write the baseline anew with: benches/run --save")
            print(f"{name:{width}} {before or '-':>12} {now or '-':>12}")
            continue
        change = now / before - 1
        print(f"{name:{width}} {before:12} {now:12} {change:+8.1%}")
        if change > CHANGE_MAX:
            problems.append(f"{name} grew by {change:.1%}; if that is worth it, say why and: benches/run --save")
        elif change < -CHANGE_MAX:
            print(f"{name} fell by {-change:.1%}: please keep it so, with: benches/run --save")
    return problems


def main():
    mode, output = sys.argv[1], Path(sys.argv[2]).read_text()
    counts = counted(output)
    if not counts:
        sys.exit(f"gungraun counted nothing:\n{output}")
    if mode == "--save":
        save(counts)
    elif problems := check(counts):
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
