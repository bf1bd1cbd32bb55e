"""Depthwise convolutions on a CPU in bfloat16: the same forward values, the gradients of the slow kernels."""

import pytest
import timm
import torch
from torch import nn

from screening.training.cpu_depthwise import speed_up_depthwise


def twice(conv: nn.Conv2d, x: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Value, gradient of the input and gradient of the weights, by torch's way and by ours."""
    found = []
    for is_ours in (False, True):
        if is_ours:
            assert speed_up_depthwise(conv) == 1
        conv.zero_grad()
        mine = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = conv(mine)
        (y.float() * torch.linspace(-1, 1, y.numel()).reshape(y.shape)).sum().backward()
        assert mine.grad is not None
        assert conv.weight.grad is not None
        found.append((y.detach(), mine.grad, conv.weight.grad.clone()))
    return found


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("has_bias", [False, True])
def test_values_and_gradients_are_those_of_torch(stride, kernel, has_bias):
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=has_bias).to(memory_format=torch.channels_last)
    x = torch.randn(3, 8, 17, 20).contiguous(memory_format=torch.channels_last)

    slow, fast = twice(conv, x)

    torch.testing.assert_close(fast[0], slow[0], atol=2e-2 if has_bias else 0, rtol=0)
    for ours, theirs in zip(fast[1:], slow[1:], strict=True):
        assert ours.dtype == theirs.dtype == torch.float32
        # A bfloat16 has 8 bits: a sum of such products errs by some thousandths of the largest.
        assert float((ours - theirs).abs().max()) < 0.02 * float(theirs.abs().max())


def test_in_float32_nothing_changes():
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 4, 3, padding=1, groups=4)
    x = torch.randn(2, 4, 9, 9)
    before = conv(x)

    speed_up_depthwise(conv)

    assert torch.equal(conv(x), before)


def test_only_depthwise_convolutions_are_taken():
    network = nn.Sequential(
        nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 8, 3, groups=8)
    )

    assert speed_up_depthwise(network) == 1
    assert speed_up_depthwise(timm.create_model("efficientnet_lite0", num_classes=8)) == 16


def test_what_is_not_trained_gets_no_gradient():
    conv = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
    speed_up_depthwise(conv)
    conv.requires_grad_(requires_grad=False)
    x = torch.randn(1, 4, 6, 6, requires_grad=True)

    with torch.autocast("cpu", torch.bfloat16):
        conv(x).float().sum().backward()

    assert conv.weight.grad is None
    assert x.grad is not None
