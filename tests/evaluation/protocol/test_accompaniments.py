# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
from types import SimpleNamespace

import numpy as np
import pytest
from test_protocol_clips import ALONE, cut, write_pair
from waveforms import noise, tone

from hafm_hf.evaluation.baselines.base import AccompanimentSystem, CannotAccompany
from hafm_hf.evaluation.protocol.accompaniments import Accompaniments


class Echo(AccompanimentSystem):
    """Plays the vocal, except on clips that start at `fails`: there it does what `failure` says."""

    name = "echo"

    def __init__(self, fails=(), failure=None):
        self.fails, self.failure, self.asked = fails, failure, []

    def accompany(self, clips):
        self.asked.append([clip.id for clip in clips])
        return [self.failure(clip) if clip.id.endswith(self.fails) else clip.vocal for clip in clips]


def refuse(clip):
    raise CannotAccompany(f"There is nothing for {clip.id}.")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    write_pair(root, "song", tone(12.0, 16000), noise(12.0, 16000))
    return cut(root, root / "clips", seconds=3.0)


def make(folder, system, clips, state=ALONE):
    played = Accompaniments(folder / system.name)
    played.make(system, clips, "isolated", seed=0, batch_size=3, state=state)
    return played


def played_starts(played, clips):
    return [clip.start for clip in clips.clips() if played.path("isolated", clip).exists()]


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (refuse, "There is nothing for 00000-song-003s."),
        (lambda clip: np.full_like(clip.vocal, np.nan), "echo gave NaN or infinite samples."),
        (lambda clip: clip.vocal[:-1], "echo gave [71999] samples for a vocal of [72000]."),
    ],
)
def test_one_clip_that_fails_costs_no_other_and_is_tried_again(clips, tmp_path, failure, reason):
    played = make(tmp_path, Echo(fails="003s", failure=failure), clips)
    assert played_starts(played, clips) == [0.0, 6.0, 9.0]
    assert played.missing("isolated", clips.clips()) == {"00000-song-003s": reason}

    later = Echo()
    played = make(tmp_path, later, clips)
    assert later.asked == [["00000-song-003s"]]
    assert played_starts(played, clips) == [0.0, 3.0, 6.0, 9.0]
    assert played.missing("isolated", clips.clips()) == {}


def test_a_mistake_of_a_system_is_not_taken_for_a_missing_clip(clips, tmp_path):
    def stumble(clip):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        make(tmp_path, Echo(fails="009s", failure=stumble), clips)
    assert played_starts(Accompaniments(tmp_path / "echo"), clips) == [0.0, 3.0, 6.0]  # the first batch is kept


def test_processes_share_the_batches(clips, tmp_path):
    asked = []
    for rank in range(2):
        system = Echo()
        make(tmp_path, system, clips, SimpleNamespace(process_index=rank, num_processes=2, is_main_process=False))
        asked.append(sum(map(len, system.asked)))
    assert asked == [3, 1]
    assert played_starts(Accompaniments(tmp_path / "echo"), clips) == [0.0, 3.0, 6.0, 9.0]
