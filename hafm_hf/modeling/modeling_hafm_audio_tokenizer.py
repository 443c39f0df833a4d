# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""PyTorch audio tokenizer of HAFM (paper, section 3.2).

Semantic tokens are the nearest k-means centroids of a HuBERT layer, 50 a second; acoustic codes are EnCodec's, 75 frames
a second. Every input gives exactly `ceil(samples / hop)` frames, whatever its length. Long inputs run in windows:

* the HuBERT in chunks of `chunk_seconds` with context on both sides, each normalised with the whole input;
* the convolutions of the codec in windows that overlap by all they can see, its LSTMs in one pass. Codes and waveforms
  therefore equal those of one pass over the whole input, and a piece decoded alone equals that piece of the whole. A
  stream of pieces carries the LSTM's state in a `HafmCodecCache`, so that a piece costs the same wherever it lies.
"""

import copy
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModel
from transformers import initialization as init
from transformers.modeling_utils import PreTrainedAudioTokenizerBase, PreTrainedModel

from .configuration_hafm_audio_tokenizer import HafmAudioTokenizerConfig
from .loading_hafm import HafmLoadingMixin


class Window(NamedTuple):
    """Frames `start:stop` of a row, run through a network for the sake of frames `first:last`."""

    row: int
    start: int
    first: int
    last: int
    stop: int


@dataclass
class HafmCodecCache:
    """
    What `HafmAudioTokenizer.decode` carries from piece to piece of a stream; a new stream starts with an empty one.

    Attributes:
        num_frames (`int`): frames that the LSTM of the codec has read.
        states (`list` of pairs of `torch.Tensor` of shape `(layers, rows, channels)`):
            its state behind them, one pair for each batch of rows that run together.
    """

    num_frames: int = 0
    states: list[tuple[torch.Tensor, torch.Tensor] | None] = field(default_factory=list)


def make_windows(lengths: list[int], chunk: int, context: int, start: int = 0, end: int | None = None) -> list[Window]:
    """Windows that cover frames `start:end` of rows of the given lengths in steps of `chunk`, with context around each."""
    windows = []
    for row, length in enumerate(lengths):
        for first in range(start, end or length, chunk):
            last = min(first + chunk, end or length)
            windows.append(Window(row, max(first - context, 0), first, last, min(last + context, length)))
    return windows


def run_equal_lengths(network: Callable, pieces: list[torch.Tensor], batch_size: int):
    """Yields `(index, network(piece))` for every piece; pieces of equal length share batches, so none is ever padded."""
    by_length = defaultdict(list)
    for index, piece in enumerate(pieces):
        by_length[piece.shape[-1]].append(index)
    for indices in by_length.values():
        for i in range(0, len(indices), batch_size):
            batch = indices[i : i + batch_size]
            yield from zip(batch, network(torch.stack([pieces[j] for j in batch])), strict=True)


def run_in_windows(
    network: Callable,
    windows: list[Window],
    pieces: list[torch.Tensor],
    num_frames: int,
    batch_size: int,
    hop: int = 1,
) -> torch.Tensor:
    """Runs `network` over the piece of each window and joins what it gives for frames `first:last`, `hop` values each.

    Returns:
        Tensor of shape `(rows, ..., num_frames * hop)`, zero where no window reaches.
    """
    joined = None
    origin = windows[0].first
    for index, output in run_equal_lengths(network, pieces, batch_size):
        row, start, first, last, _ = windows[index]
        if joined is None:
            joined = output.new_zeros(windows[-1].row + 1, *output.shape[:-1], num_frames * hop)
        joined[row, ..., (first - origin) * hop : (last - origin) * hop] = output[
            ..., (first - start) * hop : (last - start) * hop
        ]
    return joined


def load_centroids(centroids: torch.Tensor | np.ndarray | str | Path) -> torch.Tensor:
    """Centroids as a float32 tensor, from an array or from a `.safetensors` (its only tensor) or `.npy` file.

    Raises:
        ValueError: for any other file; those of scikit-learn and fairseq are pickles, which can run code when opened.
    """
    if isinstance(centroids, (str, Path)):
        path, suffix = centroids, Path(centroids).suffix
        if suffix == ".safetensors":
            tensors = load_file(path)
            if len(tensors) != 1:
                raise ValueError(f"{path} holds {len(tensors)} tensors; it must hold the centroids alone.")
            (centroids,) = tensors.values()
        elif suffix == ".npy":
            centroids = np.load(path, allow_pickle=False)
        else:
            raise ValueError(
                f"{path} is not a .safetensors or .npy file but probably a pickle, which is never opened here; convert it "
                "where you trust it: numpy.save('centroids.npy', joblib.load(path).cluster_centers_)."
            )
    return torch.as_tensor(centroids).float()


class HafmAudioTokenizer(HafmLoadingMixin, PreTrainedAudioTokenizerBase):
    """Waveforms to semantic tokens and acoustic codes, and codes back to waveforms (paper, section 3.2).

    It has no training mode: `train()` leaves it in evaluation mode, so that tokens are always deterministic.

    `input_values` come from the feature extractors that [`HafmProcessor`] holds, which know the normalisation each
    network was trained with. All methods take `chunk_batch_size`, the number of equally long pieces that run together;
    at 1 a row is computed with no other and so cannot depend on them even in the last bit of a float.
    """

    config: HafmAudioTokenizerConfig
    main_input_name = "input_values"
    input_modalities = "audio"
    _keep_in_fp32_modules_strict = ["acoustic_model", "centroids"]

    def __init__(self, config: HafmAudioTokenizerConfig):
        super().__init__(config)
        semantic_config = copy.deepcopy(config.semantic_model_config)
        semantic_config.num_hidden_layers = config.semantic_layer
        self.semantic_model = AutoModel.from_config(semantic_config)
        if semantic_config.do_stable_layer_norm:
            # This normalisation belongs behind the last layer, which is gone.
            self.semantic_model.encoder.layer_norm = nn.Identity()
        self.centroids = nn.Buffer(torch.empty(config.num_clusters, semantic_config.hidden_size))
        self.acoustic_model = AutoModel.from_config(config.acoustic_model_config)
        self.post_init()
        self.eval()

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if module is self:
            init.normal_(self.centroids)

    def train(self, mode: bool = True):
        return super().train(False)

    @classmethod
    def from_parts(
        cls,
        hubert: PreTrainedModel | str | Path,
        codec: PreTrainedModel | str | Path,
        centroids: torch.Tensor | np.ndarray | str | Path | None = None,
        **config,
    ) -> "HafmAudioTokenizer":
        """Builds a tokenizer from a HuBERT, an EnCodec and k-means centroids.

        Args:
            hubert: a HuBERT, or the local folder or Hub id of one with safetensors weights.
            codec: an EnCodec, likewise.
            centroids: `(num_clusters, hidden_size)`, as array or as `.safetensors` or `.npy` file. Without them they are
                random, which is enough for `semantic_features`, on which they can then be fitted.
            config: further fields of [`HafmAudioTokenizerConfig`].

        Raises:
            ValueError: if the centroids are a pickle or do not fit the HuBERT.
        """
        hubert, codec = (
            part if isinstance(part, PreTrainedModel) else AutoModel.from_pretrained(part, use_safetensors=True)
            for part in (hubert, codec)
        )
        hubert = hubert.base_model
        if centroids is not None:
            centroids = load_centroids(centroids)
            expected = (config.setdefault("num_clusters", len(centroids)), hubert.config.hidden_size)
            if centroids.shape != expected or not centroids.isfinite().all():
                raise ValueError(
                    f"The centroids have shape {tuple(centroids.shape)}; this HuBERT needs finite ones of shape {expected}."
                )
        sub_configs = {"semantic_model_config": hubert.config, "acoustic_model_config": codec.config}
        sub_configs = {name: sub_config.to_dict() | {"dtype": None} for name, sub_config in sub_configs.items()}
        tokenizer = cls(HafmAudioTokenizerConfig(**sub_configs, **config))
        kept = tokenizer.semantic_model.state_dict().keys()
        tokenizer.semantic_model.load_state_dict({k: v for k, v in hubert.state_dict().items() if k in kept})
        tokenizer.acoustic_model.load_state_dict(codec.state_dict())
        if centroids is not None:
            tokenizer.centroids.copy_(centroids)
        return tokenizer

    def _rows(self, input_values: torch.Tensor, padding_mask: torch.Tensor | None) -> tuple[torch.Tensor, list[int]]:
        """Waveforms `(batch, samples)` on this device, zero where padded, and the number of samples of each."""
        if input_values.dim() == 3 and input_values.shape[1] == 1:
            input_values = input_values[:, 0]
        if input_values.dim() != 2:
            raise ValueError(f"`input_values` has shape {tuple(input_values.shape)}; expected mono, (batch, samples).")
        if padding_mask is None:
            padding_mask = torch.ones_like(input_values)
        padding_mask = padding_mask.bool()
        lengths = padding_mask.sum(-1).tolist()
        if min(lengths) < 1:
            raise ValueError(f"Row {lengths.index(0)} of `input_values` holds no audio.")
        return (input_values * padding_mask).to(self.device), lengths

    def _on_semantic_grid(self, network, input_values, padding_mask, chunk_batch_size):
        """Runs `network`, from windows `(batch, samples)` to `(batch, ..., frames)`, over chunks of whole rows."""
        config, hop = self.config, self.config.semantic_hop_length
        waveforms, lengths = self._rows(input_values, padding_mask)
        num_frames = -(-waveforms.shape[-1] // hop)
        # The last frame of a window is computed from more samples than the hop: the next ones, or zeros behind the end.
        overhang = config.semantic_window_length - hop
        waveforms = nn.functional.pad(waveforms, (0, num_frames * hop + overhang - waveforms.shape[-1]))
        windows = make_windows(
            [-(-length // hop) for length in lengths],
            config.semantic_chunk_frames,
            config.semantic_context_frames,
        )
        pieces = [waveforms[w.row, w.start * hop : w.stop * hop + overhang] for w in windows]
        return run_in_windows(network, windows, pieces, num_frames, chunk_batch_size)

    def _semantic_network(self, waveforms: torch.Tensor) -> torch.Tensor:
        """`(batch, samples)` to `(batch, hidden_size, frames)`."""
        return self.semantic_model(waveforms.to(self.semantic_model.dtype)).last_hidden_state.float().transpose(1, 2)

    def _nearest_centroids(self, features: torch.Tensor) -> torch.LongTensor:
        """Ids `(batch, frames)` of the centroids at the least squared distance, without the term they share."""
        return (self.centroids.pow(2).sum(-1)[:, None] - 2 * self.centroids @ features).argmin(1)

    @torch.no_grad()
    def semantic_features(
        self, input_values: torch.Tensor, padding_mask: torch.Tensor | None = None, chunk_batch_size: int = 1
    ) -> torch.FloatTensor:
        """What the centroids are fitted on and compared with: the output of layer `semantic_layer`.

        Args:
            input_values: `(batch, samples)` at `semantic_sampling_rate`, normalised as the HuBERT expects.
            padding_mask: `(batch, samples)`, 1 on audio and 0 on the padding behind it.

        Returns:
            `(batch, ceil(samples / semantic_hop_length), hidden_size)`, zero on the padding.
        """
        features = self._on_semantic_grid(self._semantic_network, input_values, padding_mask, chunk_batch_size)
        return features.transpose(1, 2)

    @torch.no_grad()
    def encode_semantic(
        self, input_values: torch.Tensor, padding_mask: torch.Tensor | None = None, chunk_batch_size: int = 1
    ) -> torch.LongTensor:
        """Semantic tokens.

        Args:
            input_values: `(batch, samples)` at `semantic_sampling_rate`, normalised as the HuBERT expects.
            padding_mask: `(batch, samples)`, 1 on audio and 0 on the padding behind it.

        Returns:
            `(batch, ceil(samples / semantic_hop_length))` in `[0, num_clusters)`. A row has
            `ceil(its samples / semantic_hop_length)` tokens, the ones it has alone; behind them come zeros.
        """
        return self._on_semantic_grid(
            lambda waveforms: self._nearest_centroids(self._semantic_network(waveforms)),
            input_values,
            padding_mask,
            chunk_batch_size,
        )

    @torch.no_grad()
    def encode_acoustic(
        self, input_values: torch.Tensor, padding_mask: torch.Tensor | None = None, chunk_batch_size: int = 1
    ) -> torch.LongTensor:
        """Codes of the codec, those of one pass over each whole row.

        Args:
            input_values: `(batch, samples)` or `(batch, 1, samples)` at `sampling_rate`, full scale 1.
            padding_mask: `(batch, samples)`, 1 on audio and 0 on the padding behind it.

        Returns:
            `(batch, num_codebooks, ceil(samples / hop_length))` in `[0, codebook_size)`. A row has
            `ceil(its samples / hop_length)` frames; behind them come zeros.
        """
        config, hop = self.config, self.config.hop_length
        waveforms, lengths = self._rows(input_values, padding_mask)
        waveforms = waveforms.to(self.acoustic_model.dtype)
        frames = [-(-length // hop) for length in lengths]
        layers = self.acoustic_model.encoder.layers
        recurrent = _recurrent_layer(layers)
        windows = make_windows(frames, config.chunk_frames, config.context_frames)
        # A row ends where its audio ends, not with its last frame, for the codec pads in its own way.
        pieces = [waveforms[w.row, None, w.start * hop : min(w.stop * hop, lengths[w.row])] for w in windows]
        latents = run_in_windows(nn.Sequential(*layers[:recurrent]), windows, pieces, max(frames), chunk_batch_size)

        codes = latents.new_zeros(len(frames), config.num_codebooks, -(-waveforms.shape[-1] // hop), dtype=torch.long)
        pieces = [latents[row, :, :length] for row, length in enumerate(frames)]
        for row, row_codes in run_equal_lengths(
            lambda latents: self._quantize(nn.Sequential(*layers[recurrent:])(latents)), pieces, chunk_batch_size
        ):
            codes[row, :, : frames[row]] = row_codes
        return codes

    # The base class means by encoding the inverse of `decode`.
    encode = encode_acoustic

    def _quantize(self, embeddings: torch.Tensor) -> torch.LongTensor:
        """`(batch, hidden_size, frames)` to codes `(batch, num_codebooks, frames)`."""
        return self.acoustic_model.quantizer.encode(embeddings, self.config.bandwidth).transpose(0, 1)

    @torch.no_grad()
    def decode(
        self,
        codes: torch.LongTensor,
        length: int | None = None,
        start: int = 0,
        end: int | None = None,
        chunk_batch_size: int = 1,
        cache: HafmCodecCache | None = None,
    ) -> torch.FloatTensor:
        """Waveforms, those of one pass over all frames of `codes`.

        Args:
            codes: `(batch, codebooks, frames)` in `[0, codebook_size)`; the first codebooks suffice for a coarser sound.
            length: samples of the whole waveform where they are fewer than `frames * hop_length`.
            start, end: decode only these frames, as they sound among all of `codes`. A codec with causal convolutions
                needs no later frames, so what is decoded while codes are still being generated is final.
            cache: what the calls for the pieces before, of the same rows, have left, and where this one leaves it to the
                next. It changes nothing but the time, which without it grows with `start`.

        Returns:
            `(batch, samples)` at `sampling_rate`, `hop_length` samples a frame.

        Raises:
            ValueError: if the codes have another shape or range, `start:end` is not within them, or the cache is of
                later frames.
        """
        config, hop = self.config, self.config.hop_length
        if codes.dim() != 3 or not 1 <= codes.shape[1] <= config.num_codebooks:
            raise ValueError(
                f"`codes` has shape {tuple(codes.shape)}; expected (batch, up to {config.num_codebooks} codebooks, frames)."
            )
        batch_size, _, num_frames = codes.shape
        end = num_frames if end is None else end
        if not 0 <= start < end <= num_frames:
            raise ValueError(f"Cannot decode frames {start} to {end} of {num_frames}.")
        if codes.min() < 0 or codes.max() >= config.codebook_size:
            raise ValueError(f"`codes` must be within 0 and {config.codebook_size - 1}.")

        cache = HafmCodecCache() if cache is None else cache
        windows = make_windows([num_frames] * batch_size, config.chunk_frames, config.context_frames, start, end)
        first = cache.num_frames
        if first > windows[0].start:
            raise ValueError(f"The cache is of frame {first}, too late for frame {start}; decode pieces in order.")
        latents = self._decoder_latents(codes, end, chunk_batch_size, cache)
        pieces = [latents[w.row, :, w.start - first : w.stop - first] for w in windows]
        layers = self.acoustic_model.decoder.layers
        convolutions = nn.Sequential(*layers[_recurrent_layer(layers) + 1 :])
        waveforms = run_in_windows(convolutions, windows, pieces, end - start, chunk_batch_size, hop)[:, 0].float()
        return waveforms if length is None else waveforms[:, : max(length - start * hop, 0)]

    def _decoder_latents(
        self, codes: torch.LongTensor, end: int, chunk_batch_size: int, cache: HafmCodecCache
    ) -> torch.Tensor:
        """
        The decoder up to its LSTM: codes `(batch, codebooks, frames)` to `(batch, channels, frames from the cache's on)`.
        Moves the cache to where a piece that starts at frame `end` needs it.
        """
        layers = self.acoustic_model.decoder.layers
        recurrent = _recurrent_layer(layers)
        convolutions = nn.Sequential(*layers[:recurrent])
        # How many frames the convolutions before and behind the LSTM see to either side.
        reach = max(self.config.acoustic_model_config.kernel_size - 1, self.config.context_frames)
        first, settled = cache.num_frames, max(end - reach, cache.num_frames)
        context = min(first, reach)
        batches = codes[..., first - context : end + 2 * reach].to(self.device).split(chunk_batch_size)
        latents, states = [], []
        for batch, state in zip(batches, cache.states or [None] * len(batches), strict=True):
            frames = convolutions(self.acoustic_model.quantizer.decode(batch.transpose(0, 1)))[..., context:]
            output, state = _run_lstm(layers[recurrent], frames, state, settled - first)
            latents.append(output)
            states.append(state)
        cache.num_frames, cache.states = settled, states
        return torch.cat(latents)


def _run_lstm(layer: nn.Module, frames: torch.Tensor, state: tuple | None, settled: int) -> tuple[torch.Tensor, tuple]:
    """What an `EncodecLSTM` makes of `(batch, channels, frames)` from `state` on, and its state behind the first `settled`."""
    steps = frames.permute(2, 0, 1)
    outputs = []
    if settled:
        output, state = layer.lstm(steps[:settled], state)
        outputs.append(output)
    outputs.append(layer.lstm(steps[settled:], state)[0])
    return (torch.cat(outputs) + steps).permute(1, 2, 0), state


def _recurrent_layer(layers: nn.ModuleList) -> int:
    """Where the LSTM stands among the layers of an EnCodec encoder or decoder; all the others are convolutions."""
    return next(index for index, layer in enumerate(layers) if hasattr(layer, "lstm"))


HafmAudioTokenizer.register_for_auto_class("AutoModel")

__all__ = ["HafmAudioTokenizer", "HafmCodecCache"]
