# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`HubertFit`: from a folder of audio to a HuBERT, in iterations that each learn from the one before.

The first iteration predicts clusters of acoustic features. Every later one goes on from the weights of the one before
and predicts clusters of one of its layers as well.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import HubertConfig, HubertModel, TrainingArguments, Wav2Vec2FeatureExtractor, set_seed

from ...data.resume import keep_settings, write_json, writing_to
from ...provenance import versions
from ..base_trainer import last_checkpoint
from . import SAMPLING_RATE
from .acoustic import chroma, mfcc
from .crops import AudioFolder, CropDataset
from .front_end import FRONT_END, begin_with_filters
from .masked_prediction import HubertForMaskedPrediction
from .masked_prediction_trainer import MaskedPredictionTrainer
from .teachers import HubertLayer, Teacher, load_or_fit


SHAPE = {
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "num_conv_pos_embeddings": 64,
}
# Crops are drawn anew all the time: nothing is seen twice that dropout could keep from being learnt by heart.
WITHOUT_DROPOUT = dict.fromkeys(
    ("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout", "final_dropout", "layerdrop"),
    0.0,
)


@dataclass(frozen=True)
class HubertFit:
    """Pre-trains a HuBERT.

    The folder `output` receives the HuBERT with its feature extractor, `hubert.json` (the settings),
    `hubert_report.json`, and a folder for each iteration with its teachers, checkpoints and HuBERT.

    Args:
        audio: Folder of audio files.
        output: The folder, which an earlier run may have left unfinished.
        steps: Steps of each iteration.
        batch_size: Crops in a step, of one process.
        crop_seconds: Length of a crop.
        learning_rate: The highest, after a warm-up of 8 % of the steps.
        masked_weight: Weight of the masked frames in the loss; the others, which are far easier, have the rest.
        acoustic_clusters: Clusters of each kind of acoustic features.
        clusters: Clusters of the features of a HuBERT.
        layer: The layer of the HuBERT whose clusters the next one predicts, counted from 1.
        fit_crops: Crops that clusters are fitted on.
        seed: Of all that is drawn.
        shape: Fields of `HubertConfig` beside those of the front end.
    """

    audio: Path
    output: Path
    steps: tuple[int, ...] = (700, 600)
    batch_size: int = 8
    crop_seconds: float = 5.0
    learning_rate: float = 5e-4
    masked_weight: float = 0.5
    acoustic_clusters: int = 100
    clusters: int = 500
    layer: int = 4
    fit_crops: int = 600
    seed: int = 0
    shape: dict[str, Any] = field(default_factory=lambda: SHAPE)

    def __post_init__(self):
        if min(self.steps, default=0) < 1:
            raise ValueError("Every iteration needs 1 step or more, and there must be one.")
        if not 1 <= self.layer <= self.shape["num_hidden_layers"]:
            raise ValueError(f"There is no layer {self.layer}; the HuBERT has {self.shape['num_hidden_layers']}.")

    def run(self) -> dict[str, Any]:
        """Pre-train, or go on where an earlier run was stopped.

        Returns:
            What `hubert_report.json` holds.

        Raises:
            ValueError: There is no audio, `output` was begun with other settings or cannot be written.
        """
        folder, report = AudioFolder(self.audio), self.output / "hubert_report.json"
        with writing_to(self.output):
            keep_settings(self.output / "hubert.json", self._settings(folder), {"versions": versions()})
            if not report.exists():
                iterations = [self._iterate(iteration, folder) for iteration in range(1, len(self.steps) + 1)]
                HubertModel.from_pretrained(self._folder(len(self.steps))).save_pretrained(self.output)
                Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(self.output)
                told = {"hours": folder.seconds / 3600, "skipped": folder.skipped, "iterations": iterations}
                write_json(report, told)
        return json.loads(report.read_text(encoding="utf-8"))

    def _settings(self, folder: AudioFolder) -> dict[str, Any]:
        settings = asdict(self) | {"audio": folder.survey()}
        del settings["output"]
        return settings

    @property
    def _crop_samples(self) -> int:
        return round(self.crop_seconds * SAMPLING_RATE)

    def _folder(self, iteration: int) -> Path:
        return self.output / f"iteration-{iteration}"

    def _iterate(self, iteration: int, folder: AudioFolder) -> dict[str, Any]:
        """Train one iteration, unless that is done, and tell how it went."""
        report_file = self._folder(iteration) / "report.json"
        if not report_file.exists():
            teachers = self._teachers(iteration, folder)
            trainer = self._trainer(iteration, folder, teachers)
            trainer.train(resume_from_checkpoint=last_checkpoint(self._folder(iteration)))
            trainer.model.hubert.save_pretrained(self._folder(iteration))
            last = next(logs for logs in reversed(trainer.state.log_history) if "loss" in logs)
            hours = self.steps[iteration - 1] * self.batch_size * self.crop_seconds / 3600
            clusters = {
                name: {"clusters": len(teacher.centroids), "perplexity": teacher.perplexity}
                for name, teacher in teachers.items()
            }
            write_json(report_file, {"hours_heard": hours, "teachers": clusters, "end": last})
        return json.loads(report_file.read_text(encoding="utf-8"))

    def _teachers(self, iteration: int, folder: AudioFolder) -> dict[str, Teacher]:
        """The teachers of an iteration by name, those that are not there yet fitted on the same crops."""
        features = {"mfcc": (mfcc, self.acoustic_clusters), "chroma": (chroma, self.acoustic_clusters)}
        if iteration > 1:
            previous = HubertLayer(self._folder(iteration - 1), self.layer, bf16_is_fast())
            features["hubert"] = previous, self.clusters
        crops = CropDataset(folder, self.fit_crops, self._crop_samples, seed=(self.seed, 0))
        return {
            name: load_or_fit(
                self._folder(iteration if name == "hubert" else 1) / f"{name}.safetensors",
                function,
                (crops.clean(index) for index in range(len(crops))),
                clusters,
                self.seed,
            )
            for name, (function, clusters) in features.items()
        }

    def _trainer(self, iteration: int, folder: AudioFolder, teachers: dict[str, Teacher]) -> MaskedPredictionTrainer:
        set_seed(self.seed + iteration)
        steps = self.steps[iteration - 1]
        num_clusters = [len(teacher.centroids) for teacher in teachers.values()]
        config = HubertConfig(**FRONT_END, **self.shape, **WITHOUT_DROPOUT, mask_time_prob=0.65)
        model = HubertForMaskedPrediction(config, num_clusters, self.masked_weight)
        if iteration == 1:
            begin_with_filters(model.hubert)
        else:
            model.hubert = HubertModel.from_pretrained(self._folder(iteration - 1))
        args = TrainingArguments(
            str(self._folder(iteration)),
            max_steps=steps,
            per_device_train_batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=0.08,
            adam_beta2=0.98,
            weight_decay=0.01,
            use_cpu=not torch.accelerator.is_available(),
            bf16=bf16_is_fast(),
            logging_steps=0.02,
            save_steps=0.1,
            save_total_limit=2,
            remove_unused_columns=False,
            report_to="none",
            disable_tqdm=False,
            seed=self.seed,
        )
        crops = CropDataset(folder, steps * self.batch_size, self._crop_samples, seed=(self.seed, iteration))
        return MaskedPredictionTrainer(model, args, teachers, train_dataset=crops)


def bf16_is_fast() -> bool:
    """Whether bfloat16 is the faster one here: a CPU that does not know it takes far longer over it than over float32."""
    return torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()
