# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Halves the size of a checkpoint: rounds its weights to bfloat16 on disk, in place.

    python runs/store_in_bfloat16.py FOLDER

The configuration still says float32, so the weights are computed with as before. Round a tokenizer before its tokens are
used, and the codes are exactly its own.
"""

import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from hafm_hf.data.resume import replacing


def main(folder: str) -> None:
    for path in sorted(Path(folder).rglob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
        rounded = {name: t.to(torch.bfloat16) if t.dtype == torch.float32 else t for name, t in tensors.items()}
        with replacing(path) as file:
            file.write(save(rounded, metadata))
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python runs/store_in_bfloat16.py FOLDER")
    main(sys.argv[1])
