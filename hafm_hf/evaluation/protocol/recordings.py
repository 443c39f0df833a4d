# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Everything that was played on a set of clips, and what is heard in it."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from accelerate import PartialState
from tqdm.auto import tqdm

from ..adherence import Track
from .accompaniments import Accompaniments
from .clips import Clip, ClipFolder
from .features import KINDS, FeatureFolder
from .scores import EmbeddedSet


class Recordings:
    """The clips, what systems played on them, and the features of both.

    Args:
        clips: the test clips.
        systems: what played on them.
        features: where what is heard is kept.
    """

    def __init__(self, clips: ClipFolder, systems: Sequence[Accompaniments], features: FeatureFolder):
        self.clips, self.systems, self.features = clips, systems, features
        self._clips = clips.clips()

    def analyse(self, state: PartialState) -> None:
        """Hears what was not heard yet, this process its share of the files."""
        jobs = list(self._jobs())[state.process_index :: state.num_processes]
        for job in tqdm(jobs, "Listening", unit="file", disable=not state.is_main_process):
            job()

    def _jobs(self) -> Iterator[Callable]:
        for clip in self._clips:
            yield partial(self._true_embeddings, clip)
            yield partial(self._vocal, clip)
        for system in self.systems:
            for condition in self.clips.conditions:
                for clip in self.played(system, condition):
                    yield partial(self._embeddings, system, condition, clip)
                    yield partial(self._track, system, condition, clip)

    def played(self, system: Accompaniments, condition: str) -> list[Clip]:
        """The clips that a system accompanied."""
        return [clip for clip in self._clips if system.path(condition, clip).exists()]

    def reference(self) -> dict[str, EmbeddedSet]:
        """The truth, as mixes and as instrumentals."""
        return self._embedded_set(self._clips, self._true_embeddings)

    def embedded(self, system: Accompaniments, condition: str) -> dict[str, EmbeddedSet]:
        """What a system played, as mixes and as instrumentals."""
        return self._embedded_set(self.played(system, condition), partial(self._embeddings, system, condition))

    def tracks(self, system: Accompaniments, condition: str) -> tuple[list[Track], list[Track]]:
        """The vocals, isolated always, and what a system played on them."""
        clips = self.played(system, condition)
        return [self._vocal(clip) for clip in clips], [self._track(system, condition, clip) for clip in clips]

    @staticmethod
    def _embedded_set(clips: list[Clip], embeddings: Callable) -> dict[str, EmbeddedSet]:
        return {
            kind: EmbeddedSet.of(((clip.song, embeddings(clip)[kind]) for clip in clips), len(clips)) for kind in KINDS
        }

    # Mixes are with the isolated vocal in every condition. With the separated one, what is left in it of the true
    # accompaniment would be counted in the system's favour.

    def _true_embeddings(self, clip: Clip):
        paths = self.clips.path("isolated", clip), self.clips.path("accompaniment", clip)
        return self.features.embeddings(f"truth/{clip.id}", *paths)

    def _vocal(self, clip: Clip) -> Track:
        return self.features.track(f"vocals/{clip.id}", self.clips.path("isolated", clip), sung=True)

    def _embeddings(self, system: Accompaniments, condition: str, clip: Clip):
        paths = self.clips.path("isolated", clip), system.path(condition, clip)
        return self.features.embeddings(self._key(system, condition, clip), *paths)

    def _track(self, system: Accompaniments, condition: str, clip: Clip) -> Track:
        path = system.path(condition, clip)
        return self.features.track(self._key(system, condition, clip), path, sung=False)

    @staticmethod
    def _key(system: Accompaniments, condition: str, clip: Clip) -> str:
        return f"systems/{system.name}/{condition}/{clip.id}"
