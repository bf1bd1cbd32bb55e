"""Depthwise convolutions in bfloat16 on a CPU, with a backward pass that is not ten times as slow as the rest.

oneDNN has fast kernels for the forward pass, but for the gradients of depthwise convolutions in bfloat16 it falls back on
its reference code: of a step of EfficientNet-Lite0 that was three quarters (docs/decisions/0028).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def speed_up_depthwise(network: nn.Module) -> int:
    """Give every depthwise convolution of a network the faster backward pass; how many there were.

    Forward values stay the same bit by bit. Gradients are those of the slow kernels but for bfloat16's rounding: that of
    the weights is summed up in float32.
    """
    found = 0
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and _is_depthwise(module):
            module._conv_forward = _ForwardOf(module)  # type: ignore[assignment]  # noqa: SLF001 - what Conv2d calls with its weights
            found += 1
    return found


def _is_depthwise(conv: nn.Conv2d) -> bool:
    return (
        conv.groups == conv.in_channels == conv.out_channels > 1
        and conv.padding_mode == "zeros"
        and not isinstance(conv.padding, str)
        and conv.dilation == (1, 1)
    )


class _ForwardOf:
    """What a convolution does with its input: the faster way where autocast asks for bfloat16 on a CPU."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.stride, self.padding, self.groups = conv.stride, conv.padding, conv.groups

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        is_bfloat16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        if x.device.type != "cpu" or not is_bfloat16:
            return functional.conv2d(x, weight, bias, self.stride, self.padding, 1, self.groups)
        y: Tensor = _Depthwise.apply(x.bfloat16(), weight, self.stride, self.padding)
        return y if bias is None else y + bias.bfloat16()[:, None, None]


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        with torch.autocast("cpu", enabled=False):
            return functional.conv2d(x, weight.bfloat16(), None, stride, padding, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        [grad] = grads
        wanted = (ctx.needs_input_grad[0], ctx.needs_input_grad[1])
        of_x: Tensor | None = None
        reach = [(size - 1 - pad) for size, pad in zip(weight.shape[2:], ctx.padding, strict=True)]
        if wanted[0] and ctx.stride == (1, 1) and min(reach) >= 0:
            # With a step of one it is a forward pass with the kernel turned round.
            of_x = functional.conv2d(grad, weight.bfloat16().flip(2, 3), None, 1, reach, 1, len(weight))
            wanted = (False, wanted[1])
        exact = torch.ops.aten.convolution_backward(
            grad.float(), x.float(), weight, None,
            ctx.stride, ctx.padding, (1, 1), False, (0, 0), len(weight), (*wanted, False),
        )  # fmt: skip
        return exact[0].bfloat16() if wanted[0] else of_x, exact[1] if wanted[1] else None, None, None
