//! Runs every body of this crate on inputs made from fixed seeds, then on inputs that once broke something.
//!
//! ```sh
//! cargo test -p fuzz-bodies                                     # a fixed number of inputs per body
//! SNUGFS_FUZZ_INPUTS=1000000 cargo test -p fuzz-bodies          # another number
//! cargo test -p fuzz-bodies --test campaign -- plan fat         # only these bodies
//! cargo test -p fuzz-bodies --test campaign -- --seeds FOLDER   # writes the valid inputs, for libFuzzer
//! ```
//!
//! An input that fails is shortened and saved; the failure shows the file's name.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use fuzz_bodies::{Outcome, TARGETS, Target, mutation};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Maximum CPU time for one input. CPU time does not depend on the load of the machine.
const MAX_TIME: Duration = Duration::from_secs(20);

/// The current input, its start time and its target.
static TRIED: Mutex<Option<(Instant, &'static str, Vec<u8>)>> = Mutex::new(None);

/// The CPU time of this process (`proc_pid_stat(5)`: fields 14 and 15, in hundredths of a second).
fn used() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_the_name = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = behind_the_name.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [option, folder] = words.as_slice()
        && option == "--seeds"
    {
        return write_seeds(Path::new(folder));
    }
    let inputs = std::env::var("SNUGFS_FUZZ_INPUTS").ok().map(|text| {
        text.parse().unwrap_or_else(|_| panic!("SNUGFS_FUZZ_INPUTS={text}: is not a number of inputs"))
    });
    std::thread::spawn(watch);
    // Panic messages are printed once, with the shortest input.
    std::panic::set_hook(Box::new(|_| {}));
    // Options of the standard harness are ignored.
    let names: Vec<_> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let chosen = |target: &&Target| names.is_empty() || names.iter().any(|name| *name == target.name);
    let (mut passed, mut failed, mut tried) = (0, 0, 0);
    for target in TARGETS.iter().filter(chosen) {
        match campaign(target, inputs.unwrap_or(target.inputs)) {
            Ok(figures) => {
                tried += figures.inputs;
                passed += 1;
                println!("{:22}{figures}", target.name);
            }
            Err(why) => {
                failed += 1;
                println!("{:22}FAILED: {why}", target.name);
            }
        }
    }
    println!("{tried} inputs");
    println!("test result: {passed} passed; {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The figures of a campaign.
struct Figures {
    inputs: u64,
    accepted: u64,
    found: u64,
    peak: usize,
    took: Duration,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { inputs, accepted, found, peak, took } = self;
        write!(
            f,
            "{inputs:9} inputs, {accepted:9} accepted, {found} known ones, at most {} KiB, {:.1} s",
            peak >> 10,
            took.as_secs_f64()
        )
    }
}

fn campaign(target: &'static Target, inputs: u64) -> Result<Figures, String> {
    let begun = Instant::now();
    let mut figures = Figures { inputs, accepted: 0, found: 0, peak: 0, took: Duration::ZERO };
    let known = known(target).into_iter().chain(corpus(target)?).collect::<Vec<_>>();
    for (name, bytes) in &known {
        attempt(target, bytes).map_err(|why| format!("{name} fails again: {why}"))?;
        figures.found += 1;
    }
    let seeds = (target.seeds)();
    for (number, seed) in seeds.iter().enumerate() {
        let (outcome, _) = attempt(target, seed).map_err(|why| format!("seed {number}: {why}"))?;
        figures.inputs += 1;
        figures.accepted += u64::from(outcome == Outcome::Accepted);
    }
    for number in 0..inputs {
        let bytes = mutation::input(target, &seeds, number);
        match attempt(target, &bytes) {
            Ok((outcome, peak)) => {
                figures.accepted += u64::from(outcome == Outcome::Accepted);
                figures.peak = figures.peak.max(peak);
            }
            Err(why) => return Err(shortened(target, number, bytes, &why)),
        }
    }
    if figures.accepted == 0 || figures.accepted == figures.inputs {
        return Err(format!(
            "{} of {} inputs accepted: one case was never reached",
            figures.accepted, figures.inputs
        ));
    }
    figures.took = begun.elapsed();
    Ok(figures)
}

/// Runs a body. Returns its outcome and peak memory, or the reason of the failure.
fn attempt(target: &'static Target, bytes: &[u8]) -> Result<(Outcome, usize), String> {
    if let Ok(mut tried) = TRIED.lock() {
        *tried = Some((Instant::now(), target.name, bytes.to_vec()));
    }
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.body)(bytes)));
    let peak = ALLOCATOR.peak_usage().saturating_sub(before);
    if let Ok(mut tried) = TRIED.lock() {
        *tried = None;
    }
    let outcome = outcome.map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        text.chars().take(2000).collect::<String>()
    })?;
    let (own, each) = target.memory;
    if peak > own + each * bytes.len() {
        return Err(format!("{} bytes of memory for an input of {}", peak, bytes.len()));
    }
    Ok((outcome, peak))
}

