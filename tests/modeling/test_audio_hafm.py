# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Every kind of audio that users bring is read, every kind that cannot be used is named, levels follow the standard."""

import functools
import http.server
import importlib.util
import io
import math
import os
import sys
import threading
import wave
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from waveforms import noise, tone

from hafm_hf.modeling import audio_hafm
from hafm_hf.modeling.audio_hafm import load_audio, resample, to_mono, write_wav


def encode(waveform, rate, format="WAV", subtype=None, **settings):
    encoded = io.BytesIO()
    soundfile.write(encoded, waveform.T, rate, format=format, subtype=subtype, **settings)
    return encoded.getvalue()


def encode_m4a(waveform, rate):
    av = pytest.importorskip("av")
    encoded = io.BytesIO()
    layout = {1: "mono", 2: "stereo"}[len(waveform)]
    with av.open(encoded, "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=rate, layout=layout, bit_rate=256000)
        frame = av.AudioFrame.from_ndarray(waveform, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return encoded.getvalue()


def saved(path, data):
    path.write_bytes(data)
    return path


def message(source, **arguments):
    """What a user reads when `source` is refused: always one sentence."""
    with pytest.raises(ValueError) as caught:
        load_audio(source, **arguments)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and ". " not in text
    return text


# -- Sources -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize(
    "format, subtype, rate, tolerance",
    [
        ("WAV", "PCM_U8", 8000, 2**-6),
        ("WAV", "PCM_16", 44100, 2**-15),
        ("WAV", "PCM_24", 96000, 2**-22),
        ("WAV", "FLOAT", 22050, 0),
        ("WAV", "DOUBLE", 192000, 0),
        ("AIFF", "PCM_16", 11025, 2**-15),
        ("FLAC", "PCM_16", 48000, 2**-15),
        ("OGG", "VORBIS", 44100, 0.1),
    ],
)
def test_files_come_back_at_their_own_rate_with_all_channels(tmp_path, channels, format, subtype, rate, tolerance):
    waveform = tone(0.3, rate, channels, frequency=20.0)
    path = saved(tmp_path / "take", encode(waveform, rate, format, subtype))
    clip = load_audio(path)
    assert (clip.sampling_rate, clip.name) == (rate, str(path))
    assert clip.waveform.dtype == np.float32 and clip.waveform.shape == waveform.shape
    assert clip.waveform.flags.c_contiguous
    assert np.abs(clip.waveform - waveform).max() <= tolerance


@pytest.mark.parametrize("rate, channels", [(16000, 1), (44100, 2)])
def test_mp3_and_m4a_and_opus_are_read(tmp_path, rate, channels):
    waveform = tone(1.0, rate, channels)
    for name, data, expected_rate in [
        ("take.mp3", encode(waveform, rate, "MP3", compression_level=0.0), rate),
        ("take.m4a", encode_m4a(waveform, rate), rate),
        ("take.opus", encode(resample(waveform, rate, 48000), 48000, "OGG", "OPUS"), 48000),
    ]:
        clip = load_audio(saved(tmp_path / name, data))
        assert clip.sampling_rate == expected_rate and len(clip.waveform) == channels
        assert abs(clip.waveform.shape[1] - expected_rate) < 3000  # AAC and MP3 pad to whole frames
        middle = slice(expected_rate // 2, expected_rate * 3 // 4)
        expected = resample(waveform, rate, expected_rate)[:, middle]
        assert np.abs(clip.waveform[:, middle] - expected).max() < 0.1  # in time, at level, channels in order


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_bytes_of_a_file_are_a_source(kind):
    waveform = tone(rate=44100, channels=2)
    clip = load_audio(kind(encode(waveform, 44100, subtype="FLOAT")))
    np.testing.assert_array_equal(clip.waveform, waveform)
    assert (clip.sampling_rate, clip.name) == (44100, "audio")


@pytest.mark.parametrize("rate", [1000, 44100, 768000])
def test_arrays_and_tensors_come_with_a_rate(rate):
    mono, stereo = tone(rate=rate)[0], tone(rate=rate, channels=2)
    for source, expected in [
        (mono, mono[None]),
        (stereo, stereo),
        (stereo.T, stereo),
        (stereo.astype(np.float64), stereo),
        (stereo.astype(">f4"), stereo),
        (stereo[:, ::-1], stereo[:, ::-1]),
        (torch.from_numpy(mono), mono[None]),
        (torch.from_numpy(stereo).requires_grad_(), stereo),
        (torch.from_numpy(stereo).bfloat16(), torch.from_numpy(stereo).bfloat16().float().numpy()),
    ]:
        clip = load_audio(source, sampling_rate=rate, name="take")
        assert clip.waveform.dtype == np.float32 and clip.waveform.flags.c_contiguous
        np.testing.assert_array_equal(clip.waveform, expected)
        assert (clip.sampling_rate, clip.name) == (rate, "take")


def test_only_an_unambiguous_array_is_turned():
    assert load_audio(np.zeros((800, 8)), 16000).waveform.shape == (8, 800)
    assert load_audio(np.zeros((9, 800)), 16000).waveform.shape == (9, 800)
    assert load_audio(np.zeros((1000, 900)), 16000).waveform.shape == (1000, 900)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint8, np.uint16])
