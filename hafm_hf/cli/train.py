# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm train`: train a stage as a recipe says; the same under `accelerate launch`."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe", help="YAML file, or one that comes with the package, such as recipes/hafm-base/coarse.yaml"
    )
    parser.add_argument(
        "overrides",
        nargs=argparse.REMAINDER,
        metavar="--field value",
        help="change a field of the recipe: --train_data data --learning_rate 1e-4 --model.hidden_size 256 ...",
    )


def run(args: argparse.Namespace) -> int:
    try:
        from ..training.recipes import load_recipe
        from ..training.run import train

        trainer = train(load_recipe(args.recipe, args.overrides))
    except ImportError as error:
        raise ValueError(
            f'Training needs more packages ({error}); install them with `pip install "hafm-hf[train]"`.'
        ) from error
    if trainer.args.should_save:
        print(trainer.args.output_dir)
    # A process that ends with its group alive may be aborted by one of the group's threads.
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.state.destroy_process_group()
    return 0
