#!/usr/bin/env python3
"""The results of run.sh --all: collected as JSON, and shown on the page.

figures.py busy                       prints how many percent of the machine others use
figures.py collect ROWS JSON SECONDS  puts rows into the JSON, with the machine and the versions
figures.py page JSON FOLDER           the tables of FOLDER/docs/performance.md and README.md
figures.py plots JSON FOLDER          the plots, in FOLDER (by gnuplot)
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = "libsocketserver"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
README = {"64 connections": 0, "16 lines in a send, 64 connections": 1, "1000 connections": 2}
THREADED = ", a thread each"
QUIET = 10  # percent of the machine that others may use


def fail(text):
    sys.exit(f"figures.py: {text}")


def read(name):
    with open(name) as f:
        return json.load(f)


# ---- collect ----

def busy():
    """Over a moment, since a load average remembers what was minutes ago."""
    def times():
        with open("/proc/stat") as f:
            fields = [int(field) for field in f.readline().split()[1:]]
        return sum(fields), fields[3] + fields[4]

    total, idle = times()
    time.sleep(0.4)
    total, idle = times()[0] - total, times()[1] - idle
    print(round(100 * (1 - idle / total)))


def first_line(*command):
    """What the command says of its version, or None when it is not there."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.splitlines()[0].strip() if done.stdout else None


def number_in(text):
    found = re.search(r"\d+\.\d+[\w.+-]*", text or "")
    return found.group() if found else None


def versions():
    def package(name):
        return number_in(first_line("pkg-config", "--modversion", name))

    def option(*command):
        return number_in(first_line(*command))

    found = {
        "libsocketserver": first_line("git", "-C", HERE, "describe", "--always", "--dirty", "--tags"),
        "gcc": option("gcc", "-dumpfullversion"),
        "libevent": package("libevent"),
        "libuv": package("libuv"),
        "State Threads": package("st"),
        "OpenSSL": option("openssl", "version"),
        "Go": option("go", "version"),
        "Python": platform.python_version(),
        "gevent": option("/usr/bin/python3", "-c", "import gevent; print(gevent.__version__)"),
        "Apache": option("/usr/sbin/apache2", "-v"),
        "nginx": option("/usr/sbin/nginx", "-v"),
        "HAProxy": option("/usr/sbin/haproxy", "-v"),
        "stunnel": option("/usr/bin/stunnel4", "-version"),
    }
    return {name: version for name, version in found.items() if version}


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "kernel": platform.release(),
    }


def collect(rows, name, seconds):
    """Rows replace those of the same title in their places; others are added, or stay."""
    with open(rows) as f:
        found = {row["title"]: row for row in map(json.loads, f)}
    for row in found.values():
        row["seconds"] = float(seconds)
    old = read(name)["rows"] if os.path.exists(name) and os.path.getsize(name) else []
    merged = [found.pop(row["title"], row) for row in old] + list(found.values())
    with open(name, "w") as f:
        json.dump({"machine": machine(), "versions": versions(), "rows": merged}, f, indent=1)
        f.write("\n")


# ---- tables ----

def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    out += ["| " + " | ".join(line) + " |" for line in lines]
    return out + [""]


def names_of(rows):
    names = []
    for row in rows:
        names += [s["name"] for s in row["servers"] if s["name"] not in names]
    return names


def ratio_table(rows):
    """Rows of the same servers: the first in ns, the others as a multiple of it."""
    names = names_of(rows)
    lines = []
    for row in rows:
        by_name = {s["name"]: s for s in row["servers"]}
        line = [row["title"].removesuffix(THREADED), str(by_name[names[0]]["ns"])]
        line += [f"{by_name[n]['ratio']:.2f}" if n in by_name else "" for n in names[1:]]
        lines.append(line)
    return table(["work", names[0] + ", ns"] + names[1:], lines)


def single_table(rows):
    """Rows of which each has servers of its own."""
    lines = []
    for row in rows:
        first = row["servers"][0]
        others = [f"{s['name']} {s['ratio']:.2f}" for s in row["servers"][1:]]
        lines.append([row["title"], f"{first['name']}, {first['ns'] / 1000:.1f}", "; ".join(others)])
    return table(["work", "measured by, µs", "times that"], lines)