def test_integer_samples_are_scaled_to_full_scale(dtype):
    lowest, highest = np.iinfo(dtype).min, np.iinfo(dtype).max
    middle = (int(lowest) + int(highest) + 1) // 2
    waveform = load_audio(np.array([lowest, middle, highest] * 500, dtype), 16000).waveform
    assert waveform[0, 0] == -1 and waveform[0, 1] == 0 and 0.99 < waveform[0, 2] <= 1


def test_rows_of_datasets_and_pipelines(tmp_path):
    waveform = tone()
    data = encode(waveform, 16000, subtype="FLOAT")
    path = str(saved(tmp_path / "take.wav", data))
    decoded = {"array": waveform[0], "sampling_rate": 16000, "path": path}
    for row, name in [
        (decoded, path),
        ({"raw": waveform[0], "sampling_rate": 16000}, "audio"),
        ({"array": waveform[0].tolist(), "sampling_rate": 16000, "path": None}, "audio"),
        ({"array": torch.from_numpy(waveform), "sampling_rate": 16000}, "audio"),
        ({"bytes": data, "path": "inside-an-archive.wav"}, "inside-an-archive.wav"),
        ({"bytes": None, "path": path}, path),
        ({"id": 7, "audio": decoded, "text": "la"}, path),
        ({"audio": {"bytes": None, "path": path}}, path),
        ({"audio": path}, path),
        ({"audio": waveform, "sampling_rate": 16000}, "audio"),  # what text-to-audio pipelines return
    ]:
        before = dict(row)
        clip = load_audio(row)
        np.testing.assert_array_equal(clip.waveform, waveform)
        assert (clip.sampling_rate, clip.name) == (16000, name)
        assert list(row) == list(before) and all(row[key] is before[key] for key in row)


def test_an_undecoded_row_of_a_real_dataset(tmp_path):
    datasets = pytest.importorskip("datasets")
    path = str(saved(tmp_path / "take.flac", encode(tone(rate=22050), 22050, "FLAC")))
    dataset = datasets.Dataset.from_dict({"audio": [path]}).cast_column("audio", datasets.Audio(decode=False))
    for row in (dataset[0], dataset[0]["audio"]):
        assert load_audio(row).name == path
        assert load_audio(row).sampling_rate == 22050


def test_a_torchcodec_decoder():
    waveform = tone(rate=44100, channels=2)
    samples = SimpleNamespace(data=torch.from_numpy(waveform), sample_rate=44100)
    decoder = SimpleNamespace(get_all_samples=lambda: samples)  # torchcodec needs FFmpeg: the two names that count
    for source in (decoder, {"audio": decoder}):
        clip = load_audio(source)
        np.testing.assert_array_equal(clip.waveform, waveform)
        assert clip.sampling_rate == 44100


def test_a_clip_passes_through():
    clip = load_audio(tone(), 16000, name="take")
    assert load_audio(clip) is clip and load_audio(clip, 16000) is clip
    assert "44100" in message(clip, sampling_rate=44100)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if "urllib" in self.headers["User-Agent"]:  # as Wikimedia and others do
                self.send_error(403)
            else:
                super().do_GET()

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=tmp_path)) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_urls(tmp_path, server):
    waveform = tone(rate=44100)
    saved(tmp_path / "take.wav", encode(waveform, 44100, subtype="FLOAT"))
    saved(tmp_path / "page.wav", b"<html>Please log in</html>")
    url = f"{server}/take.wav?download=1"
    clip = load_audio(url)
    np.testing.assert_array_equal(clip.waveform, waveform)
    assert clip.name == url
    assert f"{server}/none.wav" in message(f"{server}/none.wav") and "404" in message(f"{server}/none.wav")
    assert f"{server}/page.wav" in message(f"{server}/page.wav")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/take.wav", "HTTPS://127.0.0.1:1/take.wav", "http://[x/take.wav", "http://"]
)
def test_an_address_that_nobody_answers_is_named(monkeypatch, url):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert url in message(url)


