#!/usr/bin/env python3
"""Plants faults in a copy of the library, one at a time, and says which of them no suite has noticed.

usage: mutants.py PLACE N SEED [FOLDER]     (PLACE has source/ and build/; see tests/mutants.sh)
"""
import json
import pathlib
import random
import re
import subprocess
import sys

# What is looked for in a line, and what stands there then. Each kind is drawn as often as the others.
KINDS = {
    "a comparison turned": [(r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "),
                            (r" == ", " != "), (r" != ", " == ")],
    "one more or less": [(r" \+ 1\b", " + 2"), (r" - 1\b", ""), (r"\+\+;", "--;")],
    "and for or": [(r" && ", " || "), (r" \|\| ", " && ")],
    "a call dropped": [(r"^(\t+)(?!return\b)(?:\(void\))?\w+\(.*\);$", r"\1;")],
    "a condition negated": [(r"\b(if|while) \((.*)\)( \{)?$", r"\1 (!(\2))\3")],
    "a member not set": [(r"^(\t+)[\w>\[\].-]+(?:->|\.)\w+ \S?= .*;$", r"\1;")],
}

# Not compiled where fibers have a switch of their own.
LEFT_OUT = ["context_ucontext.c"]

AT_ONCE = "4"           # suites; they wait more than they run
TIME_LIMIT = "0.4"      # of that of a suite in meson.build, which is for slow machines


def places(folder):
    """Each kind of fault, and where it can be planted: (file, line number, line with the fault)."""
    found = {kind: [] for kind in KINDS}
    for path in sorted(folder.rglob("*.c")):
        if path.name in LEFT_OUT:
            continue
        in_comment = False
        for number, line in enumerate(path.read_text().splitlines()):
            if line.strip().startswith("/*"):
                in_comment = True
            if not in_comment and line.startswith("\t") and not line.rstrip().endswith("\\"):
                for kind, rules in KINDS.items():
                    for pattern, repl in rules:
                        for match in re.finditer(pattern, line):
                            changed = line[:match.start()] + match.expand(repl) + line[match.end():]
                            found[kind].append((path, number, changed))
            if "*/" in line:
                in_comment = False
    return found


class Suites:
    def __init__(self, build):
        self.build = build
        listed = json.loads(subprocess.check_output(["meson", "introspect", "--tests", build]))
        self.folders = {}
        for test in listed:
            folders = [name.split(":")[-1] for name in test["suite"]]
            if "structure" not in folders and "programs" not in folders:
                self.folders[test["name"]] = folders[0]

    def compiles(self, names):
        targets = {"tests/check_" + re.sub("_debug$", "", name) for name in names}
        run = subprocess.run(["ninja", "-C", self.build, *sorted(targets)], capture_output=True, text=True)
        return run.returncode == 0

    def noticed(self, names):
        """The suites that failed, of which there is one at least when one did."""
        run = subprocess.run(["meson", "test", "-C", self.build, "--no-rebuild", "--maxfail", "1",
                              "--num-processes", AT_ONCE, "-t", TIME_LIMIT, *names],
                             capture_output=True, text=True, errors="replace")
        if run.returncode == 0:
            return []
        failed = re.findall(r"/ (\S+)\s+(?:FAIL|TIMEOUT|ERROR)\b", run.stdout)
        return failed or ["meson test"]

    def judge(self, folder):
        """None: it does not compile. Else which suites have noticed."""
        own = [name for name, of in self.folders.items() if of == folder]
        others = [name for name in self.folders if name not in own]
        for names in (own, others):
            if names and not self.compiles(names):
                return None
            failed = self.noticed(names) if names else []
            if failed:
                return failed
        return []


def draw(found, chance):
    kinds = [kind for kind in sorted(found) if found[kind]]
    kind = chance.choice(kinds)
    return kind, found[kind].pop(chance.randrange(len(found[kind])))


def main():
    place, wanted = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    lib = place / "source" / "lib"
    found = places(lib / sys.argv[4] if len(sys.argv) > 4 else lib)
    chance = random.Random(int(sys.argv[3]))
    suites = Suites(place / "build")
    counts = {"noticed": 0, "SURVIVED": 0}
    while sum(counts.values()) < wanted and any(found.values()):
        kind, (path, number, changed) = draw(found, chance)
        right = path.read_text()
        lines = right.split("\n")
        before, lines[number] = lines[number], changed
        path.write_text("\n".join(lines))
        failed = suites.judge(path.parent.name)
        path.write_text(right)
        if failed is None:
            continue
        counts["noticed" if failed else "SURVIVED"] += 1
        print("%s: %s:%d: %s%s\n    %s\n    %s" % (
            "noticed" if failed else "SURVIVED", path.relative_to(place / "source"), number + 1, kind,
            " (%s)" % ", ".join(failed[:3]) if failed else "", before.strip(), changed.strip()), flush=True)
    print("%(noticed)d noticed, %(SURVIVED)d survived" % counts)


if __name__ == "__main__":
    main()
