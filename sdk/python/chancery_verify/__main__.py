"""``python -m chancery_verify``: chains and vectors from the command line. stdout is JSON.

Exit codes: 0 accepted or all as expected, 1 refused or not as expected, 2 usage or unreadable input.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import command
from .vectors import run


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except OSError as error:
        said = f"{error.filename}: {error.strerror}"
    except (ValueError, KeyError, TypeError) as error:
        said = str(error)
    print(f"chancery_verify: {said}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chancery_verify",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command.add_to(commands)
    vectors = commands.add_parser("vectors", help="run files of vectors")
    vectors.set_defaults(run=_vectors)
    vectors.add_argument("paths", type=Path, nargs="+", help="files, or folders of JSON files")
    vectors.add_argument("--verdicts", action="store_true", help="print each verdict, one a line")
    return parser


def _vectors(options: argparse.Namespace) -> int:
    judged, wrong = 0, []
    for outcome in run(options.paths):
        judged += 1
        if options.verdicts:
            print(json.dumps({"id": outcome.id, **outcome.verdict}))
        elif outcome.wrong:
            wrong.append({"file": outcome.file, "id": outcome.id, "found": outcome.verdict})
    if options.verdicts:
        return 0
    print(json.dumps({"judged": judged, "wrong": wrong}, indent=2))
    return 1 if wrong or not judged else 0


if __name__ == "__main__":
    sys.exit(main())
