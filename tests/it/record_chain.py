"""Recomputes the chain of a record by nothing but its description: from the SQLite file, or from exported JSON lines.

    python3 record_chain.py andon.db
    andon decisions -o jsonl | python3 record_chain.py -
"""
import hashlib, json, sqlite3, sys

FIELDS = "seq id at_ms route canary action by why before_ppm after_ppm evidence".split()

def sha256(previous, row):
    parts = [previous.encode()]
    for value in (row[name] for name in FIELDS):
        data = None if value is None else str(value).encode()
        parts.append(b"-," if data is None else b"%d:%b," % (len(data), data))
    return hashlib.sha256(b"".join(parts)).hexdigest()

def lines(source):
    for line in source:
        row = json.loads(line)
        text = line.rstrip("\n").split(',"evidence":', 1)[1][:-1]  # the last member, as it is written
        row["evidence"] = None if text == "null" else text
        yield row, row["previous"]

def rows(path):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    previous = database.execute("SELECT pruned_hash FROM chain").fetchone()[0]
    for row in database.execute("SELECT * FROM decision ORDER BY seq"):
        yield row, previous
        previous = row["hash"]

found = lines(sys.stdin) if sys.argv[1] == "-" else rows(sys.argv[1])
count = 0
for row, previous in found:
    if sha256(previous, row) != row["hash"]:
        sys.exit(f"row {row['seq']} does not fit")
    count += 1
print(f"{count} rows fit")
