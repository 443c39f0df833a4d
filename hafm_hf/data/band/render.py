# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Renders songs of the built-in band: from a seed to a vocal, its accompaniment and the truth about both.

Every song is a folder `<out>/<split>/<seed>/` with `vocals.flac`, `accompaniment.flac` (24 kHz, mono, aligned to the
sample, to be added for the mix) and `truth.json`; `truth.py` documents the latter.
"""

import json
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from .arrangement import arrange
from .composition import compose
from .instruments import play
from .performance import perform
from .requirements import check_requirements, find_soundfont
from .rooms import record
from .seeds import split_of, stream
from .syllables import SAMPLING_RATE
from .truth import tell_truth
from .voice import sing


_RING = 1.5  # seconds after the last beat in which the band fades away
_ACCOMPANIMENT_DB = (-22.0, -17.5)
_VOCAL_OVER_ACCOMPANIMENT_DB = (-3.0, 3.0)  # while it sings
_HIGHEST_PEAK = 0.98  # of the mix


@dataclass(frozen=True)
class RenderedSong:
    """A rendered song: `vocal` and `accompaniment` are float32 `[samples]` at 24 kHz whose sum is the mix."""

    vocal: np.ndarray
    accompaniment: np.ndarray
    truth: dict


def render_song(seed: int, soundfont: str | Path | None = None) -> RenderedSong:
    """Renders the song of `seed`, the same samples every time (for the same soundfont and espeak-ng).

    Args:
        seed: one of `SPLITS`.
        soundfont: General MIDI .sf2 file; default: see `find_soundfont`.

    Raises:
        ValueError: if the seed lies in no split.
        FileNotFoundError, ImportError: if espeak-ng, the soundfont or a package of the extra `[band]` is missing.
    """
    song = compose(seed)
    parts = arrange(song)
    sung = perform(song)
    seconds = float(song.beat_times[-1]) + _RING
    rng = stream(seed, "recording")
    band = play(parts, seconds, find_soundfont(soundfont), rng)
    band = record(band * _fade_out(len(band)), rng, reverberation=(0.2, 1.0), wet_db=(-20, -10))
    voice = sing(sung, song.singer, seconds, seed)
    accompaniment_db = rng.uniform(*_ACCOMPANIMENT_DB)
    vocal_db = accompaniment_db + rng.uniform(*_VOCAL_OVER_ACCOMPANIMENT_DB)
    accompaniment = _limit(_at_level(band, np.abs(band) > 0, accompaniment_db))
    vocal = _at_level(voice, voice != 0, vocal_db)
    vocal = _limit(record(vocal, rng, reverberation=(0.15, 1.2), wet_db=(-26, -9), noise_db=(-80, -62)))
    gain = min(1.0, _HIGHEST_PEAK / np.abs(vocal + accompaniment).max())
    vocal, accompaniment = vocal * np.float32(gain), accompaniment * np.float32(gain)
    return RenderedSong(vocal, accompaniment, tell_truth(song, sung, parts, vocal, accompaniment))


def render_songs(
    out: str | Path, seeds: Iterable[int], num_processes: int = 1, soundfont: str | Path | None = None
) -> list[Path]:
    """Renders the songs of `seeds` into folders under `out` and returns the folders, in the order of the seeds.

    Songs that are there already are left alone, and a song appears whole or not at all: stop it whenever you like and
    run it again. What a song sounds like depends neither on `num_processes` nor on the order.

    Args:
        out: folder of the data set; made if need be.
        seeds: which songs, for example `SPLITS["train"][:500]`.
        num_processes: how many processes share the work; each keeps up to about 200 MB of syllables in memory.
        soundfont: General MIDI .sf2 file; default: see `find_soundfont`.

    Raises:
        ValueError, FileNotFoundError, ImportError: as `render_song`, before anything is rendered.
    """
    font = check_requirements(soundfont)
    folders = {seed: Path(out) / split_of(seed) / f"{seed:07d}" for seed in seeds}
    missing = [(seed, folder, font) for seed, folder in folders.items() if not folder.exists()]
    with tqdm(total=len(folders), initial=len(folders) - len(missing), desc="rendering", unit="song") as progress:
        for _ in _each_done(missing, num_processes):
            progress.update()
    return list(folders.values())


def _each_done(songs: list[tuple[int, Path, Path]], num_processes: int) -> Iterator[None]:
    """Renders songs and yields after each."""
    if num_processes <= 1 or len(songs) <= 1:
        for song in songs:
            yield _render_folder(*song)
        return
    # Spawned, not forked: a fork of a process that has used threads (as PyTorch does) may hang.
    with ProcessPoolExecutor(num_processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(_render_folder, *song) for song in songs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _render_folder(seed: int, folder: Path, soundfont: Path) -> None:
    song = render_song(seed, soundfont)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, samples in (("vocals", song.vocal), ("accompaniment", song.accompaniment)):
        soundfile.write(partial / f"{name}.flac", samples, SAMPLING_RATE, subtype="PCM_16")
    (partial / "truth.json").write_text(json.dumps(song.truth, indent=1) + "\n")
    os.replace(partial, folder)


def _fade_out(length: int) -> np.ndarray:
    """Ones, then the last half second fading to zero."""
    fade = np.ones(length, np.float32)
    fade[-SAMPLING_RATE // 2 :] = np.linspace(1.0, 0.0, SAMPLING_RATE // 2)
    return fade


def _at_level(samples: np.ndarray, sounding: np.ndarray, level_db: float) -> np.ndarray:
    """`samples` scaled so that the root mean square of the `sounding` ones is `level_db` full scale."""
    return samples * (10 ** (level_db / 20) / np.sqrt(np.mean(samples[sounding] ** 2)))


def _limit(samples: np.ndarray, knee: float = 0.4) -> np.ndarray:
    """Bends peaks above `knee` so that none reaches full scale."""
    over = np.maximum(np.abs(samples) - knee, 0.0)
    bent = knee + (1 - knee) * np.tanh(over / (1 - knee))
    return np.where(over > 0, np.sign(samples) * bent, samples).astype(np.float32)
