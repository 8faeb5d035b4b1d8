"""The one truth on the laptop: what was wished, rented, shipped and proven. Written before each step."""

from controller.ledger.ledger import Ledger
from controller.ledger.rows import Attempt, Batch, Event, Job, Lease, OpenUpload, Wish

__all__ = ["Attempt", "Batch", "Event", "Job", "Lease", "Ledger", "OpenUpload", "Wish"]
