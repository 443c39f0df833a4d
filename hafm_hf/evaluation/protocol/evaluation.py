# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Runs the protocol: cut the clips, let the systems play, hear what they played, compare.

Each step leaves files and does what is not there yet, so a run may be stopped at any moment and started again, or go on
with further systems: what was played before is scored again with them. The folder receives

    evaluation.json                    what the clips were cut from; a folder has one test set
    clips/                             see `clips`
    systems/<system>/<condition>/      see `accompaniments`; delete the folder of a system to hear it anew
    features/                          see `features`
    results.json                       see `results`
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState

from hafm_hf.data.corpora import Song
from hafm_hf.data.launch import join_processes, survey
from hafm_hf.data.resume import keep_settings, write_json, writing_to
from hafm_hf.provenance import versions

from ..embedders import Embedder
from .accompaniments import Accompaniments
from .clips import ClipFolder
from .contenders import Contender
from .features import FeatureFolder
from .recordings import Recordings
from .results import REPORTED, read_results, system_results
from .separated import VoiceOfMix


@dataclass(frozen=True)
class Evaluation:
    """Scores systems on the vocals of songs, in the processes of `accelerate launch` or alone.

    Args:
        output: the folder; what an earlier run left there is gone on with.
        name: of the test set, in words that stand beside every number.
        embedder: what distances are measured with.
        pairing_embedder: what prompt adherence is measured with, best one that hears content rather than fidelity;
            `embedder` unless given.
        voice_of_mix: what separates vocals; without it there are isolated ones only.
        clip_seconds: length of a clip.
        clips_per_song: the most clips of one song; `None` takes all.
        seed: of all that systems draw at random.
        batch_size: clips that a system gets at a time.
    """

    output: Path
    name: str
    embedder: Embedder
    pairing_embedder: Embedder | None = None
    voice_of_mix: VoiceOfMix | None = None
    clip_seconds: float = 10.0
    clips_per_song: int | None = None
    seed: int = 0
    batch_size: int = 8

    def run(self, list_songs: Callable[[], Iterable[Song]], contenders: Sequence[Contender]) -> dict[str, Any]:
        """Score `contenders`, and what else has played in this folder, on the songs that `list_songs` gives.

        Every process of a launch calls this; all get the results.

        Raises:
            ValueError: there are no songs, no song gave a clip, `output` was begun with others or cannot be written, or
                a system fails altogether. What was played until then is kept.
        """
        state = join_processes()
        with writing_to(self.output):
            clips = self._cut(list_songs, state)
            for contender in contenders:
                self._let_play(contender, clips, state)
            state.wait_for_everyone()
            features, pairings = (FeatureFolder(self.output / "features", embedder) for embedder in self._embedders())
            for folder in (features, pairings):
                keep(folder.folder / f"{folder.embedder.name}.json", folder.settings(), state)
            recordings = Recordings(clips, self._played(), features, pairings)
            recordings.analyse(state)
            state.wait_for_everyone()
            if state.is_main_process:
                write_json(self.output / "results.json", self._results(recordings))
            state.wait_for_everyone()
        return read_results(self.output)

    def _embedders(self) -> tuple[Embedder, Embedder]:
        return self.embedder, self.pairing_embedder or self.embedder

    def _cut(self, list_songs: Callable[[], Iterable[Song]], state: PartialState) -> ClipFolder:
        songs = survey(list_songs())
        separation = self.voice_of_mix and {"name": self.voice_of_mix.name, "parameters": self.voice_of_mix.parameters}
        settings = {
            "songs": songs,
            "clip_seconds": float(self.clip_seconds),
            "clips_per_song": self.clips_per_song,
            "separation": separation,
        }
        keep(self.output / "evaluation.json", settings, state)
        clips = ClipFolder(self.output / "clips", self.voice_of_mix, self.clip_seconds, self.clips_per_song)
        clips.cut(list_songs(), state)
        state.wait_for_everyone()
        if not clips.clips():
            reasons = " ".join(f"{song}: {reason}" for song, reason in list(clips.skipped().items())[:3])
            raise ValueError(f"None of {songs['count']} songs gave a clip to test on. {reasons}")
        return clips

    def _let_play(self, contender: Contender, clips: ClipFolder, state: PartialState) -> None:
        played = Accompaniments(self.output / "systems" / contender.name)
        keep(played.settings, contender.settings | {"seed": self.seed}, state)
        for condition in clips.conditions:
            if condition in contender.systems:
                system = contender.systems[condition]
                played.make(system, clips, condition, seed=self.seed, batch_size=self.batch_size, state=state)

    def _played(self) -> list[Accompaniments]:
        """All systems that have played in this folder, now or before."""
        folders = sorted((self.output / "systems").glob("*"))
        return [played for played in map(Accompaniments, folders) if played.settings.exists()]

    def _results(self, recordings: Recordings) -> dict[str, Any]:
        records = recordings.clips.clips()
        reference = recordings.reference()
        separation = self.voice_of_mix and {"name": self.voice_of_mix.name, "parameters": self.voice_of_mix.parameters}
        return {
            "test_set": {
                "name": self.name,
                "songs": len({clip.song for clip in records}),
                "clips": len(records),
                "clip_seconds": self.clip_seconds,
                "separation": separation,
                "skipped": recordings.clips.skipped(),
            },
            "embedder": self.embedder.name,
            "pairing_embedder": recordings.pairings.embedder.name,
            "reference": f"the true accompaniments of these {len(records)} clips",
            "systems": {played.name: system_results(recordings, played, reference) for played in recordings.systems},
            "reported": REPORTED,
            "versions": versions(),
        }


def keep(path: Path, settings: dict[str, Any], state: PartialState) -> None:
    """`keep_settings` by the main process, before any other goes on."""
    with state.main_process_first():
        if state.is_main_process:
            keep_settings(path, settings, {"versions": versions()})
