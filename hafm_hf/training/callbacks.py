# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""What happens beside the training steps: crops that change with the epoch, and listening to what the stage makes."""

import torch
from transformers import Trainer, TrainerCallback
from transformers.integrations import TensorBoardCallback

from ..modeling.generation_hafm import deinterleave_codes
from .collator import HafmCollator


class EpochCallback(TrainerCallback):
    """Tells the collator which epoch begins."""

    def __init__(self, collator: HafmCollator):
        self.collator = collator

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.collator.set_epoch(int(state.epoch or 0))


class ListenCallback(TrainerCallback):
    """
    Makes audio of the same few clips, at first and every so many steps, and logs it to TensorBoard, beside the loss.

    With `band`, a checkpoint of all stages, the trained stage takes its place among them and the clips' vocals are
    accompanied from the first stage to the last. Without it the stage completes what the clips hold: coarse codes are
    decoded as they are, fine ones together with the clips' own coarse ones. Either way it is one window of each clip.

    Args:
        trainer (`HafmTrainer`): whose model is heard; it needs a `processor` and to report to TensorBoard.
        clips (`list[dict]`): rows with all token columns.
        steps (`int`): how often.
        band (`HafmModel`, *optional*): the other stages.

    Raises:
        ValueError: if processor or TensorBoard are missing, or the semantic stage has no stages after it.
    """

    def __init__(self, trainer: Trainer, clips: list[dict], steps: int, band=None):
        stage = trainer.model.get_base_model() if hasattr(trainer.model, "get_base_model") else trainer.model
        callbacks = trainer.callback_handler.callbacks
        self.board = next((callback for callback in callbacks if isinstance(callback, TensorBoardCallback)), None)
        if self.board is None:
            raise ValueError("Listening needs TensorBoard; set `report_to: tensorboard`.")
        if trainer.processor is None:
            raise ValueError("Listening needs the `processor` whose audio tokenizer made the data.")
        if stage.config.model_type == "singsong_seq2seq":
            raise ValueError("SingSong is not listened to while it is trained; leave out `listen_steps`.")
        if band is None and stage.config.model_type == "hafm_semantic":
            raise ValueError("The semantic stage alone makes no audio; to listen, name a checkpoint with all stages.")
        if band is not None:
            setattr(band, stage.base_model_prefix, stage)
        self.trainer, self.steps, self.band = trainer, steps, band
        config = stage.config if band is None else band.config.semantic_config
        self.inputs = HafmCollator(config, seed=trainer.args.seed, training=False)(clips)
        self.length = self.inputs.pop("labels").shape[1]

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        if state.global_step == 0:  # something to compare with, and what is wrong comes to light at once
            self._listen_and_log(model, state)

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step % self.steps == 0:
            self._listen_and_log(model, state)

    @torch.no_grad()
    def listen(self, model) -> torch.Tensor:
        """Audio of the clips, `(clips, samples)`."""
        model.eval()
        inputs = {name: value.to(model.device) for name, value in self.inputs.items()}
        with torch.random.fork_rng():  # listening leaves the training as it was
            codes = self._stage_codes(model, inputs) if self.band is None else self._band_codes(model, inputs)
        model.train()
        return self.trainer.processor.audio_tokenizer.decode(codes)

    def _stage_codes(self, model, inputs: dict[str, torch.Tensor]) -> torch.LongTensor:
        seeds = torch.arange(len(next(iter(inputs.values()))), device=model.device)
        tokens = model.generate(**inputs, max_new_tokens=self.length, seeds=seeds)[:, 1:]
        codes = deinterleave_codes(tokens, model.config.num_codebooks)
        return torch.cat([inputs["coarse_ids"], codes], dim=1) if "coarse_ids" in inputs else codes

    def _band_codes(self, model, inputs: dict[str, torch.Tensor]) -> torch.LongTensor:
        return self.band.to(model.device).eval().generate(**inputs, seed=0).codes

    def _listen_and_log(self, model, state) -> None:
        waveforms = self.listen(model).cpu().clamp(-1, 1)  # in every process, for a sharded model needs them all
        if state.is_world_process_zero:
            for number, waveform in enumerate(waveforms, start=1):
                rate = self.trainer.processor.sampling_rate
                self.board.tb_writer.add_audio(f"clip_{number}", waveform[None], state.global_step, rate)
