"""Debian packages as raw material: which ones, where their archives are, what they depend on."""

import os
import subprocess


class Package:
    """One candidate version of a package, as apt's lists describe it."""

    def __init__(self, fields):
        self.name = fields["Package"]
        self.version = fields["Version"]
        self.installed = int(fields.get("Installed-Size", 0)) << 10
        groups = ",".join(filter(None, (fields.get("Pre-Depends"), fields.get("Depends"))))
        self.depends = [
            [alternative.split("(")[0].split(":")[0].strip() for alternative in group.split("|")]
            for group in groups.split(",")
            if group.strip()
        ]


def available():
    """All packages that apt knows, by name."""
    output = subprocess.run(["apt-cache", "dumpavail"], check=True, capture_output=True, text=True).stdout
    wanted = ("Package", "Version", "Installed-Size", "Depends", "Pre-Depends")
    packages = {}
    for stanza in output.split("\n\n"):
        fields = {}
        for line in stanza.split("\n"):
            key, separator, value = line.partition(": ")
            if separator and key in wanted:
                fields[key] = value
        if "Package" in fields and "Version" in fields:
            packages.setdefault(fields["Package"], Package(fields))
    if not packages:
        raise SystemExit("make-closure: apt knows no packages; run apt-get update")
    return packages


def with_dependencies(packages, roots):
    """The named packages and all they depend on, sorted by name, with each one's direct dependencies.

    Of alternatives the first known one is taken; virtual packages are left out.
    """
    direct = {}
    queue = list(roots)
    while queue:
        name = queue.pop()
        if name in direct:
            continue
        if name not in packages:
            raise SystemExit(f"make-closure: {name}: apt has no such package; choose another or run apt-get update")
        found = {next((a for a in group if a in packages), None) for group in packages[name].depends}
        direct[name] = sorted(found - {None, name})
        queue.extend(direct[name])
    return {name: direct[name] for name in sorted(direct)}


def without_cycles(direct):
    """Leaves out what would close a circle: packages may depend on one another, store paths never do."""
    done, open_now, kept = set(), set(), {}

    def visit(name):
        open_now.add(name)
        kept[name] = [other for other in direct[name] if other not in open_now]
        for other in kept[name]:
            if other not in done:
                visit(other)
        open_now.remove(name)
        done.add(name)

    for name in direct:
        if name not in done:
            visit(name)
    return kept


def refresh_if_outdated(names):
    """A package of the machine may be newer than apt's lists: then apt would take that version, and has no source."""
    if addresses(names, quietly=True) is None:
        subprocess.run(["apt-get", "update", "-q"], check=True, stdout=subprocess.DEVNULL)


def addresses(names, quietly=False):
    """A line a package: address, file, size, digest. With `quietly`, None where apt can't tell all."""
    command = ["apt-get", "download", "--print-uris", *names]
    listing = subprocess.run(command, capture_output=True, text=True)
    if listing.returncode and quietly:
        return None
    if listing.returncode:
        raise SystemExit(f"make-closure: apt-get download: {listing.stderr.strip().splitlines()[-1]}; run apt-get update")
    return listing.stdout


def download(names, cache):
    """Fetches the archives that `cache` lacks; gives each package's file."""
    os.makedirs(cache, exist_ok=True)
    listing = addresses(names)
    files, missing = {}, []
    for line in listing.splitlines():
        _, file, size, *_ = line.split()
        name = file.split("_")[0]
        files[name] = os.path.join(cache, file)
        if not os.path.exists(files[name]) or os.path.getsize(files[name]) != int(size):
            missing.append(name)
    for start in range(0, len(missing), 50):
        batch = missing[start : start + 50]
        subprocess.run(
            ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *batch],
            cwd=cache, check=True, stdout=subprocess.DEVNULL,
        )
    lost = [name for name in names if not os.path.exists(files.get(name, ""))]
    if lost:
        raise SystemExit(f"make-closure: {' '.join(lost)}: not downloaded; run apt-get update and try again")
    return files
