# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""Trains an EnCodec from nothing, where no public one fits or can be had."""

from .fit import CodecFit


__all__ = ["CodecFit"]
