# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Whole songs through the three stages (paper, section 3.3, equation 1, and the windows of our own).

Each stage generates in windows of the length it was trained on. A window of the semantic and the coarse stage starts
with the last `context_seconds` of tokens of the window before; fine windows depend on their coarse codes alone, so all
of a song's run in one batch. Every token's randomness depends on the seed, the take and its place in the song, not on
the window, so whatever is generated together, and in whatever order, gives the same codes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm
from transformers.generation import GenerationMixin
from transformers.generation.streamers import BaseStreamer
from transformers.utils import ModelOutput

from .generation_hafm import UINT32, deinterleave_codes, interleave_codes, mix_bits


@dataclass
class HafmGenerateOutput(ModelOutput):
    r"""
    Rows are ordered as with `num_return_sequences`: all takes of the first vocal, then those of the second.

    codes (`torch.LongTensor` of shape `(rows, codebooks, frames)`):
        Codec codes, coarse and fine together; 0 past a row's own length. While streaming, all codes so far.
    lengths (`torch.LongTensor` of shape `(rows,)`):
        Frames of each row. While streaming, those generated so far.
    instrumental_semantic_ids (`torch.LongTensor` of shape `(rows, semantic_frames)`, *optional*):
        The first stage's tokens; 0 past a row's own length. Not returned while streaming.
    seed (`int` or `list[int]`):
        The seed, or one for each vocal, that gives these codes again.
    start (`int`, *optional*):
        First frame of `codes` that was not in the output before, while streaming.
    """

    codes: torch.LongTensor | None = None
    lengths: torch.LongTensor | None = None
    instrumental_semantic_ids: torch.LongTensor | None = None
    seed: int | list[int] | None = None
    start: int | None = None


@dataclass(eq=False)
class Take:
    """One row: the tokens of each stream, `(codebooks, frames)`, and how many frames of each are there already."""

    seed: int
    tokens: dict[str, torch.LongTensor] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Window:
    """Frames `[start, end)` of a stage's prediction for one take; those before `first_new` are carried context."""

    take: Take
    start: int
    first_new: int
    end: int

    @property
    def context(self) -> int:
        return self.first_new - self.start


class StageSettingsMixin:
    """Keeps the generation settings of the `stages` of a composite, each by its name, in `generation_config.json`."""

    def adjust_generation_fn(self, *args, **kwargs):
        super().adjust_generation_fn(*args, **kwargs)
        for name, settings in vars(self.generation_config).pop("stages", {}).items():
            self.stages[name].generation_config.update(allow_custom_entries=True, **settings)

    def save_pretrained(self, *args, **kwargs):
        """As in `PreTrainedModel`; `generation_config.json` holds the settings of every stage."""
        self.generation_config._from_model_config = False
        self.generation_config.stages = {
            name: stage.generation_config.to_diff_dict() for name, stage in self.stages.items()
        }
        try:
            return super().save_pretrained(*args, **kwargs)
        finally:
            del self.generation_config.stages


class HafmSongGenerationMixin(GenerationMixin):
    """Generation of a composite: vocal semantic tokens of any length in, codec codes out, whole or streamed."""

    output_modalities = ("audio",)

    def generate(self, vocal_semantic_ids: torch.LongTensor, **kwargs) -> HafmGenerateOutput:
        r"""
        Accompany each vocal.

        Args:
            vocal_semantic_ids (`torch.LongTensor` of shape `(vocals, frames)`):
                Semantic tokens of the vocals, of any length.
            conditioning_mask (`torch.Tensor` of shape `(vocals, frames)`, *optional*):
                1 for real frames and 0 for padding, before or after them, where vocals differ in length.
            num_return_sequences (`int`, defaults to 1):
                Takes of each vocal.
            seed (`int` or `list[int]`, *optional*):
                Gives the same codes again, whatever else is in the batch. One for each vocal makes their samples
                independent of each other. Drawn from PyTorch's generator by default.
            max_batch_size (`int`, *optional*):
                Windows generated together: by default as many as fit half of the free memory, on a CPU at most 32. It
                changes speed and memory, not the codes.
            progress (`bool`, defaults to `False`):
                Show a bar on a terminal once the work takes more than two seconds.
            kwargs:
                Generation arguments for all stages (`temperature=0.8`, `precision="int8"`), or for one
                (`semantic_temperature=0.8`). See `HafmStageGenerationMixin`.

        Raises:
            ValueError: If a vocal is empty, a token is outside the vocabulary, `context_seconds` is off the common grid
                of the frame rates, or a stage does not know an argument.
        """
        return Song(self, vocal_semantic_ids, **kwargs).whole()

    def stream(self, vocal_semantic_ids: torch.LongTensor, **kwargs) -> Iterator[HafmGenerateOutput]:
        """As `generate`, in pieces: yields all codes so far whenever further frames are complete in every row."""
        return Song(self, vocal_semantic_ids, **kwargs).pieces()


