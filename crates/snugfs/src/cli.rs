//! Commands and options of the command line, with their help texts. [`crate::commands`] runs them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint};

use crate::{help, output, progress};
use snugfs_core::{At, Failure, FailureKind};

/// Builds ext4 images from a JSON plan: exactly as large as needed, the same bytes on every machine.
///
/// A plan lists what goes into the image: folders, archives, container images, single files and Nix closures. snugfs mounts
/// nothing, needs no root rights and makes no temporary copy.
#[derive(Debug, Parser)]
#[command(name = "snugfs", version, arg_required_else_help = true)]
#[command(after_help = help::after(""), after_long_help = help::after_all())]
#[command(max_term_width = 80, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) messages: MessageArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command: how messages are written.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct MessageArgs {
    /// Print only errors, warnings and results
    ///
    /// Omits progress and the line that reports success.
    #[arg(short, long, global = true, display_order = 102)]
    pub(crate) quiet: bool,

    /// Format of errors, warnings and notes on standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = MessageFormat::Text, global = true)]
    #[arg(display_order = 103)]
    pub(crate) message_format: MessageFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MessageFormat {
    /// Lines of text for people
    Text,
    /// One JSON object per line, and no progress
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write the image that a plan describes
    ///
    /// The image is written under a temporary name and renamed when it is complete, so a failed build leaves an existing
    /// file untouched. A block device or a pipe may have been partly written. If the report can't be written after the
    /// image, the image stays and the exit code is 7. If the plan has variants, they are written to the folder of the image.
    #[command(after_help = help::after("build"))]
    Build(BuildArgs),
    /// Write a plan for folders, archives, container images and store paths
    ///
    /// The plan is one to start from: it names the sources by absolute paths, and what they are. A folder that belongs to root
    /// keeps its owners and extended attributes; remove `owner` and `xattrs` to give all files to root. Everything else is the
    /// default. A tar archive can be compressed with gzip, zstd or xz. A container image is an OCI image layout or an archive of
    /// docker save. For paths in /nix/store, `nix path-info` is run, and the plan has their closure.
    #[command(after_help = help::after("plan"))]
    Plan(PlanArgs),
    /// Write an image to a card or disk, only where it differs
    ///
    /// Reads the device first and skips what is there already: reading a card is several times as fast as writing it. Then
    /// reads back what was written. A plan goes straight to the device, without an image file. The beginning of the device,
    /// with its partition table, is written last; until then the device has none. If the command is interrupted, run it
    /// again to go on.
    #[command(after_help = help::after("flash"))]
    Flash(FlashArgs),
    /// Fill slots of a finished image or card
    ///
    /// A slot is an empty file with reserved space (`"slot": "4KiB"` in the plan). Writes its contents, its length and the
    /// checksums that depend on them, and changes nothing else: a secret or the name of a device gets into an image in
    /// milliseconds. You can stamp a slot again. If it is interrupted, a slot has its old contents, is empty, or has its new
    /// contents. With --devices, clones the image for each device of a list and stamps the clones.
    #[command(after_help = help::after("stamp"))]
    Stamp(StampArgs),
    /// Compress store paths in advance, for several images
    ///
    /// Writes the compressed frames of the large store paths (1 MiB or more) of a plan's closures to a folder. `build --layer`
    /// takes them from there. The plan needs output.compression.frames; only its closures and its compression matter.
    #[command(after_help = help::after("layer"))]
    Layer(LayerArgs),
    /// Print the root hash of a file system with a hash tree, without writing an image
    ///
    /// Reads the contents of the file system. An image that is built from the same plan and the same sources has this root hash, so
    /// that a kernel's command line can be made before the image.
    #[command(after_help = help::after("roothash"))]
    Roothash(RoothashArgs),
    /// Show how large the image will be, without writing it
    ///
    /// Shows the exact size of the image and its parts. Scans all sources, but does not read the contents of files: hashes
    /// are not compared, even with `"verify": "hash"` in the plan.
    #[command(after_help = help::after("size"))]
    Size(SizeArgs),
    /// Show where the bytes of an image go, and why they are there
    ///
    /// For every store path: its own size, the size that would leave the image with it, and the paths that refer to it.
    /// For the rest: directories, files, metadata, journal, reserve for growth, free space. At the end, ways to make the
    /// image smaller, and by how much. All sizes are whole blocks and add up to the length of the image. Nothing is
    /// written.
    #[command(after_help = help::after("explain"))]
    Explain(ExplainArgs),
    /// Check whether a plan can be built, without writing anything
    ///
    /// Checks the plan, then the closure, then the sources, then whether everything fits. Lists all problems of the
    /// first step that has any. With `"verify": "hash"` in the plan, this also reads and hashes every store path.
    #[command(after_help = help::after("check"))]
    Check(CheckArgs),
    /// Look into an image without mounting it
    ///
    /// IMAGE is a file or a block device. It contains a file system (ext2, ext3, ext4, FAT) or a disk with partitions
    /// (MBR, GPT), and may be compressed with zstd, gzip or xz. Without a command, this shows the partitions and file
    /// systems. It is safe on damaged and malicious images: the image is only read, and everything in it is checked first.
    #[command(after_help = help::after("inspect"))]
    Inspect(InspectArgs),
    /// Check every byte of an image
    ///
    /// IMAGE is a file or a block device. It contains an ext4 file system or a disk with partitions (MBR, GPT), and may be
    /// compressed with zstd, gzip or xz. Checks every checksum, backup copy, count and index, and that unused space is zero: more
    /// than e2fsck does. Also compares hash trees of dm-verity with their file systems, and checks the headers of swap areas. FAT
    /// and other file systems are only checked with --against. It is safe on damaged and malicious images: the image is only
    /// read, and nothing in it is trusted.
    #[command(after_help = help::after("verify"))]
    Verify(VerifyArgs),
    /// Print an entry for Raspberry Pi Imager, from a report
    ///
    /// Prints a list with one operating system, as Raspberry Pi Imager reads it (`rpi-imager --repo FILE`). REPORT is that of a
    /// build with --raw-digest, or of an image that is not compressed.
    #[command(after_help = help::after("imager-json"))]
    ImagerJson(ImagerJsonArgs),
    /// Print the JSON Schema of plans
    ///
    /// With it, an editor completes and checks plans while you type.
    #[command(after_help = help::after("schema"))]
    Schema,
    /// Show help about a command, the plan or the exit codes
    ///
    /// Without a topic, this is the same as `snugfs --help`.
    #[command(after_help = help::after("help"))]
    Help(HelpArgs),
    /// Print a completion script for a shell
    #[command(after_help = help::after("completions"))]
    Completions(CompletionsArgs),
    /// Write the manual pages into a folder
    ///
    /// The pages go into DIR/man1 and DIR/man5. Existing pages are replaced.
    #[command(after_help = help::after("man"))]
    Man(ManArgs),
}

