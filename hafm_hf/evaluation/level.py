# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Is the accompaniment there, and as loud as the reference?

Each measure takes two mono tracks and their rate, or two `Track`s. A silent reference scores NaN.
"""

from .track_features import Track, common_frames, measure


@measure
def loudness_balance(reference: Track, accompaniment: Track) -> float:
    """Integrated loudness of the accompaniment less that of the reference in LU (ITU-R BS.1770-4); silence is -70 LUFS."""
    return accompaniment.loudness - reference.loudness


@measure
def silence_rate(reference: Track, accompaniment: Track) -> float:
    """Share of the frames in which the reference sounds and the accompaniment is below -60 dB full scale, in [0, 1]."""
    expected, found = common_frames(reference.sounding, accompaniment.sounding)
    return 1 - found[expected].mean() if expected.any() else float("nan")