class Song:
    """One generation under way: what is there of every take, and which windows are still to come."""

    def __init__(
        self,
        model,
        vocal_semantic_ids: torch.LongTensor,
        conditioning_mask: torch.Tensor | None = None,
        num_return_sequences: int = 1,
        seed: int | list[int] | None = None,
        max_batch_size: int | None = None,
        progress: bool = False,
        **kwargs,
    ):
        self.stages = model.stages
        seed = torch.randint(2**31, ()) if seed is None else seed
        self.seed = list(map(int, seed)) if isinstance(seed, (list, tuple)) else int(seed)
        self.max_batch_size = max_batch_size
        self.progress = progress
        self.settings = split_stage_kwargs(self.stages, kwargs)
        vocals = unpadded(vocal_semantic_ids, conditioning_mask, model.config.semantic_config.conditioning_vocab_size)
        self.takes = [
            self._take(ids.to(model.device), vocal_seed, take)
            for ids, vocal_seed in zip(vocals, seeds_of_vocals(self.seed, len(vocals)), strict=True)
            for take in range(num_return_sequences)
        ]
        self.pending = {name: self._windows(name) for name in self.stages}

    def _take(self, vocal_ids: torch.LongTensor, seed: int, take: int) -> Take:
        row = Take(seed=seed * 0x9E3779B1 + take)
        row.tokens["vocal_semantic_ids"] = vocal_ids[None]
        row.done["vocal_semantic_ids"] = vocal_ids.shape[-1]
        for stage in self.stages.values():
            config = stage.config
            frames = config.prediction_frames(row.tokens[config.conditioning_sources[0]].shape[-1])
            row.tokens[stage.prediction_name] = vocal_ids.new_zeros(config.num_codebooks, frames)
            row.done[stage.prediction_name] = 0
        return row

    def _context(self, name: str) -> int:
        """Carried frames of a stage's windows. Fails early, before any stage runs, on arguments this one does not know."""
        stage = self.stages[name]
        generation_config, others = stage._prepare_generation_config(None, **self.settings[name])
        stage._validate_model_kwargs(others)
        seconds = getattr(generation_config, "context_seconds", 0.0) if stage.carries_context else 0.0
        return window_context(stage.config, seconds)

    def _windows(self, name: str) -> list[Window]:
        stage, context = self.stages[name], self._context(name)
        config = stage.config
        windows = []
        for take in self.takes:
            total, start, first_new = take.tokens[stage.prediction_name].shape[-1], 0, 0
            while first_new < total:
                end = min(start + config.window_frames, total)
                windows.append(Window(take, start, first_new, end))
                start, first_new = end - context, end
        return windows

    def whole(self) -> HafmGenerateOutput:
        # Stage by stage: the fine windows come last and all at once.
        for _ in self.run(("semantic", "coarse", "fine")):
            pass
        return self.output()

    def pieces(self) -> Iterator[HafmGenerateOutput]:
        start = 0
        # Whatever is closest to the end first, so that each piece comes as early as it can.
        for _ in self.run(("fine", "coarse", "semantic")):
            end = self.complete_frames()
            if end > start:
                yield self.output(start, end)
                start = end

    def run(self, order: tuple[str, ...]) -> Iterator[None]:
        """Generate until nothing is pending, each time all ready windows of the first stage in `order` that has any."""
        with ProgressBar(self._total_tokens(), self.progress) as bar:
            while any(self.pending.values()):
                name, ready = next((name, ready) for name in order if (ready := self._ready(name)))
                self.pending[name] = [window for window in self.pending[name] if window not in ready]
                # First windows, which carry no context, are never ready along with later ones.
                together = self.max_batch_size or memory_batch_size(self.stages[name].config, self.stages[name].device)
                for first in range(0, len(ready), together):
                    self._generate(name, ready[first : first + together], bar)
                yield

    def _ready(self, name: str) -> list[Window]:
        """The pending windows of a stage whose conditioning and context are there."""
        stage = self.stages[name]
        return [
            window
            for window in self.pending[name]
            if (window.context == 0 or window.take.done[stage.prediction_name] >= window.first_new)
            and all(
                window.take.done[source] >= conditioning_span(stage.config, window)[1]
                for source in stage.config.conditioning_sources
            )
        ]

    def _generate(self, name: str, windows: list[Window], bar: "ProgressBar") -> None:
        """Run windows of equal context through a stage as one batch."""
        stage, context = self.stages[name], windows[0].context
        config, device = stage.config, stage.device
        spans = [conditioning_span(config, window) for window in windows]
        conditioning = {}
        for source in config.conditioning_sources:
            ids = [w.take.tokens[source][:, start:end].T for w, (start, end) in zip(windows, spans, strict=True)]
            ids = pad_sequence(ids, batch_first=True).transpose(1, 2)
            conditioning[source] = ids.squeeze(1) if config.conditioning_num_codebooks == 1 else ids
        frames = torch.tensor([end - start for start, end in spans], device=device)
        if (frames != frames[0]).any():
            conditioning["conditioning_mask"] = (
                torch.arange(int(frames.max()), device=device) < frames[:, None]
            ).long()

        carried = torch.stack([w.take.tokens[stage.prediction_name][:, w.start : w.first_new] for w in windows])
        bos = torch.full((len(windows), 1), config.bos_token_id, device=device)
        sequences = stage.generate(
            input_ids=torch.cat([bos, interleave_codes(carried)], dim=1),
            max_new_tokens=max(w.end - w.first_new for w in windows) * config.num_codebooks,
            seeds=torch.tensor([stage_seed(w.take.seed, name) for w in windows], device=device),
            seed_offsets=torch.tensor([w.start * config.num_codebooks for w in windows], device=device),
            streamer=bar.step(name, windows, config.num_codebooks),
            **conditioning,
            **self.settings[name],
        )
        codes = deinterleave_codes(sequences[:, 1:], config.num_codebooks)[:, :, context:]
        for window, new in zip(windows, codes, strict=True):
            take = window.take
            take.tokens[stage.prediction_name][:, window.first_new : window.end] = new[
                :, : window.end - window.first_new
            ]
            take.done[stage.prediction_name] = max(take.done[stage.prediction_name], window.end)

    def _total_tokens(self) -> int:
        return sum(
            (window.end - window.first_new) * self.stages[name].config.num_codebooks
            for name, windows in self.pending.items()
            for window in windows
        )

    def complete_frames(self) -> int:
        """Frames that are there in every take that has so many."""
        unfinished = [t.done["fine_ids"] for t in self.takes if t.done["fine_ids"] < t.tokens["fine_ids"].shape[-1]]
        return min(unfinished, default=max(take.done["fine_ids"] for take in self.takes))

    def output(self, start: int | None = None, end: int | None = None) -> HafmGenerateOutput:
        """Everything, or while streaming the frames before `end`, of which those before `start` are known already."""
        codes = [torch.cat([take.tokens["coarse_ids"], take.tokens["fine_ids"]])[:, :end].T for take in self.takes]
        semantic = [take.tokens["instrumental_semantic_ids"][0] for take in self.takes]
        return HafmGenerateOutput(
            codes=pad_sequence(codes, batch_first=True).transpose(1, 2),
            lengths=torch.tensor([len(code) for code in codes], device=codes[0].device),
            instrumental_semantic_ids=pad_sequence(semantic, batch_first=True) if end is None else None,
            seed=self.seed,
            start=start,
        )


