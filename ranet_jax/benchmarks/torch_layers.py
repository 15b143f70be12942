"""Layers of the published network in PyTorch, channels first."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ranet_jax.models.ops import IMAGENET_MEAN, IMAGENET_STD
from ranet_jax.models.resnet import STAGES


def block(channels: int, features: int, size: int = 3) -> nn.Sequential:
    """Instance norm, ReLU, convolution."""
    conv = nn.Conv2d(channels, features, size, padding=size // 2)
    return nn.Sequential(nn.InstanceNorm2d(channels), nn.ReLU(), conv)


def double(x: Tensor) -> Tensor:
    """Twice the height and width, bilinear, align-corners."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


class Double(nn.Module):
    """`double` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] -> [b, c, 2h, 2w]."""
        return double(x)


class Residual(nn.Module):
    """1x1, 3x3, 1x1 without biases, instance norm after each, plus the input."""

    def __init__(self, channels: int, middle: int, dilation: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, middle, 1, bias=False)
        self.conv2 = nn.Conv2d(middle, middle, 3, padding=dilation, dilation=dilation, bias=False)
        self.conv3 = nn.Conv2d(middle, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] -> the same shape."""
        y = F.relu(F.instance_norm(self.conv1(x)))
        y = F.relu(F.instance_norm(self.conv2(y)))
        return F.relu(x + F.instance_norm(self.conv3(y)))


class MultiScale(nn.Module):
    """Sum of three 3x3 convolutions of dilations 1, 3 and 6."""

    def __init__(self, channels: int, features: int):
        super().__init__()
        for index, dilation in enumerate((1, 3, 6), 1):
            conv = nn.Conv2d(channels, features, 3, padding=dilation, dilation=dilation, bias=False)
            self.add_module(f"l{index}", conv)

    def forward(self, x: Tensor) -> Tensor:
        """[b, channels, h, w] -> [b, features, h, w]."""
        return self.l1(x) + self.l2(x) + self.l3(x)


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, middle: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, middle, 1, bias=False)
        self.bn1 = nn.InstanceNorm2d(middle, affine=True)
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, 1, bias=False)
        self.bn2 = nn.InstanceNorm2d(middle, affine=True)
        self.conv3 = nn.Conv2d(middle, 4 * middle, 1, bias=False)
        self.bn3 = nn.InstanceNorm2d(4 * middle, affine=True)
        self.downsample = None
        if stride > 1 or channels != 4 * middle:
            conv = nn.Conv2d(channels, 4 * middle, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.InstanceNorm2d(4 * middle, affine=True))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """The backbone: five levels of features."""

    def __init__(self, depth: int, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.InstanceNorm2d(width, affine=True)
        channels = width
        for stage, blocks in enumerate(STAGES[depth]):
            middle = width * 2**stage
            layers = []
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(_Bottleneck(channels, middle, stride))
                channels = 4 * middle
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.register_buffer("mean", _channels(IMAGENET_MEAN), persistent=False)
        self.register_buffer("std", _channels(IMAGENET_STD), persistent=False)

    def forward(self, frame: Tensor) -> list[Tensor]:
        """RGB in [0, 1] -> the five levels."""
        x = F.relu(self.bn1(self.conv1((frame - self.mean) / self.std)))
        levels = [x]
        x = F.max_pool2d(x, 3, 2, 1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            levels.append(x)
        return levels


def _channels(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1)
