"""The uploads that attempts were let write to: on paper before anybody may use one, since leftovers bill."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, insert, select, update

from controller.ledger import schema
from controller.ledger.file import LedgerFile
from controller.ledger.rows import OpenUpload


class UploadRows(LedgerFile):
    """The table `uploads`."""

    def note_upload(self, upload: OpenUpload) -> None:
        """Write down that an upload was begun."""
        with self._writing() as db:
            db.execute(delete(schema.uploads).where(*_is(upload)))  # a store that was restarted draws its ids anew
            db.execute(insert(schema.uploads).values(**vars(upload)))

    def end_upload(self, upload: OpenUpload) -> None:
        """Write down that an upload is completed or aborted; idempotent, the first end stands."""
        table = schema.uploads
        with self._writing() as db:
            db.execute(update(table).where(*_is(upload), table.c.ended_at.is_(None)).values(ended_at=self._clock.now()))

    def uploads(self, job_id: str) -> list[OpenUpload]:
        """List every upload that was ever begun for a job, oldest first."""
        table = schema.uploads
        query = select(table).where(table.c.job_id == job_id).order_by(table.c.begun_at, table.c.upload_id)
        return [OpenUpload(**row) for row in self._read(query)]

    def open_uploads(self, job_id: str | None = None) -> list[OpenUpload]:
        """List the uploads that are not known to be completed or aborted; of one job, or of all."""
        table = schema.uploads
        query = select(table).where(table.c.ended_at.is_(None)).order_by(table.c.begun_at, table.c.upload_id)
        if job_id is not None:
            query = query.where(table.c.job_id == job_id)
        return [OpenUpload(**row) for row in self._read(query)]


def _is(upload: OpenUpload) -> tuple[ColumnElement[bool], ...]:
    table = schema.uploads
    return (table.c.upload_id == upload.upload_id, table.c.uri == upload.uri)
