# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
import base64
import io

import numpy as np
import pytest
import soundfile
from waveforms import tone

from hafm_hf.evaluation.report.media import COLUMNS, audio_uri, spectrogram_uri


def content(uri):
    media_type, data = uri.split(";base64,")
    return media_type, io.BytesIO(base64.b64decode(data))


@pytest.mark.parametrize(("format", "media_type", "tolerance"), [("MP3", "mpeg", 0.05), ("FLAC", "flac", 1e-4)])
def test_audio_survives(format, media_type, tolerance):
    audio = tone(1.0, 24000)[0]
    found_type, file = content(audio_uri(audio, 24000, format))
    assert found_type == f"data:audio/{media_type}"
    decoded, rate = soundfile.read(file)
    assert rate == 24000
    assert len(decoded) == pytest.approx(24000, abs=1200)
    assert decoded.std() == pytest.approx(audio.std(), rel=tolerance)


def test_a_picture_is_a_png_with_low_frequencies_at_the_bottom():
    from matplotlib.image import imread

    media_type, file = content(spectrogram_uri(tone(10.0, 24000, frequency=200.0)[0], 24000))
    assert media_type == "data:image/png"
    brightness = imread(file)[..., :3].sum(axis=(1, 2))
    assert brightness.argmax() > 0.7 * len(brightness)
    file.seek(0)
    assert imread(file).shape[1] <= COLUMNS


def test_what_would_clip_does_not_wrap_around():
    audio = np.full(24000, 1.5, np.float32)
    assert soundfile.read(content(audio_uri(audio, 24000, "FLAC"))[1])[0].min() > 0.99
