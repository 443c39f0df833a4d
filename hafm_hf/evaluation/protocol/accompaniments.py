# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What the systems play: a file for each clip, made once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from accelerate import PartialState
from tqdm.auto import tqdm

from hafm_hf.data.resume import replacing
from hafm_hf.modeling.audio_hafm import write_wav

from ..baselines.base import AccompanimentSystem, CannotAccompany, EvaluationClip
from .clips import SAMPLING_RATE, Clip, ClipFolder


class Accompaniments:
    """What one system played, in a folder: `<condition>/<clip>.wav`, or `<clip>.missing` with the reason why not.

    The file `system.json` says what decided it.
    """

    def __init__(self, folder: Path):
        self.folder, self.name, self.settings = folder, folder.name, folder / "system.json"

    def path(self, condition: str, clip: Clip, suffix: str = ".wav") -> Path:
        return self.folder / condition / f"{clip.id}{suffix}"

    def missing(self, condition: str, clips: Sequence[Clip]) -> dict[str, str]:
        """Why clips were not accompanied, by their ids; empty before the system has played."""
        paths = {clip.id: self.path(condition, clip, ".missing") for clip in clips}
        return {id: path.read_text(encoding="utf-8") for id, path in paths.items() if path.exists()}

    def make(
        self,
        system: AccompanimentSystem,
        clips: ClipFolder,
        condition: str,
        *,
        seed: int,
        batch_size: int,
        state: PartialState,
    ) -> None:
        """Lets `system` play what is not there yet, this process its share; a clip that it cannot play is noted."""
        records = clips.clips()
        batches = [records[first : first + batch_size] for first in range(0, len(records), batch_size)]
        share = batches[state.process_index :: state.num_processes]
        description = f"{self.name}, {condition} vocals"
        with tqdm(
            desc=description, total=sum(map(len, share)), unit="clip", disable=not state.is_main_process
        ) as progress:
            for batch in share:
                wanted = [clip for clip in batch if not self.path(condition, clip).exists()]
                heard = [clips.load(clip, condition, seed) for clip in wanted]
                for clip, audio in zip(wanted, play(system, heard), strict=True):
                    self._keep(condition, clip, audio)
                progress.update(len(batch))

    def _keep(self, condition: str, clip: Clip, audio: np.ndarray | str) -> None:
        reason = self.path(condition, clip, ".missing")
        if isinstance(audio, str):
            with replacing(reason) as file:
                file.write(audio.encode())
        else:
            write_wav(self.path(condition, clip), audio, SAMPLING_RATE)
            reason.unlink(missing_ok=True)


def play(system: AccompanimentSystem, clips: list[EvaluationClip]) -> list[np.ndarray | str]:
    """The accompaniment of each clip, or why there is none. One clip that fails does not cost the others theirs."""
    if not clips:
        return []
    try:
        return [checked(audio, clip, system) for audio, clip in zip(system.accompany(clips), clips, strict=True)]
    except CannotAccompany as error:
        if len(clips) == 1:
            return [str(error)]
        return [audio for clip in clips for audio in play(system, [clip])]


def checked(audio: np.ndarray, clip: EvaluationClip, system: AccompanimentSystem) -> np.ndarray:
    """`audio`; CannotAccompany unless it is a finite mono waveform as long as the vocal."""
    if audio.shape != clip.vocal.shape:
        raise CannotAccompany(
            f"{system.name} gave {list(audio.shape)} samples for a vocal of {list(clip.vocal.shape)}."
        )
    if not np.isfinite(audio).all():
        raise CannotAccompany(f"{system.name} gave NaN or infinite samples.")
    return audio
