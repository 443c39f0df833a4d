# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Trains an EnCodec on a folder of audio, in two phases.

First an autoencoder learns without a quantizer; then k-means over its latents gives the codebooks, and all learn together.
With the quantizer on from the first step a small codec keeps to a dozen codes (docs/LOG.md). The loss has no
discriminator.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from tqdm.auto import tqdm
from transformers import EncodecConfig, EncodecFeatureExtractor, EncodecModel

from hafm_hf.data.resume import keep_settings, replacing, write_json, writing_to

from ..segments import RandomSegments
from .losses import ReconstructionLoss
from .quantizer import initialize_codebooks, perplexity, quantize


WARMUP = 0.02  # shares of all steps
AUTOENCODER = 0.3
COOLDOWN = 0.4
LATENT_FRAMES = 60_000  # for the k-means
COMMITMENT = 0.25
FEWER_CODEBOOKS = 0.25  # share of steps with a random number of codebooks, so that the first matter most


@dataclass(frozen=True)
class CodecFit:
    """Trains a codec and saves it, with its feature extractor, as transformers' own.

    The folder `output` receives the model, `codec.json` (the settings), `log.jsonl` and `codec_report.json`. Killed and
    started again, it goes on from the last of its checkpoints and gives the same model.

    Args:
        output: the folder.
        config: shape of the codec.
        steps: how many steps in all.
        batch_size: segments of a step.
        segment_frames: length of a segment in frames of the codec.
        learning_rate: highest.
        save_steps: steps between checkpoints.
        test_segments: how many held-out segments to measure on.
        seed: of weights, segments and all else.
    """

    output: Path
    config: EncodecConfig
    steps: int = 6000
    batch_size: int = 8
    segment_frames: int = 40
    learning_rate: float = 4e-4
    save_steps: int = 250
    test_segments: int = 512
    seed: int = 0

    def run(self, train_files: Sequence[Path], test_files: Sequence[Path]) -> dict[str, Any]:
        """Trains on `train_files` and measures on `test_files`.

        Returns:
            What `codec_report.json` holds: seconds of audio seen, and of the held-out segments the losses and each
            codebook's perplexity.

        Raises:
            ValueError: there are no files, `output` was begun with other settings, or it cannot be written.
        """
        hop = math.prod(self.config.upsampling_ratios)
        shape = {"num_samples": self.segment_frames * hop, "sampling_rate": self.config.sampling_rate}
        train = RandomSegments(train_files, **shape, seed=self.seed)
        test = RandomSegments(test_files, **shape, seed=self.seed + 1)
        settings = asdict(self) | {"config": self.config.to_diff_dict(), "files": len(train_files)}
        for name in ("output", "save_steps", "test_segments"):
            del settings[name]
        with writing_to(self.output):
            keep_settings(self.output / "codec.json", settings, {})
            report_file = self.output / "codec_report.json"
            if report_file.exists():
                return json.loads(report_file.read_text(encoding="utf-8"))
            training = _Training(self, train)
            training.run()
            training.codec.save_pretrained(self.output)
            EncodecFeatureExtractor(sampling_rate=self.config.sampling_rate).save_pretrained(self.output)
            report = {"audio_seconds": self.steps * self.batch_size * self.segment_frames / self.config.frame_rate}
            report |= evaluate(training.codec, test, self.test_segments)
            write_json(report_file, report)
            training.checkpoint.unlink(missing_ok=True)
        return report