def memory_table(rows):
    lines = [[row["title"], s["name"], str(s["bytes"])] for row in rows for s in row["servers"]]
    return table(["connections", "server", "bytes each"], lines)


def latency_table(row):
    lines = []
    for s in row["servers"]:
        times = [f"{s[p] / 1000:.0f}" for p in ("p50_ns", "p99_ns", "p999_ns")]
        lines.append([s["name"]] + (times if s["kept_up"] else ["does not keep up", "", ""]))
    return table([f"{row['rate']} messages due in a second", "p50, µs", "p99, µs", "p99.9, µs"], lines)


def behind(rows):
    """The rows in which a peer costs less than ours. The first server is no peer: it is the measure."""
    lines = []
    for row in rows:
        ours = next((s for s in row["servers"] if s["name"].startswith("ours")), None)
        if ours is None or ours is row["servers"][0] and row["kind"] != "memory":
            continue
        form = (lambda s: f"{s['ratio']:.2f}") if row["kind"] == "cpu" else (lambda s: str(s["bytes"]))
        key = "ratio" if row["kind"] == "cpu" else "bytes"
        ahead = [f"{s['name']} {form(s)}" for s in row["servers"][1:]
                 if not s["name"].startswith("ours") and s[key] < ours[key]]
        if ahead:
            lines.append([row["title"], form(ours), ", ".join(ahead)])
    return table(["work", OURS, "ahead"], lines)


def is_preliminary(rows):
    return any(row["busy_percent"] > QUIET for row in rows)


def taken(rows):
    first, last = min(row["date"] for row in rows), max(row["date"] for row in rows)
    return first if first == last else f"{first} to {last}"


def of_kind(data, kind):
    return [row for row in data["rows"] if row["kind"] == kind]


def page_text(data):
    cpu = of_kind(data, "cpu")
    threaded = [row for row in cpu if row["title"].endswith(THREADED)]
    common = [row for row in cpu if row["servers"][0]["name"] == "bare epoll" and row not in threaded]
    rest = [row for row in cpu if row not in threaded and row not in common]
    made = data["machine"]
    out = [f"Taken {taken(data['rows'])} on {made['cpu']}, {made['cores']} cores, Linux {made['kernel']}; "
           f"slices of {data['rows'][0]['seconds']:g} s.", "",
           "Versions: " + ", ".join(f"{n} {v}" for n, v in data["versions"].items()) + ".", ""]
    if is_preliminary(data["rows"]):
        out[0:0] = ["**Preliminary: others used the machine meanwhile.**", ""]
    for title, rows, show in (
            ("CPU for each message, times bare epoll", common, ratio_table),
            ("Servers with a thread for each connection, in turn", threaded, ratio_table),
            ("Other work", rest, single_table),
            ("Memory of connections that are idle", of_kind(data, "memory"), memory_table)):
        if rows:
            out += [f"### {title}", ""] + show(rows)
    for row in of_kind(data, "latency"):
        out += ["### Latency in an open loop", ""] + latency_table(row)
    out += ["### Rows in which a peer costs less than ours", ""]
    out += behind(common + threaded + rest + of_kind(data, "memory"))
    return out


def replace_page(path, lines):
    with open(path) as f:
        text = f.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        fail(f"{path}: no place for the figures, between {BEGIN} and {END}")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    with open(path, "w") as f:
        f.write(head + BEGIN + "\n" + "\n".join(lines) + END + tail)


def replace_readme(path, rows):
    """The three columns of the table in README.md, of each server that has a line there."""
    columns = {}
    for row in rows:
        for s in row["servers"]:
            columns.setdefault(s["name"], [""] * 3)[README[row["title"]]] = f"{s['ratio']:.2f}"
    with open(path) as f:
        text = f.read()
    for name, line in (("ours", "libsocketserver, which reads lines"), ("libuv", "libuv, which echoes bytes")):
        if name in columns and all(columns[name]):
            text = re.sub(rf"^\| {line} \|.*$", f"| {line} | {' | '.join(columns[name])} |", text,
                          flags=re.M)
    with open(path, "w") as f:
        f.write(text)


