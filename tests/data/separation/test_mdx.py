# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The MDX-Net runner on networks small enough to know what they must do: a gain for every channel and bin of the spectrogram."""

import json

import numpy as np
import pytest

from hafm_hf.data.separation import make_separator


onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

RATE, N_FFT, HOP, FRAMES = 16000, 512, 128, 32
EVERY_BIN = N_FFT // 2 + 1


def save_network(path, gain, bins=EVERY_BIN, frames=FRAMES, order=(0, 1, 2, 3)):
    """A network that reorders the four channels of the spectrogram and multiplies them by `gain`, `[channels or 1, bins or 1, 1]`."""
    gain = onnx.numpy_helper.from_array(np.asarray(gain, np.float32), "gain")
    order = onnx.numpy_helper.from_array(np.array(order), "order")
    shape = ["batch", 4, bins, frames]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("in", "out")]
    gather = onnx.helper.make_node("Gather", ["in", "order"], ["picked"], axis=1)
    scale = onnx.helper.make_node("Mul", ["picked", "gain"], ["out"])
    graph = onnx.helper.make_graph([gather, scale], "network", ends[:1], ends[1:], [gain, order])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, path)
    return path


@pytest.fixture
def separate(tmp_path):
    def run(mixture, gain=1.0, bins=EVERY_BIN, order=(0, 1, 2, 3), **options):
        path = save_network(tmp_path / "network.onnx", gain, bins, order=order)
        settings = {"n_fft": N_FFT, "hop_length": HOP, "sampling_rate": RATE} | options
        return make_separator("mdx", model=path, **settings).separate(mixture, RATE)

    return run


def tone(hertz, seconds=2.0):
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def noise(samples=30_001):
    return np.random.default_rng(0).normal(0, 0.1, (2, samples)).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 100, 3 * (HOP * (FRAMES - 1) - N_FFT), 30_001])
def test_no_seam_and_no_shift_at_any_length(separate, samples):
    vocal, _ = separate(noise(samples))
    np.testing.assert_allclose(vocal, noise(samples), atol=1e-6)


@pytest.mark.parametrize("level", [1e-3, 0.47, 4.0])
def test_levels_are_right_whatever_the_level_of_the_mixture(separate, level):
    mixture = np.float32(level) * noise()
    vocal, instrumental = separate(mixture, gain=0.25)
    np.testing.assert_allclose(vocal, 0.25 * mixture, atol=1e-6 * level)
    np.testing.assert_allclose(vocal + instrumental, mixture, atol=1e-6 * level)


def test_the_network_sees_left_and_right_real_and_imaginary(separate):
    left, right = np.stack([tone(500), 0 * tone(500)]), np.stack([0 * tone(500), tone(500)])
    keep_left = np.array([1, 1, 0, 0]).reshape(4, 1, 1)
    np.testing.assert_allclose(separate(left, keep_left)[0], left, atol=1e-5)
    np.testing.assert_allclose(separate(right, keep_left)[0], 0 * right, atol=1e-5)
    # Times the imaginary unit: every tone a quarter of a period early.
    early, _ = separate(left, np.array([-1, 1, -1, 1]).reshape(4, 1, 1), order=(1, 0, 3, 2))
    np.testing.assert_allclose(early[0, N_FFT : -N_FFT - 8], left[0, N_FFT + 8 : -N_FFT], atol=1e-3)


def test_a_network_that_keeps_the_voice_gives_the_voice(separate):
    voice, band = tone(500), tone(4000)
    below_2_khz = (np.arange(EVERY_BIN) * RATE / N_FFT < 2000).reshape(1, -1, 1)
    vocal, instrumental = separate(np.stack([voice + band] * 2), below_2_khz)
    inside = slice(N_FFT, -N_FFT)
    np.testing.assert_allclose(vocal[0, inside], voice[inside], atol=1e-3)
    np.testing.assert_allclose(instrumental[0, inside], band[inside], atol=1e-3)


@pytest.mark.parametrize("target", ["vocals", "instrumental"])
def test_what_lies_above_the_bins_of_the_network_is_no_vocal(separate, target):
    treble = np.stack([tone(7000)] * 2)
    vocal, _ = separate(treble, gain=0.5, bins=128, target=target)
    assert np.abs(vocal[:, N_FFT:-N_FFT]).max() < 1e-3


def test_a_network_for_the_instrumental_leaves_the_vocal(separate):
    vocal, instrumental = separate(noise(), gain=0.75, target="instrumental")
    np.testing.assert_allclose(vocal, 0.25 * noise(), atol=1e-6)
    np.testing.assert_allclose(instrumental, 0.75 * noise(), atol=1e-6)


def test_the_compensation_makes_up_for_a_network_that_is_too_quiet(separate):
    vocal, _ = separate(noise(), gain=1 / 1.035, compensation=1.035)
    np.testing.assert_allclose(vocal, noise(), atol=1e-6)


def test_the_parameters_say_all_that_decides_the_result(tmp_path):
    path = save_network(tmp_path / "network.onnx", 1.0)
    parameters = make_separator("mdx", model=path, n_fft=N_FFT, hop_length=HOP, compensation=1.02).parameters
    assert (parameters["model"], parameters["n_fft"], parameters["compensation"]) == ("network.onnx", N_FFT, 1.02)
    assert json.loads(json.dumps(parameters)) == parameters
    save_network(path, 0.5)
    assert (
        make_separator("mdx", model=path, n_fft=N_FFT, hop_length=HOP).parameters["weights"] != parameters["weights"]
    )


def test_a_file_that_is_no_such_network_is_an_error(tmp_path):
    (tmp_path / "text.onnx").write_text("not a network")
    for name in ("text.onnx", "missing.onnx"):
        with pytest.raises(ValueError, match=f"{name} is not an ONNX file"):
            make_separator("mdx", model=tmp_path / name)
    path = save_network(tmp_path / "network.onnx", 1.0, frames="frames")
    with pytest.raises(ValueError, match="not the .* of an MDX-Net"):
        make_separator("mdx", model=path)
    save_network(path, 1.0)
    for n_fft in (N_FFT // 2, 8192):
        with pytest.raises(ValueError, match=f"n_fft={n_fft} does not fit"):
            make_separator("mdx", model=path, n_fft=n_fft, hop_length=HOP)
    with pytest.raises(ValueError, match="not 'drums'"):
        make_separator("mdx", model=path, n_fft=N_FFT, hop_length=HOP, target="drums")