class _Training:
    """The state of a run: model, optimizer and step."""

    def __init__(self, fit: CodecFit, segments: RandomSegments):
        torch.manual_seed(fit.seed)
        self.fit, self.segments, self.step = fit, segments, 0
        self.codec = EncodecModel(fit.config).train()
        self.loss = ReconstructionLoss(fit.config.sampling_rate)
        self.parameters = [p for p in self.codec.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, fit.learning_rate, betas=(0.5, 0.9), weight_decay=0.0)
        self.checkpoint = fit.output / "checkpoint.safetensors"
        if self.checkpoint.exists():
            self._resume()

    def run(self) -> None:
        fit = self.fit
        quantizer_step = int(AUTOENCODER * fit.steps)
        with (
            tqdm(total=fit.steps, initial=self.step, desc="codec", unit="step") as progress,
            open(fit.output / "log.jsonl", "a", encoding="utf-8") as log,
        ):
            while self.step < fit.steps:
                if self.step == quantizer_step:
                    self._initialize_quantizer()
                torch.manual_seed(fit.seed + 1 + self.step)  # so that a resumed run draws the same
                losses = self._take_step(quantized=self.step >= quantizer_step)
                self.step += 1
                progress.update()
                progress.set_postfix(loss=f"{losses['loss']:.3f}", refresh=False)
                if self.step % 50 == 0:
                    log.write(
                        json.dumps({"step": self.step, "elapsed": progress.format_dict["elapsed"]} | losses) + "\n"
                    )
                    log.flush()
                if self.step % fit.save_steps == 0:
                    self._save()

    def _take_step(self, quantized: bool) -> dict[str, float]:
        fit = self.fit
        audio = self._batch(self.step)
        latents = self.codec.encoder(audio[:, None])
        commitment = latents.new_zeros(())
        if quantized:
            num_codebooks = len(self.codec.quantizer.layers)
            if torch.rand(()) < FEWER_CODEBOOKS:
                num_codebooks = int(torch.randint(1, num_codebooks + 1, ()))
            latents, commitment = quantize(self.codec.quantizer, latents, num_codebooks)
        decoded = self.codec.decoder(latents)[:, 0]
        losses = self.loss(decoded, audio)
        loss = sum(losses.values()) + COMMITMENT * commitment
        for group in self.optimizer.param_groups:
            group["lr"] = fit.learning_rate * schedule(self.step / fit.steps)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 10.0)
        self.optimizer.step()
        return {"loss": loss.item(), "commitment": commitment.item()} | {k: v.item() for k, v in losses.items()}

    @torch.no_grad()
    def _initialize_quantizer(self) -> None:
        fit = self.fit
        frames = fit.batch_size * fit.segment_frames
        batches = range(fit.steps, fit.steps + -(-LATENT_FRAMES // frames))
        latents = [self.codec.encoder(self._batch(i)[:, None]) for i in tqdm(batches, desc="latents", unit="batch")]
        latents = torch.cat(latents).transpose(1, 2).flatten(0, 1)
        fair_use = frames / self.codec.config.codebook_size
        initialize_codebooks(self.codec.quantizer, latents, fair_use, fit.seed)

    def _batch(self, step: int) -> torch.Tensor:
        size = self.fit.batch_size
        return torch.from_numpy(np.stack([self.segments[i] for i in range(step * size, (step + 1) * size)]))

    def _save(self) -> None:
        tensors = {f"model.{name}": tensor for name, tensor in self.codec.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        with replacing(self.checkpoint) as file:
            file.write(save(tensors | {"step": torch.tensor(self.step)}))

    def _resume(self) -> None:
        tensors = load_file(self.checkpoint)
        self.step = int(tensors.pop("step"))
        self.codec.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimizer."):
                _, index, field = name.split(".")
                state.setdefault(int(index), {})[field] = tensor
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})


def schedule(progress: float) -> float:
    """Share of the highest learning rate after `progress` (0 to 1) of the steps: a rise, a plateau, a cosine to zero."""
    if progress > 1 - COOLDOWN:
        return 0.5 + 0.5 * math.cos(math.pi * (progress - 1 + COOLDOWN) / COOLDOWN)
    return min(1.0, progress / WARMUP + 0.01)


@torch.no_grad()
def evaluate(codec: EncodecModel, segments: RandomSegments, count: int, batch_size: int = 16) -> dict[str, Any]:
    """Losses and perplexities over `count` segments, through all codebooks."""
    codec.eval()
    loss, sums, codes = ReconstructionLoss(codec.config.sampling_rate), {}, []
    for first in tqdm(range(0, count, batch_size), desc="evaluation", unit="batch"):
        indices = range(first, min(first + batch_size, count))
        audio = torch.from_numpy(np.stack([segments[i] for i in indices]))
        batch = codec.quantizer.encode(codec.encoder(audio[:, None]))
        decoded = codec.decoder(codec.quantizer.decode(batch))[:, 0]
        codes.append(batch.transpose(0, 1))
        for name, value in loss(decoded, audio).items():
            sums[name] = sums.get(name, 0.0) + value.item() * len(indices) / count
    codes = torch.cat(codes)
    return {
        "test": sums,
        "test_segments": count,
        "perplexity": perplexity(codes, codec.config.codebook_size),
        "perplexity_frames": codes.shape[0] * codes.shape[2],
    }
