#!/bin/sh
# The tutorial is what its steps are, and the Korean pages are what the English ones are. (That the
# commands print what the pages say: check_tutorial.sh. All other pages: check_readme.sh.)
#
# usage: check_pages.sh SOURCE_DIR
set -u

if [ $# -ne 1 ] || [ ! -f "$1/README.md" ]; then
	echo "usage: check_pages.sh SOURCE_DIR" >&2
	exit 2
fi
# shellcheck source=tests/support/report.sh
. "$1/tests/support/report.sh"
cd "$1" || exit 2
export PYTHONPATH=tests/support PYTHONDONTWRITEBYTECODE=1

none "a step has at most 25 new lines, the empty ones not counted" "$(python3 - 2>&1 <<'PYTHON'
import pages
for step in range(2, 8):
    new = pages.new_lines(step)
    if len(new) > 25:
        print(f"step {step} has {len(new)}")
PYTHON
)"

none "each piece of code on a page of the tutorial stands in its step" "$(python3 - 2>&1 <<'PYTHON'
import pages
for step, page in pages.tutorial():
    source = pages.step(step)
    for language, lines in pages.blocks(open(page).read()):
        if language == "c":
            at = 0
            for piece in pages.pieces(lines):
                at = pages.find(source, piece, at)
                if at == -1:
                    print(f"{page}: not in step{step}.c, or not in this order:", *piece, sep="\n")
                    break
PYTHON
)"

none "each new line of a step stands on its page" "$(python3 - 2>&1 <<'PYTHON'
import pages
for step, page in pages.tutorial():
    shown = [line for language, lines in pages.blocks(open(page).read()) if language == "c" for line in lines]
    for line in pages.new_lines(step):
        if line not in shown:
            print(f"{page}: {line}")
PYTHON
)"

none "a page of the tutorial has at most 90 lines" "$(wc -l docs/tutorial/*.md docs/tutorial/ko/*.md |
    awk '$1 > 90 && $2 != "total"')"

none "each page is there in both languages, with the same headings, code, tables and lists" "$(python3 - 2>&1 <<'PYTHON'
import os, pages
for english, korean in pages.twins():
    if not os.path.exists(korean):
        print(f"there is no {korean}")
        continue
    ours, theirs = open(english).read(), open(korean).read()
    for what, of in pages.PARTS.items():
        if of(ours) != of(theirs):
            print(f"{korean}: {what} are not those of {english}")
            for a, b in zip(of(ours), of(theirs)):
                if a != b:
                    print(f"  {a}\n  {b}")
                    break
PYTHON
)"

none "each link of a page leads to the same file, or to its twin, in the other language" "$(python3 - 2>&1 <<'PYTHON'
import pages
twin = {korean: english for english, korean in pages.twins()}
for korean, english in twin.items():
    there = {twin.get(path, path) for path in pages.links(korean)}
    for path in sorted(pages.links(english) - there - {korean}):
        print(f"{korean}: no link to {path}")
PYTHON
)"

none "each link of the tutorial and of the Korean pages leads to a file" "$(python3 - 2>&1 <<'PYTHON'
import os, pages
for page in pages.linking():
    for path in pages.links(page):
        if not os.path.exists(path):
            print(f"{page}: {path}")
PYTHON
)"

report_end
