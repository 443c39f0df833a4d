# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The clips that systems are tested on, cut once and kept as files: vocals, separated vocals, true accompaniments.

Non-overlapping clips with an audible vocal, as mono WAV files at 24 kHz, the rate of the model's codec. The folder holds

    isolated/<clip>.wav         the vocal as it was recorded
    separated/<clip>.wav        what is left of the mix after separation, if that condition is wanted
    accompaniment/<clip>.wav    the truth
    songs/<number>.json         which clips a song gave, or why it gave none
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from accelerate import PartialState
from tqdm.auto import tqdm

from hafm_hf.data.corpora import Pair, Song, load_pair
from hafm_hf.data.corpora.folder import AUDIO_SUFFIXES, existing_folder, song_id, stem_folder_song, walk
from hafm_hf.data.filters import rms_db
from hafm_hf.data.resume import write_json
from hafm_hf.modeling.audio_hafm import load_audio, resample, to_mono, write_wav

from ..baselines.base import EvaluationClip
from .separated import VoiceOfMix


CONDITIONS = ("isolated", "separated")
SAMPLING_RATE = 24_000
MIN_SECONDS = 3.0  # of a song
MIN_VOCAL_DB = -40.0  # RMS of a clip in which somebody sings now and then


@dataclass(frozen=True)
class Clip:
    """A stretch of a song: its `id`, which names its files, the id of its song, and where it lies in it, in seconds."""

    id: str
    song: str
    start: float
    duration: float


class ClipFolder:
    """The test clips in a folder.

    Args:
        folder: where they are, or will be.
        voice_of_mix: what separates the vocals of the condition "separated", which is left out without it.
        seconds: length of a clip. What remains of a song is left out; a song that is shorter is one clip.
        per_song: the most clips of one song, its first; `None` takes all.
    """

    def __init__(
        self,
        folder: Path,
        voice_of_mix: VoiceOfMix | None = None,
        seconds: float = 10.0,
        per_song: int | None = None,
    ):
        self.folder, self.voice_of_mix, self.seconds, self.per_song = folder, voice_of_mix, seconds, per_song
        self.conditions = CONDITIONS if voice_of_mix else CONDITIONS[:1]

    def path(self, kind: str, clip: Clip) -> Path:
        """The file of a clip; `kind` is a condition or "accompaniment"."""
        return self.folder / kind / f"{clip.id}.wav"

    def load(self, clip: Clip, condition: str, seed: int) -> EvaluationClip:
        """A clip as a system gets it, with the vocal of `condition`."""
        vocal, accompaniment = (
            to_mono(load_audio(self.path(kind, clip)).waveform) for kind in (condition, "accompaniment")
        )
        return EvaluationClip(clip.id, clip.song, vocal, SAMPLING_RATE, seed, accompaniment)

    def cut(self, songs: Iterable[Song], state: PartialState) -> None:
        """Cuts songs, this process its share of them; one that is there is left alone."""
        for number, song in enumerate(tqdm(songs, "Clips", unit="song", disable=not state.is_main_process)):
            if number % state.num_processes == state.process_index and not self._record(number).exists():
                write_json(self._record(number), self._cut_song(number, song))

    def clips(self) -> list[Clip]:
        """All clips that were cut, in the order of the songs."""
        return [Clip(**clip) for record in self._records() for clip in record["clips"]]

    def skipped(self) -> dict[str, str]:
        """Why a song gave no clip, by its id."""
        return {record["song"]: record["skipped"] for record in self._records() if record["skipped"]}

    def _record(self, number: int) -> Path:
        return self.folder / "songs" / f"{number:05d}.json"

    def _records(self) -> Iterator[dict]:
        for path in sorted((self.folder / "songs").glob("*.json")):
            yield json.loads(path.read_text(encoding="utf-8"))

    def _cut_song(self, number: int, song: Song) -> dict:
        record = {"song": song.id, "clips": [], "skipped": None}
        try:
            voices = self._voices(load_pair(song), song)
        except (ValueError, OSError) as error:
            # Results travel, and where songs lie on this machine concerns nobody else.
            return record | {"skipped": str(error).replace(f"{song.path.parent}{os.sep}", "")}
        length = len(voices["isolated"])
        samples = min(length, round(self.seconds * SAMPLING_RATE))
        if length < MIN_SECONDS * SAMPLING_RATE:
            return record | {"skipped": f"It is {length / SAMPLING_RATE:.2f} s long, shorter than {MIN_SECONDS:g} s."}
        for start in range(0, length - samples + 1, samples):
            parts = {kind: audio[start : start + samples] for kind, audio in voices.items()}
            if len(record["clips"]) == self.per_song:
                break
            if rms_db(parts["isolated"], SAMPLING_RATE, "rms") >= MIN_VOCAL_DB:
                seconds = start / SAMPLING_RATE
                clip = Clip(
                    f"{number:05d}-{slug(song.id)}-{seconds:03.0f}s", song.id, seconds, samples / SAMPLING_RATE
                )
                for kind, audio in parts.items():
                    write_wav(self.path(kind, clip), audio, SAMPLING_RATE)
                record["clips"].append(asdict(clip))
        if not record["clips"]:
            record["skipped"] = f"No clip of it has a vocal above {MIN_VOCAL_DB:g} dB."
        return record

    def _voices(self, pair: Pair, song: Song) -> dict[str, np.ndarray]:
        """Mono waveforms [samples] of a whole song, by kind."""
        waveforms = {"isolated": pair.vocal, "accompaniment": pair.instrumental}
        if self.voice_of_mix is not None:
            waveforms["separated"] = self.voice_of_mix(pair, song.id)
        return {
            kind: resample(to_mono(waveform), pair.sampling_rate, SAMPLING_RATE)
            for kind, waveform in waveforms.items()
        }


def slug(song_id: str) -> str:
    """The last part of an id as a short file name without anything that a shell or an URL minds."""
    name = Path(song_id).name.removesuffix(".stem.mp4")
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:60]


def pair_songs(root: str | os.PathLike) -> Iterator[Song]:
    """List `X_vocals.*` beside `X_accompaniment.*`, and every folder with a file `vocals` as in `stem_folder_songs`.

    Every pair counts as a song: clips of one song are best left in one file. Where one of two files is missing, the song
    is listed, and cannot be read.

    Raises:
        ValueError: `root` is not a folder.
    """
    root = existing_folder(root)
    source = root.resolve().name
    for folder, files in walk(root):
        if song := stem_folder_song(folder, files, song_id(source, root, folder), source, None):
            yield song
        audio = {path.stem: path for path in files if path.suffix.lower() in AUDIO_SUFFIXES}
        for stem, path in audio.items():
            name, _, kind = stem.rpartition("_")
            partner = {"vocals": "accompaniment", "accompaniment": "vocals"}.get(kind)
            if name and (kind == "vocals" or (partner and f"{name}_vocals" not in audio)):
                other = audio.get(f"{name}_{partner}", path.with_stem(f"{name}_{partner}"))
                stems = (path, other) if kind == "vocals" else (other, path)
                yield Song(song_id(source, root, folder / name), folder / name, source, stems=stems)
