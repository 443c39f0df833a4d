# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The dataset card: what `load_dataset` should read, what the columns are, how many hours there are under which licence."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
from huggingface_hub import DatasetCardData

from hafm_hf.data.filters import Report
from hafm_hf.data.resume import replacing


TEMPLATE = """\
---
{metadata}
---

# Vocals and their accompaniments, as tokens

{clips} clips, {hours:.2f} hours, of {songs} songs, tokenised for training HAFM, which writes an instrumental
accompaniment to a singing voice. Both parts of a clip start and end together; there is no audio in here, but the codes can
be decoded to it.

```python
from datasets import load_dataset

dataset = load_dataset("PATH OR NAME OF THIS DATASET", split="train")
```

## Columns

| column | what it is |
|---|---|
| `id` | the song and where in it the clip starts |
| `source`, `license` | the corpus of the song, and its licence as the corpus records it |
| `start`, `duration` | in seconds |
| `vocal_semantic` | 50 tokens a second of the vocal with the tokenizer's noise (HuBERT, k-means) |
| `instrumental_semantic` | 50 tokens a second of the instrumental |
| `instrumental_codes` | 8 codebooks x 75 codes a second of the instrumental (EnCodec) |
| `vocal_rms_db`, `instrumental_rms_db` | levels in dB, full scale, as the filter defines them |

The rates and the 8 codebooks are those of the tokenizer of the paper.

## Licences

These are the licences of the songs. Mind them before you publish this dataset or what was trained on it.

| corpus | licence | clips | hours |
|---|---|---|---|
{licenses}

## How it was made

* Separated with {separation}.
* Cut into clips of up to {settings[clip_seconds]:g} s. A clip was dropped where its instrumental was quieter than
  {filter[min_instrumental_db]:g} dB, or its vocal more than {filter[max_vocal_excess_db]:g} dB above it.
* Of {songs} songs {skipped} could not be used; of the clips of the others: {fates}.
* Tokenised by the tokenizer whose weights and settings have the SHA-256 `{settings[tokenizer]}`.
"""


def write_card(folder: Path, shards: Iterable[Path], report: Report) -> None:
    """Write `README.md` to `folder`, from its `prepare.json` and the shards; no more than one of them is in memory."""
    clips, seconds = Counter(), Counter()
    for shard in shards:
        for row in pq.read_table(shard, columns=["source", "license", "duration"]).to_pylist():
            key = row["source"], row["license"] or "not recorded"
            clips[key] += 1
            seconds[key] += row["duration"]
    settings = json.loads((folder / "prepare.json").read_text(encoding="utf-8"))
    files = [{"split": "train", "path": "data/train-*.parquet"}]
    metadata = DatasetCardData(
        license="other",
        license_name="that-of-each-song",
        tags=["music", "singing", "vocal-accompaniment", "hafm"],
        configs=[{"config_name": "default", "data_files": files}],
    )
    parameters = ", ".join(f"{name} {value}" for name, value in settings["separator"]["parameters"].items())
    card = TEMPLATE.format(
        metadata=metadata.to_yaml(),
        clips=clips.total(),
        hours=seconds.total() / 3600,
        songs=report.songs,
        licenses="\n".join(
            f"| {_cell(source)} | {_cell(license)} | {count} | {seconds[source, license] / 3600:.2f} |"
            for (source, license), count in sorted(clips.items())
        ),
        separation=settings["separator"]["name"] + (f" ({parameters})" if parameters else ""),
        settings=settings,
        filter=settings["clip_filter"],
        skipped=len(report.skipped),
        fates=", ".join(f"{count} {fate.replace('_', ' ')}" for fate, count in sorted(report.clips.items())) or "none",
    )
    with replacing(folder / "README.md") as file:
        file.write(card.encode())


def _cell(text: str) -> str:
    """`text` in one cell of a table, whatever is in it."""
    return " ".join(text.replace("|", "\\|").split())
