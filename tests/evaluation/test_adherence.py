# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
from pathlib import Path

import numpy as np
import pytest

from hafm_hf import DEFAULT_CHECKPOINT, HafmProcessor
from hafm_hf.evaluation.adherence import MEASURES, Track, chance_partners, measure_adherence
from hafm_hf.evaluation.baselines.base import EvaluationClip
from hafm_hf.evaluation.baselines.marks import CodecCeiling, Noise, Truth
from hafm_hf.modeling.audio_hafm import load_audio


RATE = 16_000
PAIRS = Path(__file__).parents[1] / "audio" / "pairs_cc0"


def test_truth_scores_above_shuffled_above_noise(songs):
    vocals = [Track(song.vocal, RATE) for song in songs]
    bands = [Track(song.band, RATE) for song in songs]
    of_bands = measure_adherence(vocals, bands)
    of_noise = measure_adherence(vocals, [song.noise for song in songs], RATE)
    for name in ("onset_correlation", "chroma_agreement", "chord_agreement", "key_agreement", "pitch_in_chord"):
        assert of_bands[name].matched.value > of_bands[name].shuffled.value > of_noise[name].matched.value, name
        assert of_bands[name].difference.low > 0, name
    # A true accompaniment as the reference has a beat to follow, which a voice need not have.
    beat = measure_adherence(bands, bands)["beat_f_measure"]
    assert beat.matched.value == 1
    assert beat.difference.low > 0


def test_truth_and_codec_score_above_shuffled_and_noise_on_recorded_songs():
    clips = []
    for path in sorted(PAIRS.glob("*_vocals.flac")):
        band = path.with_name(path.name.replace("_vocals", "_accompaniment"))
        vocal, band = (load_audio(part).waveform[0] for part in (path, band))
        clips.append(EvaluationClip(path.stem, path.name.split("_")[1], vocal, 24_000, seed=0, accompaniment=band))
    vocals, songs = [Track(clip.vocal, 24_000) for clip in clips], [clip.song for clip in clips]
    truth, codec, noise = (
        measure_adherence(vocals, system.accompany(clips), 24_000, songs=songs)
        for system in (Truth(), CodecCeiling(HafmProcessor.from_pretrained(DEFAULT_CHECKPOINT)), Noise())
    )
    # Attacks come through the codec as they are, so nothing ranks it below the truth there.
    onsets, chroma = "onset_correlation", "chroma_agreement"
    assert min(truth[onsets].matched.value, codec[onsets].matched.value) > truth[onsets].shuffled.value
    assert truth[onsets].shuffled.value > noise[onsets].matched.value
    assert truth[chroma].matched.value > codec[chroma].matched.value > noise[chroma].matched.value
    assert codec[chroma].matched.value > max(truth[chroma].shuffled.value, codec[chroma].shuffled.value)


def test_clips_of_one_song_are_neither_shuffled_with_each_other_nor_counted_apart():
    songs = ["a", "a", "b", "c", "c", "c"]
    for limit in (2, 20):
        partners = chance_partners(songs, limit, seed=0)
        for song, others in zip(songs, partners, strict=True):
            assert 0 < len(others) == min(limit, sum(other != song for other in songs))
            assert all(songs[other] != song for other in others)
    generator = np.random.default_rng(0)
    clips = [generator.normal(size=RATE) for _ in songs]
    assert measure_adherence(clips, clips, RATE, songs=songs)["onset_correlation"].matched.count == 3


def test_one_pair_is_measured_without_chance(songs):
    results = measure_adherence([songs[0].vocal], [songs[0].band], RATE)
    assert set(results) == set(MEASURES)
    assert results["pitch_in_chord"].matched.value > 0.5
    assert np.isnan(results["pitch_in_chord"].matched.low)
    assert results["pitch_in_chord"].shuffled.count == 0


def test_a_silent_vocal_is_left_out_and_a_silent_accompaniment_counts_against_the_system(songs):
    silence = np.zeros_like(songs[0].vocal)
    vocals, bands = [song.vocal for song in songs[:3]], [song.band for song in songs[:3]]
    whole = measure_adherence(vocals, bands, RATE)["chroma_agreement"].matched
    without_vocal = measure_adherence([silence, *vocals[1:]], bands, RATE)["chroma_agreement"].matched
    without_band = measure_adherence(vocals, [silence, *bands[1:]], RATE)["chroma_agreement"].matched
    assert (without_vocal.count, without_band.count) == (2, 3)
    assert without_band.value < 0.8 * whole.value


def test_tracks_keep_their_features_for_the_next_system(songs):
    vocals = [Track(song.vocal, RATE) for song in songs[:2]]
    first = measure_adherence(vocals, [song.band for song in songs[:2]], RATE)
    assert measure_adherence(vocals, [song.band for song in songs[:2]], RATE) == first


@pytest.mark.parametrize(("references", "accompaniments", "songs"), [(2, 1, None), (0, 0, None), (2, 2, ["a"])])
def test_counts_must_agree(references, accompaniments, songs):
    audio = np.ones(RATE)
    with pytest.raises(ValueError, match=f"{references} references and {accompaniments} accompaniments"):
        measure_adherence([audio] * references, [audio] * accompaniments, RATE, songs=songs)
