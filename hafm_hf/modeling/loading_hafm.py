# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Loading whole checkpoints only: what is missing or does not fit is an error, where the library warns and draws it at random."""

from safetensors import SafetensorError


class HafmLoadingMixin:
    """Comes before `PreTrainedModel` among the bases of a model."""

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path,
        *model_args,
        ignore_mismatched_sizes=False,
        output_loading_info=False,
        use_safetensors=True,
        **kwargs,
    ):
        """
        As in `PreTrainedModel`, from safetensors files that hold every weight of the model.

        Raises:
            ValueError: If a weight file is damaged, a tensor is missing, or one has another shape than in the model
                (unless `ignore_mismatched_sizes`).
        """
        name = "/".join(filter(None, (str(pretrained_model_name_or_path), kwargs.get("subfolder"))))
        try:
            model, info = super().from_pretrained(
                pretrained_model_name_or_path,
                *model_args,
                ignore_mismatched_sizes=True,  # so that the tensors are known by name
                output_loading_info=True,
                use_safetensors=use_safetensors,
                **kwargs,
            )
        except SafetensorError as error:
            raise ValueError(f"{name} holds a damaged weight file ({error}); download or save it again.") from error

        # Names a file that only the pipeline saves, and that it names again.
        vars(model.config).pop("custom_pipelines", None)
        if pretrained_model_name_or_path is not None:
            wrong = [f"{tensor} is missing" for tensor in sorted(info["missing_keys"])]
            if not ignore_mismatched_sizes:
                wrong += [
                    f"{tensor} has the shape {tuple(found)} instead of {tuple(expected)}"
                    for tensor, found, expected in sorted(info["mismatched_keys"])
                ]
            if wrong:
                listed = ", ".join(wrong[:3]) + (f", and so on for {len(wrong) - 3} more" if len(wrong) > 3 else "")
                raise ValueError(
                    f"{name} is not a whole {cls.__name__}: {listed}; download or save it again, or pass another checkpoint."
                )
        return (model, info) if output_loading_info else model


__all__ = ["HafmLoadingMixin"]
