"""How long a whole corpus takes from the zip to an encoded corpus, and how much memory.

    python benchmarks/corpus_import.py ../shared/corpora/chinese-poetry.zip

Three processes, one after the other, `--repeats` times, and the fastest counts:

- floor: unpack, `json.loads` and OpenCC over the text of the same poems, and nothing else;
- import: `poetgen corpus import` as a function, storing the corpus;
- import + encode: the same, and the encoded corpus that training reads.

Every process gets a fresh home; peak memory is the process's own. The ratio is one of seconds on
the clock; CPU seconds, of all threads together, say more on a machine that has other work.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

_MEASURE = """
import json, resource, sys, time
start, cpu = time.perf_counter(), time.process_time()
{work}
print(json.dumps({{
    "seconds": time.perf_counter() - start,
    "cpu_seconds": time.process_time() - cpu,
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "poems": poems,
}}))
"""

_FLOOR = """
import re, zipfile
import opencc
converter = opencc.OpenCC("t2s")
poems = 0
with zipfile.ZipFile(sys.argv[1]) as archive:
    for info in archive.infolist():
        if re.search(r"/(poet\\.(tang|song)|ci\\.song)\\.\\w+\\.json$", info.filename):
            records = json.loads(archive.read(info))
            poems += len(records)
            converter.convert("\\n".join("".join(record["paragraphs"]) for record in records))
"""

_IMPORT = """
from pathlib import Path
from poetgen.corpus.importing import import_corpus
info = import_corpus(Path(sys.argv[1]), "measured")
poems = info.report["came_in"]
"""

_ENCODE = """
from poetgen.corpus.store import open_corpus
from poetgen.dataset.encoded import encode_corpus
encode_corpus(open_corpus("measured"))
"""


def measure(work: str, corpus: Path) -> dict[str, float]:
    """Run `work` in a process of its own; seconds exclude the interpreter's start."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE.format(work=work), str(corpus)],
            env={**os.environ, "POETGEN_HOME": home},
            stdout=subprocess.PIPE,
            check=True,
        )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="the chinese-poetry zip")
    parser.add_argument("--repeats", type=int, default=3, help="the fastest counts (default: 3)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    works = {"floor": _FLOOR, "import": _IMPORT, "import + encode": _IMPORT + _ENCODE}
    figures: dict[str, dict[str, float]] = {}
    for _ in range(options.repeats):
        for name, work in works.items():
            result = measure(work, options.corpus)
            if name not in figures or result["seconds"] < figures[name]["seconds"]:
                figures[name] = result
    floor = figures["floor"]["seconds"]
    for result in figures.values():
        result["poems_per_second"] = result["poems"] / result["seconds"]
        result["ratio"] = result["seconds"] / floor
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'':16} {'seconds':>8} {'CPU s':>6} {'poems/s':>9} {'ratio':>6} {'peak MB':>8}")
    for name, result in figures.items():
        print(
            f"{name:16} {result['seconds']:8.2f} {result['cpu_seconds']:6.2f} "
            f"{result['poems_per_second']:9,.0f} {result['ratio']:6.2f} {result['megabytes']:8,.0f}"
        )


if __name__ == "__main__":
    main()
