# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The HTML report: one file with tables, plots, spectrograms and players, that needs nothing else."""

import re
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from hafm_hf.data.resume import replacing, writing_to
from hafm_hf.modeling.loudness_hafm import mix

from ..protocol.accompaniments import Accompaniments
from ..protocol.clips import SAMPLING_RATE, Clip, ClipFolder
from ..protocol.results import LEVELS, read_results
from .media import audio_uri, read_mono, spectrogram_uri
from .plot import Row, interval_plot
from .table import PLURAL, Table, conditions, distance_of, label, part_of, ranked, results_tables


EXAMPLES = 3  # clips to look at and to listen to: each costs about 0.3 MB a system
MARKS = {
    "truth": "the true accompaniment",
    "codec": "the truth, encoded and decoded by the audio tokenizer: the best that a model of its tokens can sound",
    "retrieval": "a finished accompaniment that fits best in key and tempo, made to fit",
    "random": "a finished accompaniment of any song: chance",
    "noise": "noise as loud as the voice: the worst",
}
LEVEL_NOTES = {"loudness_balance": "LU above the vocal", "silence_rate": "share of silent frames"}


def write_report(folder: Path) -> Path:
    """Writes `report.html` into a folder that an evaluation left, of what its `results.json` says.

    Raises:
        ValueError: there are no results, or the file cannot be written.
    """
    results = read_results(folder)
    template = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    test_set = results["test_set"]
    first, *others = map(table_html, results_tables(results))
    page = template.substitute(
        title=escape(test_set["name"]),
        summary=escape(
            f"{len(results['systems'])} systems on {test_set['clips']} clips of {test_set['songs']} songs. Distances by "
            f"{results['embedder']}, to {results['reference']}; bars are 95 % bootstrap intervals over songs."
        ),
        marks="".join(f"<li><b>{name}</b>: {mark}</li>" for name, mark in MARKS.items() if name in results["systems"]),
        plots=plots(results),
        examples=examples(folder, results),
        table_2=first,
        tables="".join(others),
        problems=problems(results),
        versions=escape(", ".join(f"{name} {version}" for name, version in results["versions"].items())),
    )
    path = folder / "report.html"
    with writing_to(folder), replacing(path) as file:
        file.write(page.encode())
    return path


def table_html(table: Table) -> str:
    head = "".join(f"<th>{cell_html(cell)}</th>" for cell in table.header)
    body = "".join(row_html(row) for row in table.rows)
    return (
        f"<h3>{escape(table.title)}</h3><div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"</div><p class=note>{escape(table.note)}</p>"
    )


def row_html(row: list[str]) -> str:
    kind = " class=reported" if row[0].endswith("(reported)") else ""
    return f"<tr{kind}><th>{escape(row[0])}</th>{''.join(f'<td>{cell_html(cell)}</td>' for cell in row[1:])}</tr>"


def cell_html(cell: str) -> str:
    """What follows an underscore is set below the line, what is on a second line small."""
    value, *below = escape(cell).split("\n")
    return re.sub(r"_(\w)$", r"<sub>\1</sub>", value) + "".join(f"<small>{line}</small>" for line in below)


def plots(results: dict[str, Any]) -> str:
    """A plot for each distance and each measure of adherence."""
    figures = []
    for condition in conditions(results):
        for kind, plural in PLURAL.items():
            found = {name: distance_of(entry, condition, kind) for name, entry in ranked(results)}
            rows = [Row(name, distance["fad"]) for name, distance in found.items() if "fad" in distance]
            figures.append(interval_plot(f"FAD, {plural}", rows, f"of {condition} vocals; lower is better"))
    against_chance = "of isolated vocals; higher is better; hollow: shuffled pairs"
    measured = part_of(results, "isolated", "adherence")
    for measure in next(iter(measured.values()), {}):
        level = measure in LEVELS
        rows = [
            Row(name, parts[measure]["matched"], None if level else parts[measure]["shuffled"])
            for name, parts in measured.items()
        ]
        note = LEVEL_NOTES.get(measure, against_chance)
        name = label(measure)
        figures.append(interval_plot(name[0].upper() + name[1:], rows, note))
    prompted = part_of(results, "isolated", "prompt_adherence")
    rows = [Row(name, parts["matched"], parts["shuffled"]) for name, parts in prompted.items() if "matched" in parts]
    figures.append(interval_plot("Prompt adherence (APA)", rows, against_chance))
    return "".join(figures)


def examples(folder: Path, results: dict[str, Any]) -> str:
    """A few clips of those that most systems accompanied: the voice, the truth and every system."""
    clips = ClipFolder(folder / "clips")
    systems = [Accompaniments(folder / "systems" / name) for name, _ in ranked(results) if name != "truth"]
    played = {clip: [s for s in systems if s.path("isolated", clip).exists()] for clip in clips.clips()}
    most = max(map(len, played.values()), default=0)
    candidates = [clip for clip, by in played.items() if len(by) == most]
    return "".join(example(clip, clips, played[clip]) for clip in most_voice(candidates, clips))


def most_voice(candidates: list[Clip], clips: ClipFolder) -> list[Clip]:
    """The clip with the most voice of each of `EXAMPLES` equal parts: chosen without a look at any system."""

    def voice(number: int) -> float:
        return float(np.abs(read_mono(clips.path("isolated", candidates[number]), SAMPLING_RATE)).mean())

    parts = np.array_split(np.arange(len(candidates)), min(EXAMPLES, len(candidates)) or 1)
    return [candidates[max(part, key=voice)] for part in parts if len(part)]


def example(clip: Clip, clips: ClipFolder, systems: list[Accompaniments]) -> str:
    vocal = read_mono(clips.path("isolated", clip), SAMPLING_RATE)
    files = {"the truth": clips.path("accompaniment", clip)} | {s.name: s.path("isolated", clip) for s in systems}
    cards = [card("the voice", {"vocal": vocal}, vocal)]
    for name, path in files.items():
        accompaniment = read_mono(path, SAMPLING_RATE)
        audio = {"mix": mix(vocal, accompaniment, SAMPLING_RATE), "accompaniment": accompaniment}
        cards.append(card(name, audio, accompaniment))
    heading = f"{clip.song}, {clip.start:.0f} to {clip.start + clip.duration:.0f} s"
    return f"<h3>{escape(heading)}</h3><div class=cards>{''.join(cards)}</div>"


def card(name: str, audio: dict, shown) -> str:
    """One recording: its picture, and a player for each of `audio`."""
    players = "".join(
        f"<label>{kind}<audio controls preload=none src='{audio_uri(waveform, SAMPLING_RATE)}'></audio></label>"
        for kind, waveform in audio.items()
    )
    picture = f"<img alt='spectrogram of {escape(name)}' src='{spectrogram_uri(shown, SAMPLING_RATE)}'>"
    return f"<section class=card><h4>{escape(name)}</h4>{picture}{players}</section>"


def problems(results: dict[str, Any]) -> str:
    """What could not be used, if anything."""
    lines = [f"{song}: {reason}" for song, reason in results["test_set"]["skipped"].items()]
    for name, entry in results["systems"].items():
        for condition, part in entry["conditions"].items():
            lines += [f"{name}, {condition} {clip}: {reason}" for clip, reason in part["missing"].items()]
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<details><summary>{len(lines)} songs or clips could not be used</summary><ul>{items}</ul></details>"
