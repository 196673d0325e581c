"""A build that is killed: at random moments, and with a signal for files that become too long."""
import os
import random
import signal
import subprocess
import time

from harness import OLD, Wrong, sha256

CASES = []


def case(name):
    def add(function):
        CASES.append((name, function))
        return function

    return add


@case("killed at random moments")
def killed(lab):
    numbers = random.Random(lab.seed)
    interrupted = finished = 0
    took = {}
    for suffix in (".img", ".img.zst"):
        begun = time.monotonic()
        lab.reference(suffix)
        lab.run(lab.build(lab.path(f"timed{suffix}"))).ended(0)
        took[suffix] = time.monotonic() - begun
    for round_ in range(lab.kills):
        suffix = (".img", ".img.zst")[round_ % 2]
        ending = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[round_ // 2 % 3]
        output = lab.path(f"out/x{suffix}")
        old = round_ // 6 % 2 == 0
        if old:
            lab.write(f"out/x{suffix}", OLD)
        program = subprocess.Popen(lab.build(output), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(numbers.uniform(0, took[suffix] * 1.1))
        program.send_signal(ending)
        _, errors = program.communicate(timeout=60)
        if program.returncode == 0:
            finished += 1
        elif program.returncode == -ending:
            interrupted += 1
        else:
            raise Wrong(f"round {round_}: exit {program.returncode} after {ending.name}: {errors.decode()}")
        for name in sorted(os.listdir(lab.path("out"))):
            path = lab.path("out", name)
            if name == f"x{suffix}" and old and program.returncode != 0 and open(path, "rb").read(len(OLD) + 1) == OLD:
                pass
            elif name == f"x{suffix}":
                lab.is_whole(path)
            elif not (old and ending == signal.SIGKILL and sha256(path) == lab.reference(suffix)):
                # A whole image has a second name for the moment in which it replaces an old one, and no other time.
                raise Wrong(f"round {round_}: {name} is left after {ending.name}")
            os.remove(path)
    if interrupted * 4 < lab.kills:
        raise Wrong(f"only {interrupted} of {lab.kills} kills came in time")
    return f"{interrupted} builds killed, {finished} had ended before"


@case("files may not be that long (ulimit -f)")
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
