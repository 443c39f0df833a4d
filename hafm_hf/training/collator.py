# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Clips of token columns to training batches of a stage: time-aligned random crops (paper, section 3.2).

Where a clip is cropped, and whether its conditioning is dropped, depends on the seed, the epoch and the clip's id alone.
So the order of the clips, the batch they meet in, the number of processes and workers and a resumed run change nothing.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..modeling.configuration_hafm import HafmStageConfig
from ..modeling.generation_hafm import interleave_codes


IGNORED = -100
# How much of a history goes wrong at a time: about a beat, so that neither what was just heard nor what it became helps.
CORRUPTED_SECONDS = 0.5


@dataclass(frozen=True)
class Stream:
    """A token stream of a stage: the column that holds it, and what the stage expects of it."""

    column: str
    codebooks: slice
    vocab_size: int
    frame_rate: int
    window_frames: int

    def read(self, clip: Mapping[str, Any]) -> np.ndarray:
        """Tokens `(codebooks, frames)` of a clip."""
        tokens = np.atleast_2d(np.asarray(clip[self.column]))
        if tokens.ndim != 2 or len(tokens) < self.codebooks.stop:
            raise ValueError(
                f"Clip {clip['id']!r} has {self.column} of shape {tokens.shape}, of which codebooks "
                f"{self.codebooks.start + 1} to {self.codebooks.stop} are needed; make the data again with 8 codebooks."
            )
        tokens = tokens[self.codebooks]
        if tokens.size and not 0 <= tokens.min() <= tokens.max() < self.vocab_size:
            raise ValueError(
                f"Clip {clip['id']!r} has tokens from {tokens.min()} to {tokens.max()} in {self.column}, but the stage knows "
                f"{self.vocab_size}; train it with the vocabulary of the audio tokenizer that made the data."
            )
        return tokens


def stage_streams(config: HafmStageConfig) -> dict[str, Stream]:
    """The streams of a stage by the argument of its `forward` that takes them; the prediction is `labels`."""
    coarse = config.conditioning_num_codebooks if config.model_type == "hafm_fine" else config.num_codebooks
    places = {
        "vocal_semantic_ids": ("vocal_semantic", slice(0, 1)),
        "instrumental_semantic_ids": ("instrumental_semantic", slice(0, 1)),
        "coarse_ids": ("instrumental_codes", slice(0, coarse)),
        "fine_ids": ("instrumental_codes", slice(coarse, coarse + config.num_codebooks)),
    }
    prediction = {
        "hafm_semantic": "instrumental_semantic_ids",
        "hafm_coarse": "coarse_ids",
        "hafm_fine": "fine_ids",
        "singsong_seq2seq": "coarse_ids",
    }[config.model_type]
    conditioning = (
        config.conditioning_vocab_size,
        config.conditioning_frame_rate,
        config.conditioning_window_frames,
    )
    streams = {source: Stream(*places[source], *conditioning) for source in config.conditioning_sources}
    return streams | {
        "labels": Stream(*places[prediction], config.vocab_size, config.frame_rate, config.window_frames)
    }


