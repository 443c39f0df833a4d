# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Generation with one stage: conditioning prefix, classifier-free guidance in one batch, reproducible sampling."""

import math
from typing import Any

import torch
from transformers.cache_utils import Cache
from transformers.generation import (
    ClassifierFreeGuidanceLogitsProcessor,
    GenerationConfig,
    GenerationMixin,
    GenerationMode,
    LogitsProcessor,
    LogitsProcessorList,
    MaxLengthCriteria,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
)
from transformers.utils import logging

from .decoding_hafm import decode
from .packed_linear_hafm import PRECISIONS
from .sampling_hafm import Sampler


logger = logging.get_logger(__name__)

UINT32 = 0xFFFFFFFF


def mix_bits(values: torch.LongTensor) -> torch.LongTensor:
    """A bijection of 32-bit integers whose output looks random (two multiply-xorshift rounds); same on every device."""
    values = ((values ^ (values >> 16)) * 0x7FEB352D) & UINT32
    values = ((values ^ (values >> 15)) * 0x846CA68B) & UINT32
    return values ^ (values >> 16)


def interleave_codes(codes: torch.LongTensor) -> torch.LongTensor:
    """Codes `(..., codebooks, frames)` to one stream `(..., frames * codebooks)`, frame by frame (paper, section 3.3)."""
    return codes.transpose(-1, -2).flatten(-2)


def deinterleave_codes(tokens: torch.LongTensor, num_codebooks: int) -> torch.LongTensor:
    """The inverse of `interleave_codes`: `(..., frames * codebooks)` to `(..., codebooks, frames)`."""
    return tokens.unflatten(-1, (-1, num_codebooks)).transpose(-1, -2)


class SeededSamplingLogitsProcessor(LogitsProcessor):
    """
    Draws each row's next token from a noise that depends on the row's seed and the token's index alone (the Gumbel-max
    trick over counter-based random numbers), and leaves only that token possible. So neither the rest of the batch, nor
    the window a token is generated in, nor the device changes what a seed gives; up to ties in the logits' rounding.

    Args:
        seeds (`torch.LongTensor` of shape `(batch_size,)`):
            One seed for each row.
        offsets (`torch.LongTensor` of shape `(batch_size,)`):
            Index, in its whole stream, of the first token after BOS of each row.
    """

    def __init__(self, seeds: torch.LongTensor, offsets: torch.LongTensor):
        self.seeds = mix_bits(seeds & UINT32)
        self.offsets = offsets

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        noise = self.noise(input_ids.shape[1] - 1, 1, scores.shape[-1])[0]
        winner = (scores + noise).argmax(dim=-1, keepdim=True)
        return torch.full_like(scores, -float("inf")).scatter_(1, winner, 0.0)

    def noise(self, first: int, count: int, vocab_size: int) -> torch.FloatTensor:
        """Gumbel noise `(count, batch_size, vocab_size)` of the tokens from `first` on, 0 for the first after BOS."""
        device = self.seeds.device
        index = self.offsets + first + torch.arange(count, device=device)[:, None]
        counter = mix_bits((self.seeds + index) & UINT32)
        bits = mix_bits(counter[..., None] ^ mix_bits(torch.arange(vocab_size, device=device) + 1))
        uniform = ((bits >> 9).to(torch.float32) + 0.5) * 2**-23
        return -torch.log(-torch.log(uniform))


