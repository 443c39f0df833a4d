# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What turns audio into the embeddings that distances are measured on, behind one small interface.

`Embedder.name` belongs beside every number: distances of different embedders, or presets, do not compare.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub.errors import HFValidationError
from tqdm import tqdm
from transformers import AutoFeatureExtractor, ClapAudioModelWithProjection, EncodecModel, HubertModel

from ..modeling.processing_hafm import HafmProcessor
from .audio_input import load_mono
from .vggish import SAMPLING_RATE as VGGISH_RATE
from .vggish import WHERE_FROM, load_vggish, vggish_log_mel, vggish_preset, vggish_windows


HAFM_TINY = Path(__file__).parents[1] / "checkpoints" / "hafm-tiny"


class Embedder(ABC):
    """Maps audio to embeddings.

    Attributes:
        name: what to print beside a number: the model and all that changes the number.
        sampling_rate: the rate (Hz) the model hears.
    """

    name: str
    sampling_rate: int

    def __call__(self, source: Any, sampling_rate: int | None = None) -> np.ndarray:
        """Audio, whatever `load_audio` reads, at any rate, to embeddings [n, d], float32; n grows with the duration.

        Raises:
            ValueError: the audio cannot be used, or is too short for one embedding.
        """
        with torch.no_grad():
            return self.embed(load_mono(source, sampling_rate, self.sampling_rate))

    @abstractmethod
    def embed(self, audio: np.ndarray) -> np.ndarray:
        """Checked float32 audio [samples] at `self.sampling_rate` to embeddings [n, d]."""


def embed_tracks(embedder: Embedder, sources: Iterable[Any], sampling_rate: int | None = None) -> Iterator[np.ndarray]:
    """Embeddings [n, d] of each track, one in memory at a time, with a progress bar."""
    for source in tqdm(sources, desc=embedder.name, unit="track"):
        yield embedder(source, sampling_rate)


class VggishEmbedder(Embedder):
    """VGGish, the embedder of the paper's FAD; see `vggish.py` for the presets and for where the weights come from."""

    sampling_rate = VGGISH_RATE
    batch = 32

    def __init__(self, weights: str | Path | None = None, preset: str = "google", device: str = "cpu"):
        if weights is None:
            raise ValueError(f"VGGish needs the path or Hub id of its weights. {WHERE_FROM}")
        vggish_preset(preset)  # a wrong name should not wait for the first track
        self.name = f"vggish-{preset}"
        self.preset, self.device = preset, device
        self.model = load_vggish(weights).to(device)

    def embed(self, audio: np.ndarray) -> np.ndarray:
        windows = vggish_windows(audio, self.preset)
        batches = (vggish_log_mel(windows[start : start + self.batch]) for start in range(0, len(windows), self.batch))
        return np.concatenate([self.model(torch.from_numpy(batch).to(self.device)).cpu().numpy() for batch in batches])


class ClapEmbedder(Embedder):
    """CLAP's audio tower (Wu et al., ICASSP 2023): one embedding of unit length for every 10 s.

    Shorter audio is repeated to 10 s, as in training; a remainder after the first 10 s is dropped.
    """

    def __init__(self, model: str | Path = "laion/larger_clap_music", device: str = "cpu"):
        self.model = _pretrained(ClapAudioModelWithProjection, model).to(device)
        self.extractor = _pretrained(AutoFeatureExtractor, model)
        self.name = f"clap-{Path(model).name}"
        self.sampling_rate = self.extractor.sampling_rate

    def embed(self, audio: np.ndarray) -> np.ndarray:
        window = self.extractor.nb_max_samples
        starts = range(0, max(len(audio) - window, 0) + 1, window)
        return np.concatenate([self._embed_window(audio[start : start + window]) for start in starts])

    def _embed_window(self, audio: np.ndarray) -> np.ndarray:
        inputs = self.extractor(audio, sampling_rate=self.sampling_rate, return_tensors="pt").to(self.model.device)
        return torch.nn.functional.normalize(self.model(**inputs).audio_embeds, dim=-1).cpu().numpy()


class EncodecEmbedder(Embedder):
    """EnCodec's encoder before quantisation (Défossez et al., TMLR 2023): one embedding a frame, 75 a second."""

    def __init__(self, model: str | Path = "facebook/encodec_24khz", device: str = "cpu"):
        self.model = _pretrained(EncodecModel, model).to(device)
        if self.model.config.audio_channels != 1:
            raise ValueError(f"{model} is a codec for stereo; use a mono one, as facebook/encodec_24khz")
        self.name = f"encodec-{Path(model).name}"
        self.sampling_rate = self.model.config.sampling_rate

    def embed(self, audio: np.ndarray) -> np.ndarray:
        return encodec_latents(self.model, audio)


