"""Other readers of images. Each returns an entry for every path, with the fields that it can read.

Other fields are None and are not compared; docs/compatibility.md has the reasons."""

import datetime
import os
import re
import stat

from image_files import Unusable, run

KINDS = {
    "-": stat.S_IFREG, "r": stat.S_IFREG, "d": stat.S_IFDIR, "l": stat.S_IFLNK, "c": stat.S_IFCHR, "b": stat.S_IFBLK,
    "p": stat.S_IFIFO,
}
BITS = (0o400, 0o200, 0o100, 0o40, 0o20, 0o10, 0o4, 0o2, 0o1)
SPECIAL_BITS = (None, None, 0o4000, None, None, 0o2000, None, None, 0o1000)


class Entry:
    """An entry as read by a reader. `content` is a file of this machine with the contents, `crc` their CRC-32."""

    def __init__(self, mode=None, uid=None, gid=None, size=None, seconds=None, target=None, links=None):
        self.mode, self.uid, self.gid, self.size, self.seconds = mode, uid, gid, size, seconds
        self.target, self.links = target, links
        self.content = self.crc = self.rdev = self.xattrs = None


def mode_of(text):
    """The raw mode from the ten letters of ls."""
    mode = KINDS[text[0]]
    for letter, bit, special in zip(text[1:10], BITS, SPECIAL_BITS):
        if letter in "rwxst":
            mode |= bit
        if letter in "sStT":
            mode |= special
    return mode


def extracted(entries, root):
    """Adds contents and symlinks that a reader extracted to a folder."""
    root = os.fsencode(root)
    for folder, directories, files in os.walk(root):
        for name in files + directories:
            path = os.path.join(folder, name)
            entry = entries.setdefault(path[len(root) :], Entry())
            if os.path.islink(path):
                entry.target = os.readlink(path)
            elif os.path.isfile(path):
                entry.content = path


def debugfs(image, nodes, folder):
    """debugfs: `rdump` for contents and symlinks, `ls -p` for modes and owners, `stat` and `ea_get` for special files and extended
    attributes."""
    entries, out = {}, os.path.join(folder, "out")
    os.mkdir(out)
    run(["debugfs", "-R", f"rdump / {out}", image])
    extracted(entries, out)
    folders = [path for path, node in nodes.items() if node.kind == stat.S_IFDIR]
    for path, answer in zip(folders, script(image, folder, [b'ls -p "%s"' % path for path in folders])):
        for mode, uid, gid, name, size in re.findall(rb"^/\d+/(\d+)/(\d+)/(\d+)/([^/]+)/(\d*)/$", answer, re.MULTILINE):
            if name not in (b".", b".."):
                entry = entries.setdefault(os.path.join(path, name), Entry())
                entry.mode, entry.uid, entry.gid = int(mode, 8), int(uid), int(gid)
                entry.size = int(size) if size else None
    special = [path for path, node in nodes.items() if node.kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO) or node.xattrs]
    for path, answer in zip(special, script(image, folder, [b'stat "%s"' % path for path in special])):
        entry = entries[path]
        entry.links = int(re.search(rb"Links: (\d+)", answer)[1])
        entry.seconds = int(re.search(rb"mtime: 0x([0-9a-f]+)", answer)[1], 16)
        if found := re.search(rb"Device major/minor number: (\d+):(\d+)", answer):
            entry.rdev = os.makedev(int(found[1]), int(found[2]))
        names = re.findall(rb"^  (\w+\.\S+) \(\d+\)", answer, re.MULTILINE)
        script(image, folder, [b'ea_get -f %s/%d "%s" %s' % (folder.encode(), at, path, name) for at, name in enumerate(names)])
        entry.xattrs = {name.decode(): content_of(os.path.join(folder, f"{at}")) for at, name in enumerate(names)}
    return entries


def content_of(path):
    with open(path, "rb") as file:
        return file.read()


def script(image, folder, commands):
    """The output of debugfs for each command. It repeats the command before its output."""
    path = os.path.join(folder, "script")
    with open(path, "wb") as file:
        file.write(b"".join(command + b"\n" for command in commands))
    output = run(["debugfs", "-f", path, image], binary=True).stdout
    answers = re.split(rb"^debugfs: .*\n", output, flags=re.MULTILINE)[1:]
    if len(answers) != len(commands):
        raise Unusable(f"debugfs answered {len(answers)} of {len(commands)} commands")
    return answers