/// Arguments of every command that reads a plan.
#[derive(Clone, Debug, Args)]
pub(crate) struct InputArgs {
    /// The plan, a JSON file; `-` for standard input
    ///
    /// It may also be the structured attributes of a Nix build (.attrs.json) with the plan under the key "plan".
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,

    /// Folder at which relative paths in the plan start [default: the plan's folder]
    ///
    /// For a plan from standard input, the default is the current folder.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) base_dir: Option<PathBuf>,

    /// Number of threads; never changes the output [default: one per available CPU]
    ///
    /// The default respects CPU affinity, cgroup limits and, in a Nix build, the `cores` setting. While threads wait for a
    /// disk, up to 32 read at once, whatever N is.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), display_order = 100)]
    pub(crate) threads: Option<u16>,

    /// How to show progress on standard error
    #[arg(long, value_name = "HOW", value_enum, default_value_t = ProgressMode::Auto, display_order = 101)]
    pub(crate) progress: ProgressMode,

    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
}

/// Options of every command that lays out an image.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LayoutArgs {
    /// Keep inode numbers and blocks where they were in an earlier image
    ///
    /// FILE is the record that --layout-out wrote for it. Store paths with another hash keep the places of those with the same
    /// name. The image depends on this file. The same as plan.filesystem.layoutLike, for all ext4 file systems of the plan.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, display_order = 90)]
    pub(crate) layout_like: Option<PathBuf>,

    /// How much longer than necessary the image may be with --layout-like, in percent [default: 5]
    ///
    /// If it would be longer, it is laid out anew, with a warning.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=1000), display_order = 91)]
    pub(crate) layout_slack: Option<u32>,

    /// Take this variant of the plan instead of the plan itself
    ///
    /// NAME is the output of one of plan.variants. build writes the image to the folder of plan.output.path under this name,
    /// unless -o names another file, and no other variant.
    #[arg(long, value_name = "NAME", display_order = 92)]
    pub(crate) variant: Option<String>,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// The image's file; `-` for standard output [default: plan.output.path]
    ///
    /// A name that ends in .zst, .gz or .xz selects compression with zstd, gzip or xz; .qcow2, .simg, .vhd, .vhdx, .vdi, .vmdk, .ova
    /// and .tar select these formats. plan.output.compression and plan.output.format set compression and format independently of the name. A
    /// relative path starts at the current folder. An existing file is replaced. OUT can't be a file that the plan reads.
    /// If OUT is inside a folder of plan.trees, it is skipped.
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// Write to a block device, and overwrite what is on it
    ///
    /// The device and its partitions must not be mounted, and the image can't be compressed. What was written is read
    /// back and compared. Without this option, a build to a device is refused.
    #[arg(long)]
    pub(crate) device: bool,

    /// Do not read the device back after writing (only with --device)
    #[arg(long, requires = "device")]
    pub(crate) no_read_back: bool,

    /// Read the finished image again, check it and compare it with the plan
    ///
    /// Does what `verify --against` does, before the image gets its name. If it finds a problem, no image appears; a block
    /// device has been overwritten by then. A compressed image is decompressed into TMPDIR. Only for raw images in a file or on a
    /// device, compressed or not.
    #[arg(long)]
    pub(crate) verify_output: bool,

    /// Keep compressed frames in this folder, and use those that are there [default: `SNUGFS_CACHE`]
    ///
    /// For plans with output.compression.frames. Store paths that are in the folder are neither read nor compressed. The
    /// image has the same bytes as without the folder. It must belong to you, and nobody else may write to it.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) cache: Option<PathBuf>,

    /// The most that the folder of --cache may take; the frames unused for the longest time are removed
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = size)]
    pub(crate) cache_size: u64,

    /// Use the compressed frames of this layer; can be given several times
    ///
    /// A layer is a folder that `snugfs layer` wrote. It is only read.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) layer: Vec<PathBuf>,

    /// Write a JSON report of the image to this file; `-` for standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) report: Option<PathBuf>,

    /// Write a record of where everything is in the image to this file, for --layout-like; `-` for standard output
    ///
    /// JSON; compressed with zstd if the name ends in .zst.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) layout_out: Option<PathBuf>,

    /// Write the root hash of the root file system to this file, as 64 hexadecimal digits; `-` for standard output
    ///
    /// The plan needs filesystem.verity. The root hashes of other file systems are in the report.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) roothash_out: Option<PathBuf>,

    /// Write a software bill of materials (CycloneDX 1.5) to this file; `-` for standard output
    ///
    /// Lists every store path of every closure with name, version, NAR hash and references. It contains no time and no
    /// serial number, so the same closures give the same bytes.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) sbom: Option<PathBuf>,

    /// Add the SHA-256 of the uncompressed image to the report
    ///
    /// The report always contains the SHA-256 of the written file. Only for raw images, compressed or not.
    #[arg(long, requires = "report")]
    pub(crate) raw_digest: bool,

    /// Wait until the image is stored on the disk, safe from a power failure
    #[arg(long)]
    pub(crate) sync: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LayerArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// The folder to write; it must not exist
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,

    /// Leave out the store paths that this file lists, one per line; can be given several times
    ///
    /// Files of Nix's closureInfo with the name `store-paths` have this form.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) except: Vec<PathBuf>,

    /// Leave out the store paths of the graph that PLAN has under this key next to the plan
    ///
    /// Nix writes such graphs into the structured attributes of a build (exportReferencesGraph).
    #[arg(long, value_name = "KEY")]
    pub(crate) except_graph: Option<String>,
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct FlashArgs {
    /// A plan, or an image: raw, or compressed with zstd, gzip or xz; `-` for a plan from standard input
    ///
    /// The output of a plan (path, format, compression) is ignored: the device gets the image itself.
    #[arg(value_name = "PLAN|IMAGE", value_hint = ValueHint::FilePath, required_unless_present = "list")]
    pub(crate) source: Option<PathBuf>,

    /// The device, for example /dev/sdX; an existing file of any length that is enough works too
    ///
    /// Refused if it is mounted or used otherwise, write-protected, too small, or a fixed disk.
    #[arg(value_name = "DEVICE", value_hint = ValueHint::FilePath, required_unless_present = "list")]
    pub(crate) device: Option<PathBuf>,

    /// List the disks of this machine: size, model, what is on them, and what uses them
    #[arg(long, conflicts_with_all = ["source", "device", "yes", "fixed_disk", "report"])]
    pub(crate) list: bool,

    /// Print the list as JSON
    #[arg(long, requires = "list")]
    pub(crate) json: bool,

    /// Do not ask before the device is overwritten
    #[arg(short, long)]
    pub(crate) yes: bool,

    /// Allow a disk that is not removable
    #[arg(long)]
    pub(crate) fixed_disk: bool,

    /// What to read back and compare
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = WhatIsRead::Written)]
    pub(crate) read_back: WhatIsRead,

    /// Write a JSON report to this file: bytes read, written and skipped; `-` for standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) report: Option<PathBuf>,

    /// Folder at which relative paths in the plan start [default: the plan's folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) base_dir: Option<PathBuf>,

    /// Number of threads [default: one per available CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), display_order = 100)]
    pub(crate) threads: Option<u16>,

    /// How to show progress on standard error
    #[arg(long, value_name = "HOW", value_enum, default_value_t = ProgressMode::Auto, display_order = 101)]
    pub(crate) progress: ProgressMode,

    #[command(flatten)]
    pub(crate) layout: LayoutArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StampArgs {
    /// The image: a raw file, or a block device that is not mounted
    ///
    /// It contains an ext4 or FAT file system, or a disk with partitions. With --devices, the image that is cloned.
    #[arg(value_name = "IMAGE|DEVICE", value_hint = ValueHint::FilePath)]
    pub(crate) image: PathBuf,

    /// The path of a slot, and the file with its contents
    ///
    /// `-` reads standard input; `PATH=` empties the slot. If slots of several partitions have the same path, put the number of
    /// the partition before it: 2:/etc/secret=FILE.
    #[arg(value_name = "[N:]PATH=FILE", required_unless_present = "devices")]
    pub(crate) slots: Vec<OsString>,

    /// Make an image for each device of this list
    ///
    /// A CSV or JSON file; JSON if the name ends in .json. The column `name` of CSV, or the field of JSON, names the image; .img is
    /// added. In a column `/etc/hostname`, write the contents themselves. In a column `file:/etc/secret`, write the name of a file
    /// with the contents, relative to the folder of the list. Slots of the command line are filled in every image. Slots that
    /// neither names keep the contents that they have in IMAGE.
    #[arg(long, value_name = "LIST", value_hint = ValueHint::FilePath, requires = "output_dir")]
    pub(crate) devices: Option<PathBuf>,

    /// Folder for the images of --devices; created if it does not exist
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "devices")]
    pub(crate) output_dir: Option<PathBuf>,

    /// Wait until the images of --devices are stored on the disk, safe from a power failure
    ///
    /// Without --devices, this is always so.
    #[arg(long, requires = "devices")]
    pub(crate) sync: bool,
}

