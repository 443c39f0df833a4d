# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Crops of the audio files in a folder."""

import numpy as np
import pytest
import soundfile
import torch
from song_files import voice_and_band, write_audio, write_stems
from transformers import Wav2Vec2FeatureExtractor

from hafm_hf.modeling.audio_hafm import load_audio, resample
from hafm_hf.training.hubert.crops import AudioFolder, CropDataset, normalized


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Two songs of two stems of 3 s, one at another rate and in stereo, and files of no use."""
    root = write_stems(tmp_path_factory.mktemp("songs"), count=1, seconds=3.0)
    voice, band = voice_and_band(3.0, rate=22_050, channels=2, pitch=500.0)
    voice[1] *= 0.2
    write_audio(root / "deep" / "er" / "vocals.flac", voice, 22_050)
    write_audio(root / "deep" / "er" / "band.wav", band, 22_050)
    write_audio(root / "short.wav", voice[:, :2_000], 22_050)
    (root / "broken.mp3").write_bytes(b"no audio")
    (root / "notes.txt").write_text("no audio either")
    return root


def test_files_are_found_however_deep_and_useless_ones_are_told(songs):
    folder = AudioFolder(songs)
    names = [file.path.relative_to(songs).as_posix() for file in folder.files]
    assert names == ["0/band.wav", "0/vocals.wav", "deep/er/band.wav", "deep/er/vocals.flac"]
    assert {name.rsplit("/")[-1] for name in folder.skipped} == {"short.wav", "broken.mp3"}
    assert folder.seconds == pytest.approx(12)


def test_a_folder_without_audio_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no audio that can be used"):
        AudioFolder(tmp_path)
    with pytest.raises(ValueError, match="is not a folder"):
        AudioFolder(tmp_path / "nowhere")


def test_the_survey_changes_with_the_files(songs, tmp_path):
    before = AudioFolder(songs).survey()
    assert before == AudioFolder(songs).survey()
    write_audio(tmp_path / "0" / "band.wav", voice_and_band(3.0)[1], 16_000)
    assert AudioFolder(tmp_path).survey()["digest"] != before["digest"]


@pytest.mark.parametrize("index", [0, 3])
def test_a_part_is_that_part_of_the_whole_file(songs, index):
    folder = AudioFolder(songs)
    clip = load_audio(folder.files[index].path)
    whole = resample(clip.waveform.mean(0), clip.sampling_rate, 16_000)
    part = folder.read(folder.files[index], 1.0, 8_000)
    assert part.shape == (8_000,)
    difference = (part - whole[16_000:24_000])[200:-200]  # the resampler has no context at the edges of a part
    assert np.abs(difference).max() < 1e-2 * np.abs(whole).max()


@pytest.mark.parametrize("index", [0, 3])
def test_behind_the_end_there_is_silence(songs, index):
    folder = AudioFolder(songs)
    part = folder.read(folder.files[index], 2.9, 8_000)
    assert np.abs(part[:1_500]).max() > 0
    assert np.abs(part[1_700:]).max() == 0
    assert not folder.read(folder.files[index], 9.0, 8_000).any()


def test_where_a_file_is_damaged_there_is_silence(tmp_path):
    write_audio(tmp_path / "a.flac", np.random.default_rng(0).normal(0, 0.1, (1, 48_000)), 22_050)
    folder = AudioFolder(tmp_path)
    (tmp_path / "a.flac").write_bytes((tmp_path / "a.flac").read_bytes()[:20_000])
    assert folder.read(folder.files[0], 1.5, 8_000).shape == (8_000,)
    (tmp_path / "a.flac").unlink()
    assert not folder.read(folder.files[0], 0.0, 8_000).any()


def test_an_item_depends_on_seed_and_index_alone(songs):
    crops = CropDataset(AudioFolder(songs), 20, 16_080, seed=(0, 1))
    first = [crops[index] for index in (7, 3)]
    again = CropDataset(AudioFolder(songs), 20, 16_080, seed=(0, 1))
    for item, index in zip(first, (7, 3), strict=True):
        assert all(torch.equal(item[name], again[index][name]) for name in item)
        assert torch.equal(item["clean"], again.clean(index))
    other = CropDataset(AudioFolder(songs), 20, 16_080, seed=(0, 2))
    assert not torch.equal(other[7]["clean"], first[0]["clean"])
    assert not torch.equal(first[0]["clean"], first[1]["clean"])


def test_crops_are_normalised_as_the_feature_extractor_does(songs):
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    folder = AudioFolder(songs)
    waveform = folder.read(folder.files[2], 0.5, 16_080) + 0.1
    expected = extractor(waveform, sampling_rate=16_000, return_tensors="pt").input_values[0]
    torch.testing.assert_close(normalized(waveform), expected, atol=1e-5, rtol=1e-4)
    for value in CropDataset(folder, 20, 16_080, seed=(0,))[0].values():
        assert value.shape == (16_080,)
        assert value.dtype == torch.float32
        assert abs(value.mean()) < 1e-4
        assert value.std() == pytest.approx(1, abs=1e-3)


def test_clean_and_augmented_crops_are_of_the_same_moment(songs):
    crops = CropDataset(AudioFolder(songs), 20, 16_080, seed=(0,))
    similar = [torch.dot(item["clean"], item["input_values"]) / 16_080 for item in map(crops.__getitem__, range(20))]
    assert sorted(similar)[5] > 0.5
    assert min(similar) < 0.99


def test_silent_parts_are_passed_over(tmp_path):
    waveform = np.zeros((1, 160_000), np.float32)
    waveform[:, -40_000:] = 0.1 * np.random.default_rng(0).standard_normal(40_000)
    soundfile.write(tmp_path / "a.wav", waveform.T, 16_000)
    crops = CropDataset(AudioFolder(tmp_path), 40, 16_080, seed=(0,))
    loud = sum(crops.clean(index).std() > 0.5 for index in range(40))
    assert loud >= 36  # of one draw in three or four
