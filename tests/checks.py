# SPDX-License-Identifier: Apache-2.0
"""What suites of named checks share: the command line, and a line of report for each check."""

import argparse
import pathlib
import tempfile
import time


class Failure(Exception):
    """What is wrong, for the report."""


def run_checks(suite, description, checks, parser=None):
    """Runs the checks named on the command line, or all: functions that take an empty folder, return what the
    report says of them, and raise Failure. `parser` has further options, which the checks read. The exit status."""
    parser = parser or argparse.ArgumentParser()
    parser.description = description.split("\n\n")[0]
    parser.add_argument("names", nargs="*", help=f"what to run (default: all): {', '.join(checks)}")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in checks]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(checks)}")

    failed = []
    names = options.names or list(checks)
    for name in names:
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"tilewright-{suite}-") as folder:
            try:
                verdict = f"passed  {checks[name](pathlib.Path(folder))}"
            except Failure as failure:
                failed.append(name)
                verdict = f"FAILED  {failure}"
        print(f"{name:22} {verdict}  ({time.monotonic() - begin:.1f} s)", flush=True)
    print(f"tests/{suite}: {len(names) - len(failed)} of {len(names)} passed"
          + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0
