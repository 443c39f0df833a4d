# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Which clips are worth training on (paper, section 3.6), and the report of what was left out and why."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import numpy as np


FRAME_SECONDS = 0.04
SILENCE_DB = -120.0


def rms_db(waveform: np.ndarray, sampling_rate: int, definition: Literal["mean_rms", "rms"] = "mean_rms") -> float:
    """Level of a clip in dB relative to full scale, at least -120.

    The paper gives thresholds but no definition. Here a full-scale square wave has 0 dB, a full-scale sine -3 dB.

    Args:
        waveform: `[samples]` or `[channels, samples]`; channels are averaged first, since that is what the tokenizer hears.
        sampling_rate: In Hz.
        definition: `"mean_rms"`: the RMS of each 40 ms, averaged over the clip; pauses count in full. `"rms"`: the RMS
            of the whole clip, which is never lower.
    """
    mono = np.atleast_2d(waveform).mean(axis=0, dtype=np.float64)
    if definition == "mean_rms":
        frame = min(round(FRAME_SECONDS * sampling_rate), max(mono.size, 1))
        frames = mono[: mono.size // frame * frame].reshape(-1, frame)
    elif definition == "rms":
        frames = mono[None]
    else:
        raise ValueError(f"There is no level definition {definition!r}; choose 'mean_rms' or 'rms'.")
    if frames.size == 0:
        return SILENCE_DB
    level = np.sqrt(np.square(frames).mean(axis=1)).mean()
    return float(20 * np.log10(max(level, 10 ** (SILENCE_DB / 20))))


@dataclass(frozen=True)
class ClipFilter:
    """The two filters of section 3.6, applied to the levels of a clip's vocal and instrumental as [`rms_db`] gives them.

    Args:
        min_instrumental_db: A quieter instrumental counts as silent.
        max_vocal_excess_db: The vocal may exceed the instrumental by this much and no more.
        definition: Of level, see [`rms_db`].
    """

    min_instrumental_db: float = -25.0
    max_vocal_excess_db: float = 5.0
    definition: Literal["mean_rms", "rms"] = "mean_rms"

    def level(self, waveform: np.ndarray, sampling_rate: int) -> float:
        """Level of `waveform` `[samples]` or `[channels, samples]` in dB, as this filter defines it."""
        return rms_db(waveform, sampling_rate, self.definition)

    def reason_to_drop(self, vocal_db: float, instrumental_db: float) -> str | None:
        """`"instrumental_silent"` or `"vocal_dominant"`, the first that applies, or `None` for a clip to keep."""
        if instrumental_db < self.min_instrumental_db:
            return "instrumental_silent"
        if vocal_db - instrumental_db > self.max_vocal_excess_db:
            return "vocal_dominant"
        return None


@dataclass
class Report:
    """What a preparation kept, what each filter dropped, and which songs it could not use. Reports of shards add up.

    Args:
        songs: Songs read.
        clips: Clips by what became of them: `"kept"` or a reason of [`ClipFilter.reason_to_drop`].
        skipped: Why a song could not be used, by its id.
    """

    songs: int = 0
    clips: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def count(self, reason: str | None) -> None:
        """Count a clip: kept where `reason` is `None`, else dropped for it."""
        reason = reason or "kept"
        self.clips[reason] = self.clips.get(reason, 0) + 1

    def skip(self, song_id: str, reason: object) -> None:
        """List a song that could not be used."""
        self.skipped[song_id] = str(reason).encode("utf-8", "backslashreplace").decode("utf-8")

    def __add__(self, other: "Report") -> "Report":
        clips = dict(Counter(self.clips) + Counter(other.clips))
        return Report(self.songs + other.songs, clips, self.skipped | other.skipped)

    def __str__(self) -> str:
        clips = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in sorted(self.clips.items()))
        lines = [f"{self.songs} songs read, {len(self.skipped)} skipped; clips: {clips or 'none'}"]
        return "\n".join([*lines, *(f"  {song_id!r}: {reason}" for song_id, reason in sorted(self.skipped.items()))])
