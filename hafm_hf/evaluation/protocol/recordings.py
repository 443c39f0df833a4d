# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Everything that was played on a set of clips, and what is heard in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from accelerate import PartialState
from tqdm.auto import tqdm

from ..adherence import Track, chance_partners
from .accompaniments import Accompaniments
from .clips import Clip, ClipFolder
from .features import KINDS, FeatureFolder
from .scores import EmbeddedSet


@dataclass(frozen=True)
class Accompanied:
    """Accompaniments of some clips: where their audio is, and in which folder of features what is heard in them."""

    clips: list[Clip]
    path: Callable[[Clip], Path]
    key: str

    def matched(self) -> list[tuple[Clip, Clip]]:
        """Each clip with itself."""
        return [(clip, clip) for clip in self.clips]

    def shuffled(self) -> list[tuple[Clip, Clip]]:
        """Each clip with one of another song, whose accompaniment it is mixed with; none where there is one song."""
        partners = chance_partners([clip.song for clip in self.clips], 1, seed=0)
        return [(clip, self.clips[i]) for clip, others in zip(self.clips, partners, strict=True) for i in others]


class Recordings:
    """The clips, what systems played on them, and the features of both.

    Args:
        clips: the test clips.
        systems: what played on them.
        features: where what is heard is kept.
        pairings: where it is kept what is heard in mixes, matched and shuffled, for prompt adherence.
    """

    def __init__(
        self,
        clips: ClipFolder,
        systems: Sequence[Accompaniments],
        features: FeatureFolder,
        pairings: FeatureFolder,
    ):
        self.clips, self.systems, self.features, self.pairings = clips, systems, features, pairings
        self._clips = clips.clips()
        self._truth = Accompanied(self._clips, partial(clips.path, "accompaniment"), "truth")

    def analyse(self, state: PartialState) -> None:
        """Hears what was not heard yet, this process its share of the files."""
        jobs = list(self._jobs())[state.process_index :: state.num_processes]
        for job in tqdm(jobs, "Listening", unit="file", disable=not state.is_main_process):
            job()

    def _jobs(self) -> Iterator[Callable]:
        sources = [self._source(system, condition) for system in self.systems for condition in self.clips.conditions]
        for clip in self._clips:
            yield partial(self._vocal, clip)
        for source in (self._truth, *sources):
            for clip in source.clips:
                yield partial(self._embeddings, source, clip)
            for clip, other in source.matched() + source.shuffled():
                yield partial(self._paired_embeddings, source, clip, other)
        for source in sources:
            for clip in source.clips:
                yield partial(self._track, source, clip)

    def played(self, system: Accompaniments, condition: str) -> list[Clip]:
        """The clips that a system accompanied."""
        return [clip for clip in self._clips if system.path(condition, clip).exists()]

    def reference(self) -> dict[str, EmbeddedSet]:
        """The truth, see `embedded`."""
        return self._embedded_sets(self._truth)

    def embedded(self, system: Accompaniments, condition: str) -> dict[str, EmbeddedSet]:
        """What a system played: as "mix", as "instrumental" and, for prompt adherence, in "matched" and "shuffled" mixes.

        There are no shuffled ones of a single song.
        """
        return self._embedded_sets(self._source(system, condition))

    def tracks(self, system: Accompaniments, condition: str) -> tuple[list[Track], list[Track]]:
        """The vocals, isolated always, and what a system played on them."""
        source = self._source(system, condition)
        return [self._vocal(clip) for clip in source.clips], [self._track(source, clip) for clip in source.clips]

    def _source(self, system: Accompaniments, condition: str) -> Accompanied:
        key = f"systems/{system.name}/{condition}"
        return Accompanied(self.played(system, condition), partial(system.path, condition), key)

    def _embedded_sets(self, source: Accompanied) -> dict[str, EmbeddedSet]:
        def embedded(clips: Iterator[tuple[str, np.ndarray]]) -> EmbeddedSet:
            return EmbeddedSet.of(clips, len(source.clips))

        sets = {
            kind: embedded((clip.song, self._embeddings(source, clip)[kind]) for clip in source.clips)
            for kind in KINDS
        }
        for name, pairs in (("matched", source.matched()), ("shuffled", source.shuffled())):
            if pairs:
                sets[name] = embedded(
                    (clip.song, self._paired_embeddings(source, clip, other)["mix"]) for clip, other in pairs
                )
        return sets

    # Mixes are with the isolated vocal in every condition. With the separated one, what is left in it of the true
    # accompaniment would be counted in the system's favour.

    def _vocal(self, clip: Clip) -> Track:
        return self.features.track(f"vocals/{clip.id}", self.clips.path("isolated", clip), sung=True)

    def _embeddings(self, source: Accompanied, clip: Clip) -> dict[str, np.ndarray]:
        return self.features.embeddings(
            f"{source.key}/{clip.id}", self.clips.path("isolated", clip), source.path(clip)
        )

    def _paired_embeddings(self, source: Accompanied, clip: Clip, other: Clip) -> dict[str, np.ndarray]:
        paths = self.clips.path("isolated", clip), source.path(other)
        return self.pairings.embeddings(f"{source.key}/{clip.id}+{other.id}", *paths, kinds=("mix",))

    def _track(self, source: Accompanied, clip: Clip) -> Track:
        return self.features.track(f"{source.key}/{clip.id}", source.path(clip), sung=False)
