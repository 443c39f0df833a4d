# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The HTML report: one file with tables, plots, spectrograms and players, that needs nothing else."""

from html import escape
from pathlib import Path
from string import Template
from typing import Any

from hafm_hf.data.resume import replacing, writing_to
from hafm_hf.modeling.loudness_hafm import mix

from ..protocol.accompaniments import Accompaniments
from ..protocol.clips import SAMPLING_RATE, Clip, ClipFolder
from ..protocol.results import LEVELS, read_results
from .media import audio_uri, read_mono, spectrogram_uri
from .plot import Row, interval_plot
from .table import PLURAL, Table, conditions, distance_of, fad_value, results_tables


EXAMPLES = 3  # clips to look at and to listen to: each costs about 0.3 MB a system


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
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row in table.rows
    )
    return (
        f"<h3>{escape(table.title)}</h3><div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"</div><p class=note>{escape(table.note)}</p>"
    )


def plots(results: dict[str, Any]) -> str:
    """A plot for each distance and each measure of adherence."""
    figures = []
    for condition in conditions(results):
        for kind, plural in PLURAL.items():
            found = {name: distance_of(entry, condition, kind) for name, entry in ranked(results)}
            rows = [Row(name, distance["fad"]) for name, distance in found.items() if "fad" in distance]
            figures.append(interval_plot(f"FAD, {plural}", rows, f"of {condition} vocals; lower is better"))
    measured = {
        name: entry["conditions"]["isolated"]["adherence"]
        for name, entry in ranked(results)
        if "adherence" in entry["conditions"].get("isolated", {})
    }
    for measure in next(iter(measured.values()), {}):
        level = measure in LEVELS
        rows = [
            Row(name, parts[measure]["matched"], None if level else parts[measure]["shuffled"])
            for name, parts in measured.items()
        ]
        note = "of isolated vocals" if level else "of isolated vocals; hollow: shuffled pairs"
        figures.append(interval_plot(measure.replace("_", " ").capitalize(), rows, note))
    return "".join(figures)


def ranked(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Names and entries of the systems, the best first."""
    return sorted(results["systems"].items(), key=lambda entry: fad_value(entry[1], "mix"))


def examples(folder: Path, results: dict[str, Any]) -> str:
    """A few clips, evenly spread over those that most systems accompanied: the voice, the truth and every system."""
    clips = ClipFolder(folder / "clips")
    systems = [Accompaniments(folder / "systems" / name) for name, _ in ranked(results) if name != "truth"]
    played = {clip: [s for s in systems if s.path("isolated", clip).exists()] for clip in clips.clips()}
    most = max(map(len, played.values()), default=0)
    candidates = [clip for clip, by in played.items() if len(by) == most]
    chosen = candidates[:: max(len(candidates) // EXAMPLES, 1)][:EXAMPLES]
    return "".join(example(clip, clips, played[clip]) for clip in chosen)


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
