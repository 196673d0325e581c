"""The expected entries of a plan's image, computed from the sources by the rules of the plan format."""

import base64
import contextlib
import hashlib
import os
import sqlite3
import stat
import sys
import urllib.parse

from image_files import Unusable
from plan_reader import in_base_16

STORE_TIME = 1


# The walk is recursive, and the tests of limits have 1,000 levels of directories.
sys.setrecursionlimit(20_000)


class Node:
    """An inode with the expected result of `lstat` and of reading. `content` is bytes, or the path of a file with them."""

    def __init__(self, kind, mode, seconds, uid=0, gid=0, content=b"", size=0, rdev=0, nanoseconds=0, xattrs=None):
        self.kind, self.mode, self.uid, self.gid = kind, mode, uid, gid
        self.mtime_ns = seconds * 10**9 + nanoseconds
        self.content, self.size, self.rdev = content, size, rdev
        self.xattrs = xattrs or {}


def file_size(content):
    return os.stat(content).st_size if isinstance(content, PathContent) else len(content)


class PathContent(bytes):
    """A file of this machine with the expected bytes."""


class DatabaseContent:
    """Nix's database. Its rows are known, its bytes are not."""

    def __init__(self, records, timestamp):
        self.records, self.timestamp = records, timestamp

    def row(self, record):
        """The row of a path; unknown values are null."""
        signatures = " ".join(sorted(set(record.get("signatures") or []))) or None
        known = (record["path"], in_base_16(record["narHash"]), record["narSize"], self.timestamp)
        return (*known, record.get("deriver"), 1 if record.get("ultimate") else None, signatures, record.get("ca"))

    def differs(self, host):
        """None, or the first difference between the database at `host` and the closure."""
        name = urllib.parse.quote(os.fsencode(host))
        with contextlib.closing(sqlite3.connect(f"file:{name}?immutable=1", uri=True)) as database:
            paths = database.execute(
                "select path, hash, narSize, registrationTime, deriver, ultimate, sigs, ca from ValidPaths"
            ).fetchall()
            references = database.execute(
                "select a.path, b.path from Refs join ValidPaths a on a.id = referrer join ValidPaths b on b.id = reference"
            ).fetchall()
            sound = database.execute("pragma integrity_check").fetchall()
        expected = {record["path"]: self.row(record) for record in self.records}
        if {path[0]: path for path in paths} != expected or len(paths) != len(expected):
            return f"its paths: {paths[:3]}"
        if sorted(references) != sorted({(r["path"], to) for r in self.records for to in r["references"]}):
            return f"its references: {references[:3]}"
        return None if sound == [("ok",)] else str(sound)


