# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Makes what docs/examples.md shows: recorded voices accompanied by hafm-tiny, as pictures and compressed audio.

    python runs/examples.py VOCAL... [-o docs/examples] [--seed 0]

The first take is kept, whatever it is: examples that were chosen show nothing.
"""

import argparse
from pathlib import Path

import soundfile
from PIL import Image
from transformers import pipeline

import hafm_hf
from hafm_hf.picture import draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vocal", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/examples"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    args.output.mkdir(parents=True, exist_ok=True)
    accompany = pipeline("vocal-accompaniment", model=hafm_hf.DEFAULT_CHECKPOINT)
    for path in args.vocal:
        vocal = hafm_hf.load_audio(path)
        take = accompany(vocal, seed=args.seed)
        rate, made = take["sampling_rate"], {"accompaniment": take["audio"], "mix": take["mix"]}
        picture = args.output / f"{path.stem}.png"
        draw(picture, {"voice": accompany.preprocess(vocal)} | made, rate)
        Image.open(picture).convert("RGB").quantize(64).save(picture, optimize=True)  # a third of the bytes
        for name, waveform in made.items():
            soundfile.write(args.output / f"{path.stem}.{name}.ogg", waveform, rate, format="OGG", subtype="VORBIS")


if __name__ == "__main__":
    main()
