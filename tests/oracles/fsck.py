"""Strict check with e2fsck, which only prints some findings and exits with 0."""

import re

from image_files import run

PASSES = (
    "Pass 1: Checking inodes, blocks, and sizes",
    "Pass 2: Checking directory structure",
    "Pass 3: Checking directory connectivity",
    "Pass 4: Checking reference counts",
    "Pass 5: Checking group summary information",
)
SUMMARY = re.compile(r"^.*: \d+/\d+ files \([\d.]+% non-contiguous\), \d+/\d+ blocks$")
VERSION = re.compile(r"^e2fsck \d+\.\d+.* \(\S+\)$")


# Extent trees that Linux leaves when files shrink or get holes. e2fsck can optimise them; they are not damage, and it exits with 0.
OPTIMISABLE = re.compile(r"^Inode \d+ extent tree \(at level \d+\) could be (shorter|narrower)\.  Optimize\? no$")


def clean(image, what="", used=False):
    """Problems that `e2fsck -fn` prints: any line except the passes, the summary and the version. A file system that Linux wrote
    to (`used`) may also have extent trees that could be smaller."""
    result = run(["e2fsck", "-fn", image], ok=None)
    said = result.stdout.split("\n") + result.stderr.split("\n")
    return judged(said, result.returncode, f"e2fsck -fn{what and ' ' + what}", used)


def judged(said, status, where, used=False):
    """Problems in the output of `e2fsck -fn`, and in its exit status."""
    lines = [line for line in said if line and not VERSION.match(line)]
    if used:
        lines = [line for line in lines if not OPTIMISABLE.match(line)]
    problems = [f"{where}: {line}" for line in lines if line not in PASSES and not SUMMARY.match(line)]
    problems += [f"{where}: did not come to {line[:6]}" for line in PASSES if line not in lines]
    if not any(map(SUMMARY.match, lines)):
        problems.append(f"{where}: no summary")
    if status:
        problems.append(f"{where}: exit status {status}")
    return problems


def dumpe2fs(image):
    """The superblock's fields with the names of dumpe2fs."""
    output = run(["dumpe2fs", "-h", image]).stdout
    return dict(re.match(r"([^:]+):\s*(.*)", line).groups() for line in output.split("\n") if ":" in line)