# -- Inputs that cannot be used ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, data, reason",
    [
        ("empty.wav", b"", "is empty"),
        ("notes.wav", b"Dear band, please play louder.\n" * 40, "holds no audio"),
        ("notes.raw", b"Dear band, please play louder.\n" * 40, "holds no audio"),
        ("noise.mp3", np.random.default_rng(0).bytes(5000), "holds no audio"),
        ("cut.mp3", encode(noise(1.0, 44100), 44100, "MP3")[:300], "holds no audio"),
        ("header.wav", encode(np.zeros((1, 0)), 44100), "holds no samples"),
        ("blip.wav", encode(tone(0.049, 44100), 44100), "minimum of 0.05 s"),
        ("nan.wav", encode(np.full((1, 9000), np.nan), 44100, subtype="FLOAT"), "NaN or infinite"),
        ("slow.wav", encode(tone(1.0, 500), 500), "between 1000 and 768000 Hz"),
    ],
)
def test_unusable_files_are_named(tmp_path, name, data, reason):
    path = saved(tmp_path / name, data)
    for source in (path, str(path), {"bytes": data, "path": str(path)}, {"path": str(path)}):
        text = message(source)
        assert str(path) in text and reason in text


def test_missing_files_folders_and_pipes_are_named(tmp_path):
    missing = tmp_path / "missing.wav"
    assert str(missing) in message(missing) and "does not exist" in message(missing)
    assert str(tmp_path) in message(tmp_path) and "is a folder" in message(tmp_path)
    os.mkfifo(tmp_path / "pipe.wav")
    assert "pipe.wav" in message(tmp_path / "pipe.wav")
    assert "does not exist" in message("")


@pytest.mark.parametrize("make", [np.array, torch.tensor])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_samples_that_are_no_numbers_are_refused(make, bad):
    samples = tone()[0]
    samples[5000] = bad
    assert "take holds NaN or infinite" in message(make(samples), sampling_rate=16000, name="take")


def test_float64_beyond_float32_is_refused():
    assert "infinite" in message(np.full(9000, 1e300), sampling_rate=16000)


@pytest.mark.parametrize(
    "samples, reason",
    [
        (np.zeros(0), "no samples"),
        (np.zeros((2, 0)), "no samples"),
        (np.zeros(()), "shape []"),
        (np.zeros((4, 1, 16000)), "shape [4, 1, 16000]"),
        (np.zeros(9000, np.int64), "int64"),
        (np.zeros(9000, bool), "bool"),
        (np.zeros(9000, complex), "complex"),
        (np.array(["la"] * 9000), "<U2"),
    ],
)
def test_unusable_arrays_say_what_is_wrong(samples, reason):
    text = message(samples, sampling_rate=16000, name="take")
    assert "take" in text and reason in text


def test_ragged_channels_are_refused():
    assert "take" in message({"array": [[0.1, 0.2], [0.3]], "sampling_rate": 16000}, name="take")


def test_arrays_without_a_rate_say_which_argument_is_missing():
    for source in (tone(), {"array": tone()}, {"audio": {"array": tone(), "sampling_rate": None}}):
        assert "sampling_rate=" in message(source)


@pytest.mark.parametrize("rate", [0, -44100, 999, 768001, 44100.5, math.nan, "44100", True])
def test_rates_that_cannot_be_are_refused(rate):
    assert "take has" in message(tone(), sampling_rate=rate, name="take")
    assert "take has" in message({"array": tone(), "sampling_rate": rate}, name="take")


def test_a_rate_that_contradicts_the_source_is_refused(tmp_path):
    path = saved(tmp_path / "take.wav", encode(tone(), 16000))
    for source in (path, path.read_bytes(), {"array": tone(), "sampling_rate": 16000}):
        assert load_audio(source, sampling_rate=16000).sampling_rate == 16000
        assert "sampling_rate=44100" in message(source, sampling_rate=44100)


@pytest.mark.parametrize("source", [None, 7, ["a.wav", "b.wav"], {"text": "la"}, {"bytes": None, "path": None}, {}])
def test_sources_of_other_kinds_are_refused(source):
    assert message(source).startswith("audio is a")


