# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Generation with SingSong: window by window, each on its own, first the T5 and then the fine stage."""

from collections.abc import Iterator

import torch
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm
from transformers import (
    GenerationMixin,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
)

from ...modeling.generation_hafm import (
    UINT32,
    SeededSamplingLogitsProcessor,
    deinterleave_codes,
    mix_bits,
)
from ...modeling.generation_song_hafm import HafmGenerateOutput, seeds_of_vocals, split_stage_kwargs, unpadded
from .configuration_singsong import SingSongSeq2SeqConfig


TEMPERATURE, TOP_K = 0.9, 250
FINE_BATCH_SIZE = 32  # windows of the fine stage that run together


class TargetLogitsProcessor(LogitsProcessor):
    """
    Leaves possible what a target has at each place: semantic tokens, then codes of one codebook after the other.

    Args:
        config (`SingSongSeq2SeqConfig`): whose vocabulary it is.
        semantic_frames (`torch.LongTensor` of shape `(batch_size,)`): semantic tokens before each row's codes.
    """

    def __init__(self, config: SingSongSeq2SeqConfig, semantic_frames: torch.LongTensor):
        self.config = config
        self.semantic_frames = semantic_frames

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        config = self.config
        code = input_ids.shape[1] - 1 - self.semantic_frames  # index among the codes, negative before them
        first_code = config.acoustic_offset + code % config.num_codebooks * config.vocab_size
        first = torch.where(code < 0, config.semantic_offset, first_code)[:, None]
        count = torch.where(code < 0, config.conditioning_vocab_size, config.vocab_size)[:, None]
        token = torch.arange(scores.shape[1], device=scores.device)
        return scores.masked_fill((token < first) | (token >= first + count), -float("inf"))


class SingSongSeq2SeqGenerationMixin:
    @torch.no_grad()
    def predict(
        self, vocals: list[torch.LongTensor], seeds: torch.LongTensor, temperature: float, top_k: int
    ) -> list[tuple[torch.LongTensor, torch.LongTensor]]:
        """
        Args:
            vocals: semantic tokens of one window each, `(frames,)`.
            seeds (`torch.LongTensor` of shape `(vocals,)`): of each one's samples, whatever else is in the batch.
            temperature: 0 takes the likeliest token.
            top_k: how many of the likeliest tokens to sample from; 0 for all.

        Returns:
            For each vocal the semantic tokens of an instrumental, `(frames,)`, and coarse codes, `(codebooks, frames)`.
        """
        config = self.config
        semantic_frames = torch.tensor([len(vocal) for vocal in vocals], device=self.device)
        codes = [config.num_codebooks * config.prediction_frames(len(vocal)) for vocal in vocals]
        processors = LogitsProcessorList([TargetLogitsProcessor(config, semantic_frames)])
        if temperature > 0:
            processors.append(TemperatureLogitsWarper(float(temperature)))
            if top_k > 0:
                processors.append(TopKLogitsWarper(top_k))
            processors.append(SeededSamplingLogitsProcessor(seeds, torch.zeros_like(seeds)))
        input_ids = pad_sequence([vocal + config.semantic_offset for vocal in vocals], batch_first=True)
        targets = self.t5.generate(
            input_ids=input_ids,
            attention_mask=(input_ids > 0).long(),
            max_new_tokens=max(len(vocal) + count for vocal, count in zip(vocals, codes, strict=True)),
            do_sample=False,  # the last processor leaves one token
            logits_processor=processors,
        )
        return [
            self._parts(row[1 : 1 + len(vocal) + count], len(vocal))
            for row, vocal, count in zip(targets, vocals, codes, strict=True)
        ]

    def _parts(self, target: torch.LongTensor, semantic_frames: int) -> tuple[torch.LongTensor, torch.LongTensor]:
        config = self.config
        codes = deinterleave_codes(target[semantic_frames:] - config.acoustic_offset, config.num_codebooks)
        return target[:semantic_frames] - config.semantic_offset, codes % config.vocab_size


