"""Builds that are killed at random moments, or by the signal for too long files."""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time

from harness import OLD, Wrong, call, collection, sha256

CASES, case = collection()


@case("killed at random moments")
def killed(lab):
    numbers = random.Random(lab.seed)
    interrupted = finished = 0
    took = {}
    for suffix in (".img", ".img.zst"):
        lab.reference(suffix)
        took[suffix] = timed(lab, lab.path(f"timed{suffix}"))
    for round_ in range(lab.kills):
        suffix = (".img", ".img.zst")[round_ % 2]
        ending = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[round_ // 2 % 3]
        output = lab.path(f"out/x{suffix}")
        old = round_ // 6 % 2 == 0
        if old:
            lab.write(f"out/x{suffix}", OLD)
        program = subprocess.Popen(lab.build(output), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(numbers.uniform(0, took[suffix]))
        program.send_signal(ending)
        _, errors = program.communicate(timeout=60)
        # Most signals come during the build, and some at its very end, however fast the machine is.
        if program.returncode == 0:
            finished += 1
            took[suffix] *= 0.93
        elif program.returncode == -ending:
            interrupted += 1
            took[suffix] *= 1.05
        else:
            raise Wrong(f"round {round_}: exit {program.returncode} after {ending.name}: {errors.decode()}")
        for name in sorted(os.listdir(lab.path("out"))):
            path = lab.path("out", name)
            if name == f"x{suffix}" and old and program.returncode != 0 and open(path, "rb").read(len(OLD) + 1) == OLD:
                pass
            elif name == f"x{suffix}":
                lab.is_whole(path)
            elif not (old and ending == signal.SIGKILL and sha256(path) == lab.reference(suffix)):
                # A complete image has a second name only while it replaces an old one.
                raise Wrong(f"round {round_}: {name} is left after {ending.name}")
            os.remove(path)
    if interrupted * 4 < lab.kills:
        raise Wrong(f"only {interrupted} of {lab.kills} kills came in time")
    return f"{interrupted} builds killed, {finished} had ended before"


def killed(program, ending, round_):
    """Sends a signal. Returns whether it came before the end of the program, which otherwise ended well."""
    program.send_signal(ending)
    program.communicate(timeout=60)
    if program.returncode not in (-ending, 0):
        raise Wrong(f"round {round_}: exit {program.returncode} after {ending.name}")
    return program.returncode != 0


@case("killed while it fills a cache or writes a layer")
def killed_with_frames(lab):
    """What a killed build leaves in a cache never changes a later image. After other signals, nothing temporary is left."""
    numbers = random.Random(lab.seed + 1)
    with open(lab.path("plan.json"), encoding="utf-8") as file:
        plan = json.load(file)
    lab.write("frames.json", json.dumps({**plan, "output": {"compression": {"format": "zstd", "frames": True, "level": 9}}}).encode())
    output, cache = lab.path("out/x.img.zst"), lab.path("cache")
    build = lab.build(output, "--cache", cache, plan="frames.json")
    began = time.monotonic()
    lab.run(lab.build(output, plan="frames.json")).ended(0)
    took, expected, interrupted = time.monotonic() - began, sha256(output), 0
    for round_ in range(lab.kills):
        ending = (signal.SIGKILL, signal.SIGTERM)[round_ % 2]
        if round_ % 2 == 0:
            shutil.rmtree(cache, ignore_errors=True)
        program = subprocess.Popen(build, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(numbers.uniform(0, took))
        came_in_time = killed(program, ending, round_)
        interrupted += came_in_time
        took *= 1.05 if came_in_time else 0.9
        new = [name for _, _, names in os.walk(cache) for name in names if name.startswith(".new-")]
        if ending == signal.SIGTERM and any(f"-{program.pid}-" in name for name in new):
            raise Wrong(f"round {round_}: {new} is left after SIGTERM")
        lab.run(build).ended(0)
        if sha256(output) != expected:
            raise Wrong(f"round {round_}: other bytes with a cache that a killed build filled")
        os.remove(output)
    if interrupted * 4 < lab.kills:
        raise Wrong(f"only {interrupted} of {lab.kills} kills came in time")
    layer = lab.path("layer")
    streamed = subprocess.Popen([lab.program, "layer", lab.path("frames.json"), "-o", layer], stderr=subprocess.DEVNULL)
    time.sleep(took / 2)
    streamed.send_signal(signal.SIGTERM)
    streamed.wait()
    if left := [name for name in os.listdir(lab.folder) if name.startswith(".layer")]:
        raise Wrong(f"{left} is left of a layer")
    return f"{interrupted} builds killed"


@case("killed while it writes variants")
def killed_with_variants(lab):
    """Every image that has its name is complete, and nothing else is left."""
    numbers = random.Random(lab.seed + 2)
    with open(lab.path("plan.json"), encoding="utf-8") as file:
        plan = json.load(file)
    names = [f"{number}.img" for number in range(8)]
    plan["variants"] = [
        {"output": name, "label": name, "entries": {"/id": {"type": "file", "text": f"{name}\n" * 3000}}} for name in names
    ]
    lab.write("variants.json", json.dumps(plan).encode())
    output = lab.path("out/x.img")
    build = lab.build(output, plan="variants.json")
    began = time.monotonic()
    lab.run(build).ended(0)
    took, interrupted, kills = time.monotonic() - began, 0, lab.kills // 4
    expected = {name: sha256(lab.path("out", name)) for name in ["x.img", *names]}
    if len(set(expected.values())) != len(expected):
        raise Wrong("two of the images are equal")
    for name in expected:
        os.remove(lab.path("out", name))
    for round_ in range(kills):
        ending = (signal.SIGKILL, signal.SIGTERM)[round_ % 2]
        program = subprocess.Popen(build, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(numbers.uniform(0, took))
        came_in_time = killed(program, ending, round_)
        interrupted += came_in_time
        took *= 1.05 if came_in_time else 0.9
        for name in sorted(os.listdir(lab.path("out"))):
            if sha256(lab.path("out", name)) != expected.get(name):
                raise Wrong(f"round {round_}: {name} is left after {ending.name}")
            os.remove(lab.path("out", name))
    if interrupted * 4 < kills:
        raise Wrong(f"only {interrupted} of {kills} kills came in time")
    return f"{interrupted} builds killed"


@case("a signal to the first process of a container")
def ended_as_first_process(lab):
    """Linux does not end such a process by signals without a handler, or by signals that it sends to itself."""
    for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        command = ["unshare", "--pid", "--fork", "--kill-child", *lab.build("-")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as outer:
            # The rest of the output is not read, so the build waits.
            outer.stdout.read(1)
            with open(f"/proc/{outer.pid}/task/{outer.pid}/children", encoding="ascii") as file:
                inner = int(file.read())
            os.kill(inner, ending)
            try:
                outer.wait(timeout=20)
            except subprocess.TimeoutExpired:
                outer.kill()
                raise Wrong(f"goes on after {ending.name}") from None
        if outer.returncode != 128 + ending:
            raise Wrong(f"exit {outer.returncode} after {ending.name}")


@case("a signal while a new image replaces an old one")
def ended_while_replacing(lab):
    """strace stops the program while the complete image has a temporary name beside the old one."""
    held = "rename,renameat,renameat2"
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={held}", "-e", f"inject={held}:delay_enter=400000"]
    tried = 0
    for suffix in (".img", ".img.zst"):
        for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            output = lab.path(f"out/x{suffix}")
            lab.write(f"out/x{suffix}", OLD)
            tracer = subprocess.Popen([*trace, *lab.build(output)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            beside = wait_for(lambda: set(os.listdir(lab.path("out"))) - {f"x{suffix}"}, tracer)
            os.kill(int(re.fullmatch(r".*\.snugfs-(\d+)-\d+", beside.pop())[1]), ending)
            tracer.wait(timeout=60)
            # After the image has its name, either the signal or the end of the program comes first.
            if tracer.returncode not in (0, -ending):
                raise Wrong(f"exit {tracer.returncode} after {ending.name}")
            lab.nothing_left(lab.path("out"), [f"x{suffix}"])
            lab.is_whole(output)
            os.remove(output)
            tried += 1
    return f"{tried} signals between the two names"


@case("a signal while an incomplete image has a temporary name")
def ended_with_a_name(lab):
    """fuse2fs does not support files without a name, so an incomplete image has a temporary one."""
    numbers = random.Random(lab.seed)
    disk = lab.write("disk", b"")
    os.truncate(disk, 256 << 20)
    call("mke2fs", "-q", "-t", "ext4", disk)
    at = lab.path("named")
    os.mkdir(at)
    call("fuse2fs", disk, at)
    interrupted = 0
    try:
        output = os.path.join(at, "x.img")
        took = timed(lab, output)
        lab.is_whole(output)
        for round_ in range(30):
            ending = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[round_ % 3]
            with open(output, "wb") as file:
                file.write(OLD)
            program = subprocess.Popen(lab.build(output), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(numbers.uniform(0, took))
            program.send_signal(ending)
            _, errors = program.communicate(timeout=60)
            if program.returncode not in (0, -ending):
                raise Wrong(f"exit {program.returncode} after {ending.name}: {errors.decode()}")
            interrupted += program.returncode != 0
            took *= 0.93 if program.returncode == 0 else 1.05
            lab.nothing_left(at, ["lost+found", "x.img"])
            with open(output, "rb") as file:
                is_old = file.read(len(OLD) + 1) == OLD
            if program.returncode == 0 or not is_old:
                lab.is_whole(output)
    finally:
        call("umount", at)
    if interrupted < 6:
        raise Wrong(f"only {interrupted} of 30 signals came in time")
    return f"{interrupted} builds ended, no name left"


@case("a signal that was ignored at the start (nohup)")
def ignored(lab):
    output = lab.path("out/x.img")
    # strace stops the program before the image gets its name, so that the signal comes first.
    trace = "strace -f -qq -o /dev/null -e trace=linkat -e inject=linkat:delay_enter=400000"
    shell = f'trap "" HUP; exec {trace} "$@"'
    program = subprocess.Popen(["bash", "-c", shell, "bash", *lab.build(output)], stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(0.3)
    os.killpg(program.pid, signal.SIGHUP)
    if program.wait(timeout=60) != 0:
        raise Wrong(f"exit {program.returncode} after SIGHUP that is ignored")
    lab.is_whole(output)


def timed(lab, output):
    """The duration of an undisturbed build in seconds."""
    times = []
    for _ in range(3):
        begun = time.monotonic()
        lab.run(lab.build(output)).ended(0)
        times.append(time.monotonic() - begun)
    return min(times)


def wait_for(found, process):
    """The first true result of a function that is called repeatedly."""
    end = time.monotonic() + 30
    while not (it := found()):
        if process.poll() is not None or time.monotonic() > end:
            raise Wrong("what was waited for did not come")
        time.sleep(0.002)
    return it


@case("a limit of file sizes (ulimit -f)")
def too_long(lab):
    tried = 0
    for suffix in (".img", ".img.zst"):
        for kibibytes in (0, 1, 64, 2048):
            output = lab.path(f"out/x{suffix}")
            limited = ["bash", "-c", f'ulimit -f {kibibytes}; exec "$@"', "bash", *lab.build(output)]
            lab.fails(limited, 7, "file too large", output=output)
            tried += 2
    shell = f"ulimit -f 64; '{lab.program}' build {lab.path('plan.json')} -o - --progress none > {lab.path('out/stdout')}"
    lab.run(["bash", "-c", shell]).ended(7, "file too large")
    return f"{tried + 1} builds"
