# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Loudness after ITU-R BS.1770-4, a peak limiter, and mixing by both."""

import math
from collections.abc import Iterator

import numpy as np

from .audio_hafm import PEAK, scaled_to_peak


__all__ = ["PeakLimiter", "k_weighting_biquads", "loudness", "match_loudness", "mix"]

# How often gain makes up for what limiting took, and how many LU may stay missing: fewer than anybody hears.
_MATCHING_ROUNDS, _MATCHING_TOLERANCE = 3, 0.01

# The tables of the standard, at 48 kHz: numerator and denominator of each biquad.
_SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
_HIGH_PASS = (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)
_CELLS_PER_SEGMENT = 100
# Samples whose gains are found together: it takes some fifteen times their memory.
_LIMITED_AT_ONCE = 2**16


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


class PeakLimiter:
    """
    Turns the gain down around peaks that would exceed a ceiling. A signal below it stays as it is, to the bit.

    The reduction in dB that a sample needs is held over the look-ahead before it, decays exponentially behind it, and is
    averaged over the look-ahead, with a Hann window. All that is averaged for a sample suffices for it, so none exceeds
    the ceiling (Hämäläinen, "Smoothing of the control signal without clipped output in digital peak limiters", DAFx 2002).

    A limiter hears one signal, whole or in pieces, with the same result. All channels get the same gain.

    Args:
        sampling_rate (`int`): in Hz.
        ceiling_db (`float`, defaults to -1.0): in dB full scale. The headroom is for what resampling and lossy coding add
            to peaks, as EBU R 128 asks for.
        lookahead (`float`, defaults to 0.005): seconds before a peak in which the gain goes down: too few to be heard
            apart from the peak, enough not to click.
        release (`float`, defaults to 0.05): time constant in seconds by which the gain recovers: longer than a period of
            the bass, which would be distorted, shorter than a beat, or each hit would hush the music behind it.
    """

    def __init__(self, sampling_rate: int, ceiling_db: float = -1.0, lookahead: float = 0.005, release: float = 0.05):
        self.ceiling_db = ceiling_db
        self.decay = 1 / (release * sampling_rate)
        weights = np.hanning(round(lookahead * sampling_rate) + 3)[1:-1]
        self.weights = weights / weights.sum()
        self.delay = len(weights) - 1
        self.reductions = np.zeros(self.delay)  # of the samples before those that wait
        self.waiting = None  # samples that are not final; first of all the silence before the signal
        self.silence = self.delay  # samples of it that are still to come out

    def __call__(self, piece: np.ndarray, last: bool = True) -> np.ndarray:
        """
        Limits the whole signal, or its next piece with `last=False` for all but the last.

        Args:
            piece (`np.ndarray` of shape `[samples]` or `[channels, samples]`): full scale 1.
            last (`bool`, defaults to `True`): whether the signal ends here. Before that, the samples of one look-ahead
                wait for the next piece.

        Returns:
            `np.ndarray`: float32, all samples that are final.
        """
        silence = np.zeros((*piece.shape[:-1], self.delay), np.float32)
        if self.waiting is None:
            self.waiting = silence
        starts = range(0, piece.shape[-1], _LIMITED_AT_ONCE)
        parts = [piece[..., start : start + _LIMITED_AT_ONCE] for start in starts]
        if last:
            parts.append(silence)
        return np.concatenate([self._limit(part) for part in parts], axis=-1)

    def _limit(self, piece: np.ndarray) -> np.ndarray:
        """Takes a piece and gives the samples that are final with it."""
        waveform = np.concatenate([self.waiting, piece], axis=-1, dtype=np.float32)
        gains = self._gains(np.abs(waveform).reshape(-1, waveform.shape[-1]).max(axis=0))
        self.waiting = waveform[..., len(gains) :]
        skipped = min(self.silence, len(gains))
        self.silence -= skipped
        return (waveform[..., : len(gains)] * gains)[..., skipped:]

    def _gains(self, magnitudes: np.ndarray) -> np.ndarray:
        """Gains of samples from their magnitudes `[samples]`, all but the last `delay`."""
        with np.errstate(divide="ignore"):  # silence has minus infinitely many dB
            needed = np.maximum(20 * np.log10(magnitudes, dtype=np.float64) - self.ceiling_db, 0)
            ahead = np.lib.stride_tricks.sliding_window_view(needed, self.delay + 1).max(axis=-1)
            logarithms = np.log(np.concatenate([self.reductions, ahead]))
        decays = self.decay * np.arange(len(logarithms))
        reductions = np.exp(np.maximum.accumulate(logarithms + decays) - decays)
        self.reductions = reductions[len(ahead) :]
        return (10 ** (-np.convolve(reductions, self.weights, mode="valid") / 20)).astype(np.float32)


def match_loudness(
    accompaniment: np.ndarray, vocal: np.ndarray, sampling_rate: int, offset_db: float = 0.0
) -> np.ndarray:
    """
    `accompaniment` at the loudness of `vocal` plus `offset_db`, its peaks limited by a [`PeakLimiter`]. Silence on either
    side leaves its gain as it is.

    What limiting takes is made up for by gain, up to a point: where the vocal is louder than an accompaniment of such
    peaks can be, it stays a little softer. A vocal beyond full scale counts as scaled down to it.

    Shapes `[samples]` or `[channels, samples]`; each is measured with the channels that it has.
    """
    target = loudness(_within_peak(vocal), sampling_rate) + offset_db
    gain_db, matched = 0.0, PeakLimiter(sampling_rate)(accompaniment)
    for _ in range(_MATCHING_ROUNDS):
        missing = target - loudness(matched, sampling_rate)
        if not math.isfinite(missing) or abs(missing) < _MATCHING_TOLERANCE:
            break
        gain_db += missing
        matched = PeakLimiter(sampling_rate)(accompaniment * 10 ** (gain_db / 20))
    return matched


def mix(vocal: np.ndarray, accompaniment: np.ndarray, sampling_rate: int) -> np.ndarray:
    """
    The vocal over an accompaniment of the same loudness, the whole scaled down where it would exceed a peak of `PEAK`.
    Peaks of the accompaniment are limited, those of the vocal never are.

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
    matched = match_loudness(accompaniment, vocal, sampling_rate)
    return _within_peak((_within_peak(vocal) + matched).astype(np.float32))


def _within_peak(waveform: np.ndarray) -> np.ndarray:
    return scaled_to_peak(waveform) if np.abs(waveform).max(initial=0.0) > PEAK else waveform
