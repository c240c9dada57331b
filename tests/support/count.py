#!/usr/bin/env python3
"""Counts the individual checks of a meson test run, from its testlog.json.

usage: count.py TESTLOG [PREFIX]

A suite of Check ends with "87%: Checks: 15, Failures: 1, Errors: 1", a shell
test prints "ok - NAME" or "not ok - NAME" for each check. A suite that prints
neither, or that fails without saying which check did, counts as one failed; one
that has skipped all of its checks and says so counts as none.
Prints a line for each suite, what failed and what was skipped and why; the
last line is the sum: "PASSED FAILED".
"""
import json
import re
import sys

SKIPPED = re.compile(r"^skip - ", re.M)
SUMMARY = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.M)
OK = re.compile(r"^ok - ", re.M)
NOT_OK = re.compile(r"^not ok - ", re.M)
# What Check, a shell test and a sanitizer or valgrind say of a failure; a report
# is shown with the lines that follow.
TELLING = re.compile(r":[FES]:|^not ok - |^#   |runtime error:")
REPORT = re.compile(r"ERROR: |WARNING: ThreadSanitizer|^==\d+== (Invalid|Conditional|Use of|\d+.* lost)")
REPORT_LINES = 16
LINES = 60


def name_of(test):
    return test["name"].split(" / ")[-1]


def count(test):
    out = test.get("stdout", "")
    passed, failed = len(OK.findall(out)), len(NOT_OK.findall(out))
    for checks, failures, errors in SUMMARY.findall(out)[-1:]:
        bad = int(failures) + int(errors)
        passed, failed = passed + int(checks) - bad, failed + bad
    if test["result"] == "SKIP":
        return 0, 0
    if test["result"] == "OK" and passed + failed == 0 and SKIPPED.search(out):
        return 0, 0
    if failed == 0 and (passed == 0 or test["result"] != "OK"):
        failed = 1
    return passed, failed


def explain(test, failed):
    lines = (test.get("stdout", "") + "\n" + test.get("stderr", "")).splitlines()
    if test["result"] == "SKIP":
        yield "skipped: %s: %s" % (name_of(test), lines[0] if lines else "no reason given")
    for line in lines:
        if line.startswith("skip - "):
            yield "skipped: %s: %s" % (name_of(test), line[len("skip - "):])
    if failed:
        telling = []
        until = 0
        for number, line in enumerate(lines):
            if REPORT.search(line) and number >= until:
                until = number + REPORT_LINES
            if TELLING.search(line) or number < until:
                telling.append(line)
        yield from telling[:LINES]
        if not telling or test["result"] != "FAIL":
            yield from lines[-LINES // 3:]


def main():
    all_passed = all_failed = 0
    prefix = sys.argv[2] if len(sys.argv) > 2 else ""
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        tests = [json.loads(line) for line in log]
    for test in tests:
        passed, failed = count(test)
        all_passed, all_failed = all_passed + passed, all_failed + failed
        name = prefix + name_of(test)
        result = "" if test["result"] in ("OK", "FAIL", "SKIP") else ", " + test["result"]
        print("  %-24s %4d passed, %d failed  (%.1f s%s)"
              % (name, passed, failed, test["duration"], result))
        for line in explain(test, failed):
            print("    " + line)
    print(all_passed, all_failed)


if __name__ == "__main__":
    main()