class Expectation:
    """All entries of an image by path, as bytes. Hard links are one Node with several paths."""

    def __init__(self, plan_file):
        self.plan = plan_file
        self.nodes = {}
        self.imply(b"/")
        closure = plan_file.plan.get("closure")
        if closure:
            self.add_closure(closure)
        for tree in plan_file.plan.get("trees", []):
            self.add_tree(tree)
        for path, entry in sorted(plan_file.plan.get("entries", {}).items(), key=lambda item: parts(item[0])):
            self.put(os.fsencode(path), self.entry(entry))
        if closure and closure.get("nixDatabase"):
            self.add_folders_of_nix(closure)
        # Created by the program if no source has it.
        self.nodes.setdefault(b"/lost+found", Node(stat.S_IFDIR, 0o700, plan_file.timestamp))
        for path, change in sorted(plan_file.plan.get("attributes", {}).items(), key=lambda item: parts(item[0])):
            self.overlay(os.fsencode(path), change)
        if closure and closure.get("deduplicate"):
            self.deduplicate(closure)

    def deduplicate(self, closure):
        """Equal files of the store are one Node, whatever the source's own links are."""
        store_dir = os.fsencode(closure.get("storeDir", "/nix/store"))
        first = {}
        for record in self.plan.closure_records():
            top = os.path.join(store_dir, os.path.basename(os.fsencode(record["path"])))
            for path in [path for path in self.nodes if path == top or path.startswith(top + b"/")]:
                node = self.nodes[path]
                if node.kind == stat.S_IFREG:
                    with open(node.content, "rb") as file:
                        digest = hashlib.file_digest(file, "sha256").digest()
                    same = (digest, node.mode, node.uid, node.gid, node.mtime_ns, tuple(sorted(node.xattrs.items())))
                    self.nodes[path] = first.setdefault(same, node)

    def imply(self, path):
        """A directory that no source describes."""
        if path not in self.nodes:
            if path != b"/":
                self.imply(os.path.dirname(path))
            self.nodes[path] = Node(stat.S_IFDIR, 0o755, self.plan.timestamp)

    def put(self, path, node):
        """A later description of a directory takes precedence. Any other duplicate is an error of the plan."""
        if path != b"/":
            self.imply(os.path.dirname(path))
        old = self.nodes.get(path)
        if old and not (old.kind == node.kind == stat.S_IFDIR):
            raise Unusable(f"{path!r}: two sources put something there; the plan is wrong")
        self.nodes[path] = node

    def add_closure(self, closure):
        store_dir = os.fsencode(closure.get("storeDir", "/nix/store"))
        source_dir = self.plan.path(closure.get("sourceDir", "/nix/store"))
        self.imply(store_dir)
        for record in self.plan.closure_records():
            name = os.path.basename(os.fsencode(record["path"]))
            self.walk(os.path.join(source_dir, name), os.path.join(store_dir, name), canonical)
        target = closure.get("registrationTarget", "/nix-path-registration")
        if target is not None:
            text = self.plan.registration_text()
            self.put(os.fsencode(target), Node(stat.S_IFREG, 0o444, self.plan.timestamp, content=text, size=len(text)))

        if closure.get("nixDatabase"):
            folder = os.path.join(os.path.dirname(store_dir), b"var/nix/db")
            database = DatabaseContent(self.plan.closure_records(), self.plan.timestamp)
            for name, content, size in ((b"db.sqlite", database, None), (b"schema", b"10", 2)):
                node = Node(stat.S_IFREG, 0o644, self.plan.timestamp, content=content, size=size)
                self.put(os.path.join(folder, name), node)

    def add_folders_of_nix(self, closure):
        """Directories that Nix creates when it opens a store, unless something else is there or above."""
        store_dir = os.fsencode(closure.get("storeDir", "/nix/store"))
        state = os.path.join(os.path.dirname(store_dir), b"var/nix")
        names = (b"profiles/per-user", b"gcroots/per-user", b"temproots")
        for path in [os.path.join(state, name) for name in names] + [os.path.join(store_dir, b".links")]:
            above = [path]
            while above[-1] != b"/":
                above.append(os.path.dirname(above[-1]))
            if all(self.nodes[at].kind == stat.S_IFDIR for at in above if at in self.nodes):
                self.imply(path)

    def add_tree(self, tree):
        source, target = self.plan.path(tree["source"]), os.fsencode(tree.get("target", "/"))
        self.imply(target)
        seen = {}

        def describe(path, status):
            inode = (status.st_dev, status.st_ino)
            if not stat.S_ISDIR(status.st_mode) and inode in seen:
                return seen[inode]
            seen[inode] = self.from_tree(tree, path, status)
            return seen[inode]

        for name in sorted(os.listdir(source)):
            self.walk(os.path.join(source, name), os.path.join(target, name), describe)

    def from_tree(self, tree, path, status):
        keep_owner, keep_times = tree.get("owner") == "keep", tree.get("times") == "keep"
        kind = stat.S_IFMT(status.st_mode)
        mode = stat.S_IMODE(status.st_mode)
        time = divmod(status.st_mtime_ns, 10**9) if keep_times else (self.plan.timestamp, 0)
        patterns = tree.get("xattrs", [])
        node = Node(
            kind,
            0o777 if kind == stat.S_IFLNK else mode if keep_owner else mode & ~0o6000,
            time[0],
            nanoseconds=time[1],
            uid=status.st_uid if keep_owner else 0,
            gid=status.st_gid if keep_owner else 0,
            rdev=status.st_rdev,
            xattrs={
                name: os.getxattr(path, name, follow_symlinks=False)
                for name in (os.listxattr(path, follow_symlinks=False) if patterns else [])
                if any(name.startswith(p[:-1]) if p.endswith("*") else name == p for p in patterns)
            },
        )
        fill(node, path, status)
        return node

    def walk(self, source, target, describe):
        status = os.lstat(source)
        self.put(target, describe(source, status))
        if stat.S_ISDIR(status.st_mode):
            for name in os.listdir(source):
                self.walk(os.path.join(source, name), os.path.join(target, name), describe)

    def entry(self, entry):
        kinds = {
            "file": stat.S_IFREG, "directory": stat.S_IFDIR, "symlink": stat.S_IFLNK,
            "character": stat.S_IFCHR, "block": stat.S_IFBLK, "fifo": stat.S_IFIFO,
        }
        kind = kinds[entry["type"]]
        mode = 0o755 if kind == stat.S_IFDIR else 0o644
        content = b""
        if kind == stat.S_IFREG and "source" in entry:
            content = PathContent(self.plan.path(entry["source"]))
            mode = stat.S_IMODE(os.stat(content).st_mode) & ~0o6000
        elif kind == stat.S_IFREG:
            content = entry["text"].encode()
        elif kind == stat.S_IFLNK:
            content = os.fsencode(entry["target"])
        if entry.get("mode") is not None:
            mode = int(entry["mode"], 8)
        return Node(
            kind,
            0o777 if kind == stat.S_IFLNK else mode,
            self.plan.timestamp,
            uid=entry.get("uid") or 0,
            gid=entry.get("gid") or 0,
            content=content,
            size=file_size(content),
            rdev=os.makedev(entry["major"], entry["minor"]) if "major" in entry else 0,
            xattrs=decoded(entry),
        )

    def overlay(self, path, change):
        if path not in self.nodes:
            raise Unusable(f"{path!r}: attributes for what nothing made; the plan is wrong")
        below = path if path == b"/" else path + b"/"
        for other, node in self.nodes.items():
            if other != path and not (change.get("recursive") and other.startswith(below)):
                continue
            if change.get("uid") is not None:
                node.uid = change["uid"]
            if change.get("gid") is not None:
                node.gid = change["gid"]
            if change.get("mode") is not None and node.kind != stat.S_IFLNK:
                node.mode = int(change["mode"], 8)
            node.xattrs = {**node.xattrs, **decoded(change)}


def parts(path):
    return os.fsencode(path).split(b"/")


def decoded(description):
    return {name: base64.b64decode(value) for name, value in (description.get("xattrs") or {}).items()}


def canonical(path, status):
    """The rule of the store, whatever the source has: owner 0:0, mode 0555 or 0444, time 1, no extended attributes."""
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        mode = 0o777
    elif kind == stat.S_IFDIR or status.st_mode & 0o100:
        mode = 0o555
    else:
        mode = 0o444
    node = Node(kind, mode, STORE_TIME)
    fill(node, path, status)
    return node


def fill(node, path, status):
    """Adds the contents of a source."""
    if node.kind == stat.S_IFREG:
        node.content, node.size = PathContent(path), status.st_size
    elif node.kind == stat.S_IFLNK:
        node.content = os.readlink(path)
        node.size = len(node.content)
