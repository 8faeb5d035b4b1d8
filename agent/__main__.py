"""The agent's command line.

    python -m agent serve --home DIR [--host 0.0.0.0] [--port 8000] [--port-file FILE]
    python -m agent run --pipeline enhance --input clip.mp4 --output results/ --mode upscale --scale 2

Exit codes: 0 all done, 1 the job failed, 2 usage or configuration, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path

from agent.oneshot import OneShot, run_once
from agent.serve import Served, serve
from framehaul.errors import FramehaulError

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command and give its exit code."""
    told = _parser().parse_args(arguments)
    _log_to_stderr(logging.INFO if told.command == "serve" else logging.WARNING)
    try:
        if told.command == "serve":
            serve(_served(told))
            return EXIT_DONE
        return EXIT_DONE if run_once(_one_shot(told)) else EXIT_FAILED
    except (FramehaulError, OSError) as exc:
        print(exc, file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("Interrupted; the same command starts this video again.", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agent", description="The Framehaul agent.")
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve", help="take orders over HTTPS")
    server.add_argument("--home", type=Path, required=True, help="where jobs are kept")
    server.add_argument("--host", default="127.0.0.1")
    server.add_argument("--port", type=int, default=0, help="0 chooses a free one (default)")
    server.add_argument("--port-file", type=Path, help="written once the server listens: port and pid as JSON")
    server.add_argument("--allow-file-grants", action="store_true", help="let orders name files on this disk")
    server.add_argument(
        "--insecure-loopback", action="store_true", help="plain HTTP without a token, for hand experiments"
    )
    once = commands.add_parser("run", help="do one job on this machine, without a server")
    once.add_argument("--pipeline", default="enhance", help="enhance or copy; by default %(default)s")
    once.add_argument("--input", dest="inputs", type=Path, action="append", default=[], help="may be repeated")
    once.add_argument("--output", type=Path, required=True, help="the folder for the results")
    once.add_argument("--mode", help="short for --param mode=MODE")
    once.add_argument("--scale", help="how many times larger, such as 2 or 1.5")
    once.add_argument("--model", help="a weight file, .pth or .safetensors")
    once.add_argument("--preset", help="a named choice of parameters: low, balanced or high")
    once.add_argument("--start", help="begin there: 90, 1:30, 10s")
    once.add_argument("--end", help="stop there")
    once.add_argument("--sample", help="take only this long, from the middle: 10s")
    once.add_argument(
        "--allow-truncated", action="store_true", help="work on a file that breaks off, as far as it goes"
    )
    once.add_argument("--param", dest="params", action="append", default=[], metavar="NAME=VALUE")
    return parser


def _served(told: argparse.Namespace) -> Served:
    return Served(
        home=told.home,
        host=told.host,
        port=told.port,
        port_file=told.port_file,
        allow_file_grants=told.allow_file_grants,
        insecure_loopback=told.insecure_loopback,
    )


def _one_shot(told: argparse.Namespace) -> OneShot:
    """Write the options as parameters, in JSON, so that a model called 5 is a name."""
    given = {name: getattr(told, name) for name in ("mode", "scale", "model", "start", "end", "sample")}
    given["allow_truncated"] = told.allow_truncated or None
    short = [f"{name}={json.dumps(value)}" for name, value in given.items() if value is not None]
    return OneShot(told.pipeline, tuple(told.inputs), told.output, tuple(short + told.params), told.preset)


def _log_to_stderr(level: int) -> None:
    """One line an event. Libraries speak from WARNING on: httpx would print presigned addresses at INFO."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.WARNING)
    logging.getLogger("agent").setLevel(level)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: it would wait for threads that hash a large file or wait for a clock. All that counts is on disk.
    os._exit(code)
