"""The command that reads a job's logs, now or as they grow."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from controller.cli.asked import settings_or_fewer, warn
from controller.cli.options import Configured, Talk
from controller.cli.setup import Seat, provider_opener, seated
from controller.errors import ExitCode
from controller.ledger import Job
from controller.logs import LogReader, Piece, find_jobs, judge_attempt
from controller.terminal.console import print_json, put
from controller.terminal.streams import trouble_of
from controller.terminal.words import plain
from framehaul.contract.routes import LOG_STREAMS

_NAMED = 5
# ISO8601 | stage | clip=<index or -> | msg=…
_STORY = re.compile(r"(?P<at>\S+) \| (?P<stage>[^|]*) \| clip=(?P<clip>[^|]*) \| msg=(?P<msg>.*)", re.DOTALL)


@dataclass(frozen=True)
class Line:
    """One whole line of a log, and where it began."""

    stream: str
    attempt: int
    offset: int
    data: bytes

    @property
    def text(self) -> str:
        """Give it as text; what is none shows as a mark."""
        return self.data.decode(errors="replace").rstrip("\r\n")

    def as_json(self, job: Job) -> dict[str, Any]:
        """Give it for machines; a line of the story is taken apart."""
        story = _STORY.fullmatch(self.text) if self.stream == "progress" else None
        told = {"job": job.id, "stream": self.stream, "attempt": self.attempt, "offset": self.offset}
        return {**told, "text": self.text, **(story.groupdict() if story else {})}


def logs(
    configured: Configured,
    talk: Talk,
    job: Annotated[str, typer.Argument(help="A job's id, the end of it, or its input's file name.")],
    keep_on: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has left its machine.")] = False,
    stream: Annotated[
        list[str] | None,
        typer.Option(help="progress, or stdout: what the worker printed; may be repeated. (default: progress)"),
    ] = None,
    offset: Annotated[int, typer.Option(help="Begin at this byte; -2000: with the last 2000 so far.")] = 0,
    attempt: Annotated[int | None, typer.Option(min=1, help="An earlier try. (default: the latest, and on)")] = None,
) -> int:
    """Print a job's log, from its machine or from the copy that was kept; --json prints one object a line."""
    streams = list(dict.fromkeys(stream or ["progress"]))
    for name in streams:
        if name not in LOG_STREAMS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(LOG_STREAMS)}.", param_hint="--stream")
    settings = settings_or_fewer(configured, "Reading")
    with seated(configured.state, talk) as seat:
        found = _chosen(seat, job)
        judge_attempt(found, attempt)
        batch = seat.desk.ledger.batch(found.batch_id)
        assert batch is not None
        provider = provider_opener(settings, seat.desk)(batch.provider)
        readers = {name: LogReader(seat.desk, provider, found, name) for name in streams}
        pieces = {
            name: reader.follow(keep_on=keep_on, offset=offset, attempt=attempt) for name, reader in readers.items()
        }
        printed = asyncio.run(_print(found, pieces, json_out=talk.json_out))
        if not printed and not keep_on:
            warn(
                f"{found.name} has no {' or '.join(streams)} log{' there' if offset else ' yet'}; it is {found.state}."
            )
        return ExitCode.DONE


def _chosen(seat: Seat, text: str) -> Job:
    """Take the latest of the jobs that are called so, and say which others there are."""
    found = find_jobs(seat.desk.ledger, text)
    if len(found) > 1:
        others = ", ".join(job.id for job in found[:-1][-_NAMED:])
        more = f" and {len(found) - 1 - _NAMED} more" if len(found) - 1 > _NAMED else ""
        warn(f"{text} is {len(found)} jobs; this is the latest, {found[-1].id}. The others: {others}{more}.")
    return found[-1]


async def _print(job: Job, pieces: dict[str, AsyncIterator[Piece]], *, json_out: bool) -> bool:
    """Print every piece as it comes, by whole lines where two streams or a machine's reader need it."""
    printed = False
    if not json_out and len(pieces) == 1 and not sys.stdout.isatty():
        (only,) = pieces.values()
        async for piece in only:
            sys.stdout.buffer.write(piece.data)
            sys.stdout.buffer.flush()
            printed = True
            if trouble_of(sys.stdout):
                break
        return printed
    async for line in _merged(pieces):
        printed = True
        if json_out:
            print_json(line.as_json(job), indent=None)
        else:
            mark = f"{line.stream}: " if len(pieces) > 1 else ""
            put(mark + "\t".join(map(plain, line.text.split("\t"))))
        if trouble_of(sys.stdout):
            break
    return printed


async def _merged(pieces: dict[str, AsyncIterator[Piece]]) -> AsyncIterator[Line]:
    """Give the lines of several streams as they come; the first trouble ends them all."""
    lines: asyncio.Queue[Line | BaseException | None] = asyncio.Queue()

    async def read(stream: str, source: AsyncIterator[Piece]) -> None:
        try:
            async for line in _lines(stream, source):
                await lines.put(line)
            await lines.put(None)
        except Exception as exc:  # noqa: BLE001 - handed on to whoever reads the queue
            await lines.put(exc)

    tasks = [asyncio.create_task(read(stream, source)) for stream, source in pieces.items()]
    left = len(tasks)
    try:
        while left:
            found = await lines.get()
            if isinstance(found, BaseException):
                raise found
            if found is None:
                left -= 1
            else:
                yield found
    finally:
        for task in tasks:
            task.cancel()


async def _lines(stream: str, source: AsyncIterator[Piece]) -> AsyncIterator[Line]:
    """Cut pieces into lines; what an attempt left without its end comes when there is no more of it."""
    held = Piece(0, 0, b"")
    async for piece in source:
        if held.data and held.attempt != piece.attempt:
            yield Line(stream, held.attempt, held.offset, held.data)
            held = Piece(0, 0, b"")
        data, at = held.data + piece.data, held.offset if held.data else piece.offset
        *whole, rest = data.split(b"\n")
        for text in whole:
            yield Line(stream, piece.attempt, at, text + b"\n")
            at += len(text) + 1
        held = Piece(piece.attempt, at, rest)
    if held.data:
        yield Line(stream, held.attempt, held.offset, held.data)