class ProgressBar:
    """Tokens generated so far, over all stages; shown on a terminal only, and only for work of over two seconds."""

    def __init__(self, total: int, enabled: bool):
        self.bar = tqdm(total=total, unit="tok", delay=2, leave=False, disable=None if enabled else True)

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *exception) -> None:
        self.bar.close()

    def step(self, name: str, windows: list[Window], num_codebooks: int) -> "StepCounter":
        """A streamer that advances the bar at each of the steps in which these windows are generated together."""
        self.bar.set_description(name)
        return StepCounter(self.bar, [(window.end - window.first_new) * num_codebooks for window in windows])


class StepCounter(BaseStreamer):
    def __init__(self, bar: tqdm, tokens: list[int]):
        self.bar, self.tokens, self.steps = bar, tokens, -1  # the prompt comes first and is no step

    def put(self, value: torch.Tensor) -> None:
        self.steps += 1
        if self.steps > 0:
            self.bar.update(sum(self.steps <= count for count in self.tokens))

    def end(self) -> None:
        pass


def seeds_of_vocals(seed: int | list[int], count: int) -> list[int]:
    """One seed for each of `count` vocals, from one for all of them or from as many."""
    seeds = [seed] * count if isinstance(seed, int) else seed
    if len(seeds) != count:
        raise ValueError(f"There are {len(seeds)} seeds for {count} vocals; pass one for each, or one for all.")
    return seeds


