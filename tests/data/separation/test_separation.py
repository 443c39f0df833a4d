# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The interface that all separators share, and the walk over a corpus that no file can stop."""

import sys

import numpy as np
import pytest
import soundfile

from hafm_hf.data.corpora import folder_songs, stem_folder_songs
from hafm_hf.data.filters import Report
from hafm_hf.data.separation import MixtureSeparator, make_separator, separate_songs


RATE = 16000


class HalfSeparator(MixtureSeparator):
    """A model at 8 kHz that takes half of every sound for the voice."""

    name, parameters, sampling_rate = "half", {}, 8000

    def estimate_vocal(self, mixture, sampling_rate):
        assert mixture.shape[0] == 2
        assert sampling_rate == self.sampling_rate
        return 0.5 * mixture


def tone(hertz, rate, seconds=1.0):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)[None]


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("samples", [1000, 4321])
def test_a_pair_has_the_shape_of_its_mixture_and_adds_up_to_it(rate, channels, samples):
    mixture = np.random.default_rng(0).normal(0, 0.3, (channels, samples)).astype(np.float32)
    vocal, instrumental = HalfSeparator().separate(mixture, rate)
    assert vocal.shape == instrumental.shape == mixture.shape
    assert vocal.dtype == instrumental.dtype == np.float32
    np.testing.assert_allclose(vocal + instrumental, mixture, atol=3e-7)


def test_the_rate_of_the_model_does_not_shift_or_scale_its_estimate():
    mixture = tone(440, 44100)
    vocal, _ = HalfSeparator().separate(mixture, 44100)
    np.testing.assert_allclose(vocal[:, 2000:-2000], 0.5 * mixture[:, 2000:-2000], atol=1e-3)


def test_what_the_model_cannot_hear_stays_in_the_instrumental():
    mixture = tone(9000, 44100)
    _, instrumental = HalfSeparator().separate(mixture, 44100)
    np.testing.assert_allclose(instrumental[:, 2000:-2000], mixture[:, 2000:-2000], atol=1e-3)


@pytest.mark.parametrize("shape", [(6, 1000), (1000,), (2, 0)])
def test_a_mixture_that_is_neither_mono_nor_stereo_is_refused(shape):
    with pytest.raises(ValueError, match="A mixture must be"):
        HalfSeparator().separate(np.zeros(shape, np.float32), 8000)


def test_an_unknown_separator_is_an_error_that_lists_the_known():
    with pytest.raises(ValueError, match="'spleeter'; choose one of demucs, mdx, precomputed, repet"):
        make_separator("spleeter")


def test_precomputed_stems_are_taken_as_they_are(tmp_path):
    stems = {"vocals": tone(440, RATE), "drums": 0.25 * tone(110, RATE), "bass": 0.25 * tone(55, RATE)}
    for name, samples in stems.items():
        soundfile.write(tmp_path / f"{name}.wav", samples.T, RATE, subtype="FLOAT")
    (song,) = stem_folder_songs(tmp_path)
    pair = make_separator("precomputed").separate_song(song)
    np.testing.assert_array_equal(pair.vocal, stems["vocals"])
    np.testing.assert_allclose(pair.instrumental, stems["drums"] + stems["bass"], atol=1e-7)


def test_no_song_stops_a_corpus_and_every_one_left_out_is_listed_with_its_reason(tmp_path):
    def write(name, samples, rate=RATE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, samples.T, rate, format="WAV", subtype="FLOAT")

    whole = tone(440, RATE, 2.0)
    for good in ("a.wav", "x/same.wav", "y/same.wav", "with space.wav", "ünïcode.wav", "new\nline.wav", "wav.mp3"):
        write(good, whole)
    write("stereo at another rate.wav", np.repeat(tone(440, 44100, 2.0), 2, axis=0), 44100)
    write("silent.wav", 0 * whole)
    write("short.wav", whole[:, :RATE])
    write("surround.wav", np.repeat(whole, 6, axis=0))
    write("nan.wav", whole * np.float32("nan"))
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.mp3").write_text("not audio")
    (tmp_path / "dangling.wav").symlink_to("nowhere")
    (tmp_path / "header.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:60])

    songs, report = list(folder_songs(tmp_path, source="mine")), Report()
    pairs = dict(separate_songs(songs, HalfSeparator(), report, min_seconds=1.5))

    bad = {"silent", "short", "surround", "nan", "empty", "text", "dangling", "header"}
    assert {song.path.stem for song in songs} - {song.path.stem for song in pairs} == bad
    assert report.songs == len(songs) == 16
    assert report.skipped.keys() == {song.id for song in songs if song.path.stem in bad}
    for song_id, reason in report.skipped.items():
        assert song_id.removeprefix("mine/") in reason
    assert "is silent" in report.skipped["mine/silent.wav"]
    assert "1.00 s long, shorter than 1.5 s" in report.skipped["mine/short.wav"]


def test_a_fault_of_the_separator_is_not_blamed_on_the_songs(tmp_path):
    class BrokenSeparator(HalfSeparator):
        def estimate_vocal(self, mixture, sampling_rate):
            raise RuntimeError("CUDA out of memory")

    soundfile.write(tmp_path / "a.wav", tone(440, RATE)[0], RATE)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(separate_songs(folder_songs(tmp_path), BrokenSeparator(), Report()))


@pytest.mark.parametrize("name", ["demucs", "mdx"])
def test_only_the_separator_that_needs_a_library_asks_for_it(monkeypatch, name):
    for missing in ("demucs", "demucs.apply", "onnxruntime"):
        monkeypatch.setitem(sys.modules, missing, None)
    assert make_separator("repet").name == "repet"
    assert make_separator("precomputed").name == "precomputed"
    with pytest.raises(ImportError, match=r"pip install 'hafm-hf\[separation\]'"):
        make_separator(name, model=".")