/// Shortens a failing input, saves it, and returns a message with the file's name.
fn shortened(target: &'static Target, number: u64, mut bytes: Vec<u8>, why: &str) -> String {
    let mut len = bytes.len().div_ceil(2);
    let end = Instant::now() + Duration::from_secs(20);
    while len > 0 && Instant::now() < end {
        let mut at = 0;
        while at < bytes.len() && Instant::now() < end {
            let mut shorter = bytes.clone();
            shorter.drain(at..bytes.len().min(at + len));
            if attempt(target, &shorter).is_err() {
                bytes = shorter;
            } else {
                at += len;
            }
        }
        len /= 2;
    }
    let why = attempt(target, &bytes).err().unwrap_or_else(|| why.to_owned());
    format!("input {number}, saved as {}: {why}", save(target.name, &bytes).display())
}

fn save(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("broke-{name}"));
    if let Err(error) = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, bytes)) {
        println!("{}: {error}", path.display());
    }
    path
}

/// Ends the program if an input takes too long.
fn watch() {
    let mut seen: Option<(Instant, Duration)> = None;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let Ok(tried) = TRIED.lock() else { return };
        let Some((begun, name, bytes)) = tried.as_ref() else { continue };
        let since = match seen {
            Some((same, since)) if same == *begun => since,
            _ => used(),
        };
        seen = Some((*begun, since));
        if used().saturating_sub(since) > MAX_TIME {
            println!(
                "{name}: FAILED: takes longer than {MAX_TIME:?}, saved as {}",
                save(name, bytes).display()
            );
            println!("test result: 0 passed; 1 failed");
            let _ = std::io::stdout().flush();
            std::process::exit(1);
        }
    }
}

/// Inputs with which libFuzzer reached additional code, compressed by zstd, in a folder with the name of the target.
fn corpus(target: &Target) -> Result<Vec<(String, Vec<u8>)>, String> {
    /// Maximum length in [bytes].
    const MAX_LENGTH: usize = 16 << 20;
    let compressed = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target.name));
    let decompressed = compressed.into_iter().map(|(name, bytes)| {
        let bytes = zstd::bulk::decompress(&bytes, MAX_LENGTH).map_err(|error| format!("{name}: {error}"))?;
        Ok((name, bytes))
    });
    decompressed.collect()
}

/// Inputs that failed in the past, in a folder with the name of the target.
fn known(target: &Target) -> Vec<(String, Vec<u8>)> {
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/found").join(target.name))
}

/// The files of a folder with their names, sorted; empty if the folder does not exist.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(listed) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = listed
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.to_owned(), std::fs::read(&path).ok()?))
        })
        .collect();
    files.sort();
    files
}

fn write_seeds(folder: &Path) -> ExitCode {
    for target in TARGETS {
        let folder = folder.join(target.name);
        let written = std::fs::create_dir_all(&folder).and_then(|()| {
            let seeds = (target.seeds)();
            let mut seeds = (0..).zip(&seeds);
            seeds.try_for_each(|(number, seed): (u32, _)| {
                std::fs::write(folder.join(format!("seed-{number}")), seed)
            })
        });
        if let Err(error) = written {
            println!("{}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