def unpadded(ids: torch.LongTensor, mask: torch.Tensor | None, vocab_size: int) -> list[torch.LongTensor]:
    """The vocals `(vocals, frames)` without their padding."""
    if ids.ndim != 2 or (mask is not None and mask.shape != ids.shape):
        shapes = f"{tuple(ids.shape)}" if mask is None else f"{tuple(ids.shape)} and {tuple(mask.shape)}"
        raise ValueError(f"`vocal_semantic_ids` and `conditioning_mask` have shape {shapes}; pass (vocals, frames).")
    vocals = list(ids) if mask is None else [row[real] for row, real in zip(ids, mask.bool(), strict=True)]
    if not vocals or any(len(vocal) == 0 for vocal in vocals):
        raise ValueError("`vocal_semantic_ids` holds no vocal or an empty one; pass at least one frame of each.")
    real = torch.cat(vocals)
    if real.min() < 0 or real.max() >= vocab_size:
        raise ValueError(
            f"`vocal_semantic_ids` must lie in [0, {vocab_size}); got {int(real.min())} to {int(real.max())}."
        )
    return vocals


def window_context(config, context_seconds: float) -> int:
    """Carried frames of each window. What remains must be whole frames at both rates, so that windows stay aligned."""
    hop = config.window_seconds - context_seconds
    frames = [hop * rate for rate in (config.frame_rate, config.conditioning_frame_rate)]
    if context_seconds < 0 or hop <= 0 or any(abs(count - round(count)) > 1e-6 for count in frames):
        raise ValueError(
            f"`context_seconds` is {context_seconds} in windows of {config.window_seconds} s; choose 0 or more, less than "
            "the window, on the grid common to both frame rates (40 ms for 50 and 75 Hz)."
        )
    return config.window_frames - round(hop * config.frame_rate)


def conditioning_span(config, window: Window) -> tuple[int, int]:
    """First and last (exclusive) conditioning frame of a window."""
    start, end = (frame * config.conditioning_frame_rate // config.frame_rate for frame in (window.start, window.end))
    return start, min(end, window.take.tokens[config.conditioning_sources[0]].shape[-1])


def memory_batch_size(config, device: torch.device) -> int:
    """How many windows' keys and values, in float32 and with guidance, take half of the free memory."""
    positions = config.conditioning_length + config.window_frames * config.num_codebooks
    values = 2 * config.num_hidden_layers * config.num_attention_heads * config.head_dim  # a key and a value each
    windows = max(free_memory(device) // 2 // (2 * positions * values * 4), 1)
    # There, 64 rows keep the arithmetic busy, and more of them wait as long for their own keys and values.
    return min(windows, 32) if device.type == "cpu" else windows


def free_memory(device: torch.device) -> int:
    """In bytes; 2 GiB where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo") as lines:
            kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
        return kilobytes * 1024
    except (OSError, StopIteration):
        return 2 * 2**30


def stage_seed(take_seed: int, name: str) -> int:
    """Independent random numbers for each take and stage."""
    stage = ("semantic", "coarse", "fine").index(name)
    return int(mix_bits(mix_bits(torch.tensor(take_seed & UINT32)) ^ (stage + 1)))


def split_stage_kwargs(stages: dict[str, Any], kwargs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Arguments of each stage: `<stage>_<name>` goes to that stage, anything else to all."""
    prefixed = {key for key in kwargs if key.split("_", 1)[0] in stages}
    shared = {key: value for key, value in kwargs.items() if key not in prefixed}
    return {
        name: shared | {key.removeprefix(f"{name}_"): kwargs[key] for key in prefixed if key.startswith(f"{name}_")}
        for name in stages
    }


__all__ = ["HafmGenerateOutput", "HafmSongGenerationMixin"]
