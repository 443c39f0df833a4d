# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Files that another system made are found by name, and what is wrong with one is said."""

import numpy as np
import pytest
from song_files import write_audio
from waveforms import tone

from hafm_hf.evaluation.baselines.base import CannotAccompany
from hafm_hf.evaluation.baselines.folder_system import FolderSystem


RATE = 22_050


def test_files_are_matched_by_name_whatever_their_rate_channels_and_format(clips, tmp_path, fits):
    write_audio(tmp_path / "set/a@0.00.wav", tone(0.5, 44_100, channels=2), 44_100)
    write_audio(tmp_path / "set/a@0.50.flac", tone(0.5, 16_000), 16_000)
    write_audio(tmp_path / "set/b@0.00.wav", tone(0.9, RATE), RATE)
    system = FolderSystem(tmp_path)
    assert system.name == tmp_path.name
    audio = system.accompany(clips[:3])
    assert fits(clips[:3], audio)
    assert np.allclose(audio[2], tone(0.9, RATE)[0, : len(audio[2])], atol=1e-4)


def test_a_clip_without_a_file_is_named_and_the_others_can_be_had(clips, tmp_path):
    write_audio(tmp_path / "set/a@0.00.wav", tone(0.5, RATE), RATE)
    system = FolderSystem(tmp_path, name="theirs")
    with pytest.raises(CannotAccompany, match="no audio file set/a@0.50.wav"):
        system.accompany(clips)
    assert len(system.accompany(clips[:1])) == 1


def test_a_frame_lost_at_the_end_is_made_up_for_and_more_is_refused(clips, tmp_path, fits):
    write_audio(tmp_path / "set/a@0.00.wav", tone(0.45, RATE), RATE)
    write_audio(tmp_path / "set/a@0.50.wav", tone(0.39, RATE), RATE)
    assert fits(clips[:1], FolderSystem(tmp_path).accompany(clips[:1]))
    with pytest.raises(CannotAccompany, match="a@0.50.wav is 0.11 s shorter than its vocal"):
        FolderSystem(tmp_path).accompany(clips[1:2])


def test_a_broken_file_is_named(clips, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a@0.00.wav").write_text("no audio")
    with pytest.raises(CannotAccompany, match="a@0.00.wav"):
        FolderSystem(tmp_path).accompany(clips[:1])


def test_a_missing_folder_is_an_error_at_once(tmp_path):
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        FolderSystem(tmp_path / "nowhere")
