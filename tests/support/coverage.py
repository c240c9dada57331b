#!/usr/bin/env python3
"""Says which lines of lib/ the tests have run, from what a coverage build has left.

usage: coverage.py SOURCE BUILD [FOLDER]

Prints the lines and the branches that were run for each folder of lib/; with FOLDER, such as
server, for each file of it, and the lines that were not run. The library is compiled twice (for
programs, and with faults for the suites), and a line counts when either has run it.
"""
import collections
import json
import os
import pathlib
import subprocess
import sys

LIBRARIES = ("libsks-objects.a.p", "libsks-faults.a.p")


def reports(build):
    for library in LIBRARIES:
        notes = sorted((build / "lib" / library).glob("*.gcno"))
        run = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", *map(str, notes)],
                             cwd=build, capture_output=True, check=True, text=True)
        yield from map(json.loads, run.stdout.splitlines())


def collect(source, build):
    """Two counters: how often each (file, line) and each (file, line, branch) was run."""
    lines, branches = collections.Counter(), collections.Counter()
    for report in reports(build):
        for entry in report["files"]:
            path = os.path.relpath(build / entry["file"], source)
            if not path.startswith("lib/"):
                continue
            for line in entry["lines"]:
                at = path, line["line_number"]
                lines[at] += line["count"]
                for number, branch in enumerate(line["branches"]):
                    branches[at + (number,)] += branch["count"]
    return lines, branches


def percent(counts):
    run = sum(count > 0 for count in counts)
    return "%5.1f %% of %5d" % (100 * run / max(1, len(counts)), len(counts))


def table(lines, branches, group_of):
    groups = collections.defaultdict(lambda: ([], []))
    for kind, counter in enumerate((lines, branches)):
        for at, count in counter.items():
            for group in {group_of(at[0]), "all"}:
                groups[group][kind].append(count)
    for group in sorted(groups, key=lambda name: (name == "all", name)):
        print("  %-28s lines %s   branches %s" % (group, *map(percent, groups[group])))


def main():
    source, build = (pathlib.Path(arg).resolve() for arg in sys.argv[1:3])
    lines, branches = collect(source, build)
    if len(sys.argv) == 3:
        table(lines, branches, os.path.dirname)
        return
    folder = "lib/%s/" % sys.argv[3]
    lines = {at: count for at, count in lines.items() if at[0].startswith(folder)}
    branches = {at: count for at, count in branches.items() if at[0].startswith(folder)}
    table(lines, branches, lambda path: path)
    for path, number in sorted(at for at, count in lines.items() if count == 0):
        print("%s:%d:%s" % (path, number, (source / path).read_text().splitlines()[number - 1]))


if __name__ == "__main__":
    main()
