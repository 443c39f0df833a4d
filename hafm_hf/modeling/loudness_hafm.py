# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Loudness after ITU-R BS.1770-4, and mixing by it."""

import math
from collections.abc import Iterator

import numpy as np

from .audio_hafm import PEAK, scaled_to_peak


__all__ = ["k_weighting_biquads", "loudness", "match_loudness", "mix"]

# The tables of the standard, at 48 kHz: numerator and denominator of each biquad.
_SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
_HIGH_PASS = (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)
_CELLS_PER_SEGMENT = 100


def _bilinear(polynomial: tuple[float, float, float]) -> tuple[float, float, float]:
    """Substitutes x = (1 - y) / (1 + y) into a quadratic, less the factor (1 + y)^2; its own inverse up to a factor 4."""
    p0, p1, p2 = polynomial
    return p0 + p1 + p2, 2 * (p0 - p2), p0 - p1 + p2


def k_weighting_biquads(sampling_rate: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """
    The two filters of K-weighting at any rate, as numerator and denominator in powers of 1/z.

    The standard prints them for 48 kHz and asks for the same frequency response elsewhere. So each is taken back to its
    analog prototype (inverse bilinear transform at 48 kHz) and transformed again at `sampling_rate`, with frequencies
    matched at the filter's corner, or at a quarter of the rate where the corner lies above that. The tables themselves
    come back at 48 kHz.
    """
    biquads = []
    for numerator, denominator in (_SHELF, _HIGH_PASS):
        constant, _, quadratic = _bilinear(denominator)
        warped_corner = math.sqrt(constant / quadratic)
        corner = math.atan(warped_corner) * 48_000 / math.pi
        matched = min(corner, sampling_rate / 4)
        stretch = warped_corner * (matched / corner) / math.tan(math.pi * matched / sampling_rate)
        b, a = (
            np.array(_bilinear((c0, c1 * stretch, c2 * stretch**2)))
            for c0, c1, c2 in (_bilinear(numerator), _bilinear(denominator))
        )
        biquads.append((b / a[0], a / a[0]))
    return biquads


def _k_weighted(waveform: np.ndarray, sampling_rate: int, cell: int) -> Iterator[np.ndarray]:
    """Yields the K-weighted `[channels, samples]` in segments of `_CELLS_PER_SEGMENT` cells (overlap-add)."""
    segment = _CELLS_PER_SEGMENT * cell
    tail = 2 * cell  # 0.2 s, over which the impulse response falls below 1e-18
    delay = np.exp(-2j * np.pi * np.arange((segment + tail) // 2 + 1) / (segment + tail))
    response = np.ones_like(delay)
    for b, a in k_weighting_biquads(sampling_rate):
        response *= (b[0] + b[1] * delay + b[2] * delay**2) / (a[0] + a[1] * delay + a[2] * delay**2)

    carried = np.zeros((len(waveform), tail))
    for start in range(0, waveform.shape[1], segment):
        part = waveform[:, start : start + segment]
        weighted = np.fft.irfft(np.fft.rfft(part, segment + tail) * response, segment + tail)
        weighted[:, :tail] += carried
        carried = weighted[:, segment:]
        yield weighted[:, : part.shape[1]]


def loudness(waveform: np.ndarray, sampling_rate: int) -> float:
    """
    Integrated loudness in LUFS after ITU-R BS.1770-4: K-weighting, blocks of 400 ms every 100 ms, gates at -70 LUFS and
    at 10 LU below the mean of what passes the first. All channels weigh 1 (the standard raises surround channels).

    Args:
        waveform (`np.ndarray` of shape `[samples]` or `[channels, samples]`): a clip shorter than 400 ms is one block.
        sampling_rate (`int`): in Hz.

    Returns:
        `float`: -inf if nothing passes the gates.
    """
    waveform = np.atleast_2d(waveform)
    samples = waveform.shape[1]
    cell = round(0.1 * sampling_rate)
    if samples < 4 * cell:
        powers = np.array([sum((part**2).sum() for part in _k_weighted(waveform, sampling_rate, cell)) / samples])
    else:
        energies = []
        for part in _k_weighted(waveform, sampling_rate, cell):
            whole_cells = part[:, : part.shape[1] // cell * cell]
            energies.append((whole_cells.reshape(len(part), -1, cell) ** 2).sum(axis=(0, 2)))
        powers = np.convolve(np.concatenate(energies), np.ones(4), mode="valid") / (4 * cell)

    def lufs(power):
        return -0.691 + 10 * np.log10(np.maximum(power, 1e-30))

    powers = powers[lufs(powers) > -70]
    if len(powers) == 0:
        return -math.inf
    return float(lufs(powers[lufs(powers) > lufs(powers.mean()) - 10].mean()))


def match_loudness(
    accompaniment: np.ndarray, vocal: np.ndarray, sampling_rate: int, offset_db: float = 0.0
) -> np.ndarray:
    """
    Scales `accompaniment` to the loudness of `vocal` plus `offset_db`; silence on either side leaves it as it is.

    Shapes `[samples]` or `[channels, samples]`; each is measured with the channels that it has.
    """
    difference = loudness(vocal, sampling_rate) - loudness(accompaniment, sampling_rate)
    if not math.isfinite(difference):
        return accompaniment
    return (accompaniment * 10 ** ((difference + offset_db) / 20)).astype(np.float32)


def mix(vocal: np.ndarray, accompaniment: np.ndarray, sampling_rate: int) -> np.ndarray:
    """
    The vocal over an accompaniment of the same loudness, the whole scaled down where it would exceed a peak of `PEAK`.

    Args:
        vocal, accompaniment (`np.ndarray` of shape `[samples]` or `[channels, samples]`):
            of one length; a single channel is spread over the other's.
        sampling_rate (`int`): of both, in Hz.

    Returns:
        `np.ndarray`: float32 samples in the wider of the two shapes.

    Raises:
        ValueError: if lengths or channels do not fit.
    """
    if vocal.shape[-1] != accompaniment.shape[-1]:
        raise ValueError(
            f"The vocal has {vocal.shape[-1]} samples and the accompaniment {accompaniment.shape[-1]}; "
            "resample or trim them to one length before mixing."
        )
    try:
        vocal, accompaniment = np.broadcast_arrays(vocal, accompaniment)
    except ValueError as error:
        raise ValueError(
            f"The vocal has {len(vocal)} channels and the accompaniment {len(accompaniment)}; make one of them mono."
        ) from error
    mixed = (vocal + match_loudness(accompaniment, vocal, sampling_rate)).astype(np.float32)
    return scaled_to_peak(mixed) if np.abs(mixed).max(initial=0.0) > PEAK else mixed
