# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
The paper's equations once more, to hold the model against: float64 numpy, one row and one attention head at a time, no
cache, no padding, nothing fused, nothing shared with the model but its weights.

A padded row is compared with the same row without its padding: padding must have no effect at all.
"""

import math
from fractions import Fraction

import numpy as np
import torch


class ReferenceStage:
    """One stage of the paper, section 3.4, on the weights of `model`."""

    def __init__(self, model: torch.nn.Module):
        self.config = model.config
        self.weights = {name: value.double().numpy() for name, value in model.state_dict().items()}

    def logits(self, tokens: list[int], conditioning: dict[str, np.ndarray], dropped: bool = False) -> np.ndarray:
        """
        Args:
            tokens: BOS and the interleaved tokens after it.
            conditioning: Codes `(codebooks, frames)` of each source.
            dropped: Whether the conditioning is dropped, as it is for the unconditional half of guidance.

        Returns:
            Scores `(len(tokens), vocab_size)` of the token after each of `tokens`.
        """
        config, weights = self.config, self.weights
        sequence = []
        for segment, source in enumerate(config.conditioning_sources):
            for frame in range(conditioning[source].shape[1]):
                sequence.append(self.conditioning_embedding(source, segment, conditioning[source][:, frame], dropped))
        prefix = len(sequence)
        for t, token in enumerate(tokens):
            sequence.append(self.token_embedding(t, token))

        hidden = np.array(sequence)
        bias = self.position_bias(len(hidden))
        if config.conditioning_time_bias:
            self.put_conditioning_bias(bias, prefix // len(config.conditioning_sources), len(tokens))
        for layer in range(config.num_hidden_layers):
            name = f"decoder.layers.{layer}"
            hidden = hidden + self.attention(self.norm(hidden, f"{name}.input_layernorm"), f"{name}.self_attn", bias)
            hidden = hidden + self.feed_forward(self.norm(hidden, f"{name}.post_attention_layernorm"), f"{name}.mlp")
        hidden = self.norm(hidden, "decoder.norm")[prefix:]
        return np.array([weights[f"lm_heads.{t % config.num_codebooks}.weight"] @ x for t, x in enumerate(hidden)])

    def guided_logits(self, tokens: list[int], conditioning: dict[str, np.ndarray], scale: float) -> np.ndarray:
        """Equation 5."""
        conditional = self.logits(tokens, conditioning)
        unconditional = self.logits(tokens, conditioning, dropped=True)
        return unconditional + scale * (conditional - unconditional)

    def loss(self, labels: list[list[int]], conditioning: list[dict[str, np.ndarray]]) -> float:
        """Equation 6 over a batch: the mean over each codebook's labels, then over codebooks. Labels of -100 are left out."""
        losses = [[] for _ in range(self.config.num_codebooks)]
        for row_labels, row_conditioning in zip(labels, conditioning, strict=True):
            inputs = [self.config.vocab_size] + [max(label, 0) for label in row_labels[:-1]]
            for t, scores in enumerate(self.logits(inputs, row_conditioning)):
                if row_labels[t] != -100:
                    log_normalizer = math.log(sum(math.exp(score) for score in scores))
                    losses[t % self.config.num_codebooks].append(log_normalizer - scores[row_labels[t]])
        return sum(sum(loss) / len(loss) for loss in losses) / len(losses)

    def conditioning_embedding(self, source: str, segment: int, codes: np.ndarray, dropped: bool) -> np.ndarray:
        """`E_cond`, summed over the codebooks, and `E_seg`. Dropped, the mask token or zeros stand for the former."""
        config, rows = self.config, self.config.conditioning_vocab_size + 1
        table = self.weights[f"embeddings.conditioning.{source}.weight"]
        embedding = np.zeros(config.hidden_size)
        for codebook, code in enumerate(codes):
            if not dropped:
                embedding = embedding + table[codebook * rows + code]
            elif config.conditioning_dropout_mode == "mask_token":
                embedding = embedding + table[codebook * rows + rows - 1]
        return embedding + self.weights["embeddings.segment.weight"][segment]

    def token_embedding(self, t: int, token: int) -> np.ndarray:
        """`E_pred` of the codebook that `token` is from, `E_qoff` of the codebook predicted next, and `E_seg`."""
        config, rows = self.config, self.config.vocab_size + 1
        own_codebook, next_codebook = (t - 1) % config.num_codebooks, t % config.num_codebooks
        return (
            self.weights["embeddings.tokens.weight"][own_codebook * rows + token]
            + self.weights["embeddings.codebook.weight"][next_codebook]
            + self.weights["embeddings.segment.weight"][len(config.conditioning_sources)]
        )

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        """Equation 2."""
        mean_square = (x * x).mean(axis=-1, keepdims=True)
        return x / np.sqrt(mean_square + self.config.rms_norm_eps) * self.weights[f"{name}.weight"]

    def position_bias(self, length: int) -> np.ndarray:
        """`B`, `(heads, length, length)`, minus infinity where the key comes after its query."""
        table = self.weights["decoder.relative_position_bias.relative_attention_bias.weight"]
        bias = np.full((self.config.num_attention_heads, length, length), -np.inf)
        for query in range(length):
            for key in range(query + 1):
                bias[:, query, key] = table[self.bucket(query - key)]
        return bias

    def put_conditioning_bias(self, bias: np.ndarray, frames: int, tokens: int) -> None:
        """Replaces the bias of conditioning keys: how long before or after the query they sound decides, not how far away."""
        config = self.config
        table = self.weights["decoder.conditioning_bias.relative_attention_bias.weight"]
        sources, buckets = len(config.conditioning_sources), config.relative_attention_num_buckets
        times = [frame for _ in range(sources) for frame in range(frames)]
        for t in range(tokens):
            seconds = Fraction(t // config.num_codebooks, config.frame_rate)
            times.append(math.floor(seconds * config.conditioning_frame_rate))
        for query, time in enumerate(times):
            for key in range(min(query + 1, sources * frames)):
                distance = time - times[key]
                row = key // frames * buckets + self.bucket(abs(distance), buckets // 2)
                bias[:, query, key] = table[row + (buckets // 2 if distance < 0 else 0)]

    def bucket(self, distance: int, buckets: int | None = None) -> int:
        """T5's buckets: one for each short distance, then as many again, evenly spaced in the logarithm."""
        max_distance = self.config.relative_attention_max_distance
        buckets = buckets or self.config.relative_attention_num_buckets
        exact = buckets // 2
        if distance < exact:
            return distance
        if distance >= max_distance:
            return buckets - 1
        progress = math.log(distance / exact) / math.log(max_distance / exact)
        return exact + math.floor(progress * (buckets - exact))

    def attention(self, x: np.ndarray, name: str, bias: np.ndarray) -> np.ndarray:
        """Equation 3, head by head. `W_QKV` holds all queries, then all keys, then all values."""
        heads, size = self.config.num_attention_heads, self.config.head_dim
        queries, keys, values = np.split(x @ self.weights[f"{name}.qkv_proj.weight"].T, 3, axis=1)
        outputs = []
        for head in range(heads):
            columns = slice(head * size, (head + 1) * size)
            query = self.norm(queries[:, columns], f"{name}.q_norm")
            key = self.norm(keys[:, columns], f"{name}.k_norm")
            scores = np.exp(query @ key.T / math.sqrt(size) + bias[head])
            outputs.append(scores / scores.sum(axis=1, keepdims=True) @ values[:, columns])
        return np.concatenate(outputs, axis=1) @ self.weights[f"{name}.o_proj.weight"].T

    def feed_forward(self, x: np.ndarray, name: str) -> np.ndarray:
        """Equation 4. `W_1` comes before `W_2` in their joint projection."""
        w1, w2 = np.split(self.weights[f"{name}.gate_up_proj.weight"], 2, axis=0)
        gate = x @ w1.T
        gelu = gate * 0.5 * (1 + np.vectorize(math.erf)(gate / math.sqrt(2)))
        return (gelu * (x @ w2.T)) @ self.weights[f"{name}.down_proj.weight"].T
