# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Makes a listening test of what systems played in an evaluation: a page to answer in, and the key to the answers.

The page holds pairs of mixes with the same voice, equally loud, in an order drawn at random, and does not say which system
made which. That is in the key, a file of its own, which listeners do not get.
"""

import hashlib
import itertools
import json
import math
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from hafm_hf.data.resume import replacing, write_json, writing_to
from hafm_hf.modeling.loudness_hafm import loudness, mix

from ..protocol.accompaniments import Accompaniments
from ..protocol.clips import SAMPLING_RATE, Clip, ClipFolder
from ..report.media import audio_uri, read_mono


def make_listening_test(
    evaluation: Path, output: Path, systems: list[str], clips_per_pair: int = 10, seed: int = 0
) -> tuple[Path, Path]:
    """Writes `listening_test.html` and `key.json` into `output` and returns their paths.

    Args:
        evaluation: folder of an evaluation.
        output: folder to write to.
        systems: names of systems that played in it, "truth" among them if wanted; every two of them are compared.
        clips_per_pair: on how many clips, drawn at random, two systems are compared. A pair of 10 s takes 1 MB.
        seed: of the choice of clips, of the order of the pairs and of the sides.

    Raises:
        ValueError: fewer than two systems, one that did not play, no clip that two of them played, or nothing can be
            written there.
    """
    clips = ClipFolder(evaluation / "clips")
    played = {name: Accompaniments(evaluation / "systems" / name) for name in systems}
    for name, accompaniments in played.items():
        if not accompaniments.settings.exists():
            raise ValueError(f"{name} did not play in {evaluation}; add it there with `hafm evaluate`.")
    if len(played) < 2:
        raise ValueError("A listening test compares two systems or more; name them.")
    generator = np.random.default_rng(seed)
    pairs = []
    for names in itertools.combinations(played, 2):
        common = [clip for clip in clips.clips() if all(played[n].path("isolated", clip).exists() for n in names)]
        if not common:
            raise ValueError(f"There is no clip that both {names[0]} and {names[1]} played; evaluate them together.")
        chosen = generator.permutation(len(common))[:clips_per_pair]
        pairs += [(common[index], tuple(generator.permutation(names).tolist())) for index in chosen]
    pairs = [pairs[index] for index in generator.permutation(len(pairs))]

    key = [{"clip": clip.id, "song": clip.song, "first": first, "second": second} for clip, (first, second) in pairs]
    test = hashlib.sha256(json.dumps([seed, key]).encode()).hexdigest()[:12]
    page, key_path = output / "listening_test.html", output / "key.json"
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    with writing_to(output):
        with replacing(page) as file:
            head, tail = template.substitute(test=escape(test), pairs="\0").split("\0")
            file.write(head.encode())
            for number, (clip, names) in enumerate(pairs):
                uris = [audio_uri(audio, SAMPLING_RATE, "FLAC") for audio in equally_loud(clip, clips, played, names)]
                file.write(("," * (number > 0) + json.dumps(uris)).encode())
            file.write(tail.encode())
        write_json(key_path, {"test": test, "pairs": key})
    return page, key_path


def equally_loud(
    clip: Clip, clips: ClipFolder, played: dict[str, Accompaniments], names: tuple[str, str]
) -> list[np.ndarray]:
    """The mixes of two systems, the louder one turned down, so that loudness does not decide and nothing clips."""
    vocal = read_mono(clips.path("isolated", clip), SAMPLING_RATE)
    mixes = [mix(vocal, read_mono(played[n].path("isolated", clip), SAMPLING_RATE), SAMPLING_RATE) for n in names]
    levels = [loudness(audio, SAMPLING_RATE) for audio in mixes]
    if not all(map(math.isfinite, levels)):
        return mixes
    return [audio * np.float32(10 ** ((min(levels) - level) / 20)) for audio, level in zip(mixes, levels, strict=True)]
