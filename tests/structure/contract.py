#!/usr/bin/env python3
"""
Compares what the public headers and the manual say: each function has the same errors in
both, and each member of a struct has its type, its unit and its default.

usage: contract.py INCLUDE_DIR MAN_DIR

It prints a line for each difference.
"""
import pathlib
import re
import sys

include, man = (pathlib.Path(folder) for folder in sys.argv[1:3])

# The structs whose members are described one by one, and the page that does it.
STRUCTS = {
    "sks_options": "sks_options.3",
    "sks_handler": "sks_handler.3",
    "sks_request": "sks_request.3",
    "sks_stats": "sks_stats.3",
    "sks_log_record": "socketserver_log.3",
    "sks_client": "socketserver_socket.3",
    "sks_selectable": "socketserver_socket.3",
    "sks_plugin": "socketserver_plugin.3",
    "sks_tls_options": "socketserver_tls.3",
    "sks_plugin_option": "socketserver_plugin.3",
}
# SKS_PLUGIN() fills them in, or nobody does.
LEFT_OUT = {"magic", "major", "minor", "size", "handler_size", "option_size", "reserved"}

ERROR = re.compile(r"\b(E[A-Z0-9]{2,})\b")
COMMENT = re.compile(r"/\*((?:[^*]|\*(?!/))*)\*/")


def text_of(comment):
    """A comment without its stars, as one line."""
    return re.sub(r"\s+", " ", re.sub(r"(?m)^\s*\*", "", comment)).strip()


def functions(header):
    """Of each function that is declared, its name and its comment."""
    declared = r"((?:(?:SKS_API|static inline)\s[^;{]*;[^\n]*\n)+)"
    for comment, declarations in re.findall(COMMENT.pattern + r"\n" + declared, header):
        for name in re.findall(r"\b(sks_[a-z0-9_]+)\(", declarations):
            yield name, text_of(comment)


def described(page):
    """Of each function that is described in a list, its name and that text."""
    found, names, depth, is_new = {}, [], 0, False
    for line in page.split(".Sh DESCRIPTION", 1)[-1].split("\n.Sh ", 1)[0].split("\n"):
        depth += line.startswith(".Bl") - line.startswith(".El")
        item = re.match(r"\.It Fn (\S+)", line)
        if item and depth == 1:  # several may have one text
            names = names + [item[1]] if is_new else [item[1]]
            found[item[1]] = ""
            is_new = True
        elif depth == 0:
            names = []
        else:
            is_new = False
            for name in names:
                found[name] += line + "\n"
    return found


def members(header, struct):
    """Of each member of a struct, its name, its type and its comment."""
    body = re.search(r"^struct %s \{\n(.*?)\n\};" % struct, header, re.S | re.M)[1]
    place = 0
    before = ""
    rows = []
    for token in re.finditer(COMMENT.pattern + r"|([a-z][^;/]*);", body):
        if token[1] is not None:
            is_behind = rows and "\n" not in body[place:token.start()]
            if is_behind:
                rows[-1][2] = text_of(token[1])
            else:
                before = text_of(token[1])
            continue
        declaration = re.sub(r"\s+", " ", token[2])
        function = re.match(r"(.*)\(\*(\w+)\)(.*)", declaration)
        plain = re.match(r"(.*?)(\w+)(?:\[\d+\])?$", declaration)
        if function:
            rows.append([function[2], function[1].strip() + " (*)" + function[3], before])
        else:
            rows.append([plain[2], plain[1].strip(), before])
        before = ""
        place = token.end()
    return rows


def default_of(comment):
    """What stands first in the comment of an option."""
    if comment.startswith("NULL: "):
        return "NULL"
    return re.match(r"(.*?)\. ", comment + " ")[1]


def plain(mdoc):
    """The words of a piece of a page."""
    mdoc = re.sub(r"(?m)^\.(It )?", "", mdoc).replace('"', "")
    mdoc = re.sub(r"\b(Vt|Dv|Fa|Fn|Er|No|Ns|Xr|Pq)\b ?", "", mdoc)
    return re.sub(r" ([,.;:])", r"\1", re.sub(r"\s+", " ", mdoc)).strip()


def check_struct(struct, header, page_name):
    page = (man / page_name).read_text()
    for name, kind, comment in members(header, struct):
        if name in LEFT_OUT:
            continue
        item = re.search(r"^\.It Fa %s\n(.*?)(?=^\.It Fa |^\.El|^\.Sh )" % name, page, re.S | re.M)
        where = f"{page_name}: struct {struct}: {name}:"
        if item is None:
            print(where, "it is missing")
            continue
        words = plain(item[1])
        if not words.startswith(kind):
            print(where, f"its type is {kind}")
        if name.endswith("_ms") and "milliseconds" not in words:
            print(where, "it is in milliseconds")
        if kind == "size_t" and "bytes" not in words:
            print(where, "it is in bytes")
        if struct == "sks_options":
            default = default_of(comment)
            if f"default {default}".lower() not in words.lower():
                print(where, f"its default is {default}")


def main():
    headers = {path.name: path.read_text() for path in sorted(include.glob("socketserver/*.h"))}
    pages = {}
    for path in sorted(man.glob("*.3")):
        pages.update(described(path.read_text()))
    for file, header in headers.items():
        for name, comment in functions(header):
            here, there = set(ERROR.findall(comment)), set(ERROR.findall(pages.get(name, "")))
            for error in sorted(here ^ there):
                print(f"{file}: {name}: {error} is in", "the header" if error in here else "the manual", "alone")
        for struct, page in STRUCTS.items():
            if f"\nstruct {struct} {{" in header:
                check_struct(struct, header, page)


main()