/// What `flash` reads back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhatIsRead {
    /// What was written, and a few blocks that were not
    Written,
    /// The whole image
    All,
    /// Nothing
    Nothing,
}

#[derive(Debug, Args)]
pub(crate) struct ImagerJsonArgs {
    /// The report that `build --report` wrote
    #[arg(value_name = "REPORT", value_hint = ValueHint::FilePath)]
    pub(crate) report: PathBuf,

    /// Name of the operating system
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,

    /// Address from which the image is downloaded
    #[arg(long, value_name = "URL")]
    pub(crate) url: String,

    /// Date of the release, as 2026-01-31
    #[arg(long, value_name = "DATE")]
    pub(crate) release_date: String,

    /// Description [default: the name]
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,

    /// Address of an icon
    #[arg(long, value_name = "URL", default_value = "")]
    pub(crate) icon: String,

    /// Tag of a device that the image is for, such as pi5-64bit; can be given several times
    #[arg(long, value_name = "TAG")]
    pub(crate) device: Vec<String>,
}

/// A size on the command line.
fn size(text: &str) -> Result<u64, String> {
    snugfs_plan::parse_size(text).ok_or_else(|| "not a size: use bytes, or KiB, MiB, GiB or TiB".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct RoothashArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// The file system: `root`, or the index of its partition in the plan, from 0
    #[arg(long, value_name = "NAME", default_value = "root")]
    pub(crate) of: String,
}

#[derive(Debug, Args)]
pub(crate) struct SizeArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Print the report of `build` as JSON, without compressedBytes, sha256 and seconds
    #[arg(long)]
    pub(crate) json: bool,

    /// Write a record of where everything would be in the image to this file, as `build` does
    ///
    /// JSON; compressed with zstd if the name ends in .zst.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) layout_out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Show why a store path is in the image
    ///
    /// Prints the chain of references from a root to the path, the paths that refer to it, and the paths it refers to.
    /// NAME is a store path, its hash or the first digits of it, or its name with or without the version. Can be given
    /// several times.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["json", "compare"])]
    pub(crate) why: Vec<String>,

    /// Show what grew and shrank since an older plan or report
    ///
    /// A report is the output of `build --report` or `size --json`. Store paths match if they have the same name, even if
    /// hash or version differ.
    #[arg(long, value_name = "PLAN|REPORT", value_hint = ValueHint::FilePath)]
    pub(crate) compare: Option<PathBuf>,

    /// Write an HTML page instead: a map to click into, search, the layout to scale; `-` for standard output
    ///
    /// The page is one file and needs no network. With --compare, colours and signs show what grew and shrank.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["json", "why"])]
    pub(crate) html: Option<PathBuf>,

    /// Number of rows in each table or list
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) limit: u16,

    /// Print JSON, with all store paths
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,

    /// Print the result as JSON, with all problems and warnings
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// A command, `plan` or `exit-codes`
    #[arg(value_name = "TOPIC", index = 1)]
    pub(crate) topic: Option<String>,

    /// After `plan`, a section or a field, such as `filesystem`; after `inspect`, a command
    #[arg(value_name = "PART", index = 2)]
    pub(crate) part: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// A folder, a tar archive, a container image or a store path
    ///
    /// Several sources are merged. Two files at one path are an error, unless you add `"overlap": "later-wins"` to the later one.
    #[arg(value_name = "SOURCE", required = true, value_hint = ValueHint::AnyPath)]
    pub(crate) sources: Vec<PathBuf>,

    /// The plan's file; `-` for standard output [default: -]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder; created if it does not exist
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct InspectArgs {
    /// The image: a file or a block device
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub(crate) image: PathBuf,

    /// Number of the partition to look into [default: the root partition]
    ///
    /// The default is the only partition with a file system. If there are several, it is the first with the type of a
    /// root, or else the largest with ext4.
    #[arg(long, value_name = "N", global = true, display_order = 50)]
    pub(crate) partition: Option<u32>,

    /// Print partitions and file systems as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Option<InspectCommand>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The image: a file or a block device
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub(crate) image: PathBuf,

    /// Also compare the image with a plan and its sources; `-` for standard input
    ///
    /// Compares every file, the partition table and every partition, and checks the free space and inodes that the plan
    /// promises. Store paths are compared by their registered NAR hash, regardless of plan.closure.verify.
    #[arg(long, value_name = "PLAN")]
    pub(crate) against: Option<PathBuf>,

    /// Folder at which relative paths in the plan start [default: the plan's folder]
    #[arg(long, value_name = "DIR", requires = "against")]
    pub(crate) base_dir: Option<PathBuf>,

    /// Number of threads [default: one per available CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), requires = "against")]
    #[arg(display_order = 100)]
    pub(crate) threads: Option<u16>,

    /// How to show progress on standard error
    #[arg(long, value_name = "HOW", value_enum, default_value_t = ProgressMode::None, display_order = 101)]
    pub(crate) progress: ProgressMode,

    #[command(flatten)]
    pub(crate) layout: LayoutArgs,

    /// Accept images that were mounted after they were built, or that another program made
    ///
    /// Only errors in the file system are problems. Anything else that snugfs would have written differently is counted,
    /// and shown as a note.
    #[arg(long)]
    pub(crate) used: bool,

    /// Do not check that unused space is zero
    ///
    /// For a device that was written with bmaptool or fastboot: these skip free blocks and gaps between partitions, so
    /// old data stays there. Old data there is harmless.
    #[arg(long)]
    pub(crate) ignore_unused: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InspectCommand {
    /// List a directory, sorted by the bytes of the names
    #[command(after_help = help::after("inspect ls"))]
    Ls {
        /// The directory or file
        #[arg(value_name = "PATH", default_value = "/")]
        path: PathBuf,
        /// Show mode, number of names, owner, group, size and time (UTC)
        #[arg(short)]
        long: bool,
        /// List all directories below, too
        #[arg(short = 'R')]
        recursive: bool,
    },
    /// Write the contents of a file to standard output
    #[command(after_help = help::after("inspect cat"))]
    Cat {
        /// The file; symlinks are followed within the image
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
    /// List the slots that `snugfs stamp` fills: length, room, path
    #[command(after_help = help::after("inspect slots"))]
    Slots {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the metadata of a file
    #[command(after_help = help::after("inspect stat"))]
    Stat {
        /// The file; a symlink is not followed
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Copy a file or a whole directory to this machine
    ///
    /// Keeps contents, holes, permissions, times and hard links. Skips sockets and extended attributes; see the options
    /// for owners, set-user-ID bits and devices. Existing files are never replaced, and nothing is written outside DIR.
    #[command(after_help = help::after("inspect extract"))]
    Extract {
        /// The file or directory; `/` copies everything into DIR itself
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// The folder; created if it does not exist
        #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        output: PathBuf,
        /// Owner of the copied files
        #[arg(long, value_name = "OWNER", value_enum, default_value_t = Owner::Mine)]
        owner: Owner,
        /// Create device nodes, too; only for root
        #[arg(long)]
        devices: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Owner {
    /// The user who runs this
    Mine,
    /// As in the image, with set-user-ID bits; only for root
    Keep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// A bar on a terminal, otherwise plain lines
    Auto,
    /// A progress bar
    Bar,
    /// One line per stage
    Plain,
    /// Plain lines, and each stage's name for the log of `nix build`
    Nix,
    /// No progress; warnings, errors and the summary are still printed
    None,
}

/// The whole command line, with the topics of `snugfs help`, which include every command.
pub(crate) fn definition() -> clap::Command {
    let command = Cli::command();
    let commands = command.get_subcommands().map(|command| command.get_name().to_owned());
    let topics: Vec<String> = commands.chain(help::TOPICS.map(str::to_owned)).collect();
    command.mut_subcommand("help", |help| {
        help.mut_arg("topic", |topic| {
            topic.value_parser(PossibleValuesParser::new(topics)).hide_possible_values(true)
        })
    })
}

/// Parses a command line; the first word is the program's name.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = definition().try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut definition()))
}

/// The message options of a command line that could not be parsed.
pub(crate) fn messages_of(words: impl IntoIterator<Item = OsString>) -> MessageArgs {
    let words: Vec<OsString> = words.into_iter().collect();
    let pair = words.windows(2).any(|pair| pair == ["--message-format", "json"]);
    let is_json = pair || words.iter().any(|word| word == "--message-format=json");
    let message_format = if is_json { MessageFormat::Json } else { MessageFormat::Text };
    MessageArgs { quiet: false, message_format }
}

/// Whether a path is `-`: standard input or output.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A command line that makes no sense.
pub(crate) fn misuse(at: impl Into<At>, what: impl Into<String>, help: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Usage, at, what, help)
}

/// Handles what clap returns instead of a command: help and version go to standard output, the rest is a usage error. `words` is
/// the command line.
pub(crate) fn show(error: &clap::Error, words: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => output::print(&error.to_string()),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            progress::print_line(error.to_string().trim_end());
            Err(Failure::all(FailureKind::Usage, []))
        }
        _ => {
            let (what, help) = usage_error(error, words);
            Err(misuse("command line", what, help))
        }
    }
}

/// Clap's error in one line, and what to do.
fn usage_error(error: &clap::Error, words: impl IntoIterator<Item = OsString>) -> (String, String) {
    let text = error.to_string();
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.is_empty() && !paragraph.starts_with("Usage:"))
        .filter(|paragraph| !paragraph.starts_with("For more information"))
        .collect();
    let what = paragraphs.join("; ");
    let help = hint(error).unwrap_or_else(|| format!("see {} --help", command_of(words)));
    (what.trim_start_matches("error: ").to_owned(), help)
}

/// Options of other programs, and how to do the same here.
const OPTIONS_OF_OTHERS: [(&str, &str); 10] = [
    ("--verbose", "use --progress plain for one line per stage"),
    ("-v", "use --progress plain for one line per stage"),
    ("--silent", "use --quiet"),
    ("--dry-run", "use `snugfs check` or `snugfs size`, which write nothing"),
    ("-n", "use `snugfs check` or `snugfs size`, which write nothing"),
    ("--force", "leave it out: an existing image is replaced anyway"),
    ("-f", "leave it out: an existing image is replaced anyway"),
    ("-j", "use --threads N"),
    ("--jobs", "use --threads N"),
    ("--level", "set plan.output.compression.level"),
];

/// What the user probably meant by an unknown option or command.
fn hint(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let word = text(ContextKind::InvalidArg)?;
            // Clap passes `-j4` as `-j`, and `--jobs=4` as `--jobs`.
            let known = OPTIONS_OF_OTHERS.iter().find(|(known, _)| *known == word);
            known.map(|(_, hint)| (*hint).to_owned())
        }
        ErrorKind::InvalidSubcommand => {
            let word = text(ContextKind::InvalidSubcommand)?;
            let is_file =
                word.contains('/') || Path::new(word).is_file() || word.to_lowercase().ends_with(".json");
            is_file.then(|| format!("put a command before the plan: snugfs build {word} -o rootfs.img"))
        }
        _ => None,
    }
}