def test_the_shortest_clip_is_accepted_at_any_rate():
    for rate in (1000, 8000, 22040, 44100, 48000, 96000, 768000):
        assert load_audio(np.zeros(rate // 20), rate).waveform.shape == (1, rate // 20)
        assert f"{rate // 20 - 1} samples" in message(np.zeros(rate // 20 - 1), sampling_rate=rate)


# -- Damaged files -----------------------------------------------------------------------------------------------------


def without_xing_header(mp3):
    """Drops the first frame, which holds the number of frames; many encoders write none."""
    return mp3[mp3.index(mp3[:2], 4) :]


@pytest.fixture(scope="module")
def mp3():
    """8 s that start loud: the first frames are large, so that a guess from them falls short."""
    waveform = noise(8.0, 44100)
    waveform[:, 44100:] *= 1e-3
    return encode(waveform, 44100, "MP3", bitrate_mode="VARIABLE")


@pytest.mark.parametrize("with_av", [True, False])
def test_a_truncated_mp3_is_used_with_a_warning(tmp_path, monkeypatch, caplog, mp3, with_av):
    if not with_av:
        monkeypatch.setitem(sys.modules, "av", None)
    clip = load_audio(saved(tmp_path / "cut.mp3", mp3[: len(mp3) // 2]))
    assert 1.0 < clip.waveform.shape[1] / 44100 < 7.5
    assert "cut.mp3 looks cut off or damaged" in caplog.text and "of 8.0 s" in caplog.text


def test_damage_in_the_middle_costs_only_the_damage(tmp_path, caplog):
    pytest.importorskip("av")
    for format in ("MP3", "FLAC"):
        data = bytearray(encode(noise(8.0, 44100), 44100, format))
        data[len(data) // 2 : len(data) * 5 // 8] = np.random.default_rng(0).bytes(len(data) * 5 // 8 - len(data) // 2)
        clip = load_audio(saved(tmp_path / f"hole.{format}", data))
        assert 6 * 44100 < clip.waveform.shape[1] < 8 * 44100
        assert f"hole.{format} looks cut off or damaged" in caplog.text


def test_whole_files_give_no_warning(tmp_path, caplog, mp3):
    for name, data in [("whole.mp3", mp3), ("whole.m4a", encode_m4a(noise(1.0, 44100), 44100))]:
        load_audio(saved(tmp_path / name, data))
    assert not caplog.records


def test_an_mp3_without_length_is_read_to_its_end(tmp_path, monkeypatch, caplog, mp3):
    path = saved(tmp_path / "old.mp3", without_xing_header(mp3))
    assert abs(load_audio(path).waveform.shape[1] / 44100 - 8.0) < 0.1
    monkeypatch.setitem(sys.modules, "av", None)
    assert "old.mp3" in message(path) and 'pip install "hafm-hf[media]"' in message(path)


def test_an_m4a_without_pyav_says_what_to_install(tmp_path, monkeypatch):
    path = saved(tmp_path / "take.m4a", encode_m4a(tone(1.0, 44100), 44100))
    monkeypatch.setitem(sys.modules, "av", None)
    assert str(path) in message(path) and 'pip install "hafm-hf[media]"' in message(path)


def test_a_playlist_opens_no_other_file(tmp_path, monkeypatch):
    saved(tmp_path / "private.wav", encode(tone(), 16000))
    monkeypatch.chdir(tmp_path)
    playlist = b"ffconcat version 1.0\nfile 'private.wav'\n"
    assert "holds no audio" in message(playlist)


# -- Channels and rates ------------------------------------------------------------------------------------------------


def test_mono_is_the_mean_of_the_channels():
    stereo = noise(0.1, 16000, channels=2)
    np.testing.assert_allclose(to_mono(stereo), (stereo[0] + stereo[1]) / 2, atol=1e-7)
    assert to_mono(stereo).dtype == np.float32
    mono = stereo[0]
    assert to_mono(mono) is mono


@pytest.mark.parametrize("leading", [(), (1,), (2,), (3, 2)])
@pytest.mark.parametrize(
    "from_rate, to_rate", [(44100, 16000), (16000, 24000), (48000, 44100), (8000, 96000), (1000, 768000)]
)
def test_resampling_keeps_the_music_and_the_length(leading, from_rate, to_rate):
    for samples in (from_rate // 20, from_rate // 7):
        waveform = np.broadcast_to(tone(1.0, from_rate, frequency=60.0)[0, :samples], (*leading, samples))
        resampled = resample(waveform, from_rate, to_rate)
        assert resampled.shape == (*leading, round(samples * to_rate / from_rate)) and resampled.dtype == np.float32
        inner = slice(resampled.shape[-1] // 4, -resampled.shape[-1] // 4)  # the ends ring against silence
        expected = tone(1.0, to_rate, frequency=60.0)[0, : resampled.shape[-1]]
        assert np.abs(resampled - expected)[..., inner].max() < 0.02


def test_odd_lengths_are_exact():
    cases = [(samples, 48000, 44100) for samples in range(2400, 2500)] + [
        (7300, 12000, 44100)
    ]  # soxr: one more, one less
    for samples, from_rate, to_rate in cases:
        resampled = resample(np.zeros(samples, np.float32), from_rate, to_rate)
        assert resampled.shape == (round(samples * to_rate / from_rate),)


def test_an_equal_rate_is_the_identity():
    waveform = tone()
    assert resample(waveform, 16000, 16000) is waveform


# -- Writing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_what_is_written_is_what_is_read(tmp_path, channels):
    waveform = np.clip(noise(0.5, 24000, channels, amplitude=0.3), -1, 1)
    path = tmp_path / "new" / "folder" / "take.wav"
    write_wav(path, waveform, 24000)
    clip = load_audio(path)
    assert clip.sampling_rate == 24000
    np.testing.assert_allclose(clip.waveform, waveform, atol=2**-22)
    with wave.open(str(path)) as file:  # plain PCM: the standard library reads it
        assert (file.getsampwidth(), file.getnchannels(), file.getnframes()) == (3, channels, 12000)


def test_a_waveform_without_channel_axis_is_mono(tmp_path):
    write_wav(str(tmp_path / "take.wav"), tone()[0], 16000)
    assert load_audio(tmp_path / "take.wav").waveform.shape == (1, 8000)


def test_too_loud_is_scaled_down_with_a_warning_never_clipped(tmp_path, caplog):
    waveform = tone(amplitude=4.0)
    write_wav(tmp_path / "loud.wav", waveform, 16000)
    written = load_audio(tmp_path / "loud.wav").waveform
    np.testing.assert_allclose(written, waveform * 0.99 / np.abs(waveform).max(), atol=1e-5)
    assert str(tmp_path / "loud.wav") in caplog.text
    caplog.clear()
    write_wav(tmp_path / "full.wav", tone(amplitude=1.0), 16000)
    assert not caplog.records


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "take.wav"
    write_wav(path, tone(), 16000)
    before = path.read_bytes()

    def disk_full(self, data):
        with open(self, "wb") as file:
            file.write(bytes(data)[:100])
        raise OSError(28, "No space left on device")

    with pytest.raises(ValueError, match="NaN"):
        write_wav(path, np.full(8000, np.nan), 16000)
    with monkeypatch.context() as patch, pytest.raises(ValueError, match="take.wav cannot be written .No space left"):
        patch.setattr("pathlib.Path.write_bytes", disk_full)
        write_wav(path, tone(), 16000)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["take.wav"]


def test_places_that_cannot_be_written_are_named(tmp_path):
    file = saved(tmp_path / "file", b"in the way")
    folder = tmp_path / "folder.wav"
    folder.mkdir()
    for path in (file / "take.wav", folder):
        with pytest.raises(ValueError) as caught:
            write_wav(path, tone(), 16000)
        assert str(path) in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.wav"]
    assert os.listdir(folder) == []


def test_written_files_have_ordinary_permissions(tmp_path):
    write_wav(tmp_path / "take.wav", tone(), 16000)
    (tmp_path / "plain").touch()
    assert (tmp_path / "take.wav").stat().st_mode == (tmp_path / "plain").stat().st_mode


# -- Travelling --------------------------------------------------------------------------------------------------------


def test_the_file_loads_alone_from_a_checkpoint_folder():
    from transformers.dynamic_module_utils import get_imports, get_relative_imports

    assert get_relative_imports(audio_hafm.__file__) == []
    third_party = {name for name in get_imports(audio_hafm.__file__) if name not in sys.stdlib_module_names}
    assert third_party == {"numpy", "soundfile", "soxr"}  # the core dependencies; PyAV stays optional


def test_a_clip_of_another_copy_of_the_module_passes_through():
    # transformers imports a checkpoint's code under a name of its own.
    spec = importlib.util.spec_from_file_location("travelled_audio_hafm", audio_hafm.__file__)
    travelled = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(travelled)
    clip = load_audio(tone(), 16000)
    assert travelled.load_audio(clip) is clip
