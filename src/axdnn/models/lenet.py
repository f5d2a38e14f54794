"""LeNet-5 with three convolutions and two linear layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from axdnn.records import InvalidInputError


class LeNet5(nn.Module):
    """LeNet-5 with ReLU and max-pooling: conv1, pool, conv2, pool, conv3, fc1, fc2.

    28x28 images are padded by 2 in conv1, 32x32 images are not; from there on both are the same.

    Args:
        in_channels: channels of the images.
        num_classes: outputs.
        image_size: 28 or 32.
    """

    def __init__(self, in_channels: int = 1, num_classes: int = 10, image_size: int = 28) -> None:
        super().__init__()
        if image_size not in (28, 32):
            raise InvalidInputError(f"image_size of lenet5 must be 28 or 32, but got {image_size!r}")
        self.conv1 = nn.Conv2d(in_channels, 6, kernel_size=5, padding=2 if image_size == 28 else 0)
        self.conv2 = nn.Conv2d(6, 16, kernel_size=5)
        self.conv3 = nn.Conv2d(16, 120, kernel_size=5)
        self.fc1 = nn.Linear(120, 84)
        self.fc2 = nn.Linear(84, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images `(n, in_channels, image_size, image_size)` in [0, 1] to logits `(n, num_classes)`."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        logits: torch.Tensor = self.fc2(x)
        return logits
