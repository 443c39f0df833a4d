# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
SingSong (Donahue et al., "SingSong: generating musical accompaniments from singing", 2023) on the tokens of HAFM.

An encoder-decoder T5 reads the vocal's semantic tokens and writes the instrumental's semantic tokens and, after them,
its coarse codes (their featurisation "S-SA"); a decoder adds the fine codes. HuBERT and EnCodec stand for w2v-BERT and
SoundStream, and the fine stage is HAFM's, so that the two systems differ in what the paper compares and in nothing else.
"""

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers import AutoConfig, AutoModel, AutoProcessor, PreTrainedModel, T5ForConditionalGeneration

from ...modeling.generation_song_hafm import StageSettingsMixin
from ...modeling.loading_hafm import HafmLoadingMixin
from ...modeling.modeling_hafm import HafmFineModel, HafmOutputWithPast
from ...modeling.processing_hafm import HafmProcessor
from .block_attention_t5 import T5_BLOCKS
from .configuration_singsong import SingSongConfig, SingSongSeq2SeqConfig
from .generation_singsong import SingSongGenerationMixin, SingSongSeq2SeqGenerationMixin


IGNORED = -100


class SingSongPreTrainedModel(HafmLoadingMixin, PreTrainedModel):
    config: SingSongSeq2SeqConfig
    base_model_prefix = "singsong"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _no_split_modules = ["T5Block", "HafmDecoderLayer"]
    _supports_sdpa = True


class SingSongSeq2SeqModel(SingSongPreTrainedModel, SingSongSeq2SeqGenerationMixin):
    """
    The T5. Takes what HAFM's coarse stage takes, so that `HafmCollator` and `HafmTrainer` train both.

    One vocabulary holds padding, the semantic tokens of either stream and the codes of every codebook; a target is
    `[semantic token, ...] [code, code, ...]`, codebooks interleaved frame by frame.
    """

    config: SingSongSeq2SeqConfig
    base_model_prefix = "seq2seq"
    # The loss is a mean over the batch, so Trainer must divide it by the accumulation steps itself.
    accepts_loss_kwargs = False

    def __init__(self, config: SingSongSeq2SeqConfig):
        super().__init__(config)
        self.t5 = T5ForConditionalGeneration._from_config(config.t5_config, attn_implementation=T5_BLOCKS)
        self.post_init()

    def get_input_embeddings(self):
        return self.t5.get_input_embeddings()

    def forward(
        self,
        vocal_semantic_ids: torch.LongTensor,
        instrumental_semantic_ids: torch.LongTensor,
        labels: torch.LongTensor,
        conditioning_mask: torch.Tensor | None = None,
    ) -> HafmOutputWithPast:
        r"""
        vocal_semantic_ids (`torch.LongTensor` of shape `(batch_size, frames)`):
            Semantic tokens of the vocal, 50 a second.
        instrumental_semantic_ids (`torch.LongTensor` of shape `(batch_size, frames)`):
            Semantic tokens of the instrumental, which are predicted first.
        labels (`torch.LongTensor` of shape `(batch_size, sequence_length)`):
            Coarse codes, interleaved, which are predicted then; `-100` is ignored.
        conditioning_mask (`torch.Tensor` of shape `(batch_size, frames)`, *optional*):
            1 for real frames, 0 for padding behind them.

        Returns the loss, the mean over all semantic tokens and codes, and the logits of the codes,
        `(batch_size, sequence_length, vocab_size)`.
        """
        if conditioning_mask is None:
            conditioning_mask = torch.ones_like(vocal_semantic_ids)
        targets, places = self._targets(instrumental_semantic_ids, labels, conditioning_mask)
        outputs = self.t5(
            input_ids=vocal_semantic_ids + self.config.semantic_offset,
            attention_mask=conditioning_mask,
            labels=targets,
            use_cache=False,
        )
        return HafmOutputWithPast(loss=outputs.loss, logits=self._code_logits(outputs.logits, places))

    def _targets(self, semantic_ids, labels, mask) -> tuple[torch.LongTensor, torch.LongTensor]:
        """What the T5 is to write, `(batch_size, frames + sequence_length)`, and where in it each label stands.

        The codes of a shorter clip follow its semantic tokens at once, as they do when it is generated.
        """
        config = self.config
        codebook = torch.arange(labels.shape[1], device=labels.device) % config.num_codebooks
        codes = labels + config.acoustic_offset + config.vocab_size * codebook
        codes = codes.masked_fill(labels == IGNORED, IGNORED)
        semantic = (semantic_ids + config.semantic_offset).masked_fill(mask == 0, IGNORED)
        places = mask.sum(dim=1, keepdim=True) + torch.arange(labels.shape[1], device=labels.device)
        targets = nn.functional.pad(semantic, (0, labels.shape[1]), value=IGNORED)
        return targets.scatter(1, places, codes), places

    def _code_logits(self, logits: torch.Tensor, places: torch.LongTensor) -> torch.Tensor:
        """Of the logits over the whole vocabulary those at the codes' places, and of these each code's codebook's."""
        config = self.config
        logits = logits[..., config.acoustic_offset :].unflatten(-1, (config.num_codebooks, config.vocab_size))
        rows = torch.arange(len(places), device=places.device)[:, None]
        codebook = torch.arange(places.shape[1], device=places.device) % config.num_codebooks
        return logits[rows, places, codebook]


class SingSongForAccompaniment(StageSettingsMixin, SingSongPreTrainedModel, SingSongGenerationMixin):
    """
    The T5 and the fine stage of one checkpoint. `generate` and `stream` turn vocal semantic tokens into codec codes, as
    those of `HafmModel` do, so that `pipeline("vocal-accompaniment")` takes either.
    """

    config: SingSongConfig

    def __init__(self, config: SingSongConfig):
        super().__init__(config)
        self.seq2seq = SingSongSeq2SeqModel._from_config(config.seq2seq_config)
        self.fine = HafmFineModel._from_config(config.fine_config)
        self.post_init()

    @classmethod
    def from_parts(cls, seq2seq: SingSongSeq2SeqModel, fine: HafmFineModel) -> "SingSongForAccompaniment":
        """The model of two parts that were trained apart.

        Raises:
            ValueError: if they do not fit each other.
        """
        try:
            config = SingSongConfig(seq2seq_config=seq2seq.config, fine_config=fine.config)
        except StrictDataclassError as error:
            raise ValueError(f"The parts do not fit each other: {error.__cause__}") from error
        with torch.device("meta"):
            model = cls(config)
        model.seq2seq, model.fine = seq2seq, fine
        return model

    @property
    def stages(self) -> dict[str, HafmFineModel]:
        """What has generation settings of its own."""
        return {"fine": self.fine}

    def get_input_embeddings(self):
        return self.seq2seq.get_input_embeddings()


AutoConfig.register(SingSongSeq2SeqConfig.model_type, SingSongSeq2SeqConfig)
AutoConfig.register(SingSongConfig.model_type, SingSongConfig)
AutoModel.register(SingSongSeq2SeqConfig, SingSongSeq2SeqModel)
AutoModel.register(SingSongConfig, SingSongForAccompaniment)
AutoProcessor.register(SingSongConfig, HafmProcessor)
