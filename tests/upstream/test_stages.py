# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""The three stages pass transformers' own common tests of models, configurations, generation and training."""

import unittest
from functools import partialmethod
from unittest.mock import patch

import torch
from transformers_tests import (
    HAS_GENERATION_TESTS,
    ConfigTester,
    GenerationTesterMixin,
    ModelTesterMixin,
    TrainingTesterMixin,
)

from hafm_hf.modeling.configuration_hafm import HafmCoarseConfig, HafmConfig, HafmFineConfig, HafmSemanticConfig
from hafm_hf.modeling.generation_hafm import HafmStageGenerationMixin
from hafm_hf.modeling.modeling_hafm import HafmCoarseModel, HafmFineModel, HafmSemanticModel


class StageModelTester:
    """Tiny configuration and inputs of one stage, under the names the mixins expect."""

    batch_size = 3
    seq_length = text_seq_length = 7
    vocab_size = 99
    hidden_size = 32
    num_hidden_layers = 2
    num_attention_heads = 4
    is_training = True

    def __init__(self, config_class):
        self.config_class = config_class
        self.prefix_length = 4 * len(self.get_config().conditioning_sources)
        self.encoder_seq_length = self.prefix_length + self.seq_length  # what the layers see

    def get_config(self):
        return self.config_class(
            vocab_size=self.vocab_size,
            conditioning_vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            intermediate_size=37,
            conditioning_dropout=0.0,
        )

    def conditioning(self, batch_size):
        """One row is shorter than the others."""
        config = self.get_config()
        ids = torch.randint(self.vocab_size, (batch_size, config.conditioning_num_codebooks, 4)).squeeze(1)
        mask = torch.ones(batch_size, 4, dtype=torch.long)
        mask[1:2, 3:] = 0
        return dict.fromkeys(config.conditioning_sources, ids) | {"conditioning_mask": mask}

    def prepare_config_and_inputs_for_common(self):
        input_ids = torch.randint(self.vocab_size, (self.batch_size, self.seq_length))
        inputs = {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}
        return self.get_config(), inputs | self.conditioning(self.batch_size)


class GenerationTests(GenerationTesterMixin):
    """The conditioning precedes the prompt in attentions, hidden states and cache."""

    def _check_attentions_for_generate(self, prompt_length, output_length, **kwargs):
        prefix = self.model_tester.prefix_length
        super()._check_attentions_for_generate(
            prompt_length=prefix + prompt_length, output_length=prefix + output_length, **kwargs
        )

    def _check_hidden_states_for_generate(self, prompt_length, output_length, **kwargs):
        prefix = self.model_tester.prefix_length
        super()._check_hidden_states_for_generate(
            prompt_length=prefix + prompt_length, output_length=prefix + output_length, **kwargs
        )

    def _check_past_key_values_for_generate(self, batch_size, past_key_values, seq_length, config):
        seq_length += self.model_tester.prefix_length
        super()._check_past_key_values_for_generate(batch_size, past_key_values, seq_length, config)

    def test_prepare_inputs_for_generation_kwargs_forwards(self):
        super().test_prepare_inputs_for_generation_kwargs_forwards(**self.model_tester.conditioning(2))

    def test_prompt_lookup_decoding_matches_greedy_search(self):
        # The tokens are compared; the attentions are sliced as if there was no conditioning.
        with patch.object(self, "_check_generate_outputs"):
            super().test_prompt_lookup_decoding_matches_greedy_search()

    @unittest.skip("`generate` crops the cache of an assistant as if it held no conditioning.")
    def test_assisted_decoding_matches_greedy_search_0_random(self):
        pass

    @unittest.skip("`generate` crops the cache of an assistant as if it held no conditioning.")
    def test_assisted_decoding_matches_greedy_search_1_same(self):
        pass

    @unittest.skip("`generate` crops the cache of an assistant as if it held no conditioning.")
    def test_assisted_decoding_sample(self):
        pass

    @unittest.skip("Generates without conditioning.")
    def test_generate_without_input_ids(self):
        pass

    @unittest.skip("Calls the model without conditioning; masks are 2D and the decoder extends them over it.")
    def test_custom_4d_attention_mask(self):
        pass


class StageTests(
    ModelTesterMixin, GenerationTests if HAS_GENERATION_TESTS else GenerationTesterMixin, TrainingTesterMixin
):
    model_tester = None
    test_resize_embeddings = False  # the tables of all codebooks lie in one embedding

    def setUp(self):
        self.model_tester = StageModelTester(self.config_class)
        self.additional_model_inputs = list(self.model_tester.conditioning(1))
        # Guidance doubles the batch, and with it the shapes that the tests compare.
        self.enterContext(patch.object(HafmStageGenerationMixin, "default_generation_settings", lambda self: {}))

    def test_config(self):
        ConfigTester(self, config_class=self.config_class, hidden_size=32).run_common_tests()

    def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
        inputs = super()._prepare_for_class(inputs_dict, model_class, return_labels)
        return inputs | {"labels": torch.zeros_like(inputs["input_ids"])} if return_labels else inputs

    def training_conditioning(self, batch_size):
        return {name: torch.ones_like(ids) for name, ids in self.model_tester.conditioning(batch_size).items()}

    def _create_text_training_batch(self, batch_size, seq_length, vocab_size):
        tokens = super()._create_text_training_batch(batch_size, seq_length + 1, vocab_size)["input_ids"]
        # Logits at `t` predict `labels[:, t]`.
        batch = {"input_ids": tokens[:, :-1], "labels": tokens[:, 1:]}
        return batch | self.training_conditioning(batch_size)

    def test_training_overfit(self):
        (model_class,) = self.all_model_classes
        generate = partialmethod(model_class.generate, **self.training_conditioning(1))
        with patch.object(model_class, "generate", generate):
            super().test_training_overfit()

    @unittest.skip("The three stages are whole models; the prefix names their place in the composite.")
    def test_model_base_model_prefix(self):
        pass

    @unittest.skip("Loads a checkpoint without any of the weights, which is an error.")
    def test_model_weights_reload_no_missing_tied_weights(self):
        pass


class HafmSemanticModelTest(StageTests, unittest.TestCase):
    config_class = HafmSemanticConfig
    all_model_classes = (HafmSemanticModel,)


class HafmCoarseModelTest(StageTests, unittest.TestCase):
    config_class = HafmCoarseConfig
    all_model_classes = (HafmCoarseModel,)


class HafmFineModelTest(StageTests, unittest.TestCase):
    config_class = HafmFineConfig
    all_model_classes = (HafmFineModel,)


class HafmConfigTest(unittest.TestCase):
    model_tester = None

    def test_config(self):
        ConfigTester(self, config_class=HafmConfig, has_text_modality=False).run_common_tests()
