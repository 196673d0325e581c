#!/usr/bin/env -S python3 -B
"""Adds a second generation of a system to a disk, as a switch on the machine does: with nixpkgs' own programs
(systemd-boot-builder.py, install-grub.pl), which run against the file systems of the disk. Later the first generation can be removed.

Runs in a mount namespace of its own, because those programs look for /nix and /boot. The EFI system partition is copied to memory and
back, so that the kernel needs no FAT. What the programs call of Nix and systemd is replaced by short scripts."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile

import image_files

ESP_START = 1 << 20
PROFILES = "/nix/var/nix/profiles"

SCRIPTS = {
    # The generations, as `nix-env --list-generations` prints them.
    "nix-env": f"""#!/bin/sh
cd {PROFILES}
for link in $(ls -d system-*-link | sort -V); do n=${{link#system-}}; echo "   ${{n%-link}}   2026-01-01 00:00:00   "; done
""",
    "bootctl": """#!/usr/bin/env python3
import sys
if "--version" in sys.argv: print("systemd 258 (258.1)")
elif "status" in sys.argv: print("File: └─/EFI/systemd/systemd-bootx64.efi (systemd-boot 258.1)")
elif not {"list", "update", "install"} & set(sys.argv):
    sys.stdin.buffer.read()
    sys.stdout.buffer.write(b'{"error":"io.systemd.System","parameters":{"errno":116}}\\0')
""",
    "true": "#!/bin/sh\n",
}

# Older Pythons have no Path.walk, no `type` and no glob that ignores case.
OLDER_PYTHON = """
import pathlib as _pathlib, os as _os
if not hasattr(_pathlib.Path, "walk"):
    def _walk(self, top_down=True):
        for root, folders, files in _os.walk(self, topdown=top_down):
            yield _pathlib.Path(root), folders, files
    _pathlib.Path.walk = _walk
    _glob = _pathlib.Path.glob
    _pathlib.Path.glob = lambda self, pattern, case_sensitive=None: _glob(self, pattern)
"""


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL, **options)


def systemd_boot(text, root, tools, system):
    """Runs systemd-boot-builder.py of nixpkgs for a system."""
    values = {
        "efiSysMountPoint": "/boot", "bootMountPoint": "/boot", "nixosDir": "/EFI/nixos", "timeout": "0", "editor": "1",
        "consoleMode": "keep", "distroName": "NixOS", "nix": tools, "systemd": tools, "configurationLimit": "0", "rebootForBitlocker": "",
        "canTouchEfiVariables": "", "graceful": "", "copyExtraFiles": f"{tools}/bin/true", "checkMountpoints": f"{tools}/bin/true",
        "storeDir": "/nix/store", "bootCountingTries": "3", "bootCounting": "False", "bootspecTools": tools, "memtest86": "", "python3": "/usr",
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    text = text.replace("type BootFileList =", "BootFileList =").replace("import argparse\n", "import argparse\n" + OLDER_PYTHON, 1)
    builder = os.path.join(tools, "builder.py")
    with open(builder, "w", encoding="utf-8") as file:
        file.write(text)
    with open(f"{root}/etc/machine-id", "w", encoding="ascii") as file:
        file.write("0123456789abcdef0123456789abcdef\n")
    run("chroot", root, "env", "TZ=UTC", "python3", "-B", builder, system)


def grub(text, root, tools, system):
    """Runs install-grub.pl of nixpkgs for a system: it writes grub.cfg. `$PERL5LIB` must have XML::LibXML and others."""
    for name, value in {"utillinux": tools, "btrfsprogs": tools, "distroName": "NixOS"}.items():
        text = text.replace(f"@{name}@", value)
    program, settings = os.path.join(tools, "install-grub.pl"), os.path.join(tools, "grub-config.xml")
    with open(program, "w", encoding="utf-8") as file:
        file.write(text)
    values = {
        "grub": "", "grubTarget": "", "shell": "/bin/sh", "fullName": "grub", "fullVersion": "2.12", "grubEfi": "", "grubTargetEfi": "",
        "bootPath": "/boot", "storePath": "/nix/store", "bootloaderId": "NixOS-boot", "timeout": 0, "efiSysMountPoint": "/boot/efi",
        "devices": ["nodev"], "canTouchEfiVariables": False, "extraConfig": "serial --unit=0 --speed=115200\nterminal_output serial\n",
        "extraPerEntryConfig": "", "extraEntries": "", "forceInstall": False, "useOSProber": False, "extraGrubInstallArgs": [],
        "extraEntriesBeforeNixOS": False, "extraPrepareConfig": "", "configurationLimit": 100, "copyKernels": False, "default": "0",
        "fsIdentifier": "uuid", "efiSupport": False, "efiInstallAsRemovable": False, "gfxmodeEfi": "auto", "gfxmodeBios": "1024x768",
        "gfxpayloadEfi": "keep", "gfxpayloadBios": "text", "timeoutStyle": "menu", "theme": "", "entryOptions": "--class nixos --unrestricted",
        "subEntryOptions": "--class nixos", "splashImage": "", "splashMode": "stretch", "backgroundColor": "", "font": "",
        "path": "/usr/bin:/usr/sbin:/bin",
    }

    def value(of):
        if isinstance(of, list):
            return "<list>" + "".join(map(value, of)) + "</list>"
        kind = {bool: "bool", int: "int", str: "string"}[type(of)]
        words = str(of).lower() if isinstance(of, bool) else str(of)
        return f'<{kind} value="' + words.replace("&", "&amp;").replace('"', "&quot;").replace("\n", "&#xA;") + '" />'

    attributes = "".join(f'<attr name="{name}">{value(of)}</attr>' for name, of in values.items())
    with open(settings, "w", encoding="utf-8") as file:
        file.write(f'<?xml version="1.0"?>\n<expr><attrs>{attributes}<attr name="users"><attrs></attrs></attr></attrs></expr>')
    run("chroot", root, "env", "TZ=UTC", f"PERL5LIB={os.environ.get('PERL5LIB', '')}", "perl", program, settings, system)


def switch(disk, root_start, kind, program, first, second, paths, keep_first):
    """Within the namespace. `paths` are folders, by the names of their store paths."""
    with open(program, encoding="utf-8") as file:
        text = file.read()
    folder = tempfile.mkdtemp(prefix="snugfs-next-")
    root, tools, esp = (os.path.join(folder, name) for name in ("root", "tools", "esp"))
    os.makedirs(root)
    os.makedirs(esp)
    os.makedirs(f"{tools}/bin")
    for name, script in SCRIPTS.items():
        path = f"{tools}/bin/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(script)
        os.chmod(path, 0o755)
    os.symlink("/usr/sbin/blkid", f"{tools}/bin/blkid")
    run("mount", "-o", f"loop,offset={root_start}", disk, root)
    store = f"{root}/nix/store"
    os.makedirs(root + PROFILES, exist_ok=True)
    for name, path in paths.items():
        if not os.path.exists(f"{store}/{name}"):
            run("cp", "-a", path, f"{store}/{name}")
    for number, system in ((1, first), (2, second)):
        link = f"{root}{PROFILES}/system-{number}-link"
        if os.path.lexists(link):
            os.unlink(link)
        if number == 2 or keep_first:
            os.symlink(f"/nix/store/{system}", link)
    profile = f"{root}{PROFILES}/system"
    if os.path.lexists(profile):
        os.unlink(profile)
    os.symlink("system-2-link", profile)
    # The programs' own environment: this machine's, below the disk's root. Only the namespace sees these mounts.
    made = []
    for name in ("usr", "etc", "tmp", "proc", "dev", "sys"):
        if not os.path.isdir(f"{root}/{name}"):
            os.makedirs(f"{root}/{name}")
            made.append(name)
        run("mount", "--rbind", f"/{name}", f"{root}/{name}")
    run("mount", "-t", "tmpfs", "etc", f"{root}/etc")
    for name in ("bin", "lib", "lib64", "sbin"):
        if not os.path.lexists(f"{root}/{name}"):
            os.symlink(f"usr/{name}", f"{root}/{name}")
            made.append(name)
    if kind == "systemd-boot":
        if not os.path.isdir(f"{root}/boot"):
            os.makedirs(f"{root}/boot")
            made.append("boot")
        run("mount", "-t", "tmpfs", "esp", f"{root}/boot")
        run("mcopy", "-s", "-Q", "-n", "-i", f"{disk}@@{ESP_START}", "::*", f"{root}/boot/")
        # FAT ignores case.
        os.symlink("EFI", f"{root}/boot/efi")
        systemd_boot(text, root, tools, f"/nix/store/{second}")
        os.unlink(f"{root}/boot/efi")
        for name in subprocess.run(["mdir", "-b", "-i", f"{disk}@@{ESP_START}", "::/"], check=True, capture_output=True, text=True).stdout.split():
            run("mdeltree", "-i", f"{disk}@@{ESP_START}", name)
        run("mcopy", "-s", "-Q", "-i", f"{disk}@@{ESP_START}", *(f"{root}/boot/{name}" for name in os.listdir(f"{root}/boot")), "::/")
        run("umount", f"{root}/boot")
    else:
        grub(text, root, tools, f"/nix/store/{second}")
    for name in reversed(made):
        path = f"{root}/{name}"
        while subprocess.run(["umount", "-l", path], capture_output=True, check=False).returncode == 0:
            pass
        if stat.S_ISLNK(os.lstat(path).st_mode):
            os.unlink(path)
        else:
            os.rmdir(path)
    for name in ("usr", "etc", "tmp", "proc", "dev", "sys"):
        while subprocess.run(["umount", "-l", f"{root}/{name}"], capture_output=True, check=False).returncode == 0:
            pass
    run("umount", root)
    shutil.rmtree(folder)


def add(disk, root_start, kind, program, first, second, paths, keep_first=True):
    """Adds generation 2 to a disk, with the boot loader's files as nixpkgs' `program` makes them; without generation 1 where
    `keep_first` is false. `kind` is `systemd-boot` or `grub`."""
    request = json.dumps([disk, root_start, kind, os.path.abspath(program), first, second, paths, keep_first])
    result = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-B", os.path.abspath(__file__), request],
        capture_output=True, text=True, check=False,
    )
    if result.returncode:
        raise image_files.Unusable(f"{program}: {(result.stderr or result.stdout).strip()[-800:]}")


if __name__ == "__main__":
    switch(*json.loads(sys.argv[1]))