def encodec_latents(model: EncodecModel, audio: np.ndarray) -> np.ndarray:
    """Latents [75 T, d] of mono audio [samples] at the model's rate, before quantisation."""
    pieces = _pieces(audio, model.config.sampling_rate)
    latents = [model.encoder(torch.from_numpy(piece).to(model.device)[None, None]) for piece in pieces]
    return torch.cat(latents, dim=-1)[0].T.cpu().numpy()


class HubertEmbedder(Embedder):
    """One layer of HuBERT (Hsu et al., TASLP 2021), by default the one the paper quantises: 50 embeddings a second."""

    def __init__(self, model: str | Path = "facebook/hubert-large-ll60k", layer: int = 9, device: str = "cpu"):
        self.model = _pretrained(HubertModel, model).to(device)
        if not 0 <= layer <= self.model.config.num_hidden_layers:
            raise ValueError(f"{model} has layers 0 to {self.model.config.num_hidden_layers}, not {layer}")
        # Later layers change nothing; one is kept so that the final norm stays off the layer read.
        del self.model.encoder.layers[layer + 1 :]
        self.extractor = _pretrained(AutoFeatureExtractor, model)
        self.layer = layer
        self.name = f"hubert-{Path(model).name}-layer{layer}"
        self.sampling_rate = self.extractor.sampling_rate

    def embed(self, audio: np.ndarray) -> np.ndarray:
        values = self.extractor(audio, sampling_rate=self.sampling_rate, return_tensors="np")["input_values"][0]
        return np.concatenate([self._embed_piece(piece) for piece in _pieces(values, self.sampling_rate)])

    def _embed_piece(self, values: np.ndarray) -> np.ndarray:
        inputs = torch.from_numpy(values).to(self.model.device)[None]
        return self.model(inputs, output_hidden_states=True).hidden_states[self.layer][0].cpu().numpy()


class TokenizerEmbedder(Embedder):
    """What the audio tokenizer of a HAFM checkpoint hears, before quantisation; by default hafm-tiny, always at hand.

    Args:
        checkpoint: a `HafmProcessor`, or the folder or Hub id of one.
        part: "acoustic", the codec's latents, 75 a second, which hear fidelity; or "semantic", the HuBERT layer that is
            quantised, 50 a second, which hears content.
    """

    def __init__(
        self, checkpoint: HafmProcessor | str | Path = HAFM_TINY, part: str = "acoustic", device: str = "cpu"
    ):
        if part not in ("acoustic", "semantic"):
            raise ValueError(f"a tokenizer has the parts acoustic and semantic, not {part!r}")
        if not isinstance(checkpoint, HafmProcessor):
            checkpoint = _pretrained(HafmProcessor, checkpoint)
        self.processor, self.part = checkpoint, part
        self.tokenizer = checkpoint.audio_tokenizer.to(device)
        self.name = f"{Path(self.tokenizer.name_or_path).name or 'tokenizer'}-{part}"
        self.sampling_rate = checkpoint.sampling_rate

    def embed(self, audio: np.ndarray) -> np.ndarray:
        if self.part == "acoustic":
            return encodec_latents(self.tokenizer.acoustic_model, audio)
        return self.tokenizer.semantic_features(**self.processor.semantic_inputs([audio]))[0].cpu().numpy()


def _pieces(audio: np.ndarray, sampling_rate: int, seconds: int = 30) -> list[np.ndarray]:
    """Equal pieces of at most 30 s, so that memory does not grow with the song and no piece is a scrap."""
    if len(audio) < sampling_rate // 10:
        raise ValueError(f"{len(audio) / sampling_rate:.3f} s of audio are too short: embeddings need 0.1 s")
    return np.array_split(audio, math.ceil(len(audio) / (seconds * sampling_rate)))


def _pretrained(cls: type, model: str | Path):
    is_model = issubclass(cls, torch.nn.Module)
    try:
        loaded = cls.from_pretrained(model, **({"use_safetensors": True} if is_model else {}))
    except (OSError, HFValidationError) as error:
        raise ValueError(
            f"{model}: not found here or on the Hub ({cls.__name__}); pass the path of a folder saved by save_pretrained"
        ) from error
    return loaded.requires_grad_(False).eval() if is_model else loaded
