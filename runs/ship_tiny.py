# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Puts a checkpoint into the package as hafm-tiny: its weights rounded to bfloat16, without the code that travels with one on
the Hub, with its model card.

    python runs/ship_tiny.py CHECKPOINT [RESULTS]

RESULTS is the results.json of `hafm evaluate --model hafm_hf/checkpoints/hafm-tiny`, for the card.
"""

import json
import shutil
import sys
from pathlib import Path

from store_in_bfloat16 import main as store_in_bfloat16

from hafm_hf import DEFAULT_CHECKPOINT, HafmModel
from hafm_hf.evaluation.report.model_card import card_results
from hafm_hf.hub_cards.card import full_card


TRAINING = Path(__file__).with_name("tiny_training.md")
# Where its stages sound best on validation songs with other settings than the paper's, see docs/LOG.md.
SETTINGS = {"fine": {"do_sample": False, "temperature": 1.0, "top_k": 50, "guidance_scale": 1.0}}


def main(checkpoint: str, results: str | None = None) -> None:
    folder = Path(DEFAULT_CHECKPOINT)
    unfinished = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(checkpoint, unfinished)
    model = HafmModel.from_pretrained(unfinished)
    for name, settings in SETTINGS.items():
        model.stages[name].generation_config.update(**settings)
    model.save_pretrained(unfinished)
    for code in unfinished.rglob("*.py"):  # inside the package a checkpoint uses the package's own
        code.unlink()
    store_in_bfloat16(str(unfinished))
    measured = card_results(json.loads(Path(results).read_text(encoding="utf-8")), folder.name) if results else None
    card = full_card(model, folder.name, "apache-2.0", TRAINING.read_text(encoding="utf-8"), measured)
    card.save(unfinished / "README.md")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python runs/ship_tiny.py CHECKPOINT [RESULTS]")
    main(*sys.argv[1:])
