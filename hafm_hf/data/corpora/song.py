# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""A song: what a corpus says of it, and how its mixture and its stems are decoded.

The targets are linear sums of stems. The mixture stream of a MUSDB18 `.stem.mp4` was encoded apart from its stems and
equals their sum only roughly, so it is never used as a target.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hafm_hf.modeling.audio_hafm import AudioClip, load_audio, resample


STEM_SUFFIX = ".stem.mp4"
STEM_STREAMS = ("mixture", "drums", "bass", "other", "vocals")
# Encoders pad a stem by a frame or two; a larger difference means that the stems are not of one song.
MAX_STEM_MISMATCH_SECONDS = 0.1


@dataclass(frozen=True)
class Song:
    """One song of a corpus, not yet decoded.

    Args:
        id: `<source>/<path below the corpus root>`: unique, and the same on every machine.
        path: The mixture, or the folder of stems where there is none.
        source: Name of the corpus.
        license: The licence as the corpus records it.
        title: Title, if known.
        artist: Artist, if known.
        stems: Empty where the song is a mixture only; else the file of the vocal followed by those whose sum is the
            instrumental, or the one `.stem.mp4` that holds them all.
    """

    id: str
    path: Path
    source: str
    license: str | None = None
    title: str | None = None
    artist: str | None = None
    stems: tuple[Path, ...] = ()


class Pair(NamedTuple):
    """A vocal and its instrumental, `float32` `[channels, samples]` each, aligned to the sample; the rate is in Hz."""

    vocal: np.ndarray
    instrumental: np.ndarray
    sampling_rate: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.vocal.shape[-1] / self.sampling_rate


def load_mixture(song: Song) -> AudioClip:
    """Decode the mixture of `song` as its corpus distributes it, or sum the stems where it does not.

    Raises:
        ValueError: The file cannot be read.
    """
    if not song.path.is_dir():
        return load_audio(song.path)
    pair = load_pair(song)
    return AudioClip(pair.vocal + pair.instrumental, pair.sampling_rate, song.id)


def load_pair(song: Song) -> Pair:
    """Decode the stems of `song`: its vocal, and the linear sum of all others as its instrumental.

    Raises:
        ValueError: There are no stems, one cannot be read, or they are not equally long.
    """
    if song.path.name.endswith(STEM_SUFFIX):
        streams, rate = read_stem_streams(song.path)
        vocal, others = streams[STEM_STREAMS.index("vocals")], streams[1:-1]
    elif len(song.stems) > 1:
        clips = [load_audio(stem) for stem in song.stems]
        rate = clips[0].sampling_rate
        vocal, *others = (resample(clip.waveform, clip.sampling_rate, rate) for clip in clips)
    else:
        raise ValueError(f"{song.path} has no stems; separate its mixture instead.")
    return Pair(*_sum_stems(vocal, others, rate, song.path), rate)


def read_stem_streams(path: Path) -> tuple[list[np.ndarray], int]:
    """Decode the five streams of a MUSDB18 `.stem.mp4` in one pass over the file.

    Returns:
        The streams in the order of `STEM_STREAMS`, each `float32` `[channels, samples]`, and their sampling rate in Hz.

    Raises:
        ValueError: The file cannot be decoded or does not hold five audio streams of one rate.
        ImportError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(f"Reading {path} needs PyAV: pip install 'hafm-hf[media]'.") from error

    try:
        # A named format, since FFmpeg would guess a playlist from its content and open what it lists.
        with open(path, "rb") as file, av.open(file, format="mp4") as container:
            streams = list(container.streams.audio)
            rates = {stream.rate for stream in streams}
            if len(streams) != len(STEM_STREAMS) or len(rates) != 1:
                raise ValueError(
                    f"{path} is not a MUSDB18 stem file: it needs five audio streams of one sampling rate."
                )
            blocks: dict[int, list[np.ndarray]] = {stream.index: [] for stream in streams}
            to_float = {s.index: av.AudioResampler(format="fltp", layout=s.layout, rate=s.rate) for s in streams}
            for packet in container.demux(streams):
                index = packet.stream.index
                for frame in packet.decode():
                    blocks[index] += [block.to_ndarray() for block in to_float[index].resample(frame)]
    except (av.FFmpegError, OSError) as error:
        raise ValueError(f"{path} cannot be decoded ({error.strerror}); check or remove the file.") from error
    if not all(blocks.values()):
        raise ValueError(f"{path} holds an empty audio stream; check or remove the file.")
    return [np.concatenate(stream, axis=-1) for stream in blocks.values()], rates.pop()


def _sum_stems(vocal: np.ndarray, others: list[np.ndarray], rate: int, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Bring stems `[channels, samples]` to one shape (mono spread over the channels, ends padded with zeros) and sum the others."""
    stems = [vocal, *others]
    lengths = [stem.shape[1] for stem in stems]
    channels = max(stem.shape[0] for stem in stems)
    if max(lengths) - min(lengths) > MAX_STEM_MISMATCH_SECONDS * rate:
        shortest, longest = min(lengths) / rate, max(lengths) / rate
        raise ValueError(f"The stems of {path} are {shortest:.1f} to {longest:.1f} s long; export them at one length.")
    if any(stem.shape[0] not in (1, channels) for stem in stems):
        raise ValueError(f"The stems of {path} differ in channels; export them all in mono or stereo.")
    padded = [np.pad(stem, ((0, 0), (0, max(lengths) - stem.shape[1]))) for stem in stems]
    vocal, *others = (np.broadcast_to(stem, (channels, max(lengths))) for stem in padded)
    return np.array(vocal), np.sum(others, axis=0, dtype=np.float32)