def ext4_view(image, _nodes, _folder, program):
    """The Rust crate, through crates/image-reader/examples/ext4_view_lists.rs."""
    entries = {}
    for line in run([program, image]).stdout.splitlines():
        kind, mode, uid, gid, size, changed, nanoseconds, value, path = line.split(" ")
        entry = Entry(KINDS[kind] | int(mode, 8), int(uid), int(gid), int(size), int(changed) + int(nanoseconds) / 1e9)
        if stat.S_ISREG(entry.mode):
            entry.crc = int(value, 16)
        elif stat.S_ISLNK(entry.mode):
            entry.target = bytes.fromhex(value)
        entries[bytes.fromhex(path)] = entry
    return entries


def seven_zip(image, nodes, folder):
    """7-Zip's own parser: `l -slt` for all fields of an entry, `x` for contents. With `-snld20` it also creates symlinks that lead
    upwards."""
    entries, out = {}, os.path.join(folder, "out")
    shown = {path.replace(b"\n", b"_"): path for path in nodes}
    listing = run(["7z", "l", "-slt", image], binary=True).stdout
    for block in listing.split(b"----------\n", 1)[1].split(b"\n\n"):
        fields = dict(line.split(b" = ", 1) for line in block.split(b"\n") if b" = " in line)
        if b"Path" not in fields or fields[b"Path"].startswith(b"[SYS]"):
            continue
        mode = mode_of(fields[b"Mode"].decode())
        entry = Entry(mode, int(fields[b"User ID"]), int(fields[b"Group ID"]), links=int(fields[b"Links"]))
        entry.size = int(fields[b"Size"]) if fields[b"Size"] else None
        entry.seconds = seconds(fields[b"Modified"].decode())
        entry.target = fields.get(b"Symbolic Link") or None
        path = b"/" + fields[b"Path"]
        entries[shown.get(path, path)] = entry
    run(["7z", "x", "-bd", "-y", "-snld20", f"-o{out}", image, "-x![SYS]"])
    targets = {path: entry.target for path, entry in entries.items()}
    extracted(entries, out)
    for path, target in targets.items():
        # Extraction changes absolute symlinks to lead into the folder.
        entries[path].target = target
    return entries


def seconds(text):
    """A date and time of the listing, in UTC, as seconds since 1970."""
    whole = datetime.datetime.strptime(text[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return int(whole.timestamp()) + float("0" + text[19:])


# The fields of the "body file" of fls, which does not escape a | in a name.
BODY = re.compile(rb"0\|(.*)\|(\d+)\|(.)/(.{10})\|(\d+)\|(\d+)\|(\d+)\|\d+\|(\d+)\|\d+\|\d+")


def sleuth_kit(image, nodes, folder):
    """The Sleuth Kit: `fls` for the tree and its metadata, `tsk_recover` for the contents, except in deep folders, where it misplaces
    files; `icat` reads those."""
    entries, out = {}, os.path.join(folder, "out")
    caret = lambda name: re.sub(rb"[\x00-\x1f]", b"^", name)
    shown = {caret(path): path for path in nodes}
    inodes = {}
    for line in run(["fls", "-u", "-r", "-p", "-m", "/", image], binary=True).stdout.splitlines():
        name, inode, kind, mode, *numbers = BODY.fullmatch(line).groups()
        # Not entries: its own folder for orphans, and wrong entries that it reads from the blocks of an index.
        if kind in b"V-":
            continue
        mode = mode_of(mode.decode())
        target = None
        if stat.S_ISLNK(mode):
            name, _, target = name.partition(b" -> ")
        path = shown.get(name, name)
        entries[path] = Entry(mode, *map(int, numbers), target=target or None)
        inodes[path] = inode.decode()
    run(["tsk_recover", "-a", image, out])
    recovered = {}
    extracted(recovered, out)
    for name, entry in recovered.items():
        if (path := shown.get(name, name)) in entries:
            entries[path].content = entry.content
    for path, entry in entries.items():
        if stat.S_ISREG(entry.mode) and entry.content is None and entry.size:
            entry.content = os.path.join(folder, inodes[path])
            with open(entry.content, "wb") as file:
                file.write(run(["icat", image, inodes[path]], binary=True).stdout)
    return entries
