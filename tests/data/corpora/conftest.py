# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Audio that the tests of the corpora read."""

import numpy as np
import pytest


RATE = 44100


@pytest.fixture
def write_stem_file():
    """Writes a `.stem.mp4` of one audio stream per array `[2, samples]`, with PyAV as the only reader and writer."""
    av = pytest.importorskip("av")

    def write(path, streams, codec="alac"):
        sample_format = {"alac": "s16p", "aac": "fltp"}[codec]
        with av.open(str(path), "w", format="mp4") as container:
            outputs = [container.add_stream(codec, rate=RATE, layout="stereo", format=sample_format) for _ in streams]
            for output, samples in zip(outputs, streams, strict=True):
                if sample_format == "s16p":
                    samples = np.round(samples * 32768).astype(np.int16)
                samples = np.ascontiguousarray(samples)
                frame = av.AudioFrame.from_ndarray(samples, format=sample_format, layout="stereo")
                frame.sample_rate, frame.pts = RATE, 0
                fifo = av.AudioFifo()
                fifo.write(frame)
                while frame := fifo.read(1024, partial=True):
                    container.mux(output.encode(frame))
                container.mux(output.encode(None))
        return path

    return write


@pytest.fixture
def five_streams():
    """Mixture, drums, bass, other and vocals, `[2, samples]` each, on the grid of 16-bit samples."""
    tones = np.arange(RATE) / RATE * 2 * np.pi * np.array([[110.0], [220.0], [330.0], [440.0]])
    ramps = 0.1 * np.sin(tones) * np.linspace(0, 1, RATE)
    stems = [np.round(np.stack([tone, -0.5 * tone]) * 32768).astype(np.float32) / 32768 for tone in ramps]
    # The mixture stream of MUSDB18 is not the sum of its stems.
    return [0.5 * sum(stems).astype(np.float32), *stems]