class HafmStageGenerationMixin(GenerationMixin):
    """
    `generate` of one stage. Beyond the usual arguments it takes the stage's conditioning inputs, and

    guidance_scale (`float`, defaults to 3.0):
        Classifier-free guidance (paper, equation 5): a conditional and an unconditional row for each sample run in one
        batch. 1 turns it off.
    temperature (`float`, defaults to 0.9):
        0 takes the likeliest token.
    seeds (`torch.LongTensor` of shape `(batch_size,)`, *optional*):
        Seed of each row's samples; the sequences of `num_return_sequences` differ. Without it PyTorch's global
        generator is used.
    seed_offsets (`torch.LongTensor` of shape `(batch_size,)`, *optional*):
        Index of each row's first token in its whole stream, for windows of a longer one. 0 by default.
    precision (`str`, *optional*):
        Of weights and caches while generating: "float32", "bfloat16" or "int8" (weights; caches in bfloat16). That of
        the model by default.

    Greedy search and sampling run in the loop of `decoding_hafm`, which gives the same tokens, up to ties in the
    logits' rounding. Whatever it does not know (other logits processors, returned scores or caches, padded prompts,
    adapters, hooks) runs in the loop of transformers.
    """

    output_modalities = ("audio",)
    # Whether a window of a longer stream starts with the last tokens of the window before.
    carries_context = False

    def default_generation_settings(self) -> dict[str, Any]:
        """The paper's (section 3.5, "Inference sampling"), and half a window of context, rounded down to whole frames."""
        grid = math.gcd(self.config.frame_rate, self.config.conditioning_frame_rate)
        context_seconds = int(self.config.window_seconds * grid / 2) / grid if self.carries_context else 0.0
        return {
            "do_sample": True,
            "temperature": 0.9,
            "top_k": 250,
            "guidance_scale": 3.0,
            "context_seconds": context_seconds,
            "precision": None,
        }

    def adjust_generation_fn(self, *args, **kwargs):
        super().adjust_generation_fn(*args, **kwargs)
        # A composite keeps the settings of all its stages in one file.
        stages = vars(self.generation_config).pop("stages", {})
        self.generation_config.update(allow_custom_entries=True, **stages.get(self.base_model_prefix, {}))

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.LongTensor,
        next_sequence_length: int | None = None,
        past_key_values: Cache | None = None,
        attention_mask: torch.LongTensor | None = None,
        is_first_iteration: bool = False,
        conditioning_mask: torch.LongTensor | None = None,
        guided: bool = False,
        continues_cache: bool = False,
        seeds: torch.LongTensor | None = None,
        seed_offsets: torch.LongTensor | None = None,
        **kwargs,
    ) -> dict[str, Any]:
        conditioning = {name: kwargs.pop(name, None) for name in self.config.conditioning_sources}
        prefix_length = self._prefix_length(conditioning)
        past_length = 0 if past_key_values is None else int(past_key_values.get_seq_length())
        if past_length > 0 and is_first_iteration and next_sequence_length is not None:
            # `_prefill` took the whole cache for tokens, but it holds the conditioning as well.
            next_sequence_length += prefix_length

        if past_length == 0:
            kwargs.update(conditioning)
        if attention_mask is not None or conditioning_mask is not None:
            rows, frames = input_ids.shape[0], prefix_length // len(conditioning)
            if attention_mask is None:
                past_tokens = max(past_length - prefix_length, 0)
                attention_mask = input_ids.new_ones(rows, past_tokens + (next_sequence_length or input_ids.shape[1]))
            if conditioning_mask is None:
                conditioning_mask = input_ids.new_ones(rows, frames)
            if past_key_values is not None and past_key_values.is_compileable:
                # One shape for all steps, so that a compiled step is compiled once.
                unused = past_key_values.get_max_length() - prefix_length - attention_mask.shape[1]
                attention_mask = torch.nn.functional.pad(attention_mask, (0, unused))
            kwargs.update(conditioning_mask=conditioning_mask)
        inputs = super().prepare_inputs_for_generation(
            input_ids,
            next_sequence_length=next_sequence_length,
            past_key_values=past_key_values,
            attention_mask=attention_mask,
            is_first_iteration=is_first_iteration,
            **kwargs,
        )
        return self._with_unconditional_rows(inputs, input_ids.shape[0]) if guided else inputs

    def _with_unconditional_rows(self, inputs: dict[str, Any], batch_size: int) -> dict[str, Any]:
        """Each row twice: first all with their conditioning, then all without."""
        for name, value in inputs.items():
            if isinstance(value, torch.Tensor) and value.ndim > 0 and value.shape[0] == batch_size:
                inputs[name] = torch.cat([value, value])
        if self.config.conditioning_sources[0] in inputs:
            inputs["drop_conditioning"] = torch.arange(2 * batch_size, device=self.device) >= batch_size
        return inputs

    def _prefix_length(self, conditioning: dict[str, torch.LongTensor | None]) -> int:
        missing = [name for name in self.config.conditioning_sources if conditioning.get(name) is None]
        if missing:
            raise ValueError(f"{type(self).__name__}.generate needs the conditioning tokens {', '.join(missing)}.")
        return sum(conditioning[name].shape[-1] for name in self.config.conditioning_sources)

    @staticmethod
    def create_masks_for_generate(attention_mask: torch.LongTensor | None = None, **kwargs) -> torch.LongTensor | None:
        """The decoder combines mask and position bias itself."""
        return attention_mask

    def _prepare_generation_config(
        self, generation_config: GenerationConfig | None, **kwargs
    ) -> tuple[GenerationConfig, dict[str, Any]]:
        if kwargs.get("temperature") == 0:
            kwargs.update(do_sample=False, temperature=1.0, top_k=50)  # values of which transformers does not warn
        elif kwargs.get("temperature") is not None:
            kwargs.setdefault("do_sample", True)
        generation_config, model_kwargs = super()._prepare_generation_config(generation_config, **kwargs)
        guidance_scale = generation_config.guidance_scale
        if guidance_scale is not None and guidance_scale < 1:
            raise ValueError(f"`guidance_scale` is {guidance_scale}; use 1 for no guidance or more for guidance.")
        if guidance_scale is not None and guidance_scale > 1:
            model_kwargs["guided"] = True
        precision = getattr(generation_config, "precision", None)
        if precision not in (None, *PRECISIONS):
            raise ValueError(f"`precision` is {precision!r}; use one of {', '.join(PRECISIONS)}.")
        return generation_config, model_kwargs

    def _validate_generation_mode(self, generation_mode, generation_config, generation_mode_kwargs):
        super()._validate_generation_mode(generation_mode, generation_config, generation_mode_kwargs)
        guided = (generation_config.guidance_scale or 1) > 1
        if guided and generation_mode not in (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE):
            raise ValueError(
                f"`guidance_scale` is {generation_config.guidance_scale}, which {generation_mode.value} cannot use; "
                "set it to 1."
            )

    def _prepare_cache_for_generation(
        self, generation_config, model_kwargs, generation_mode, batch_size, max_cache_length
    ):
        rows = 2 * batch_size if model_kwargs.get("guided") else batch_size
        model_kwargs["continues_cache"] = model_kwargs.get("past_key_values") is not None
        super()._prepare_cache_for_generation(
            generation_config,
            model_kwargs,
            generation_mode,
            rows,
            max_cache_length + self._prefix_length(model_kwargs),
        )

    def _get_logits_processor(self, generation_config, model_kwargs=None, **kwargs) -> LogitsProcessorList:
        # Left in the config, the scale would add the library's own guidance, which runs a second, unbatched forward.
        guidance_scale, generation_config.guidance_scale = generation_config.guidance_scale, None
        processors = super()._get_logits_processor(generation_config, model_kwargs=model_kwargs, **kwargs)
        if model_kwargs.get("guided"):
            processors.insert(0, ClassifierFreeGuidanceLogitsProcessor(guidance_scale))
        seeds, offsets = model_kwargs.get("seeds"), model_kwargs.get("seed_offsets")
        if seeds is not None and generation_config.do_sample:
            sequences = torch.arange(len(seeds), device=self.device) % generation_config.num_return_sequences
            seeds = seeds.to(self.device) + 0x9E3779B1 * sequences
            offsets = torch.zeros_like(seeds) if offsets is None else offsets.to(self.device)
            if (attention_mask := model_kwargs.get("attention_mask")) is not None:
                offsets = offsets - (attention_mask == 0).sum(dim=1)  # the stream starts behind the padding
            processors.append(SeededSamplingLogitsProcessor(seeds, offsets))
        return processors

    def _sample(
        self,
        input_ids,
        logits_processor,
        stopping_criteria,
        generation_config,
        synced_gpus=False,
        streamer=None,
        **kwargs,
    ):
        precision = getattr(generation_config, "precision", None)
        fast = (
            not synced_gpus
            and is_unmodified(self)
            and has_known_arguments(self, input_ids, generation_config, kwargs)
            and is_in_order(logits_processor, SAMPLING)
            and is_in_order(stopping_criteria, (MaxLengthCriteria,))
        )
        if not fast and precision is not None:
            raise ValueError(
                f"`precision` is {precision!r}, which only the fast decoding loop has, and it cannot run with the other "
                "arguments or with what has been done to the model; leave `precision` out."
            )
        if not fast:
            logger.warning_once(
                "Generation runs in the loop of transformers, which takes longer: the fast one does not know these "
                "arguments, or what has been done to the model."
            )
            return super()._sample(
                input_ids,
                logits_processor,
                stopping_criteria,
                generation_config,
                synced_gpus=synced_gpus,
                streamer=streamer,
                **kwargs,
            )
        return decode(
            self,
            input_ids.to(self.device),
            generation_config.max_length,
            precision or ("float32" if self.dtype == torch.float32 else "bfloat16"),
            make_sampler(logits_processor, generation_config.do_sample, len(input_ids), self.device),
            {source: kwargs[source] for source in self.config.conditioning_sources},
            kwargs.get("conditioning_mask"),
            streamer,
        )


