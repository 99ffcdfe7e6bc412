"""What a collection brought, in numbers."""

from dataclasses import dataclass, field
from datetime import date

from prodlens_pipeline.landing.intake import Batch


@dataclass
class Collected:
    """What one collection brought: counts of this time, and the days that got new records."""

    files: int = 0
    bytes_read: int = 0
    lines: int = 0
    accepted: int = 0
    rejected: int = 0
    pending: int = 0
    unreadable: list[str] = field(default_factory=list)
    days: set[date] = field(default_factory=set)

    def merge(self, other: "Collected") -> None:
        """Count what another collection brought, too."""
        self.files += other.files
        self.bytes_read += other.bytes_read
        self.lines += other.lines
        self.accepted += other.accepted
        self.rejected += other.rejected
        self.pending += other.pending
        self.unreadable += other.unreadable
        self.days |= other.days

    def add(self, batch: Batch) -> None:
        """Count one batch."""
        extent = batch.extent
        self.bytes_read += extent.byte_end - extent.byte_start
        self.lines += extent.lines
        self.accepted += extent.accepted
        self.rejected += extent.rejected
        self.pending += sum(letter.pending for letter in batch.letters)
        self.days.update(extent.days)
