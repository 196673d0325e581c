"""All mutants of a crate in one build, each behind a switch that an environment variable turns on.

Compiling a mutant takes longer than running the tests that notice it. So a crate is compiled once, with its mutants side by side
(tests/merge-mutants puts them there), and then only tests run: for each mutant those that reach it, the quickest first."""

import collections
import contextlib
import ctypes
import dataclasses
import json
import os
import resource
import signal
import subprocess
import time

SWITCH = "MERGED_MUTANT"
REACHED = "MERGED_MUTANTS_REACHED"
CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOL = os.path.join(CHECKOUT, "tests", "merge-mutants")
# At most so many builds until the mutants that do not compile are known.
BUILDS = 40
# Tests that are quicker run in one process.
QUICK = 0.1
# A test that runs or allocates without an end must fail, and must not take the machine with it.
CPU_SECONDS = 300
MEMORY = 8 << 30
# Tests name these as outputs, and a mutant may replace an output.
DEVICES = ("/dev/null", "/dev/full", "/dev/zero")
CLONE_NEWNS = 0x20000
# A test is stopped after this many times the time that it takes without a mutant, and not before `WAIT_SECONDS`.
PATIENCE = 20
WAIT_SECONDS = 10

MODULE = """
#[doc(hidden)]
#[allow(warnings, clippy::all, clippy::pedantic)]
pub(crate) mod merged_mutants {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    static SEEN: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

    pub(crate) fn on(id: usize) -> bool {
        static ACTIVE: OnceLock<(usize, Option<std::fs::File>)> = OnceLock::new();
        let (active, reached) = ACTIVE.get_or_init(|| {
            let active = std::env::var("SWITCH").ok().and_then(|id| id.parse().ok()).unwrap_or(usize::MAX);
            let reached = std::env::var_os("REACHED").and_then(|path| std::fs::File::options().append(true).open(path).ok());
            (active, reached)
        });
        if let Some(mut file) = reached.as_ref() {
            if !SEEN[id].swap(true, Ordering::Relaxed) {
                let _ = file.write_all(format!("{id}\\n").as_bytes());
            }
        }
        *active == id
    }
}
"""


class Broken(Exception):
    """The merged code can't be built or its tests fail, and why."""


class OutOfTime(Exception):
    """The time was over before the first mutant could be tried."""


@dataclasses.dataclass
class Test:
    program: str
    name: str
    seconds: float = 0.0
    # Numbers of the mutants that it reaches.
    reached: frozenset = frozenset()


def protect():
    """Moves this process and its tests to a mount namespace of their own, if it is root. There a mutant can't replace devices, and
    what a stopped test has mounted ends with this process."""
    if os.geteuid():
        return
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise Broken(f"a mount namespace: {os.strerror(ctypes.get_errno())}; run it as another user")
    commands = [["--make-rprivate", "/"], *(["--bind", device, device] for device in DEVICES)]
    for command in commands:
        subprocess.run(["mount", *command], check=True)


def merge_tool(environment):
    """The path of the program that merges."""
    command = ["cargo", "build", "--quiet", "--locked", "--manifest-path", os.path.join(TOOL, "Cargo.toml"),
               "--message-format=json"]  # fmt: skip
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise Broken(result.stderr)
    for line in result.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            return message["executable"]
    raise Broken("cargo names no program")