class HafmCollator:
    """
    Makes a batch of rows of the token columns: the arguments of the stage's `forward`, nothing else.

    Every clip is cropped to the stage's window at a random multiple of `grid_seconds`, all streams at the same instant.
    A shorter clip is taken whole, up to the last full step of that grid.

    Args:
        config (`HafmStageConfig`): of the stage.
        seed (`int`, defaults to 0): of crops and conditioning dropout.
        training (`bool`, defaults to `True`): `False` keeps the conditioning, and is for crops that never change.
        grid_seconds (`float`, defaults to 0.04): 2 semantic and 3 acoustic frames, the step that 50 and 75 Hz share.
        history_corruption (`float`, defaults to 0): probability that a clip is trained with a partly wrong past: up to
            all of the tokens it reads are another clip's, half a second at a time. What comes next then has to be found
            in the conditioning. The paper has none.

    Returns a dict with
        the conditioning sources (`torch.LongTensor` of shape `(batch[, codebooks], frames)`),
        `labels` (`torch.LongTensor` of shape `(batch, codebooks * frames)`): interleaved, -100 behind shorter clips,
        `conditioning_mask` (`torch.LongTensor` of shape `(batch, frames)`): only where clips differ in length, because
        a mask costs the attention a bias of its own for each row,
        `drop_conditioning` (`torch.BoolTensor` of shape `(batch,)`): only in training, with `conditioning_dropout`,
        `input_ids` (`torch.LongTensor` of shape `(batch, codebooks * frames)`): only in training, with
        `history_corruption`; they depend on the batch as well.

    Raises:
        ValueError: if a clip is shorter than `grid_seconds`, its streams differ in length, or its tokens do not fit.
    """

    def __init__(
        self,
        config: HafmStageConfig,
        seed: int = 0,
        training: bool = True,
        grid_seconds: float = 0.04,
        history_corruption: float = 0.0,
    ) -> None:
        self.config = config
        self.seed = seed
        self.training = training
        self.streams = stage_streams(config)
        self.steps = {name: round(grid_seconds * stream.frame_rate) for name, stream in self.streams.items()}
        self.grid_seconds = grid_seconds
        self.history_corruption = history_corruption
        # In shared memory, so that workers that outlive an epoch hear of the next one.
        self._epoch = torch.zeros((), dtype=torch.long).share_memory_()

    @property
    def epoch(self) -> int:
        """Crops and dropout change with it."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)

    @property
    def columns(self) -> list[str]:
        """Names of the columns that the stage is trained on."""
        return ["id", *dict.fromkeys(stream.column for stream in self.streams.values())]

    def __call__(self, clips: list[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        generators = [
            np.random.default_rng([self.seed, self.epoch, zlib.crc32(clip["id"].encode())]) for clip in clips
        ]
        crops = [self._crop(clip, generator) for clip, generator in zip(clips, generators, strict=True)]

        labels = [interleave_codes(crop.pop("labels")) for crop in crops]
        batch = {name: torch.stack(pad([crop[name] for crop in crops], 0)) for name in crops[0]}
        if self.config.conditioning_num_codebooks == 1:
            batch = {name: ids.squeeze(1) for name, ids in batch.items()}
        batch["labels"] = torch.stack(pad(labels, IGNORED))

        frames = torch.tensor([next(iter(crop.values())).shape[-1] for crop in crops])
        if (frames != frames[0]).any():
            batch["conditioning_mask"] = (torch.arange(int(frames.max())) < frames[:, None]).long()
        if self.training and self.config.conditioning_dropout > 0:
            chances = torch.tensor([generator.random() for generator in generators])
            batch["drop_conditioning"] = chances < self.config.conditioning_dropout
        if self.training and self.history_corruption > 0:
            batch["input_ids"] = self._corrupted_history(batch["labels"], generators)
        return batch

    def _corrupted_history(self, labels: torch.LongTensor, generators: list[np.random.Generator]) -> torch.LongTensor:
        """Teacher-forcing inputs of `labels`, BOS first, with spans of the row before in the batch."""
        config = self.config
        span = round(CORRUPTED_SECONDS * config.frame_rate) * config.num_codebooks
        spans = -(-labels.shape[1] // span)
        wrong = np.zeros((len(labels), spans), dtype=bool)
        for row, generator in zip(wrong, generators, strict=True):
            if generator.random() < self.history_corruption:
                row[:] = generator.random(spans) < generator.random()
        wrong = torch.from_numpy(wrong).repeat_interleave(span, dim=1)[:, : labels.shape[1]]
        history = torch.where(wrong, labels.roll(1, dims=0), labels).clamp(min=0)
        return torch.nn.functional.pad(history[:, :-1], (1, 0), value=config.bos_token_id)

    def _crop(self, clip: Mapping[str, Any], generator: np.random.Generator) -> dict[str, torch.Tensor]:
        """Every stream of a clip, `(codebooks, frames)`, in the same span of time."""
        tokens = {name: stream.read(clip) for name, stream in self.streams.items()}
        seconds = {stream.column: tokens[name].shape[1] / stream.frame_rate for name, stream in self.streams.items()}
        if max(seconds.values()) - min(seconds.values()) > self.grid_seconds:
            lengths = ", ".join(f"{column} {length:.2f} s" for column, length in seconds.items())
            raise ValueError(f"The streams of clip {clip['id']!r} differ in length ({lengths}); make the data again.")

        last_start = min(
            (tokens[name].shape[1] - stream.window_frames) // self.steps[name] for name, stream in self.streams.items()
        )
        if last_start >= 0:
            start = int(generator.integers(last_start + 1))
            frames = {name: stream.window_frames for name, stream in self.streams.items()}
        else:
            start, whole = 0, min(tokens[name].shape[1] // step for name, step in self.steps.items())
            frames = {name: whole * step for name, step in self.steps.items()}
            if whole == 0:
                raise ValueError(f"Clip {clip['id']!r} is shorter than {self.grid_seconds} s; leave it out.")
        cuts = {name: slice(start * step, start * step + frames[name]) for name, step in self.steps.items()}
        return {name: torch.from_numpy(tokens[name][:, cut].astype(np.int64)) for name, cut in cuts.items()}


def pad(rows: list[torch.Tensor], value: int) -> list[torch.Tensor]:
    """Rows `(..., frames)` filled up at the end to the length of the longest."""
    longest = max(row.shape[-1] for row in rows)
    return [torch.nn.functional.pad(row, (0, longest - row.shape[-1]), value=value) for row in rows]
