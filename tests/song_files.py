# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Folders of songs that tests make."""

import numpy as np
import soundfile


def voice_and_band(seconds=2.0, rate=16000, channels=1, pitch=330.0):
    """A wobbling tone and a beat below it, `[channels, samples]` each."""
    time = np.arange(round(seconds * rate)) / rate
    voice = 0.15 * np.sin(2 * np.pi * pitch * time + 5 * np.sin(6 * time))
    band = 0.3 * np.sin(2 * np.pi * 110 * time) * (0.6 + 0.4 * np.sign(np.sin(4 * np.pi * time)))
    band += 0.02 * np.random.default_rng(round(pitch)).standard_normal(len(time))
    return tuple(np.repeat(part[None], channels, axis=0).astype(np.float32) for part in (voice, band))


def write_audio(path, samples, rate):
    path.parent.mkdir(parents=True, exist_ok=True)
    format = {"mp3": "MP3", "flac": "FLAC"}.get(path.suffix[1:], "WAV")
    soundfile.write(path, samples.T, rate, format=format)


def write_mixtures(root, names, seconds=2.0):
    """A mixture for each name, no two alike."""
    for number, name in enumerate(names):
        voice, band = voice_and_band(seconds, pitch=300.0 + 20 * number)
        write_audio(root / name, voice + band, 16000)
    return root


def write_stems(root, count, seconds=2.0):
    """Folders `0`, `1` ... of `vocals.wav` and `band.wav`."""
    for number in range(count):
        voice, band = voice_and_band(seconds, pitch=300.0 + 20 * number)
        write_audio(root / str(number) / "vocals.wav", voice, 16000)
        write_audio(root / str(number) / "band.wav", band, 16000)
    return root


def contents(folder):
    """Every file below a folder, hidden ones too, by its name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
