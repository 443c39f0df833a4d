# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
`RESULTS.md` from what `run_all.py` measured.

    python benchmarks/report.py [--input build/benchmarks.jsonl] [--output benchmarks/RESULTS.md]
"""

import argparse
import ast
from pathlib import Path

from measuring import table

from hafm_hf.data.resume import read_journal, replacing


HEAD = """# What things cost

Medians, and in brackets from the lowest to the highest of all rounds. Each table was made by the command above it;
`make bench` makes them all, and this page from them.
"""


def section(record: dict) -> str:
    script = Path(__file__).with_name(record["command"].split()[0])
    summary = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))).split("\n")[0]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    settings = ", ".join(f"{name} {shown(value)}" for name, value in record["settings"].items() if value is not None)
    return f"""
## {record["benchmark"].replace("_", " ").capitalize()}

{summary}

```bash
python benchmarks/{record["command"]}
```

{table(record["results"])}

{record["date"]}, {record["processor"]}; {versions}. Settings: {settings}.
"""


def shown(value) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n")[0])
    parser.add_argument("--input", type=Path, default=Path("build/benchmarks.jsonl"), help="(default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/RESULTS.md"), help="(default: %(default)s)")
    args = parser.parse_args()
    with replacing(args.output) as file:
        file.write("".join([HEAD, *map(section, read_journal(args.input))]).encode())


if __name__ == "__main__":
    main()
