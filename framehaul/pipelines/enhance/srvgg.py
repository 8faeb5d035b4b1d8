"""SRVGGNetCompact: the small video network of Real-ESRGAN, written to load its official weight files.

Three steps: a plain stack of 3×3 convolutions at the input's size, one pixel shuffle, and the input itself,
enlarged by repeating pixels, added at the end. The stack therefore only has to learn the missing detail.

Source: X. Wang and others, Real-ESRGAN (ICCV workshops 2021), and the key layout of its released files.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class SRVGGNetCompact(nn.Module):
    """Enlarge RGB pictures `scale` times with `convs` hidden convolutions of `features` channels.

    Keys, as in the official files: `body.{2i}` is a convolution, `body.{2i+1}` its PReLU, and the last one
    a convolution to 3·scale² channels. realesr-animevideov3 is (64, 16, 4), realesr-general-x4v3 is (64, 32, 4).
    """

    def __init__(self, *, features: int, convs: int, scale: int) -> None:
        super().__init__()
        self.features = features
        self.convs = convs
        self.scale = scale
        layers: list[nn.Module] = [nn.Conv2d(3, features, 3, padding=1), nn.PReLU(features)]
        for _ in range(convs):
            layers += [nn.Conv2d(features, features, 3, padding=1), nn.PReLU(features)]
        layers.append(nn.Conv2d(features, 3 * scale * scale, 3, padding=1))
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the enlarged pictures, not clamped: (B, 3, H, W) in 0…1 gives (B, 3, sH, sW) around 0…1."""
        detail = self.body(x)  # (B, 3·s², H, W)
        detail = functional.pixel_shuffle(detail, self.scale)  # (B, 3, sH, sW)
        base = functional.interpolate(x, scale_factor=self.scale, mode="nearest")  # (B, 3, sH, sW)
        return detail + base
