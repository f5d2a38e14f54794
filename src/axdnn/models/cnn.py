"""A small convolutional network with batch norm: three convolutions and one linear layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from axdnn.records import InvalidInputError

MIN_SIZE = 8


class SmallCNN(nn.Module):
    """Three times 3x3 convolution, batch norm, ReLU and 2x2 max pooling (16, 32, 64 filters), then fc.

    Args:
        in_channels: channels of the images.
        num_classes: outputs.
        image_size: height and width of the images, at least 8.
    """

    def __init__(self, in_channels: int = 1, num_classes: int = 10, image_size: int = 28) -> None:
        super().__init__()
        if image_size < MIN_SIZE:
            raise InvalidInputError(f"image_size of cnn_small must be at least {MIN_SIZE}, but got {image_size!r}")
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(64)
        self.fc = nn.Linear(64 * (image_size // 8) ** 2, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images `(n, in_channels, image_size, image_size)` in [0, 1] to logits `(n, num_classes)`."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.max_pool2d(F.relu(self.bn3(self.conv3(x))), 2)
        logits: torch.Tensor = self.fc(torch.flatten(x, 1))
        return logits