class Merged:
    """One crate with its mutants. `tree` is a copy of the checkout, which is changed. `suite` names the tests: None for those of the
    crate, otherwise a package and the name of its test. With `quick`, only tests that take less than so many seconds run, and mutants
    that are compiled alone are left out."""

    def __init__(self, tree, environment, crate, mutants, suite=None, quick=None):
        self.tree, self.environment, self.crate, self.quick = tree, environment, crate, quick
        self.package, self.targets = (suite[0], ["--test", suite[1]]) if suite else (crate, ["--lib", "--tests"])
        self.mutants = dict(enumerate(mutants))
        self.texts = {}
        for mutant in mutants:
            if mutant["file"] not in self.texts:
                with open(os.path.join(tree, mutant["file"]), encoding="utf-8") as file:
                    self.texts[mutant["file"]] = file.read()
        self.unbuilt, self.alone, self.pieces, self.tests = {}, {}, {}, []
        self.tool = merge_tool(environment)

    def write(self):
        """Writes the merged files."""
        root = f"crates/{self.crate}/src/lib.rs"
        if root not in self.texts:
            with open(os.path.join(self.tree, root), encoding="utf-8") as file:
                self.texts[root] = file.read()
        for name, text in self.texts.items():
            mutants = [dict(mutant, id=number) for number, mutant in self.mutants.items() if mutant["file"] == name]
            document = {"text": text, "mutants": mutants, "left_out": [*self.unbuilt, *self.alone]}
            result = subprocess.run([self.tool], input=json.dumps(document), capture_output=True, text=True, check=False)
            if result.returncode:
                raise Broken(f"{name}: {result.stderr}")
            merged = json.loads(result.stdout)
            self.pieces[name] = merged["pieces"]
            for number, why in merged["alone"]:
                self.alone[number] = why
            text = merged["text"]
            if name == root:
                module = MODULE.replace("COUNT", str(len(self.mutants) + 1)).replace('"SWITCH"', f'"{SWITCH}"')
                text += module.replace('"REACHED"', f'"{REACHED}"')
            self.put(name, text)

    def put(self, name, text):
        """Writes a file of the tree, unless it has the text."""
        path = os.path.join(self.tree, name)
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def cargo(self, until):
        """Compiles the tests. Gives the exit status, cargo's messages and its errors."""
        command = ["cargo", "test", "--no-run", "--locked", "--package", self.package, *self.targets, "--message-format=json"]
        left = until and max(until - time.monotonic(), 1)
        try:
            result = subprocess.run(command, cwd=self.tree, env=self.environment, capture_output=True, text=True, check=False, timeout=left)
        except subprocess.TimeoutExpired:
            raise OutOfTime from None
        return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], result.stderr

    def at_fault(self, error):
        """The mutants that an error belongs to, and whether it is certain that each of them has an error by itself."""
        spans = sorted(error["spans"], key=lambda span: not span["is_primary"])
        for span in spans:
            pieces = self.pieces.get(span["file_name"], [])
            inside = [piece for piece in pieces if piece["start"] < span["byte_end"] and span["byte_start"] < piece["end"]]
            single = [piece for piece in inside if len(piece["mutants"]) == 1]
            if inside:
                return {number for piece in single or inside for number in piece["mutants"]}, bool(single)
        # Something around: the mutants of the place that begins last before the error.
        for span in spans:
            before = [piece for piece in self.pieces.get(span["file_name"], []) if piece["start"] <= span["byte_start"]]
            if before:
                return set(max(before, key=lambda piece: piece["start"])["mutants"]), False
        return set(), False

    def build(self, until=None):
        """Leaves out mutants until the rest compiles. Gives the programs of the tests."""
        for _ in range(BUILDS):
            self.write()
            status, messages, output = self.cargo(until)
            if not status:
                return [entry["executable"] for entry in messages if entry.get("executable") and entry["profile"]["test"]]
            compiler = [entry["message"] for entry in messages if entry["reason"] == "compiler-message"]
            errors = [message for message in compiler if message["level"] == "error"]
            known = len(self.unbuilt) + len(self.alone)
            for error in errors:
                numbers, is_certain = self.at_fault(error)
                for number in numbers - self.unbuilt.keys():
                    (self.unbuilt if is_certain else self.alone)[number] = error["message"]
            if len(self.unbuilt) + len(self.alone) == known:
                raise Broken("\n".join(error["rendered"] for error in errors[:3]) or output)
        raise Broken(f"after {BUILDS} builds, there are still mutants that do not compile")

    def start(self, program, tests, variables, seconds):
        """Runs tests of a program. Whether they pass; None if they do not end."""

        def limit():
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))

        folder = os.path.join(self.tree, "crates", self.package)
        # A test that fails is enough; its smallest case is not needed.
        constant = {"PROPTEST_MAX_SHRINK_ITERS": "0", "RUST_BACKTRACE": "0", "CARGO_MANIFEST_DIR": folder}
        process = subprocess.Popen(
            [program, "--exact", *tests], cwd=folder, env=self.environment | constant | variables, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=limit,
        )  # fmt: skip
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def baseline(self, programs, scratch):
        """Runs each test alone, without a mutant, for its time and for the mutants that it reaches."""
        folder = os.path.join(self.tree, "crates", self.package)
        reached = os.path.join(scratch, "reached")
        for program in programs:
            command = [program, "--list", "--format=terse"]
            listed = subprocess.run(command, cwd=folder, env=self.environment, capture_output=True, text=True, check=True)
            for line in listed.stdout.splitlines():
                if line.endswith(": test"):
                    self.tests.append(Test(program, line.removesuffix(": test")))
        for test in list(self.tests):
            with open(reached, "wb"):
                pass
            started = time.monotonic()
            passed = self.start(test.program, [test.name], {REACHED: reached}, self.quick or 600)
            test.seconds = time.monotonic() - started
            if passed is None and self.quick:
                self.tests.remove(test)
                continue
            if not passed:
                print(f"{self.crate}: {test.name} is left out: it fails here without a mutant, too", flush=True)
                self.tests.remove(test)
                continue
            with open(reached, encoding="ascii") as file:
                test.reached = frozenset(int(line) for line in file)

    def outcomes(self, scratch, until=None):
        """Tries every mutant. Gives the name of each with its outcome, in cargo-mutants' words."""
        print(f"{self.crate}: {len(self.mutants)} mutants in one build", flush=True)
        self.baseline(self.build(until), scratch)
        seconds = sum(test.seconds for test in self.tests)
        alone = "left out" if self.quick else "compiled alone"
        print(f"{self.crate}: {len(self.tests)} tests take {seconds:.1f} s; {len(self.alone)} mutants are {alone}", flush=True)
        # The quick ones first, if the time is limited.
        for number in sorted(self.mutants, key=lambda number: number in self.alone):
            if until and time.monotonic() > until:
                raise OutOfTime
            if number in self.unbuilt:
                outcome = "Unviable"
            elif number in self.alone:
                if self.quick:
                    continue
                outcome = self.outcome_alone(number, until)
            else:
                outcome = self.outcome([test for test in self.tests if number in test.reached], {SWITCH: str(number)})
            yield self.mutants[number]["name"], outcome

    def outcome_alone(self, number, until):
        """Compiles one mutant, and runs all tests. Their programs have the same paths."""
        mutant = self.mutants[number]
        for name, text in self.texts.items():
            if name == mutant["file"]:
                lines = [len(line) + 1 for line in text.split("\n")]
                spots = (mutant["span"]["start"], mutant["span"]["end"])
                start, end = (sum(lines[: spot["line"] - 1]) + spot["column"] - 1 for spot in spots)
                text = text[:start] + mutant["replacement"] + text[end:]
            self.put(name, text)
        status, _, _ = self.cargo(until)
        return "Unviable" if status else self.outcome(self.tests, {})

    def outcome(self, tests, variables):
        """Runs tests, the quickest first, until one fails."""
        reaching = sorted(tests, key=lambda test: test.seconds)
        quick = collections.defaultdict(list)
        for test in reaching:
            if test.seconds < QUICK:
                quick[test.program].append(test)
        for group in [*quick.values(), *([test] for test in reaching if test.seconds >= QUICK)]:
            seconds = max(WAIT_SECONDS, PATIENCE * sum(test.seconds for test in group))
            passed = self.start(group[0].program, [test.name for test in group], variables, seconds)
            if not passed:
                return "Timeout" if passed is None else "CaughtMutant"
        return "MissedMutant"
