# Copyright 2026 The hafm_hf authors. Licensed under the Apache License, Version 2.0.
"""
Training RMSNorm on a CPU.

PyTorch has no fused kernel there: it keeps three tensors of the size of the input, and reads and writes memory for each.
"""

import torch
from torch.autograd.function import once_differentiable


def lean_rms_norm_applies(states: torch.Tensor) -> bool:
    """Whether gradients are wanted of states on a CPU, in full precision."""
    on_cpu = states.device.type == "cpu" and not torch.compiler.is_compiling()
    return on_cpu and torch.is_grad_enabled() and states.dtype in (torch.float32, torch.float64)


class LeanRMSNorm(torch.autograd.Function):
    """RMSNorm that keeps of each vector only what it was divided by, beside the input itself.

    Args:
        states (`torch.Tensor` of shape `(..., size)`)
        weight (`torch.Tensor` of shape `(size,)`)
        eps (`float`)
    """

    @staticmethod
    def forward(ctx, states, weight, eps):
        length = torch.linalg.vector_norm(states, dim=-1, keepdim=True)
        inverse = length.square_().div_(states.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(states, weight, inverse)
        return (states * inverse).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, output_grad):
        states, weight, inverse = ctx.saved_tensors
        normalized = states * inverse
        weight_grad = (output_grad * normalized).flatten(0, -2).sum(0)
        normalized_grad = output_grad * weight
        # Along the input itself nothing changes: the length takes that back.
        along = (normalized_grad * normalized).mean(dim=-1, keepdim=True)
        states_grad = normalized_grad.addcmul_(normalized, along, value=-1).mul_(inverse)
        return states_grad, weight_grad, None


__all__ = ["LeanRMSNorm", "lean_rms_norm_applies"]
