#!/usr/bin/env python3
"""Compares std's stable API with sylvan's, item by item, and writes a table of it.

Both are read from the pages that rustdoc makes: std's are part of the toolchain (the component rust-docs), ours are
built here. An item is a name of a module, a method, field or variant of a type or trait, or a trait that a type
implements. Each of std's is present (our own), re-exported (std's own), or missing. Why something may be missing stands in
ci/api_reasons.txt; without a reason it is a failure, and so is a reason that is no longer needed.

    ci/api_table.py             # the table goes to target/api-table.md
    ci/api_table.py --no-build  # with the pages that are there

Python 3 and its standard library are all it needs.
"""

import fnmatch
import html
import re
import subprocess
import sys
import urllib.parse
from collections import Counter, namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What is compared, by the path that both have.
MODULES = [
    "fs",
    "io",
    "net",
    "os/unix/fs",
    "os/unix/net",
    "os/unix/process",
    "os/unix/thread",
    "process",
    "sync",
    "sync/mpsc",
    "thread",
    "time",
]
MACROS = ["eprint", "eprintln", "print", "println", "thread_local"]

# Traits that users cannot name or call: the compiler's own, and what a type does when it ends.
UNNAMEABLE = {"Drop", "Freeze", "UnsafeUnpin"}

Page = namedtuple("Page", "parts own")


def main():
    std = Path(output("rustc", "--print", "sysroot")) / "share/doc/rust/html/std"
    if not (std / "index.html").exists():
        print(f"not compared: std's documentation is not in {std} (rustup component add rust-docs)")
        return 0
    ours = ROOT / "target/doc/sylvan"
    if "--no-build" not in sys.argv[1:]:
        command = ["cargo", "doc", "--no-deps", "--all-features", "--quiet"]
        subprocess.run(command, cwd=ROOT, check=True)
    reasons = read_reasons(ROOT / "ci/api_reasons.txt")
    rows = compare(std, ours, reasons)
    unused = [reason for reason in reasons if not reason.used]
    write_table(ROOT / "target/api-table.md", rows)
    return report(rows, unused)


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


# -- reading rustdoc's pages


def names(page):
    """The items of a module: kind and name of each that is stable and for this system."""
    found = set()
    for entry in re.findall(r"<dt[^>]*>(.*?)</dt>", read(page), re.S):
        if is_left_out(entry):
            continue
        link = re.search(r'<a class="([a-z]+)" href="([^"]+)"', entry)
        if link is None:
            continue
        kind, target = link.groups()
        name = re.fullmatch(r"(?:[a-z]+\.(\w+)!?\.html|(\w+)/index\.html)", target)
        if name is not None:
            found.add((kind, name[1] or name[2]))
    return found


def parts(page):
    """What a page of a type or trait has: methods, fields, variants, and traits that it implements."""
    text = read(page)
    # What holds for all types says nothing of this one.
    text = text.split('id="blanket-implementations"')[0]
    found = set()
    starts = re.compile(r'<(?:section|span) id="([^"]+)" class="([^"]+)"')
    matches = list(starts.finditer(text))
    for match, following in zip(matches, matches[1:] + [None]):
        segment = text[match.end() : following.start() if following else None]
        segment = segment.split('class="docblock')[0]
        name, classes = urllib.parse.unquote(match[1]), match[2].split()
        if is_left_out(segment):
            continue
        if classes == ["method"] or classes[0] in ("structfield", "variant"):
            found.add(without_number(name.split(".", 1)[1]))
        elif classes == ["impl"] and "-for-" in name:
            implemented = re.match(r"impl-(.*?)-for-(.*)", name)
            trait, type_ = implemented[1], without_number(implemented[2])
            if trait.lstrip("!") not in UNNAMEABLE and not is_of_unstable_trait(page, segment):
                found.add(f"impl {plain(trait)} for {plain(type_)}")
    source = re.search(r'<a class="src" href="([^"]+)"', text)
    own = source is not None and not source[1].startswith("https://")
    return Page(found, own)


def is_left_out(text):
    """Is this part of a page about something unstable, or about another system?"""
    other_system = re.search(r"Available on (?:<[^>]*>)*(Windows|WASI|macOS|Apple|Solaris)", text)
    # In a list of names this is all there is.
    tag = re.search(r'class="stab portability"[^>]*>(?:<code>)?(Windows|WASI|macOS)', text)
    return 'class="stab unstable"' in text or other_system or tag


def is_of_unstable_trait(page, segment):
    """The pages say of each trait whether it is stable, and nothing of who implements it."""
    link = re.search(r'<a class="trait" href="([^":#]+)"', segment)
    trait = page.parent / link[1] if link else None
    return trait is not None and trait.exists() and is_left_out(read(trait).split('class="docblock')[0])


def without_number(name):
    """rustdoc numbers what would have the same name on a page."""
    return re.sub(r"-\d+$", "", name)


def plain(name):
    """Without the names of parameters, which are anybody's choice, and lifetimes."""
    name = html.unescape(name)
    return re.sub(r"'\w+ ?,? ?", "", name).replace("<>", "")


def read(page):
    return page.read_text(encoding="utf-8")


# -- comparing


class Reason:
    def __init__(self, pattern, words):
        self.pattern, self.words, self.used = pattern, words, False


def read_reasons(path):
    """Lines of `pattern: words`; of several that match, the first counts. (A path may have a colon, too.)"""
    reasons = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            pattern, words = line.rsplit(": ", 1)
            reasons.append(Reason(pattern.strip(), words.strip()))
    return reasons


def compare(std, ours, reasons):
    """Rows of path, state and reason."""
    rows = []

    def add(path, state):
        reason = ""
        if state == "missing":
            for candidate in reasons:
                if fnmatch.fnmatchcase(path, candidate.pattern):
                    candidate.used, reason = True, candidate.words
                    break
        rows.append((path, state, reason))

    for name in MACROS:
        present = (ours / f"macro.{name}.html").exists()
        add(f"{name}!", "present" if present else "missing")
    for module in MODULES:
        ours_has = names(ours / module / "index.html") if (ours / module).exists() else set()
        for kind, name in sorted(names(std / module / "index.html")):
            path = f"{module}/{name}".replace("/", "::")
            if (kind, name) not in ours_has:
                add(path, "missing")
                continue
            if kind not in ("struct", "enum", "trait"):
                add(path, "present")
                continue
            theirs = parts(std / module / f"{kind}.{name}.html")
            own = parts(ours / module / f"{kind}.{name}.html")
            add(path, "present" if own.own else "re-exported")
            # What is std's own has all that std's has.
            for part in sorted(theirs.parts) if own.own else ():
                separator = ": " if part.startswith("impl ") else "::"
                add(path + separator + part, "present" if part in own.parts else "missing")
    return rows


# -- telling


def write_table(path, rows):
    path.parent.mkdir(exist_ok=True)
    lines = ["| std's | sylvan's | |", "|---|---|---|"]
    lines += [f"| `{path}` | {state} | {reason} |".replace("|  |", "| |") for path, state, reason in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def report(rows, unused):
    counts = Counter(state for _, state, _ in rows)
    unexplained = [path for path, state, reason in rows if state == "missing" and not reason]
    print(
        f"{len(rows)} items of std: {counts['present']} present, {counts['re-exported']} types re-exported, "
        f"{counts['missing'] - len(unexplained)} missing for a reason, {len(unexplained)} missing without"
    )
    for path in unexplained:
        print(f"missing: {path}")
    for reason in unused:
        print(f"a reason that nothing needs: {reason.pattern}")
    return 1 if unexplained or unused else 0


if __name__ == "__main__":
    sys.exit(main())