class SingSongGenerationMixin(GenerationMixin):
    """The `generate` and `stream` of `HafmModel`, for vocals of any length."""

    main_input_name = "vocal_semantic_ids"
    output_modalities = ("audio",)

    def generate(self, vocal_semantic_ids: torch.LongTensor, **kwargs) -> HafmGenerateOutput:
        """Accompany each vocal. Arguments and errors are those of `stream`."""
        *_, output = self.stream(vocal_semantic_ids, **kwargs)
        output.start = None
        return output

    @torch.no_grad()
    def stream(
        self,
        vocal_semantic_ids: torch.LongTensor,
        conditioning_mask: torch.Tensor | None = None,
        num_return_sequences: int = 1,
        seed: int | list[int] | None = None,
        progress: bool = False,
        **settings: float,
    ) -> Iterator[HafmGenerateOutput]:
        r"""
        Accompany each vocal, and yield all codes so far after each window.

        Args:
            vocal_semantic_ids (`torch.LongTensor` of shape `(vocals, frames)`):
                Semantic tokens of the vocals, of any length.
            conditioning_mask (`torch.Tensor` of shape `(vocals, frames)`, *optional*):
                1 for real frames and 0 for padding, where vocals differ in length.
            num_return_sequences (`int`, defaults to 1):
                Takes of each vocal.
            seed (`int` or `list[int]`, *optional*):
                Gives the same codes again, whatever else is in the batch; one for all vocals or one for each. Drawn from
                PyTorch's generator by default.
            progress (`bool`, defaults to `False`):
                Show a bar on a terminal once the work takes more than two seconds.
            settings:
                `temperature` and `top_k` of both parts, by default HAFM's for the T5 (paper, section 3.5) and the fine
                stage's own; 0 takes the likeliest token, or has no limit. `guidance_scale` and whatever else
                `HafmFineModel.generate` knows are for that alone, for the T5 has no guidance; so is `fine_temperature`.

        Raises:
            ValueError: If a vocal is empty or a token is outside the vocabulary.
        """
        config = self.config.seq2seq_config
        vocals = unpadded(vocal_semantic_ids.to(self.device), conditioning_mask, config.conditioning_vocab_size)
        rows = [vocal for vocal in vocals for _ in range(num_return_sequences)]
        seed = torch.randint(2**31, ()) if seed is None else seed
        seed = list(map(int, seed)) if isinstance(seed, (list, tuple)) else int(seed)
        streams = [one * 0x9E3779B1 & UINT32 for one in seeds_of_vocals(seed, len(vocals))]
        takes = torch.arange(num_return_sequences, device=self.device)
        take_seeds = mix_bits((torch.tensor(streams, device=self.device)[:, None] + takes).flatten() & UINT32)
        semantic = [row.new_empty(0) for row in rows]
        codes = [row.new_empty(0, config.num_codebooks + self.fine.config.num_codebooks) for row in rows]
        fine_settings = split_stage_kwargs(self.stages, settings)["fine"]
        window, done = config.conditioning_window_frames, 0
        starts = range(0, max(map(len, rows)), window)
        for number, start in enumerate(
            tqdm(starts, unit="window", delay=2, leave=False, disable=None if progress else True)
        ):
            active = [index for index, row in enumerate(rows) if len(row) > start]
            seeds = mix_bits(take_seeds[active] ^ (number + 1))
            predictions = self.seq2seq.predict(
                [rows[index][start : start + window] for index in active],
                seeds,
                temperature=settings.get("temperature", TEMPERATURE),
                top_k=settings.get("top_k", TOP_K),
            )
            fine = self._refine([coarse for _, coarse in predictions], seeds, **fine_settings)
            for index, (semantic_ids, coarse), fine_ids in zip(active, predictions, fine, strict=True):
                semantic[index] = torch.cat([semantic[index], semantic_ids])
                codes[index] = torch.cat([codes[index], torch.cat([coarse, fine_ids]).T])
            yield HafmGenerateOutput(
                codes=pad_sequence(codes, batch_first=True).transpose(1, 2),
                lengths=torch.tensor([len(row) for row in codes], device=self.device),
                instrumental_semantic_ids=pad_sequence(semantic, batch_first=True),
                seed=seed,
                start=done,
            )
            done = max(map(len, codes))

    def _refine(
        self, coarse: list[torch.LongTensor], seeds: torch.LongTensor, **settings: float
    ) -> list[torch.LongTensor]:
        """Fine codes, `(codebooks, frames)`, of coarse ones, in windows of the length that the fine stage was trained on."""
        length = self.fine.config.window_frames
        pieces = [(row, start) for row, codes in enumerate(coarse) for start in range(0, codes.shape[1], length)]
        fine = [[] for _ in coarse]
        for first in range(0, len(pieces), FINE_BATCH_SIZE):
            batch = pieces[first : first + FINE_BATCH_SIZE]
            windows = [coarse[row][:, start : start + length].T for row, start in batch]
            codes = self._generate_fine(
                windows,
                seeds=seeds[[row for row, _ in batch]] ^ 1,  # not those of the T5
                seed_offsets=self.fine.config.num_codebooks
                * torch.tensor([start for _, start in batch], device=self.device),
                **settings,
            )
            for (row, _), window, new in zip(batch, windows, codes, strict=True):
                fine[row].append(new[:, : len(window)])
        return [torch.cat(windows, dim=1) for windows in fine]

    def _generate_fine(self, windows: list[torch.LongTensor], **settings) -> torch.LongTensor:
        """Fine codes, `(windows, codebooks, frames)`, of coarse ones, `(frames, codebooks)` each."""
        config = self.fine.config
        frames = torch.tensor([len(window) for window in windows], device=self.device)
        mask = (torch.arange(int(frames.max()), device=self.device) < frames[:, None]).long()
        tokens = self.fine.generate(
            input_ids=torch.full((len(windows), 1), config.bos_token_id, device=self.device),
            coarse_ids=pad_sequence(windows, batch_first=True).transpose(1, 2),
            conditioning_mask=None if mask.all() else mask,
            max_new_tokens=mask.shape[1] * config.num_codebooks,
            **settings,
        )
        return deinterleave_codes(tokens[:, 1:], config.num_codebooks)
