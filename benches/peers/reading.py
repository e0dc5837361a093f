"""How long `topwork` and `polars` take to read two columns of a file, and what memory they need.

    cargo build --release -p topwork-data --example read
    target/venv/bin/pip install polars
    target/venv/bin/python benches/peers/reading.py target/release/examples/read [--rows 1000000] [--repeats 3]

Each reading is a process of its own. The memory of polars is counted from after its import on, that of topwork from the beginning. Files
of half the rows show whether time grows with the rows.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

PEER = """
import json, sys, time
import polars
def kib(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
before = kib("VmRSS:")
began = time.perf_counter()
path = sys.argv[1]
if path.endswith(".csv"):
    frame = polars.read_csv(path, columns=["text", "label"])
else:
    frame = polars.read_ndjson(path).select("text", "label")
seconds = time.perf_counter() - began
print(json.dumps(dict(rows=len(frame), seconds=seconds, peak_mb=(kib("VmHWM:") - before) // 1024, held_mb=(kib("VmRSS:") - before) // 1024)))
"""


def write_csv(path, rows):
    with open(path, "w") as file:
        file.write("id,text,label\n")
        for row in range(rows):
            file.write(f"{row},the printer in room {row} is jammed again,{'ab'[row % 2]}\n")


def write_jsonl(path, rows):
    rest = {f"feature_{place}": place for place in range(48)}
    with open(path, "w") as file:
        for row in range(rows):
            file.write(json.dumps({**rest, "text": f"the printer in room {row} is jammed again", "label": "ab"[row % 2]}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, write, rows in [("csv", write_csv, options.rows), ("jsonl", write_jsonl, options.rows // 10)]:
            for count in (rows // 2, rows):
                path = pathlib.Path(folder) / f"rows.{name}"
                write(path, count)
                runs = {"topwork": [], "polars": []}
                for _ in range(options.repeats):
                    for side, command in [("topwork", [options.reader, path]), ("polars", [sys.executable, "-c", PEER, path])]:
                        runs[side].append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
                middle = {side: {key: statistics.median(run[key] for run in own) for key in own[0]} for side, own in runs.items()}
                ratios = {key: round(middle["topwork"][key] / max(middle["polars"][key], 1e-9), 2) for key in ("seconds", "peak_mb", "held_mb")}
                print(name, count, middle, "topwork / polars:", ratios, flush=True)


if __name__ == "__main__":
    main()
