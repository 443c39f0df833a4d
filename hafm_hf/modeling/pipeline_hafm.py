# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The `"vocal-accompaniment"` pipeline: a recording of a voice in, an accompaniment and a mix out."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from transformers import Pipeline

from .audio_hafm import load_audio, resample, to_mono
from .loudness_hafm import mix


class HafmPipeline(Pipeline):
    """
    Accompanies vocals: `pipeline("vocal-accompaniment")("vocal.wav", seed=7)`.

    Inputs are what `load_audio` reads, at any rate and of any channels, averaged to mono: a path, an URL, the bytes of
    an audio file, a row of a `datasets` dataset, an array (with `sampling_rate=`) or a dict that holds one. A list
    gives a list; a generator or a dataset gives an iterator. In these, what cannot be read gives
    `{"error": "..."}` in its place and the others are accompanied; alone, it raises.

    The output of one vocal, or of each of several `takes`, is a dict:

    audio (`np.ndarray` of shape `(samples,)`): the accompaniment, float32, as long as the vocal to the sample.
    mix (`np.ndarray` of shape `(samples,)`): both together, the accompaniment as loud as the vocal, never clipped.
    sampling_rate (`int`): of both, that of the model's codec.
    seed (`int`): gives the same accompaniment again.

    Arguments of a call, or of `pipeline(...)` for all calls:
        takes (`int`, defaults to 1): how many accompaniments to make of each vocal. More than one gives a list.
        seed (`int`, *optional*): drawn at random by default.
        guidance_scale, temperature, top_k (*optional*): of all stages; `semantic_temperature` and so on for one.
        seconds (`float`, *optional*): accompany the first so many seconds only.
        sampling_rate (`int`, *optional*): of inputs that do not say it themselves.
        noise (`bool`, *optional*): `False` leaves out the noise that masks separation artifacts (paper, section 3.2).
        batch_size (`int`, defaults to 1): how many vocals of a list share the batches of every stage.
        progress (`bool`, defaults to `True`): a bar on a terminal for longer work.

    Raises:
        ValueError: if an input or an argument cannot be used; one sentence that says what to do.
    """

    _load_processor = True
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.feature_extractor = None  # the base class takes it out of the processor, which is saved whole
        self.processor.audio_tokenizer.to(self.device)

    def _sanitize_parameters(
        self, takes=None, seconds=None, sampling_rate=None, progress=True, **forward_parameters
    ) -> tuple[dict, dict, dict]:
        if takes is not None:
            if takes < 1:
                raise ValueError(f"`takes` is {takes}; ask for at least one.")
            forward_parameters["num_return_sequences"] = takes
        if seconds is not None and seconds <= 0:
            raise ValueError(f"`seconds` is {seconds}; it must be positive.")
        preprocess_parameters = {"seconds": seconds, "sampling_rate": sampling_rate}
        forward_parameters = {name: value for name, value in forward_parameters.items() if value is not None}
        return preprocess_parameters, {"progress": progress, **forward_parameters}, {}

    def preprocess(self, inputs: Any, seconds: float | None = None, sampling_rate: int | None = None) -> np.ndarray:
        """One vocal as a mono waveform `(samples,)` at the processor's rate."""
        clip = load_audio(inputs, sampling_rate)
        waveform = clip.waveform if seconds is None else clip.waveform[:, : round(seconds * clip.sampling_rate)]
        return resample(to_mono(waveform), clip.sampling_rate, self.processor.sampling_rate)

    def _forward(self, vocals: list[np.ndarray], noise: bool | None = None, **generate_kwargs) -> list[list[dict]]:
        """All takes of each vocal."""
        inputs = self.processor(audio=vocals, sampling_rate=self.processor.sampling_rate, noise=noise)
        output = self.model.generate(**inputs, **generate_kwargs)
        takes = len(output.codes) // len(vocals)
        rows = [vocal for vocal in vocals for _ in range(takes)]
        audio = self.processor.batch_decode(output.codes, lengths=[len(vocal) for vocal in rows])
        results = [
            {"audio": audio, "vocal": vocal, "seed": output.seed} for audio, vocal in zip(audio, rows, strict=True)
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
        The accompaniment of one vocal in pieces, each as soon as it is there; joined they are what a call returns.

        Yields dicts with `audio` (`np.ndarray` of shape `(samples,)`, or `(takes, samples)` for several),
        `sampling_rate`, `seed` and `start`, the piece's first sample.
        """
        preprocess_params, forward_params, _ = self._sanitize_parameters(**kwargs)
        vocal = self.preprocess(inputs, **(self._preprocess_params | preprocess_params))
        forward_params = self._forward_params | forward_params
        rate, tokenizer = self.processor.sampling_rate, self.processor.audio_tokenizer
        model_inputs = self.processor(audio=vocal, sampling_rate=rate, noise=forward_params.pop("noise", None))
        for output in self.model.stream(**model_inputs, **forward_params):
            audio = tokenizer.decode(output.codes, start=output.start, length=len(vocal)).cpu().numpy()
            yield {
                "audio": audio if len(audio) > 1 else audio[0],
                "sampling_rate": rate,
                "seed": output.seed,
                "start": output.start * tokenizer.config.hop_length,
            }

    def save_pretrained(self, save_directory, **kwargs):
        """Model and processor, in one folder that `pipeline` loads."""
        super().save_pretrained(save_directory, **kwargs)
        self.processor.save_pretrained(save_directory, **kwargs)


__all__ = ["HafmPipeline"]
