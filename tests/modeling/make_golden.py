# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Writes `golden/`: the checkpoint of a tiny composite, and what it computed on the day the files were made.

Run it again (`python tests/modeling/make_golden.py`) only after a change that is meant to change the numbers.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

from hafm_hf.modeling.configuration_hafm import HafmCoarseConfig, HafmConfig, HafmFineConfig, HafmSemanticConfig
from hafm_hf.modeling.modeling_hafm import HafmModel


GOLDEN = Path(__file__).parent / "golden"
SETTINGS = {
    "greedy": {"temperature": 0.0, "guidance_scale": 2.0},
    "sampled": {"temperature": 0.9, "top_k": 10, "guidance_scale": 3.0, "num_return_sequences": 2},
}


def make_model() -> HafmModel:
    """Windows of 20 / 12 semantic and 9 acoustic frames, 2 coarse and 3 fine codebooks, weights that matter."""
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 42}
    config = HafmConfig(
        semantic_config=HafmSemanticConfig(vocab_size=23, conditioning_vocab_size=23, window_seconds=0.4, **shape),
        coarse_config=HafmCoarseConfig(
            vocab_size=31, num_codebooks=2, conditioning_vocab_size=23, window_seconds=0.24, **shape
        ),
        fine_config=HafmFineConfig(
            vocab_size=31,
            num_codebooks=3,
            conditioning_vocab_size=31,
            conditioning_num_codebooks=2,
            window_seconds=0.12,
            **shape,
        ),
    )
    model = HafmModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Larger than at first, and gains spread, so that a wrong bias, norm or embedding shows.
            parameter.uniform_(0.5, 1.5) if "norm" in name else parameter.mul_(20)
    return model


def make_inputs() -> dict[str, torch.Tensor]:
    """Two vocals of 0.6 and 0.42 s, and for each stage the inputs of one teacher-forced forward pass."""
    generator = torch.Generator().manual_seed(1)

    def ids(size: int, *shape: int) -> torch.Tensor:
        return torch.randint(size, shape, generator=generator)

    inputs = {
        "vocal_semantic_ids": ids(23, 2, 30),
        "conditioning_mask": (torch.arange(30) < torch.tensor([[30], [21]])).long(),
        "semantic.labels": ids(23, 2, 20),
        "semantic.vocal_semantic_ids": ids(23, 2, 20),
        "coarse.labels": ids(31, 2, 36),
        "coarse.vocal_semantic_ids": ids(23, 2, 12),
        "coarse.instrumental_semantic_ids": ids(23, 2, 12),
        "fine.labels": ids(31, 2, 27),
        "fine.coarse_ids": ids(31, 2, 2, 9),
    }
    for name, frames in {"semantic": 20, "coarse": 12, "fine": 9}.items():
        inputs[f"{name}.conditioning_mask"] = (torch.arange(frames) < torch.tensor([[frames], [5]])).long()
    return inputs


@torch.no_grad()
def make_logits(model: HafmModel, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    outputs = {}
    for name, stage in model.stages.items():
        arguments = {
            key.removeprefix(f"{name}."): value for key, value in inputs.items() if key.startswith(f"{name}.")
        }
        output = stage(**arguments)
        outputs[f"{name}.logits"], outputs[f"{name}.loss"] = output.logits, output.loss
    return outputs


def make_codes(model: HafmModel, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    outputs = {}
    for name, settings in SETTINGS.items():
        vocals = {key: inputs[key] for key in ("vocal_semantic_ids", "conditioning_mask")}
        output = model.generate(**vocals, seed=7, **settings)
        outputs[f"{name}.codes"] = output.codes
        outputs[f"{name}.instrumental_semantic_ids"] = output.instrumental_semantic_ids
    return outputs


if __name__ == "__main__":
    model, inputs = make_model(), make_inputs()
    GOLDEN.mkdir(exist_ok=True)
    model.config.to_json_file(GOLDEN / "config.json")
    save_file(model.state_dict(), GOLDEN / "model.safetensors", metadata={"format": "pt"})
    examples = inputs | make_logits(model, inputs) | make_codes(model, inputs)
    save_file({name: value.contiguous() for name, value in examples.items()}, GOLDEN / "examples.safetensors")
