# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""`hafm push`: put a checkpoint on the Hub: weights, processor, code and model card."""

import argparse
import shutil
import tempfile
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HTTPError, LocalTokenNotFoundError

from ..hub_cards.card import full_card
from .loading import load_pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="folder of the checkpoint; a README.md in it is taken as its model card")
    parser.add_argument("repo", help="where to put it, such as you/hafm-mine; made if it does not exist")
    parser.add_argument("--private", action="store_true", help="make the repository private, if it has to be made")
    parser.add_argument("--license", help="licence of the weights for the model card, such as cc-by-4.0")
    parser.add_argument("--training", help="how it was trained, for the model card")


def run(args: argparse.Namespace) -> int:
    accompany = load_pipeline(args.folder, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        accompany.save_pretrained(folder)
        try:
            print(upload(Path(folder), args, accompany.model))
        except (HTTPError, LocalTokenNotFoundError) as error:
            reason = str(error).split("\n")[0].rstrip(".")
            raise ValueError(
                f"{args.folder} was not pushed to {args.repo} ({reason}); check the name and the connection, and log in with "
                "`hf auth login`."
            ) from error
    return 0


def upload(folder: Path, args: argparse.Namespace, model) -> str:
    """In one commit. A card that is there already, in the checkpoint or on the Hub, is never overwritten."""
    api = HfApi()
    repo_id = api.create_repo(args.repo, private=args.private, exist_ok=True).repo_id
    own_card = Path(args.folder, "README.md")
    if own_card.exists():
        shutil.copy(own_card, folder)
    elif not api.file_exists(repo_id, "README.md"):
        full_card(model, repo_id, args.license, args.training).save(folder / "README.md")
    api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload HAFM checkpoint")
    return f"{api.endpoint}/{repo_id}"
