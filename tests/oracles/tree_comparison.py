"""Compares a folder of this machine, such as a mounted image, with the expected entries of a plan."""

import collections
import concurrent.futures
import itertools
import os
import stat

from plan_expectation import DatabaseContent, PathContent

CHUNK = 1 << 20
LINK_MAX = 65000


def found_in(root, problems, only=None):
    """Every path below `root` (of `only`) with its lstat, by path in the image. Errors are added to `problems`."""
    found = {}
    queue = [b"/"]
    while queue:
        path = queue.pop()
        try:
            status = os.lstat(root + path)
            if stat.S_ISDIR(status.st_mode):
                below = [os.path.join(path, name) for name in os.listdir(root + path)]
                queue += [name for name in below if only is None or name in only]
            found[path] = status
        except OSError as reason:
            problems.append(f"{path!r}: the kernel cannot read it: {reason.strerror}")
    return found


def same_content(host, content):
    """None, or the first difference of the file at `host`."""
    if isinstance(content, DatabaseContent):
        return content.differs(host)
    if not isinstance(content, PathContent):
        with open(host, "rb") as file:
            return None if file.read() == content else "its text"
    with open(host, "rb", buffering=0) as one, open(content, "rb", buffering=0) as two:
        for start in itertools.count(0, CHUNK):
            left, right = one.read(CHUNK), two.read(CHUNK)
            if left != right:
                at = next((i for i, pair in enumerate(zip(left, right)) if pair[0] != pair[1]), min(len(left), len(right)))
                return f"byte {start + at}"
            if not left:
                return None


class Comparison:
    """Compares the expected entries with a mounted image, or with some of its paths."""

    def __init__(self, root, expected, xattrs, only=None):
        self.root, self.xattrs = root, xattrs
        self.expected = {path: node for path, node in expected.items() if only is None or path in only}
        self.problems = []
        self.found = found_in(root, self.problems, only)
        self.names = collections.Counter(map(id, expected.values()))
        self.subdirectories = collections.Counter(
            os.path.dirname(path) for path, node in expected.items() if node.kind == stat.S_IFDIR and path != b"/"
        )
        self.inode_of = {}

    def differ(self, path, what, expected, found):
        self.problems.append(f"{path!r}: {what}: expected {expected}, found {found}")

    def run(self):
        for path in sorted(self.expected.keys() - self.found.keys()):
            self.problems.append(f"{path!r}: missing in the image")
        for path in sorted(self.found.keys() - self.expected.keys()):
            self.problems.append(f"{path!r}: in the image, but nothing in the plan put it there")
        common = sorted(self.expected.keys() & self.found.keys())
        for path in common:
            self.metadata(path, self.expected[path], self.found[path])
        files = [
            path for path in common
            if self.expected[path].kind == stat.S_IFREG and stat.S_ISREG(self.found[path].st_mode)
        ]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            # One task per batch of names: a future for each of a million files would cost more than reading them.
            for problems in pool.map(self.contents, [files[i : i + 256] for i in range(0, len(files), 256)]):
                self.problems += problems
        return self.problems

    def contents(self, paths):
        wrong = []
        for path in paths:
            try:
                at = same_content(self.root + path, self.expected[path].content)
            except OSError as reason:
                at = f"where reading stops: {reason}"
            if at is not None:
                wrong.append(f"{path!r}: content differs from {at} on")
        return wrong

    def metadata(self, path, node, status):
        if stat.S_IFMT(status.st_mode) != node.kind:
            self.differ(path, "type", oct(node.kind), oct(stat.S_IFMT(status.st_mode)))
            return
        pairs = [
            ("mode", oct(node.mode), oct(stat.S_IMODE(status.st_mode))),
            ("uid", node.uid, status.st_uid),
            ("gid", node.gid, status.st_gid),
            ("mtime in nanoseconds", node.mtime_ns, status.st_mtime_ns),
            ("ctime in nanoseconds", node.mtime_ns, status.st_ctime_ns),
            ("atime in nanoseconds", node.mtime_ns, status.st_atime_ns),
        ]
        if node.kind in (stat.S_IFREG, stat.S_IFLNK) and node.size is not None:
            pairs.append(("size", node.size, status.st_size))
        if node.kind in (stat.S_IFCHR, stat.S_IFBLK):
            pairs.append(("device", divide(node.rdev), divide(status.st_rdev)))
        if node.kind == stat.S_IFLNK:
            pairs.append(("target", node.content, os.readlink(self.root + path)))
        pairs += self.links(path, node, status)
        if self.xattrs:
            names = os.listxattr(self.root + path, follow_symlinks=False)
            values = {name: os.getxattr(self.root + path, name, follow_symlinks=False) for name in names}
            pairs.append(("extended attributes", node.xattrs, values))
        for what, expected, found in pairs:
            if expected != found:
                self.differ(path, what, expected, found)

    def links(self, path, node, status):
        if node.kind == stat.S_IFDIR:
            count = 2 + self.subdirectories[path]
            # dir_nlink: a larger count is stored as 1.
            return [("number of links", count if count < LINK_MAX else 1, status.st_nlink)]
        names = self.names[id(node)]
        if names > LINK_MAX:
            # More names than an inode can have are divided among several inodes.
            return [("number of links within bounds", True, status.st_nlink <= LINK_MAX)]
        first = self.inode_of.setdefault(id(node), status.st_ino)
        return [("number of links", names, status.st_nlink), ("inode shared with its other names", first, status.st_ino)]


def divide(rdev):
    return f"{os.major(rdev)}:{os.minor(rdev)}"
