# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What `results.json` holds.

    {
      "test_set": {
        "name": what it is in words,
        "songs", "clips": how many,
        "clip_seconds": length of a clip,
        "separation": {"name", "parameters"} of what made the separated vocals, or null,
        "skipped": {song: why it gave no clip}
      },
      "embedder": the model and preset of the distances, as "vggish-google",
      "pairing_embedder": the model of prompt adherence,
      "reference": the set the distances are to, in words,
      "systems": {
        name: {
          "settings": what decided what it played,
          "conditions": {
            "isolated", "separated" (vocals; only those that ran): {
              "clips": how many were accompanied,
              "missing": {clip: why it was not},
              "distances", where there are clips: {
                "mix", "instrumental": {
                  "fad": INTERVAL, "embeddings": n, "dimension": d,
                  "fad_infinity": {"value", "standard_error" of the extrapolation, "embeddings": n it starts from} or
                    {"value": null, "error": why there is none},
                  "bias": what two sets of these sizes from one distribution lie apart on average,
                  "kad": kernel audio distance, "kad_embeddings": n
                } or {"error": why there is none}
              },
              "adherence", where there are clips: {measure: {"matched", "shuffled", "difference": INTERVAL}},
              "prompt_adherence", where there are clips: {"matched", "shuffled", "difference": INTERVAL} or {"error"}
            }
          },
          "delta": {"mix", "instrumental": INTERVAL of FAD_s - FAD_i, or {"error": ...}} or null
        }
      },
      "reported": the paper's Table 2: {method: {"fad_i", "fad_s", "delta" as printed}}, of another pipeline,
      "versions": of Python and of the packages
    }

INTERVAL is {"value", "low", "high", "songs"}: a value, its 95 % bootstrap interval over songs, and their number; null
stands for what is not defined. All distances are lower for the better, and comparable only within one file.
"adherence" is to the vocal. "prompt_adherence" (APA) tells whether mixes with the vocal are as those of the true
accompaniments (1) or as those of other songs' (0). Files of earlier versions have neither it, its embedder nor "fad_infinity".
"""

import json
from pathlib import Path
from typing import Any

from .accompaniments import Accompaniments
from .features import KINDS
from .recordings import Recordings
from .scores import EmbeddedSet, adherence, distances, gap, prompt_adherence


REPORTED = {
    "Retrieval": {"fad_i": 3.85, "fad_s": 3.40, "delta": 0.45},
    "SingSong-Base (S-SA)": {"fad_i": 1.36, "fad_s": 1.17, "delta": 0.19},
    "SingSong-XL (S-SA)": {"fad_i": 1.28, "fad_s": 0.96, "delta": 0.32},
    "HAFM-Base": {"fad_i": 2.08, "fad_s": 2.30, "delta": 0.33},
}
"""Table 2 of the paper, as printed."""

LEVELS = ("loudness_balance", "silence_rate")
"""Measures that say something by themselves, not by their difference to shuffled pairs."""


def system_results(
    recordings: Recordings, played: Accompaniments, reference: dict[str, EmbeddedSet]
) -> dict[str, Any]:
    """The entry of one system."""
    settings = json.loads(played.settings.read_text(encoding="utf-8"))
    conditions, sets = {}, {}
    for condition in recordings.clips.conditions:
        clips = recordings.played(played, condition)
        missing = played.missing(condition, recordings.clips.clips())
        if not clips and not missing:
            continue
        entry = {"clips": len(clips), "missing": missing}
        if clips:
            sets[condition] = recordings.embedded(played, condition)
            entry["distances"] = {kind: distances(reference[kind], sets[condition][kind]) for kind in KINDS}
            entry["adherence"] = adherence(*recordings.tracks(played, condition), [clip.song for clip in clips])
            entry["prompt_adherence"] = prompt_adherence(reference, sets[condition])
        conditions[condition] = entry
    delta = None
    if len(sets) == 2:
        delta = {kind: gap(reference[kind], sets["isolated"][kind], sets["separated"][kind]) for kind in KINDS}
    return {"settings": settings, "conditions": conditions, "delta": delta}


def read_results(path: str | Path) -> dict[str, Any]:
    """The results in `path`, the file or the folder that `hafm evaluate` wrote.

    Raises:
        ValueError: there are none.
    """
    path = Path(path)
    path = path / "results.json" if path.is_dir() else path
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        results["systems"], results["test_set"]  # noqa: B018
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} holds no results; run `hafm evaluate` with this folder as --output.") from error
    return results
