"""The text files of a generated closure: what closureInfo and structured attributes give, and a plan to go with it."""

import json
import os

STORE_DIR = "/nix/store"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def registration(records):
    """What `nix-store --load-db` reads: path, hash, size, no deriver, number of references, references."""
    lines = []
    for record in records:
        lines += [record["path"], record["narHash"], str(record["narSize"]), ""]
        lines += [str(len(record["references"])), *record["references"]]
    return "\n".join(lines) + "\n" if lines else ""


def write_closure(folder, records):
    """`records` as in graph.json: path, narHash, narSize, references; sorted by path."""
    write(f"{folder}/closure/store-paths", "".join(f"{record['path']}\n" for record in records))
    write(f"{folder}/closure/registration", registration(records))
    write(f"{folder}/closure/graph.json", json.dumps(records, indent=1) + "\n")


EXTLINUX = """\
TIMEOUT 30
DEFAULT nixos-default
LABEL nixos-default
  MENU LABEL NixOS
  LINUX ../nixos/kernel
  INITRD ../nixos/initrd
  APPEND init=/nix/var/nix/profiles/system/init console=ttyS0
"""


def write_files(folder):
    """The small tree that lies over the closure: dotfiles, a symlink, hard links, a boot loader's file."""
    files = f"{folder}/files"
    write(f"{files}/boot/extlinux/extlinux.conf", EXTLINUX)
    write(f"{files}/.hidden", "found although its name begins with a dot\n")
    write(f"{files}/etc/.config/settings", "key = value\n")
    write(f"{files}/etc/empty", "")
    write(f"{files}/etc/linked", "one inode, three names\n")
    write(f"{files}/root/run-me", "#!/bin/sh\necho here\n")
    os.makedirs(f"{files}/var/empty", exist_ok=True)
    for name in ("etc/linked-too", "var/linked-elsewhere"):
        if not os.path.lexists(f"{files}/{name}"):
            os.link(f"{files}/etc/linked", f"{files}/{name}")
    if not os.path.lexists(f"{files}/etc/mtab"):
        os.symlink("../proc/self/mounts", f"{files}/etc/mtab")
    modes = {
        "boot": 0o755, "boot/extlinux": 0o755, "boot/extlinux/extlinux.conf": 0o644, ".hidden": 0o600, "etc": 0o755,
        "etc/.config": 0o700, "etc/.config/settings": 0o640, "etc/empty": 0o644, "etc/linked": 0o644,
        "root": 0o700, "root/run-me": 0o755, "var": 0o755, "var/empty": 0o555,
    }
    for name, mode in modes.items():
        os.chmod(f"{files}/{name}", mode)


def plan():
    """A plan in the form of version 1 with every kind of entry in it."""
    return {
        "version": 1,
        "closure": {
            "storePaths": "closure/store-paths",
            "registration": "closure/registration",
            "storeDir": STORE_DIR,
            "sourceDir": "store",
            "verify": "size",
        },
        "trees": [{"source": "files", "target": "/"}],
        "entries": {
            "/etc/hostname": {"type": "file", "text": "board\n", "mode": "0644"},
            "/boot/copied.conf": {"type": "file", "source": "files/boot/extlinux/extlinux.conf"},
            "/home/pi/.profile": {"type": "file", "text": "", "xattrs": {"user.origin": "cGxhbg=="}},
            "/var/tmp": {"type": "directory", "mode": "1777"},
            "/bin/sh": {"type": "symlink", "target": "/run/current-system/sw/bin/sh"},
            "/dev/console": {"type": "character", "major": 5, "minor": 1, "mode": "0600"},
            "/dev/nvme9n1p70000": {"type": "block", "major": 259, "minor": 70000, "mode": "0660", "gid": 6},
            "/run/initctl": {"type": "fifo", "mode": "0600"},
        },
        "attributes": {"/home/pi": {"uid": 1000, "gid": 100, "mode": "0700", "recursive": True}},
        "filesystem": {
            "label": "NIXOS_SD",
            "uuid": "44444444-4444-4444-8888-888888888888",
            "freeSpace": "16MiB",
            "freeInodes": 1024,
            "growTo": "1TiB",
        },
        "output": {"path": "rootfs.img"},
    }


def write_plan(folder):
    write(f"{folder}/plan.json", json.dumps(plan(), indent=2) + "\n")
