# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Audio in and out: reading whatever users have, resampling, writing.

Waveforms are float32 arrays shaped [channels, samples], full scale at 1. Everything that can be wrong with an input is
found here, as a ValueError of one sentence that names the input; the code behind trusts what `load_audio` returns.
"""

import http.client
import io
import logging
import operator
import os
import sys
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np


__all__ = ["AudioClip", "load_audio", "resample", "scaled_to_peak", "to_mono", "write_wav"]

logger = logging.getLogger(__name__)

MIN_SECONDS = 0.05
MIN_SAMPLING_RATE, MAX_SAMPLING_RATE = 1_000, 768_000
URL_TIMEOUT_SECONDS = 30
PEAK = 0.99


@dataclass(frozen=True, eq=False)
class AudioClip:
    """
    One recording, checked: finite, at least `MIN_SECONDS` long, at a sane rate.

    Attributes:
        waveform (`np.ndarray` of shape `[channels, samples]`): float32, full scale at 1 (float files may exceed it).
        sampling_rate (`int`): in Hz, between `MIN_SAMPLING_RATE` and `MAX_SAMPLING_RATE`.
        name (`str`): what messages call it: the path or URL as it was given, "audio" for samples without one.
    """

    waveform: np.ndarray
    sampling_rate: int
    name: str


def load_audio(source: Any, sampling_rate: int | None = None, name: str | None = None) -> AudioClip:
    """
    Reads one recording, at its own rate and with all its channels.

    Args:
        source:
            A path, an http(s) URL, the bytes of an audio file, an array or tensor of samples, a row of a `datasets`
            dataset or its audio column (decoded or not), the dict of a transformers pipeline, a torchcodec
            `AudioDecoder`, or an `AudioClip` (returned as it is). Arrays are `[samples]` or `[channels, samples]`;
            `[samples, channels]` is understood with at most 8 channels. Integer samples are scaled to full scale.
        sampling_rate (`int`, *optional*):
            The rate of `source` in Hz, not a rate to convert to: needed with bare arrays, and an error where it
            contradicts what the source says itself.
        name (`str`, *optional*): what messages call the recording; defaults to its path or URL.

    Raises:
        ValueError: if the source cannot be read, or holds no usable audio; one sentence that names it.
    """
    # By name: code loaded from a checkpoint folder has an AudioClip class of its own.
    if type(source).__name__ == "AudioClip":
        _agree(source.sampling_rate, sampling_rate, name or source.name)
        return source
    if isinstance(source, (str, os.PathLike)):
        name = name or os.fspath(source)
        with _open(os.fspath(source), name) as file:
            waveform, own_rate = _decode(file, name)
        return _clip(waveform, _agree(own_rate, sampling_rate, name), name)

    if isinstance(source, Mapping):
        return _load_mapping(source, sampling_rate, name)
    name = name or "audio"
    if isinstance(source, (bytes, bytearray, memoryview)):
        waveform, own_rate = _decode(io.BytesIO(source), name)
        return _clip(waveform, _agree(own_rate, sampling_rate, name), name)
    if hasattr(source, "get_all_samples"):  # torchcodec's AudioDecoder, which datasets yields for audio columns
        samples = source.get_all_samples()
        return _clip(_full_scale(samples.data, name), _agree(samples.sample_rate, sampling_rate, name), name)
    if _is_array(source):
        return _clip(_full_scale(source, name), _agree(None, sampling_rate, name), name)
    raise ValueError(
        f"{name} is a {type(source).__name__}, which is not understood; pass a path, a URL, the bytes of an audio file, "
        "an array with sampling_rate=, or a dict with 'array' and 'sampling_rate'."
    )


def _load_mapping(row: Mapping, sampling_rate: int | None, name: str | None) -> AudioClip:
    """A dataset's row, its audio column, or the dict that goes into or comes out of a pipeline."""
    name = name or row.get("path") or None
    for key in ("array", "raw", "audio"):
        samples = row.get(key)
        if isinstance(samples, list) or _is_array(samples):
            name = name or "audio"
            return _clip(_full_scale(samples, name), _agree(row.get("sampling_rate"), sampling_rate, name), name)
        if samples is not None:
            return load_audio(samples, sampling_rate, name)
    for key in ("bytes", "path"):
        if row.get(key) is not None:
            return load_audio(row[key], sampling_rate, name)
    raise ValueError(
        f"{name or 'audio'} is a dict with the keys {sorted(map(str, row))}; it needs 'array' and 'sampling_rate', 'bytes', "
        "'path', or 'audio'."
    )


