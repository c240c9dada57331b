#!/usr/bin/env python3
"""Prints what a compiled program counts on of the library, a line for each fact.

usage: abi.py ABIDW_XML < MACROS

ABIDW_XML is what abidw(1) writes of the library, MACROS the public headers' macros, as cc -E -dM
prints them. The facts are the exported functions with their types, the members of the structs of
the public headers with their offsets, enumerators, and macros that are numbers. Names of parameters
and lines of files are none, nor are members called reserved: each gets its name when it is used, and
what is behind it stays where it was. A library that has all the lines of an older one, and perhaps
more, runs the older one's programs: functions may be added, and structs may grow at their end.
"""
import re
import sys
import xml.etree.ElementTree as tree

PUBLIC = re.compile(r"(^|/)include/socketserver(/|\.h$)")
NUMBER = re.compile(r"#define (SKS_[A-Z0-9_]+) (\(?-?(?:0x[0-9a-fA-F]+|\d+)[uUlL]*\)?)$")
KINDS = {"class-decl": "struct", "union-decl": "union", "enum-decl": "enum"}


class Types:
    """The types of a description, by their number, as C writes them."""

    def __init__(self, root):
        self.by_id = {node.get("id"): node for node in root.iter() if node.get("id")}

    def text(self, number):
        node = self.by_id.get(number)
        if node is None:
            return "?"
        return getattr(self, "of_" + node.tag.replace("-", "_"), self.of_name)(node)

    def of_name(self, node):
        return " ".join(filter(None, (KINDS.get(node.tag), node.get("name"))))

    def of_pointer_type_def(self, node):
        target = self.by_id.get(node.get("type-id"))
        if target is not None and target.tag == "function-type":
            return self.signature(target, "(*)")
        return self.text(node.get("type-id")) + " *"

    def of_function_type(self, node):
        return self.signature(node, "")

    def of_qualified_type_def(self, node):
        words = [word for word in ("const", "volatile") if node.get(word) == "yes"]
        return " ".join([self.text(node.get("type-id"))] + words)

    def of_array_type_def(self, node):
        lengths = "".join("[%s]" % each.get("length") for each in node.iter("subrange"))
        return self.text(node.get("type-id")) + lengths

    def signature(self, node, name):
        parameters = ["..." if each.get("is-variadic") == "yes" else self.text(each.get("type-id"))
                      for each in node.findall("parameter")]
        return "%s %s(%s)" % (self.text(node.find("return").get("type-id")), name,
                              ", ".join(parameters) or "void")


def facts(root, macros):
    types = Types(root)
    exported = {node.get("name") for node in root.iter("elf-symbol")}
    for node in root.iter("function-decl"):
        if node.get("name") in exported:
            yield "function " + types.signature(node, node.get("name"))
    for node in root.iter():
        if node.tag not in KINDS or not PUBLIC.search(node.get("filepath") or ""):
            continue
        for member in node.findall("data-member"):
            declared = member.find("var-decl")
            if declared.get("name") == "reserved":
                continue
            yield "%s %s: %s %s, at %d" % (KINDS[node.tag], node.get("name"),
                                           types.text(declared.get("type-id")), declared.get("name"),
                                           int(member.get("layout-offset-in-bits", 0)) // 8)
        for value in node.findall("enumerator"):
            yield "enum %s: %s = %s" % (node.get("name"), value.get("name"), value.get("value"))
    for line in macros:
        number = NUMBER.match(line.strip())
        if number and not number.group(1).startswith("SKS_VERSION"):
            yield "macro %s %s" % number.groups()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.split("\n\n")[1])
    for line in sorted(set(facts(tree.parse(sys.argv[1]).getroot(), sys.stdin))):
        print(line)


if __name__ == "__main__":
    main()
