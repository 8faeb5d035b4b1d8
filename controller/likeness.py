"""What inputs that nobody looked into will probably take: as much a byte as those that were."""

from __future__ import annotations

from dataclasses import dataclass

from framehaul.contract.pipeline import Estimate, Needs


@dataclass
class Likeness:
    """Sums over the inputs that were probed, and the most that one of them asks of a machine."""

    inputs: int = 0
    bytes: int = 0
    gflop: float = 0.0
    output_bytes: int = 0
    disk_gb_a_byte: float = 0.0
    vram_gb: float = 0.0
    memory_gb: float = 0.0

    def learn(self, size: int | None, needs: Needs, estimate: Estimate) -> None:
        """Take in one that was probed; one of unknown size teaches nothing."""
        if not size:
            return
        self.inputs += 1
        self.bytes += size
        self.gflop += estimate.gflop
        self.output_bytes += estimate.output_bytes
        self.disk_gb_a_byte = max(self.disk_gb_a_byte, needs.disk_gb / size)
        self.vram_gb = max(self.vram_gb, needs.vram_gb)
        self.memory_gb = max(self.memory_gb, needs.memory_gb)

    def needs(self, told: Needs, size: int | None) -> Needs:
        """Amend what the pipeline asks for without knowing the input: by the most that any other asked for."""
        if not (self.bytes and size):
            return told
        return Needs(
            gpu=told.gpu,
            vram_gb=max(told.vram_gb, self.vram_gb),
            disk_gb=self.disk_gb_a_byte * size,
            memory_gb=max(told.memory_gb, self.memory_gb),
        )

    def estimate(self, told: Estimate, size: int | None) -> Estimate:
        """Amend what the pipeline estimates: by the mean. Frames stay unknown, since nobody counted them."""
        if not (self.bytes and size):
            return told
        share = size / self.bytes
        return Estimate(gflop=self.gflop * share, output_bytes=round(self.output_bytes * share))
