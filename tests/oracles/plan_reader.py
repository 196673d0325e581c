"""Reading a plan for the oracles: sizes, modes, where the closure and its registration are.

It trusts the plan to be valid: what is wrong in a plan is the program's to say and other tests' to check.
"""

import base64
import json
import os
import sys

from image_files import Unusable

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "closure"))
# pylint: disable=wrong-import-position
from nix_archive import NIX32_DIGITS, nix32

# The options of a sealed file system.
SEALED = {"freeSpace": 0, "freeInodes": 0, "growTo": None, "bytesPerInode": "64MiB", "journalSize": 0}

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def size(value):
    """A size of a plan in bytes; None stays None."""
    if isinstance(value, str) and value[-3:] in UNITS:
        return int(value[:-3]) * UNITS[value[-3:]]
    return value if value is None else int(value)


class PlanFile:
    """A plan, the attributes around it if it came in a file of structured attributes, and its base folder."""

    def __init__(self, path, base=None):
        try:
            with open(path, "rb") as file:
                document = json.load(file)
        except (OSError, ValueError) as reason:
            raise Unusable(f"{path}: {reason}; give a plan in JSON") from None
        self.attributes = document if "version" not in document and "plan" in document else {}
        self.plan = self.attributes.get("plan", document)
        self.base = base or os.path.dirname(os.path.abspath(path))
        self.filesystem = self.plan.get("filesystem", {})
        if self.filesystem.get("seal"):
            self.filesystem = {**SEALED, **self.filesystem}
        self.timestamp = self.filesystem.get("timestamp", 1)

    def path(self, name):
        return os.path.join(os.fsencode(self.base), os.fsencode(name))

    def text(self, name):
        with open(self.path(name), encoding="utf-8", errors="surrogateescape") as file:
            return file.read()

    def closure_records(self):
        """Records of path, narHash, narSize and references, in the order of their source; [] without a closure."""
        closure = self.plan.get("closure")
        if not closure:
            return []
        graph = closure.get("graph")
        if graph is not None:
            if isinstance(graph, str):
                graph = self.attributes[graph] if graph in self.attributes else json.loads(self.text(graph))
            return graph
        records = parse_registration(self.text(closure["registration"]))
        if closure.get("storePaths"):
            chosen = set(self.text(closure["storePaths"]).split("\n"))
            records = [record for record in records if record["path"] in chosen]
        return records

    def registration_text(self):
        """The expected file at registrationTarget: hashes in base 32, each reference once."""
        lines = []
        for record in self.closure_records():
            references = list(dict.fromkeys(record["references"]))
            lines += [record["path"], in_base_32(record["narHash"]), str(record["narSize"]), record.get("deriver") or ""]
            lines += [str(len(references)), *references]
        return "".join(line + "\n" for line in lines).encode(errors="surrogateescape")


def in_base_32(text):
    """Converts a SHA-256 in any format of Nix to `sha256:<nix32>`."""
    digits = text.removeprefix("sha256").lstrip(":-")
    if len(digits) == 64:
        return "sha256:" + nix32(bytes.fromhex(digits))
    if len(digits) == 44:
        return "sha256:" + nix32(base64.b64decode(digits))
    return "sha256:" + digits


def in_base_16(text):
    """Converts it to `sha256:` and 64 digits."""
    number = 0
    for digit in in_base_32(text).removeprefix("sha256:"):
        number = number << 5 | NIX32_DIGITS.index(digit)
    return "sha256:" + number.to_bytes(32, "little").hex()


def parse_registration(text):
    """The records of a registration for nix-store --load-db."""
    lines = iter(text.split("\n"))
    records = []
    for path in lines:
        if not path:
            break
        record = {"path": path, "narHash": next(lines), "narSize": int(next(lines))}
        next(lines)  # the deriver
        record["references"] = [next(lines) for _ in range(int(next(lines)))]
        records.append(record)
    return records