def _open(path: str, name: str) -> BinaryIO:
    if path.lower().startswith(("http://", "https://")):
        try:
            # Some hosts refuse the user agent of urllib.
            request = urllib.request.Request(path, headers={"User-Agent": "hafm-hf"})
            with urllib.request.urlopen(request, timeout=URL_TIMEOUT_SECONDS) as response:
                return io.BytesIO(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = str(error).strip("<>")
            raise ValueError(
                f"{name} cannot be downloaded ({reason}); check the address and the connection."
            ) from error
    if not os.path.exists(path):
        raise ValueError(f"{name or repr(path)} does not exist; check the path.")
    if not os.path.isfile(path):  # a pipe would block, and cannot be read twice
        raise ValueError(f"{name} is a folder or a device; pass the path of an audio file.")
    try:
        return open(path, "rb")
    except OSError as error:
        raise ValueError(f"{name} cannot be opened ({error.strerror}); check its permissions.") from error


# -- Decoding ----------------------------------------------------------------------------------------------------------


class _Undecodable(Exception):
    """What a decoder could not do, in words that fit behind "cannot be decoded:"."""


def _decode(file: BinaryIO, name: str) -> tuple[np.ndarray, int]:
    """Decodes with soundfile, and with PyAV where that gives nothing or less than the file announces."""
    if file.seek(0, os.SEEK_END) == 0:
        raise ValueError(f"{name} is empty (0 bytes); export or download it again.")
    best, announced = None, 0.0
    for decoder in (_decode_with_soundfile, _decode_with_av):
        file.seek(0)
        try:
            waveform, rate, seconds = decoder(file)
        except _Undecodable as error:
            reason = error
            continue
        if best is None or waveform.shape[1] > best[0].shape[1]:
            best = waveform, rate
        announced = max(announced, seconds)
        # Lengths guessed from an MP3's size are off by a few frames.
        missing = announced - best[0].shape[1] / best[1]
        if missing < 0.2:
            return best
    if best is None:
        raise ValueError(f"{name} cannot be decoded: {reason}.")
    logger.warning(
        f"{name} looks cut off or damaged: {announced - missing:.1f} of {announced:.1f} s can be decoded and are used."
    )
    return best


def _decode_with_soundfile(file: BinaryIO) -> tuple[np.ndarray, int, float]:
    """Returns waveform `[channels, samples]`, rate, and the seconds that the file's header announces."""
    import soundfile

    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless data in a file named .raw
        raise _Undecodable("it is not an audio file") from error
    with sound:
        blocks = [np.zeros((0, sound.channels), np.float32)]
        try:
            while len(block := sound.read(16384, dtype="float32", always_2d=True)):
                blocks.append(block)
        except soundfile.SoundFileError:
            pass  # what came before the damage counts
        else:
            # libsndfile guesses the length of an MP3 without Xing header from its first frames, and stops there.
            # Up to 4 kB behind that may be tags.
            position = file.tell()
            if sound.format == "MP3" and file.seek(0, os.SEEK_END) - position > 4096:
                raise _Undecodable("soundfile cannot tell the length of this MP3")
        return np.concatenate(blocks).T, sound.samplerate, sound.frames / sound.samplerate


def _decode_with_av(file: BinaryIO) -> tuple[np.ndarray, int, float]:
    """As `_decode_with_soundfile`, for everything that FFmpeg knows; the first audio stream of a file with several."""
    try:
        import av
    except ImportError as error:
        raise _Undecodable(
            "soundfile cannot read it, and PyAV, which reads m4a, mp4, aac and damaged files, is missing; "
            'install it with `pip install "hafm-hf[media]"`'
        ) from error

    blocks, announced = [], 0.0
    try:
        # A file may be a playlist that names other files: no protocol is allowed to open them.
        with av.open(file, options={"protocol_whitelist": "none"}, metadata_errors="replace") as container:
            stream = container.streams.audio[0]
            announced = float((stream.duration or 0) * stream.time_base)
            to_float = av.AudioResampler(format="fltp")
            for packet in container.demux(stream):
                try:
                    frames = [planar for frame in packet.decode() for planar in to_float.resample(frame)]
                except (av.FFmpegError, ValueError):
                    continue  # a damaged packet; the next may be whole
                for frame in frames:
                    rate = frame.sample_rate
                    blocks.append(frame.to_ndarray())
    except (av.FFmpegError, IndexError) as error:
        if not blocks:
            raise _Undecodable(
                "it holds no audio that soundfile or PyAV can read; pass a wav, flac, ogg, mp3 or m4a file"
            ) from error
    if not blocks:
        raise _Undecodable("no part of its audio is intact; export or download it again")
    return np.concatenate(blocks, axis=1), rate, announced


# -- Checks ------------------------------------------------------------------------------------------------------------


def _agree(own_rate: int | None, given_rate: int | None, name: str) -> int:
    """The rate that the source states or the caller gives, which must not contradict each other."""
    rate = given_rate if own_rate is None else own_rate
    if rate is None:
        raise ValueError(f"{name} does not tell its sampling rate; pass sampling_rate= in Hz, such as 44100.")
    try:
        rate = operator.index(rate)
    except TypeError as error:
        raise ValueError(f"{name} has the sampling rate {rate!r}; it must be a whole number of Hz.") from error
    if not MIN_SAMPLING_RATE <= rate <= MAX_SAMPLING_RATE:
        raise ValueError(
            f"{name} has a sampling rate of {rate} Hz; it must lie between {MIN_SAMPLING_RATE} and {MAX_SAMPLING_RATE} Hz."
        )
    if given_rate is not None and given_rate != rate:
        raise ValueError(
            f"{name} has a sampling rate of {rate} Hz, but sampling_rate={given_rate} was passed; leave sampling_rate out."
        )
    return rate


def _is_array(source: Any) -> bool:
    torch = sys.modules.get("torch")
    return isinstance(source, np.ndarray) or (torch is not None and isinstance(source, torch.Tensor))


def _full_scale(samples: Any, name: str) -> np.ndarray:
    """Samples of any shape and type that `load_audio` takes as float32 `[channels, samples]`."""
    if not isinstance(samples, (np.ndarray, list)):
        samples = samples.detach().cpu()
        samples = (samples.float() if samples.is_floating_point() else samples).numpy()  # NumPy knows no bfloat16
    try:
        samples = np.asarray(samples)
    except ValueError as error:
        raise ValueError(f"{name} has channels of different lengths; pass an array of [channels, samples].") from error
    if samples.ndim not in (1, 2):
        raise ValueError(
            f"{name} has the shape {list(samples.shape)}; pass one clip as [samples] or [channels, samples]."
        )
    if samples.ndim == 2 and samples.shape[1] <= 8 < samples.shape[0]:
        samples = samples.T
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # becomes infinite, which _clip refuses
            return np.atleast_2d(samples.astype(np.float32))
    if samples.dtype.kind not in "iu" or samples.dtype.itemsize > 4:
        raise ValueError(
            f"{name} holds {samples.dtype} samples; pass floats in [-1, 1] or integers of at most 32 bits."
        )
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    offset = half if samples.dtype.kind == "u" else 0.0
    return np.atleast_2d(((samples - offset) / half).astype(np.float32))


def _clip(waveform: np.ndarray, sampling_rate: int, name: str) -> AudioClip:
    if waveform.size == 0:
        raise ValueError(f"{name} holds no samples; export the recording again.")
    if not np.isfinite(waveform).all():
        raise ValueError(f"{name} holds NaN or infinite samples; export the recording again, or replace them.")
    if waveform.shape[1] / sampling_rate < MIN_SECONDS:
        raise ValueError(
            f"{name} is {waveform.shape[1]} samples at {sampling_rate} Hz long, less than the minimum of {MIN_SECONDS} s; "
            "pass a longer recording."
        )
    return AudioClip(np.ascontiguousarray(waveform), sampling_rate, name)


# -- Waveforms ---------------------------------------------------------------------------------------------------------


def to_mono(waveform: np.ndarray) -> np.ndarray:
    """The mean of the channels: `[..., channels, samples]` to `[..., samples]`; `[samples]` stays as it is."""
    return waveform if waveform.ndim == 1 else waveform.mean(axis=-2)


def resample(waveform: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """
    Band-limited resampling along the last axis (soxr, high quality).

    Returns:
        `np.ndarray` of shape `[..., round(samples * to_rate / from_rate)]`; the input itself if the rates are equal.
    """
    if from_rate == to_rate:
        return waveform
    import soxr

    *leading, samples = waveform.shape
    length = round(samples * to_rate / from_rate)
    rows = np.ascontiguousarray(waveform.reshape(-1, samples).T)
    resampled = soxr.resample(rows, from_rate, to_rate, quality="HQ").T[:, :length]
    return np.pad(resampled, ((0, 0), (0, length - resampled.shape[1]))).reshape(*leading, length)


# -- Writing -----------------------------------------------------------------------------------------------------------


def scaled_to_peak(waveform: np.ndarray) -> np.ndarray:
    """The whole waveform scaled to a peak of `PEAK`."""
    # A hair below, because float32 rounds 0.99 up.
    return waveform * np.float32(PEAK * (1 - 1e-6) / np.abs(waveform).max())


def write_wav(path: str | os.PathLike, waveform: np.ndarray, sampling_rate: int) -> None:
    """
    Writes a 24-bit PCM WAV file, whole or not at all; missing folders are made.

    24 bits are what audio workstations exchange, and cost a float32 waveform nothing audible. Samples beyond [-1, 1]
    are never clipped: the whole file is scaled to a peak of `PEAK`, and a warning says so.

    Args:
        path (`str` or `os.PathLike`): the file; an older one is replaced.
        waveform (`np.ndarray` of shape `[samples]` or `[channels, samples]`): floating point samples.
        sampling_rate (`int`): in Hz.

    Raises:
        ValueError: if the waveform is not finite, or the file cannot be written there.
    """
    import soundfile

    path = Path(path)
    waveform = np.asarray(waveform, dtype=np.float32)
    if not np.isfinite(waveform).all():
        raise ValueError(
            f"{path} was not written, because the waveform holds NaN or infinite samples; replace them first."
        )
    peak = np.abs(waveform).max(initial=0.0)
    if peak > 1:
        logger.warning(f"{path} would clip at a peak of {peak:.2f}; the whole file was scaled down to {PEAK}.")
        waveform = scaled_to_peak(waveform)
    encoded = io.BytesIO()
    soundfile.write(encoded, waveform.T, sampling_rate, format="WAV", subtype="PCM_24")

    unfinished = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_bytes(encoded.getbuffer())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(f"{path} cannot be written ({error.strerror}); choose another folder or name.") from error
