"""The agent's addresses, written once for both sides."""

from __future__ import annotations

from typing import Final

HEALTH: Final = "/health"
INFO: Final = "/info"
JOBS: Final = "/jobs"
JOB: Final = "/jobs/{job_id}"
GRANTS: Final = "/jobs/{job_id}/grants"
LOG: Final = "/jobs/{job_id}/log"
PREVIEW: Final = "/jobs/{job_id}/preview"
INPUT: Final = "/jobs/{job_id}/inputs/{slot}"
OUTPUT: Final = "/jobs/{job_id}/outputs/{slot}"
OUTPUT_RECEIVED: Final = "/jobs/{job_id}/outputs/{slot}/received"
LEASE: Final = "/lease"
DRAIN: Final = "/drain"

# Which file GET /jobs/{id}/log reads.
LOG_STREAMS: Final = ("progress", "stdout")
# Answers of the log route name the offset to go on from.
NEXT_OFFSET_HEADER: Final = "X-Next-Offset"
PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
