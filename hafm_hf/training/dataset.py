# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Datasets of token columns for training: Parquet shards in a folder, or a dataset on the Hub."""

from pathlib import Path

from ..modeling.configuration_hafm import HafmStageConfig
from .collator import HafmCollator
from .sources import is_hub_id


def load_clips(source: str):
    """
    The clips in a folder of Parquet shards, however deep, in one such file, or in a dataset of the Hub (its train split).

    Returns:
        `datasets.Dataset`, memory-mapped, whose columns come as NumPy arrays.

    Raises:
        ValueError: if there are no shards, or one of them is torn or has other columns.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    path = Path(source).expanduser()
    if path.exists():
        files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"{source} holds no Parquet file; make clips with `hafm prepare`.")
        columns = {file: shard_columns(file) for file in files}
        for file, names in columns.items():
            if names != columns[files[0]]:  # load_dataset would fill the missing ones up with nothing
                raise ValueError(
                    f"{file} has other columns than {files[0]}; keep different data in different folders."
                )
        try:
            clips = load_dataset("parquet", data_files=[str(file) for file in files], split="train")
        except DatasetGenerationError as error:
            raise ValueError(f"{source} is damaged; make it again with `hafm prepare`. ({error})") from error
    elif is_hub_id(source):
        clips = load_dataset(source, split="train")
    else:
        raise ValueError(f"{source} does not exist; make clips with `hafm prepare`.")
    return clips.with_format("numpy")


def shard_columns(file: Path) -> set[str]:
    import pyarrow
    from pyarrow import parquet

    try:
        return set(parquet.read_schema(file).names)
    except (pyarrow.ArrowException, OSError) as error:  # a shard that was cut off has lost its end, where these are
        raise ValueError(f"{file} is not a whole Parquet file; delete it and run `hafm prepare` again.") from error


def stage_clips(clips, config: HafmStageConfig, source: str):
    """
    The columns of `clips` that a stage is trained on, after a look at whether it can be.

    Raises:
        ValueError: if columns are missing, there are no clips, or the first one does not fit.
    """
    collator = HafmCollator(config)
    stage = config.model_type.removeprefix("hafm_")
    missing = [column for column in collator.columns if column not in clips.column_names]
    if missing:
        raise ValueError(
            f"{source} lacks {', '.join(missing)}, which the {stage} stage is trained on (it has "
            f"{', '.join(clips.column_names)}); make it with `hafm prepare`."
        )
    if len(clips) == 0:
        raise ValueError(f"{source} holds no clips; see the report of `hafm prepare` for what was dropped.")
    try:
        collator([clips[0]])
    except ValueError as error:
        raise ValueError(f"{source} does not fit the {stage} stage: {error}") from error
    return clips.select_columns(collator.columns)