# ---- plots ----

def write(folder, name, lines):
    with open(os.path.join(folder, name), "w") as f:
        f.write("".join(line + "\n" for line in lines))


def bars(folder, name, groups):
    """Groups of bars, drawn from top to bottom: "NAME" VALUE... with NaN for what is missing."""
    write(folder, name, [f'"{n}" ' + " ".join(f"{v:g}" if v else "NaN" for v in values)
                         for n, values in groups])


def cost_bars(folder, cpu):
    groups = {}
    for row in cpu:
        column = README.get(row["title"].removesuffix(THREADED))
        if column is None:
            continue
        for s in row["servers"]:
            if s["name"] != "bare epoll":
                groups.setdefault(s["name"], [None] * 3)[column] = s["ratio"]
    bars(folder, "cost.dat", groups.items())


def latency_bars(folder, rows):
    for row in rows:
        bars(folder, "latency.dat", [
            (s["name"], [s[p] / 1000 for p in ("p50_ns", "p99_ns", "p999_ns")] if s["kept_up"]
             else [None] * 3) for s in row["servers"]])


def load_of(row, option, default):
    found = re.search(rf"--{option} (\d+)", row["load"])
    return int(found.group(1)) if found else default


def curve(folder, name, rows, option, default, fixed):
    """Columns: the option's value, and the CPU of each server in µs, for the rows that differ in it only."""
    points = {}
    for row in rows:
        if (row["unit"] in ("message", "line") and row["servers"][0]["name"] == "bare epoll" and
                THREADED not in row["title"] and load_of(row, "idle", 0) == 0 and
                all(load_of(row, o, d) == d for o, d in fixed)):
            points[load_of(row, option, default)] = {s["name"]: s["ns"] / 1000 for s in row["servers"]}
    names = names_of([{"servers": [{"name": n} for n in point]} for point in points.values()])
    lines = ["x " + " ".join(f'"{n}"' for n in names)]
    lines += [f"{x} " + " ".join(f"{points[x].get(n, float('nan')):g}" for n in names)
              for x in sorted(points)]
    write(folder, name, lines)


def plots(name, out):
    data = read(name)
    note = " (preliminary)" if is_preliminary(data["rows"]) else ""
    for row in data["rows"]:
        for s in row["servers"]:
            s["name"] = re.sub(r"^ours\b", OURS, s["name"])
    cpu = of_kind(data, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        cost_bars(folder, cpu)
        latency_bars(folder, of_kind(data, "latency"))
        curve(folder, "connections.dat", cpu, "connections", 64, [("pipeline", 1), ("size", 64)])
        curve(folder, "lines.dat", cpu, "pipeline", 1, [("connections", 64), ("size", 64)])
        sizes = [row for row in cpu if load_of(row, "connections", 64) in (16, 64)]
        curve(folder, "sizes.dat", sizes, "size", 64, [("pipeline", 1)])
        os.makedirs(out, exist_ok=True)
        try:
            subprocess.run(["gnuplot", "-e", f"data = '{folder}'; out = '{out}'; note = '{note}'",
                            os.path.join(HERE, "plot.gp")], check=True)
        except FileNotFoundError:
            fail("no gnuplot")
        except subprocess.CalledProcessError as error:
            fail(f"gnuplot: exit code {error.returncode}")


def page(name, folder):
    data = read(name)
    lines = [re.sub(r"\bours\b", OURS, line) for line in page_text(data)]
    replace_page(os.path.join(folder, "docs", "performance.md"), lines)
    shown = [row for row in of_kind(data, "cpu") if row["title"] in README]
    if not is_preliminary(shown):
        replace_readme(os.path.join(folder, "README.md"), shown)


if __name__ == "__main__":
    COMMANDS = {("busy", 2): busy, ("collect", 5): collect, ("page", 4): page, ("plots", 4): plots}
    run = COMMANDS.get((sys.argv[1] if len(sys.argv) > 1 else "", len(sys.argv)))
    if run is None:
        sys.exit(__doc__)
    run(*sys.argv[2:])