/// The command of a command line, such as `snugfs build`; `snugfs` if there is none.
fn command_of(words: impl IntoIterator<Item = OsString>) -> String {
    let program = definition();
    let mut words = words.into_iter().skip(1);
    let command =
        words.find_map(|word| program.find_subcommand(word).map(|found| found.get_name().to_owned()));
    command.map_or_else(|| "snugfs".to_owned(), |name| format!("snugfs {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &[&str]) -> String {
        let all = std::iter::once("snugfs").chain(arguments.iter().copied()).map(OsString::from);
        let (what, help) = usage_error(&parse(all.clone()).unwrap_err(), all);
        misuse("command line", what, help).to_string()
    }

    #[test]
    fn definition_of_the_command_line_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn a_usage_error_is_one_line() {
        assert_eq!(
            line(&["build", "p.json", "--treads", "2"]),
            "command line: unexpected argument '--treads' found; tip: a similar argument exists: '--threads'; see snugfs build --help"
        );
        assert_eq!(
            line(&["build"]),
            "command line: the following required arguments were not provided: <PLAN>; see snugfs build --help"
        );
        assert_eq!(
            line(&["biuld"]),
            "command line: unrecognized subcommand 'biuld'; tip: a similar subcommand exists: 'build'; see snugfs --help"
        );
        for (words, hint) in [
            (&["p.json"][..], "; put a command before the plan: snugfs build p.json -o rootfs.img"),
            (&["build", "p.json", "--verbose"], "; use --progress plain for one line per stage"),
            (&["build", "p.json", "-j4"], "; use --threads N"),
            (&["build", "p.json", "--dry-run"], "; use `snugfs check` or `snugfs size`, which write nothing"),
            (&["build", "p.json", "--force"], "; leave it out: an existing image is replaced anyway"),
        ] {
            assert!(line(words).ends_with(hint), "{}", line(words));
        }
        assert_eq!(
            line(&["size", "p.json", "--threads", "0"]),
            "command line: invalid value '0' for '--threads <N>': 0 is not in 1..=1024; see snugfs size --help"
        );
        assert_eq!(
            line(&["-q", "verify", "small.img", "--against"]),
            "command line: a value is required for '--against <PLAN>' but none was supplied; see snugfs verify --help"
        );
    }
}
