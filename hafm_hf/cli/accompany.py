# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm accompany`: make an accompaniment and a mix for each recorded vocal."""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from transformers import pipeline

from .. import DEFAULT_CHECKPOINT, TASK
from ..modeling.audio_hafm import load_audio, resample, to_mono, write_wav
from ..modeling.loudness_hafm import mix
from ..picture import draw
from ..provenance import checkpoint_digest, versions, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "vocal", nargs="+", help="recording of a voice: a path or an URL; wav, flac, ogg, mp3, m4a ..."
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("out"), help="folder to write to (default: out)")
    parser.add_argument("--model", default=DEFAULT_CHECKPOINT, help="checkpoint folder or Hub id (default: hafm-tiny)")
    parser.add_argument("--take", type=int, default=1, metavar="N", help="how many takes to make (default: 1)")
    parser.add_argument("--seed", type=int, help="give the same accompaniment again (default: a new one)")
    parser.add_argument("--guidance-scale", type=float, help="how closely to follow the vocal; 1 turns guidance off")
    parser.add_argument("--temperature", type=float, help="how adventurous to be; 0 always takes the likeliest")
    parser.add_argument("--top-k", type=int, help="choose among the K likeliest tokens; 0 among all")
    parser.add_argument("--seconds", type=float, help="accompany the first SECONDS only")
    parser.add_argument("--stream", action="store_true", help="also write audio to standard output as it comes (WAV)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"])
    parser.add_argument(
        "--picture", action="store_true", help="also draw voice, accompaniment and mix (needs matplotlib)"
    )
    parser.add_argument("--json", action="store_true", help="print what was written as one JSON line for each take")


def run(args: argparse.Namespace) -> int:
    if args.stream and (args.json or args.take > 1 or len(args.vocal) > 1):
        raise ValueError("--stream plays one take of one vocal on standard output; leave out --json and the others.")
    accompany = pipeline(TASK, model=args.model, device=args.device, dtype=args.dtype)
    settings = {
        "takes": args.take,
        "seed": args.seed,
        "guidance_scale": args.guidance_scale,
        "temperature": args.temperature,
        "top_k": args.top_k,
        "seconds": args.seconds,
    }
    provenance = {"model": str(args.model), "checkpoint": checkpoint_digest(accompany.model), "versions": versions()}
    failed = False
    for source, stem in zip(args.vocal, output_stems(args.vocal), strict=True):
        try:
            started = time.perf_counter()
            vocal = load_audio(source)
            takes = play(accompany, vocal, settings) if args.stream else accompany(vocal, **settings)
            takes = takes if isinstance(takes, list) else [takes]
            for number, take in enumerate(takes, start=1):
                name = stem if len(takes) == 1 else f"{stem}.take{number}"
                record = {"vocal": source, "take": number, "seed": take["seed"], "settings": settings, **provenance}
                record |= {
                    "sampling_rate": take["sampling_rate"],
                    "seconds": len(take["audio"]) / take["sampling_rate"],
                }
                record["elapsed_seconds"] = round(time.perf_counter() - started, 3)
                record = save(args.output, name, take, record)
                if args.picture:
                    record["picture"] = str(args.output / f"{name}.png")
                    draw_take(record["picture"], vocal, take)
                report(record, args.json, to=sys.stderr if args.stream else sys.stdout)
        except ValueError as error:
            # One bad recording does not cost the others their accompaniment.
            print(f"hafm accompany: {error}", file=sys.stderr)
            failed = True
    return 2 if failed else 0


def output_stems(sources: list[str]) -> list[str]:
    """A file name for each source, without folders and extension; the second of a name becomes `name-2`."""
    stems, seen = [], {}
    for source in sources:
        stem = Path(source.split("?")[0]).stem or "vocal"
        seen[stem] = seen.get(stem, 0) + 1
        stems.append(stem if seen[stem] == 1 else f"{stem}-{seen[stem]}")
    return stems


def save(folder: Path, name: str, take: dict, record: dict) -> dict:
    """Write accompaniment, mix and, last, the JSON that says how they came about."""
    files = {kind: folder / f"{name}.{kind}.wav" for kind in ("accompaniment", "mix")}
    write_wav(files["accompaniment"], take["audio"], take["sampling_rate"])
    write_wav(files["mix"], take["mix"], take["sampling_rate"])
    record = {**{kind: str(path) for kind, path in files.items()}, **record}
    write_json(folder / f"{name}.json", record)
    return record


def report(record: dict, as_json: bool, to) -> None:
    if as_json:
        print(json.dumps(record), file=to, flush=True)
    else:
        rate = record["seconds"] / record["elapsed_seconds"]
        print(f"{record['accompaniment']}\n{record['mix']}", file=to)
        print(
            f"  {record['seconds']:.2f} s of audio at {rate:.2f}x real time, seed {record['seed']}",
            file=to,
            flush=True,
        )


def play(accompany, vocal, settings: dict) -> dict:
    """Stream to standard output, and give what a call of the pipeline would have given."""
    pieces = []
    for piece in accompany.stream(vocal, **settings):
        if not pieces:
            sys.stdout.buffer.write(endless_wav_header(piece["sampling_rate"]))
        samples = np.clip(piece["audio"], -1.0, 1.0)
        sys.stdout.buffer.write((samples * 32767).astype("<i2").tobytes())
        sys.stdout.buffer.flush()
        pieces.append(piece)
    rate = pieces[0]["sampling_rate"]
    audio = np.concatenate([piece["audio"] for piece in pieces])
    return {
        "audio": audio,
        "mix": mix(heard(vocal, rate, len(audio)), audio, rate),
        "sampling_rate": rate,
        "seed": pieces[0]["seed"],
    }


def heard(vocal, sampling_rate: int, samples: int) -> np.ndarray:
    """The part of a vocal that was accompanied, as the pipeline heard it."""
    return resample(to_mono(vocal.waveform), vocal.sampling_rate, sampling_rate)[:samples]


def draw_take(path: str, vocal, take: dict) -> None:
    voice = heard(vocal, take["sampling_rate"], len(take["audio"]))
    draw(path, {"voice": voice, "accompaniment": take["audio"], "mix": take["mix"]}, take["sampling_rate"])


def endless_wav_header(sampling_rate: int) -> bytes:
    """Header of a 16-bit mono WAV file whose length is not known yet, as players accept it from a pipe."""
    unknown = (0xFFFFFFFF).to_bytes(4, "little")
    fields = [(16, 4), (1, 2), (1, 2), (sampling_rate, 4), (2 * sampling_rate, 4), (2, 2), (16, 2)]
    chunk = b"".join(value.to_bytes(size, "little") for value, size in fields)
    return b"RIFF" + unknown + b"WAVEfmt " + chunk + b"data" + unknown
