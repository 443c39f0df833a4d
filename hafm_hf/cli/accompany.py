# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm accompany`: make an accompaniment and a mix for each recorded vocal."""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .. import DEFAULT_CHECKPOINT, AudioClip, HafmPipeline, load_audio, mix
from ..data.resume import write_json
from ..modeling.audio_hafm import write_wav
from ..picture import draw, require_matplotlib
from ..provenance import checkpoint_digest, sampling_settings, versions
from .loading import load_pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "vocal", nargs="+", help="recording of a voice: a path or an URL; wav, flac, ogg, mp3, m4a ..."
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("out"), metavar="FOLDER", help="folder to write to (default: out)"
    )
    parser.add_argument("--model", default=DEFAULT_CHECKPOINT, help="checkpoint folder or Hub id (default: hafm-tiny)")
    parser.add_argument("--take", type=int, default=1, metavar="N", help="how many takes to make (default: 1)")
    parser.add_argument("--seed", type=int, metavar="N", help="give the same accompaniment again (default: a new one)")
    parser.add_argument(
        "--guidance-scale", type=float, metavar="X", help="how closely to follow the vocal; 1 turns guidance off"
    )
    parser.add_argument(
        "--temperature", type=float, metavar="X", help="how adventurous to be; 0 always takes the likeliest"
    )
    parser.add_argument("--top-k", type=int, metavar="K", help="choose among the K likeliest tokens; 0 among all")
    parser.add_argument("--seconds", type=float, help="accompany the first SECONDS only")
    parser.add_argument("--stream", action="store_true", help="also write audio to standard output as it comes (WAV)")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best there is)")
    parser.add_argument(
        "--dtype",
        default="auto",
        choices=["auto", "float32", "bfloat16", "float16"],
        help="precision of the model (default: that of the checkpoint)",
    )
    parser.add_argument(
        "--picture", action="store_true", help="also draw voice, accompaniment and mix (needs matplotlib)"
    )
    parser.add_argument("--json", action="store_true", help="print what was written as one JSON line for each take")


def run(args: argparse.Namespace) -> int:
    if args.stream and (args.json or args.take > 1 or len(args.vocal) > 1):
        raise ValueError(
            "--stream plays one take of one vocal on standard output; leave out --json, --take and further vocals."
        )
    check_writable(args.output)
    if args.picture:
        require_matplotlib()
    sampling = {"guidance_scale": args.guidance_scale, "temperature": args.temperature, "top_k": args.top_k}
    settings = {"takes": args.take, "seed": args.seed, "seconds": args.seconds, **sampling}
    accompany = load_pipeline(args.model, args.device, args.dtype, **settings)
    provenance = {
        "takes": args.take,
        "sampling": sampling_settings(accompany.model, **sampling),
        "model": args.model,
        "checkpoint": checkpoint_digest(accompany.model),
        "device": accompany.device.type,
        "dtype": str(accompany.dtype).removeprefix("torch."),
        "versions": versions(),
    }
    exit_code = 0
    for source, stem in zip(args.vocal, output_stems(args.vocal), strict=True):
        try:
            vocal = load_audio(source)
        except ValueError as error:
            # One bad recording does not cost the others their accompaniment.
            print(f"hafm accompany: {error}", file=sys.stderr)
            exit_code = 2
            continue
        voice = accompany.preprocess(vocal, args.seconds)  # the part that is accompanied, at the model's rate
        started = time.perf_counter()
        takes = play(accompany, vocal, voice) if args.stream else accompany(vocal)
        takes = takes if isinstance(takes, list) else [takes]
        elapsed = round(time.perf_counter() - started, 3)
        for number, take in enumerate(takes, start=1):
            name = stem if len(takes) == 1 else f"{stem}.take{number}"
            record = {
                "vocal": source,
                "seed": take["seed"],
                "take": number,
                "seconds": len(take["audio"]) / take["sampling_rate"],
                "sampling_rate": take["sampling_rate"],
                "elapsed_seconds": elapsed,
                **provenance,
            }
            record = save(args.output, name, take, record, voice if args.picture else None)
            report(record, args.json, to=sys.stderr if args.stream else sys.stdout)
    return exit_code


def check_writable(folder: Path) -> None:
    """Rather before the work than after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(
            f"{folder} cannot be the output folder ({error.strerror}); choose another with --output."
        ) from error


def output_stems(sources: list[str]) -> list[str]:
    """A file name for each source, without folders and extension; the second of a name becomes `name-2`."""
    stems = []
    for source in sources:
        stem = wanted = Path(source.split("?")[0]).stem or "vocal"
        number = 2
        while stem in stems:
            stem, number = f"{wanted}-{number}", number + 1
        stems.append(stem)
    return stems


def save(folder: Path, name: str, take: dict, record: dict, voice: np.ndarray | None) -> dict:
    """Write accompaniment, mix, the picture if a voice is given and, last, the JSON that says how they came about."""
    files = {kind: folder / f"{name}.{kind}.wav" for kind in ("accompaniment", "mix")}
    for kind, waveform in (("accompaniment", take["audio"]), ("mix", take["mix"])):
        write_wav(files[kind], waveform, take["sampling_rate"])
    if voice is not None:
        files["picture"] = folder / f"{name}.png"
        recordings = {"voice": voice, "accompaniment": take["audio"], "mix": take["mix"]}
        draw(files["picture"], recordings, take["sampling_rate"])
    record = {kind: str(path) for kind, path in files.items()} | record
    write_json(folder / f"{name}.json", record)
    return record


def report(record: dict, as_json: bool, to) -> None:
    if as_json:
        print(json.dumps(record), file=to, flush=True)
        return
    print(*(record[kind] for kind in ("accompaniment", "mix", "picture") if kind in record), sep="\n", file=to)
    speed = record["takes"] * record["seconds"] / record["elapsed_seconds"]
    print(f"  {record['seconds']:.2f} s at {speed:.2f}x real time, seed {record['seed']}", file=to, flush=True)


def play(accompany: HafmPipeline, vocal: AudioClip, voice: np.ndarray) -> dict:
    """Stream to standard output, and give what a call of the pipeline would have given."""
    pieces = []
    for piece in accompany.stream(vocal):
        if not pieces:
            sys.stdout.buffer.write(endless_wav_header(piece["sampling_rate"]))
        sys.stdout.buffer.write(np.rint(piece["audio"] * 32768).astype("<i2").tobytes())
        sys.stdout.buffer.flush()
        pieces.append(piece)
    rate = pieces[0]["sampling_rate"]
    audio = np.concatenate([piece["audio"] for piece in pieces])
    return {"audio": audio, "mix": mix(voice, audio, rate), "sampling_rate": rate, "seed": pieces[0]["seed"]}


def endless_wav_header(sampling_rate: int) -> bytes:
    """Header of a 16-bit mono WAV file whose length is not known yet, as players accept it from a pipe."""
    unknown = (0xFFFFFFFF).to_bytes(4, "little")
    fields = [(16, 4), (1, 2), (1, 2), (sampling_rate, 4), (2 * sampling_rate, 4), (2, 2), (16, 2)]
    chunk = b"".join(value.to_bytes(size, "little") for value, size in fields)
    return b"RIFF" + unknown + b"WAVEfmt " + chunk + b"data" + unknown