# The logits processors of `generate` that the fast loop knows, in the order in which they run.
SAMPLING = (
    ClassifierFreeGuidanceLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    SeededSamplingLogitsProcessor,
)


def is_in_order(items: list, known: tuple[type, ...]) -> bool:
    """Whether there is at most one item of each known type, in their order, and none of another."""
    remaining = iter(known)
    return all(type(item) in remaining for item in items)


def is_unmodified(stage) -> bool:
    """Whether a stage computes what this package says: its own classes and PyTorch's, with plain weights and no hooks."""
    package = __name__.rpartition(".")[0]
    for module in stage.modules():
        home = type(module).__module__
        hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
        if (
            not (
                home.rpartition(".")[0] == package
                or home.startswith(("torch.nn.modules.", "transformers.activations"))
            )
            or any(hook.__module__ != "transformers.utils.output_capturing" for hook in hooks)
            or "forward" in vars(module)
        ):
            return False
    parameters = list(stage.parameters())
    return not stage.training and all(type(p) is torch.nn.Parameter and p.device == stage.device for p in parameters)


def has_known_arguments(stage, input_ids: torch.LongTensor, generation_config: GenerationConfig, kwargs: dict) -> bool:
    """Whether the arguments of `generate` ask for tokens alone, from prompts without padding and an empty cache."""
    known = {
        *stage.config.conditioning_sources,
        *("attention_mask", "conditioning_mask", "position_ids", "past_key_values", "use_cache", "logits_to_keep"),
        *("guided", "continues_cache", "seeds", "seed_offsets"),
    }
    position_ids = kwargs.get("position_ids")
    return (
        not any(kwargs[name] is not None for name in kwargs.keys() - known)
        and kwargs.get("attention_mask") is None
        and (
            position_ids is None
            or (position_ids == torch.arange(input_ids.shape[1], device=position_ids.device)).all()
        )
        and kwargs["use_cache"]
        and not kwargs["continues_cache"]
        and generation_config.cache_implementation is None
        and generation_config.compile_config is None
        and generation_config.prefill_chunk_size is None
        and not generation_config.return_dict_in_generate
    )


def make_sampler(processors: LogitsProcessorList, do_sample: bool, batch_size: int, device: torch.device) -> Sampler:
    """What `SAMPLING` processors do; without seeds, PyTorch's generator draws them."""
    given = {type(processor): processor for processor in processors}
    guidance, temperature, top_k, seeded = (given.get(kind) for kind in SAMPLING)
    if do_sample and seeded is None:
        seeds = torch.randint(2**31, (batch_size,)).to(device)
        seeded = SeededSamplingLogitsProcessor(seeds, torch.zeros_like(seeds))
    return Sampler(
        guidance_scale=guidance.guidance_scale if guidance else None,
        temperature=(temperature.temperature if temperature else 1.0) if do_sample else None,
        top_k=top_k.top_k if top_k else 0,
        noise=seeded.noise if seeded else None,
    )


__all__ = ["HafmStageGenerationMixin", "SeededSamplingLogitsProcessor", "deinterleave_codes", "interleave_codes"]
