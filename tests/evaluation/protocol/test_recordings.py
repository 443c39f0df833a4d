# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import numpy as np
from evaluating import SpectrumEmbedder

from hafm_hf.evaluation.protocol.accompaniments import Accompaniments
from hafm_hf.evaluation.protocol.clips import Clip, ClipFolder
from hafm_hf.evaluation.protocol.features import FeatureFolder
from hafm_hf.evaluation.protocol.recordings import Accompanied, Recordings
from hafm_hf.evaluation.protocol.separated import SimulatedLeakage


def test_mixes_are_with_the_isolated_vocal_in_every_condition(evaluated):
    # What the separated vocal holds of the true accompaniment must not count in a system's favour.
    clips = ClipFolder(evaluated / "clips", SimulatedLeakage())
    truth = Accompaniments(evaluated / "systems" / "truth")
    features = FeatureFolder(evaluated / "features", SpectrumEmbedder())
    recordings = Recordings(clips, [truth], features, features)
    isolated, separated = (recordings.embedded(truth, condition) for condition in ("isolated", "separated"))
    assert np.array_equal(isolated["mix"].sample, separated["mix"].sample)
    assert np.array_equal(isolated["mix"].sample, recordings.reference()["mix"].sample)


def test_accompaniments_are_shuffled_among_songs():
    clips = [Clip(f"{song}{start}", song, start, 10.0) for song in "abc" for start in (0, 10)]
    pairs = Accompanied(clips, path=None, key="").shuffled()
    assert [clip for clip, _ in pairs] == clips
    assert all(clip.song != other.song for clip, other in pairs)
    assert Accompanied(clips[:2], path=None, key="").shuffled() == []
