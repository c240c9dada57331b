"""Pages in Markdown, for the tests of what they say: their headings, and their blocks of code."""
import glob, os, re, subprocess


def headings(text):
    """The level of each heading, in order."""
    found, fenced = [], False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if not fenced and re.match("#+ ", line):
            found.append(len(line.split()[0]))
    return found


def blocks(text):
    """The language and the lines of each fenced block, in order."""
    found, block = [], None
    for line in text.splitlines():
        if line.startswith("```"):
            block = None if block is not None else []
            if block is not None:
                found.append((line[3:], block))
        elif block is not None:
            block.append(line)
    return found


def sessions(text):
    """What the console blocks show, in order: each command, and the lines that it prints."""
    found = []
    for language, lines in blocks(text):
        for line in lines if language == "console" else []:
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


# ---- the tutorial ----

def tutorial():
    """Each step and its page."""
    return [(int(os.path.basename(page)[0]), page) for page in sorted(glob.glob("docs/tutorial/[1-9]-*.md"))]


def step(number):
    return open(f"examples/tutorial/step{number}.c").read().splitlines()


def new_lines(number):
    """The lines of a step that the one before has not, without empty ones."""
    before = step(number - 1) if number > 1 else []
    diff = subprocess.run(["diff", "-", f"examples/tutorial/step{number}.c"], input="".join(line + "\n" for line in before),
        stdout=subprocess.PIPE, text=True).stdout
    return [line[2:] for line in diff.splitlines() if line.startswith("> ") and line[2:].strip()]


def pieces(lines):
    """The pieces of a block of code: between them, a comment of three dots stands for what is left out."""
    found = [[]]
    for line in lines:
        if line.strip() == "/* ... */":
            found.append([])
        else:
            found[-1].append(line)
    return found


def find(source, piece, start):
    """Where the lines of piece end in source, from start on; -1 when they are not there."""
    for at in range(start, len(source) - len(piece) + 1):
        if source[at:at + len(piece)] == piece:
            return at + len(piece)
    return -1


# ---- two languages ----

def twins():
    """Each page that is there in English and in Korean."""
    return [(page, page.replace("docs/tutorial/", "docs/tutorial/ko/")) for page in sorted(glob.glob("docs/tutorial/*.md"))] + [
        (page, page.replace(".md", ".ko.md")) for page in ("README.md", "examples/README.md")]


def linking():
    """The pages whose links check_readme.sh does not look at."""
    return glob.glob("docs/*/**/*.md", recursive=True) + glob.glob("*.ko.md") + glob.glob("examples/*.ko.md")


def links(page):
    """The files that a page links to."""
    found = re.findall(r"\]\(([^)#]+)", open(page).read())
    return {os.path.normpath(os.path.join(os.path.dirname(page), link)) for link in found if "://" not in link}


def without_blocks(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


# What is the same in each language.
PARTS = {
    "headings": headings,
    "blocks of code": blocks,
    "commands": lambda text: re.findall(r"^    \S.*", without_blocks(text), re.M),
    "rows of tables, and their figures": lambda text: [
        (line.count(" | "), sorted(re.findall(r"\d[\d.,]*", line))) for line in text.splitlines() if line.startswith("|")],
    "items of lists": lambda text: re.findall(r"^- ", without_blocks(text), re.M),
}
