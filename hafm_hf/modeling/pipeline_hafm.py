# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The `"vocal-accompaniment"` pipeline: a recording of a voice in, an accompaniment and a mix out."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from transformers import Pipeline
from transformers.dynamic_module_utils import custom_object_save

from .ahead_hafm import one_ahead
from .audio_hafm import MIN_SECONDS, load_audio, resample, to_mono
from .card_hafm import HafmCardMixin
from .loudness_hafm import PeakLimiter, mix
from .modeling_hafm_audio_tokenizer import HafmCodecCache
from .processing_hafm import HafmProcessor


TASK = "vocal-accompaniment"
MODEL_TYPES = ("hafm", "singsong")  # the second is a baseline of the evaluation

# The lowest value of arguments, and what it means.
LOWEST = {
    "takes": (1, "a single take"),
    "seconds": (MIN_SECONDS, "the shortest clip there is"),
    "guidance_scale": (1, "no guidance"),
    "temperature": (0, "the likeliest token always"),
    "top_k": (0, "no limit"),
}


class HafmPipeline(HafmCardMixin, Pipeline):
    """
    Accompanies vocals: `pipeline("vocal-accompaniment")("vocal.wav", seed=7)`.

    Inputs are what `load_audio` reads, at any rate and of any channels, averaged to mono: a path, an URL, the bytes of
    an audio file, a row of a `datasets` dataset, an array (with `sampling_rate=`) or a dict that holds one. A list
    gives a list; a generator or a dataset gives an iterator. In these, what cannot be read gives
    `{"error": "..."}` in its place and the others are accompanied; alone, it raises.

    The output of one vocal, or of each of several `takes`, is a dict:

    audio (`np.ndarray` of shape `(samples,)`): the accompaniment, float32, as long as the vocal to the sample, its peaks
        limited to -1 dB full scale.
    mix (`np.ndarray` of shape `(samples,)`): both together, the accompaniment as loud as the vocal, never clipped.
    sampling_rate (`int`): of both, that of the model's codec.
    seed (`int`): gives the same accompaniment again.

    Arguments of a call, or of `pipeline(...)` for all calls:
        takes (`int`, defaults to 1): how many accompaniments to make of each vocal. More than one gives a list.
        seed (`int`, *optional*): drawn at random by default.
        guidance_scale, temperature, top_k (*optional*): of all stages; `semantic_temperature` and so on for one.
        seconds (`float`, *optional*): accompany the first so many seconds only.
        sampling_rate (`int`, *optional*): of bare arrays; an error if an input says another itself.
        noise (`bool`, *optional*): `False` leaves out the noise that masks separation artifacts (paper, section 3.2).
        batch_size (`int`, defaults to 1): how many vocals of a list share the batches of every stage.
        progress (`bool`, defaults to `True`): a bar on a terminal for longer work.

    Raises:
        ValueError: if an input or an argument cannot be used; one sentence that says what to do.
    """

    _load_processor = None  # optional, so that what is wrong with a checkpoint is found and said in `__init__`
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False

    def __init__(self, model, *args, processor=None, **kwargs):
        if model.config.model_type not in MODEL_TYPES:
            raise ValueError(
                f"{model.name_or_path or 'The model'} is of type {model.config.model_type}, not hafm; pass a HAFM checkpoint."
            )
        processor = load_processor(model) if processor is None else processor
        super().__init__(model, *args, processor=processor, **kwargs)
        self.feature_extractor = None  # the base class takes it out of the processor, which is saved whole
        self.processor.audio_tokenizer.to(self.device)

    def __call__(self, inputs: Any, **kwargs) -> dict | list[dict] | Iterator[dict]:
        if isinstance(inputs, list) and not inputs:
            return []
        if is_dataset(inputs):  # the base class knows PyTorch's only
            inputs = (row for row in inputs)
        return super().__call__(inputs, **kwargs)

    def _sanitize_parameters(self, **parameters) -> tuple[dict, dict, dict]:
        # What a call leaves out must not undo what `pipeline(...)` was given.
        parameters = {name: value for name, value in parameters.items() if value is not None}
        for name, (lowest, meaning) in LOWEST.items():
            if not lowest <= parameters.get(name, lowest) < math.inf:
                raise ValueError(f"`{name}` is {parameters[name]}; the lowest is {lowest}, which means {meaning}.")
        if "takes" in parameters:
            parameters["num_return_sequences"] = parameters.pop("takes")
        preprocess_parameters = {
            name: parameters.pop(name) for name in ("seconds", "sampling_rate") if name in parameters
        }
        return preprocess_parameters, parameters, {}

    def preprocess(self, inputs: Any, seconds: float | None = None, sampling_rate: int | None = None) -> np.ndarray:
        """One vocal as a mono waveform `(samples,)` at the processor's rate."""
        clip = load_audio(inputs, sampling_rate)
        vocal = resample(to_mono(clip.waveform), clip.sampling_rate, self.processor.sampling_rate)
        return vocal if seconds is None else vocal[: round(seconds * self.processor.sampling_rate)]

    def _forward(
        self, vocals: list[np.ndarray], noise: bool | None = None, progress: bool = True, **generate_kwargs
    ) -> list[list[dict]]:
        """All takes of each vocal."""
        inputs = self.processor(audio=vocals, sampling_rate=self.processor.sampling_rate, noise=noise)
        output = self.model.generate(**inputs, progress=progress, **generate_kwargs)
        takes = len(output.codes) // len(vocals)
        rows = [vocal for vocal in vocals for _ in range(takes)]
        audio = self.processor.batch_decode(output.codes, lengths=[len(vocal) for vocal in rows])
        results = [
            {"audio": PeakLimiter(self.processor.sampling_rate)(audio), "vocal": vocal, "seed": output.seed}
            for audio, vocal in zip(audio, rows, strict=True)
        ]
        return [results[first : first + takes] for first in range(0, len(results), takes)]

    def postprocess(self, takes: list[dict]) -> dict | list[dict]:
        rate = self.processor.sampling_rate
        outputs = [
            {
                "audio": take["audio"],
                "sampling_rate": rate,
                "mix": mix(take["vocal"], take["audio"], rate),
                "seed": take["seed"],
            }
            for take in takes
        ]
        return outputs if len(outputs) > 1 else outputs[0]

    def run_single(self, inputs, preprocess_params, forward_params, postprocess_params):
        vocal = self.preprocess(inputs, **preprocess_params)
        return self.postprocess(self.forward([vocal], **forward_params)[0], **postprocess_params)

    def get_iterator(
        self, inputs: Iterable, num_workers, batch_size, preprocess_params, forward_params, postprocess_params
    ) -> Iterator[dict | list[dict]]:
        # Not the base class's DataLoader, in which one unreadable input ends the whole iteration.
        if not isinstance(inputs, Iterable):  # a PyTorch dataset of items by index, which need not end with IndexError
            inputs = map(inputs.__getitem__, range(len(inputs)))
        batch = []
        for vocal in inputs:
            try:
                batch.append(self.preprocess(vocal, **preprocess_params))
            except ValueError as error:
                batch.append(error)
            if len(batch) == batch_size:
                yield from self._run_batch(batch, forward_params, postprocess_params)
                batch = []
        yield from self._run_batch(batch, forward_params, postprocess_params)

    def _run_batch(self, batch, forward_params, postprocess_params):
        vocals = [vocal for vocal in batch if not isinstance(vocal, ValueError)]
        results = iter(self.forward(vocals, **forward_params) if vocals else [])
        for vocal in batch:
            if isinstance(vocal, ValueError):
                yield {"error": str(vocal)}
            else:
                yield self.postprocess(next(results), **postprocess_params)

    def stream(self, inputs: Any, **kwargs) -> Iterator[dict]:
        """
        The accompaniment of one vocal in pieces, each as soon as it is there; joined they are what a call returns. While
        a piece is decoded and played, the next is being generated.

        Yields dicts with `audio` (`np.ndarray` of shape `(samples,)`, or `(takes, samples)` for several),
        `sampling_rate`, `seed` and `start`, the piece's first sample.
        """
        preprocess_params, forward_params, _ = self._sanitize_parameters(**kwargs)
        vocal = self.preprocess(inputs, **(self._preprocess_params | preprocess_params))
        forward_params = {"progress": True} | self._forward_params | forward_params
        rate, tokenizer = self.processor.sampling_rate, self.processor.audio_tokenizer
        model_inputs = self.processor(audio=vocal, sampling_rate=rate, noise=forward_params.pop("noise", None))
        limiters = [PeakLimiter(rate) for _ in range(forward_params.get("num_return_sequences", 1))]
        cache, start = HafmCodecCache(), 0
        for output in one_ahead(self.model.stream(**model_inputs, **forward_params)):
            takes = tokenizer.decode(output.codes, start=output.start, length=len(vocal), cache=cache).cpu().numpy()
            last = output.start * tokenizer.config.hop_length + takes.shape[-1] == len(vocal)
            audio = np.stack([limiter(take, last) for limiter, take in zip(limiters, takes, strict=True)])
            yield {
                "audio": audio if len(audio) > 1 else audio[0],
                "sampling_rate": rate,
                "seed": output.seed,
                "start": start,
            }
            start += audio.shape[-1]

    def save_pretrained(
        self,
        save_directory: str | os.PathLike,
        push_to_hub: bool = False,
        max_shard_size: int | str = "50GB",
        **kwargs,
    ):
        """
        Saves model, processor and their code in one folder that `pipeline` loads, with `trust_remote_code=True` where
        this package is not installed.

        Args:
            save_directory: created if missing.
            push_to_hub: also upload it to `repo_id`, by default the name of the folder.
            max_shard_size: of the weight files.
            kwargs: those of `push_to_hub`.
        """
        # Not by the base class, which writes the folder of the task's default checkpoint into every other, and leaves
        # the code out where it came with a checkpoint itself.
        save_directory = Path(save_directory)
        save_directory.mkdir(parents=True, exist_ok=True)
        custom_object_save(self, save_directory)
        implementation = {"impl": f"{Path(__file__).stem}.{type(self).__name__}", "pt": ["AutoModel"], "type": "audio"}
        self.model.config.custom_pipelines = {TASK: implementation}
        try:
            self.model.save_pretrained(save_directory, max_shard_size=max_shard_size)
        finally:
            del self.model.config.custom_pipelines
        self.processor.save_pretrained(save_directory, max_shard_size=max_shard_size)
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", save_directory.name), max_shard_size=max_shard_size, **kwargs)


def load_processor(model) -> HafmProcessor:
    """The processor that was saved with a model. `pipeline` tried before, but does not say what it met with."""
    try:
        return HafmProcessor.from_pretrained(model.name_or_path)
    except OSError as error:
        reason = str(error).split("\n")[0].split(". ")[0].rstrip(".")
        raise ValueError(
            f"{model.name_or_path or 'The model'} has no processor that can be loaded ({reason}); pass one as "
            "`processor`, or save one there: processor_config.json and the folder audio_tokenizer."
        ) from error


def is_dataset(inputs: Any) -> bool:
    """Whether `inputs` is a dataset, or a column of one, of the library `datasets`, rather than one of its rows."""
    from_datasets = type(inputs).__module__.startswith("datasets.")
    return from_datasets and isinstance(inputs, Iterable) and not isinstance(inputs, Mapping)


__all__ = ["TASK", "HafmPipeline"]
