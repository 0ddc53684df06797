"""`python -m freezelint` and the console script: runs the command line and turns every ending into an exit status."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    # `python -m` looks for modules in the working directory first: a file there that is called click.py would be run.
    del sys.path[0]

import contextlib
import gc
import threading
import traceback
from collections.abc import Sequence

import click

from freezelint.cli import WRONG_USE, cli

INTERRUPTED = 130  # as shells say it
REPORT_IT = "this is a fault of freezelint, not of your code: please report it with the lines above"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run freezelint and exit: 0 nothing found, 1 findings, 2 wrong use or internal error."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks must not end the run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    status = run(arguments)
    if status == INTERRUPTED and any(thread.name == "freezelint" for thread in threading.enumerate()):
        # The analysis is still at some piece of work in a thread, and has nothing to clean up. When the interpreter
        # ends below the parser, which is no Python, the process aborts.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(status)
    if "freezelint.live" not in sys.modules:  # a program that was watched ends as it always does
        gc.freeze()  # or the interpreter looks through everything for garbage, when all of it goes
    sys.exit(status)


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit status of one command line."""
    if "_FREEZELINT_COMPLETE" in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "freezelint", "_FREEZELINT_COMPLETE", os.environ["_FREEZELINT_COMPLETE"])
    try:
        # Not through click's `main`, which answers 1, "findings", to a closed pipe and to an interruption.
        with cli.make_context("freezelint", list(sys.argv[1:] if arguments is None else arguments)) as context:
            status = cli.invoke(context)
        sys.stdout.flush()
        return int(status or 0)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as wrong_use:
        wrong_use.show()
        return WRONG_USE
    except (click.Abort, KeyboardInterrupt):
        print("freezelint: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has gone. Point stdout elsewhere, or the interpreter complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception:
        traceback.print_exc()
        print(f"freezelint: internal error: {REPORT_IT}", file=sys.stderr)
        return WRONG_USE


if __name__ == "__main__":
    main()
