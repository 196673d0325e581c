//! Examples of each command: for its help, its manual page and the documentation.

use std::fmt::Write;

/// A command line, and what it does.
type Example = (&'static str, &'static str);

/// Examples by command; those of the program itself have an empty name.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "",
        &[
            ("snugfs build plan.json -o rootfs.img", "an image, exactly as large as needed"),
            ("snugfs build plan.json -o rootfs.img.zst", "the same, compressed with zstd"),
            (
                "snugfs build plan.json -o - | ssh board 'dd of=/dev/mmcblk0p2'",
                "written to another machine, without a file in between",
            ),
            (
                "snugfs plan rootfs.tar | snugfs build - -o rootfs.img",
                "an image of an archive or a container image",
            ),
            ("snugfs check plan.json", "can the plan be built? If not, why?"),
            ("snugfs size plan.json", "how large will the image be, and why?"),
            ("snugfs explain plan.json", "where do the bytes go?"),
            ("snugfs explain plan.json --why glibc", "why is this store path in the image?"),
            ("snugfs inspect rootfs.img ls -l /etc", "what is in an image? Nothing is mounted"),
            ("snugfs verify rootfs.img", "is every byte of the image correct?"),
            ("snugfs verify rootfs.img --against plan.json", "is it also the image of this plan?"),
            ("snugfs help plan", "how to write a plan, with examples"),
        ],
    ),
    (
        "build",
        &[
            ("snugfs build plan.json -o rootfs.img", "an image, exactly as large as needed"),
            (
                "snugfs build plan.json -o rootfs.img.zst --report rootfs.json",
                "compressed, with a JSON report of the image and its contents",
            ),
            (
                "snugfs build plan.json -o - | ssh board 'dd of=/dev/mmcblk0p2'",
                "written to another machine, without a file in between",
            ),
            ("snugfs build card.json -o /dev/sdX --device", "to an SD card, read back and compared"),
            (
                "jq '.filesystem.label = \"B\"' plan.json | snugfs build - -o b.img",
                "a plan from another program",
            ),
        ],
    ),
    (
        "flash",
        &[
            ("snugfs flash --list", "which disks are there?"),
            ("snugfs flash sd.img.zst /dev/sdX", "an image to a card, after a question"),
            ("snugfs flash card.json /dev/sdX --yes", "from a plan to a card, without an image file"),
        ],
    ),
    (
        "stamp",
        &[
            ("snugfs stamp card.img /etc/hostname=name.txt", "one slot of an image"),
            (
                "pass show board7 | snugfs stamp /dev/sdX /etc/secret=-",
                "a secret on a card, from standard input",
            ),
            ("snugfs stamp card.img --devices devices.csv -o images", "an image for each device of a list"),
        ],
    ),
    (
        "imager-json",
        &[
            (
                "snugfs build card.json -o card.img.zst --report card.report --raw-digest",
                "an image and its report",
            ),
            (
                "snugfs imager-json card.report --name Board --url https://example.org/card.img.zst --release-date 2026-01-31",
                "the entry",
            ),
        ],
    ),
    (
        "plan",
        &[
            ("snugfs plan rootfs.tar | snugfs build - -o rootfs.img", "an image of an archive"),
            ("snugfs plan ./layout -o plan.json", "a plan for a container image, to edit"),
            (
                "snugfs plan ./result | snugfs build - -o store.img",
                "an image of a store path and all it needs",
            ),
        ],
    ),
    (
        "layer",
        &[
            ("snugfs layer base.json -o base", "the frames of the paths that most images have"),
            ("snugfs build plan.json -o board.img.zst --layer base", "an image that uses them"),
        ],
    ),
    (
        "roothash",
        &[
            ("snugfs roothash plan.json", "the root hash for roothash= on the kernel's command line"),
            ("snugfs roothash plan.json --of 3", "that of the file system in plan.disk.partitions[3]"),
        ],
    ),
    (
        "size",
        &[
            ("snugfs size plan.json", "a table of the image's parts and their sizes"),
            ("snugfs size plan.json --json | jq .image.bytes", "the size in bytes, for a script"),
        ],
    ),
    (
        "explain",
        &[
            ("snugfs explain plan.json", "what takes most space, and what would make the image smaller"),
            ("snugfs explain plan.json --why glibc", "which paths refer to a store path"),
            ("snugfs explain plan.json --html image.html", "a page with a map to click into"),
            ("snugfs explain plan.json --compare old.json", "what grew since an older plan or report"),
        ],
    ),
    (
        "check",
        &[
            ("snugfs check plan.json", "one line if the plan can be built, otherwise one line per problem"),
            ("snugfs check plan.json --quiet && echo ready", "only the exit code, and problems"),
        ],
    ),
    (
        "inspect",
        &[
            ("snugfs inspect card.img.zst", "partitions and file systems"),
            ("snugfs inspect rootfs.img ls -l /etc", "files with modes, owners, sizes and times"),
            ("snugfs inspect card.img --partition 1 cat /config.txt", "a file of the firmware partition"),
            ("snugfs inspect rootfs.img extract / -o copy", "all files, copied into a folder"),
        ],
    ),
    (
        "inspect ls",
        &[
            ("snugfs inspect rootfs.img ls -l /etc", "one directory"),
            ("snugfs inspect rootfs.img ls -lR", "all directories and files"),
        ],
    ),
    ("inspect cat", &[("snugfs inspect rootfs.img cat /etc/fstab | less", "a file, page by page")]),
    ("inspect slots", &[("snugfs inspect rootfs.img slots", "the files that snugfs stamp fills")]),
    ("inspect stat", &[("snugfs inspect rootfs.img stat --json /bin/sh", "a symlink itself, as JSON")]),
    (
        "inspect extract",
        &[
            ("snugfs inspect rootfs.img extract /etc -o copy", "the directory, as copy/etc"),
            (
                "sudo snugfs inspect rootfs.img extract / -o root --owner keep --devices",
                "everything, with owners and devices",
            ),
        ],
    ),
    (
        "verify",
        &[
            ("snugfs verify rootfs.img", "is the image exactly as snugfs writes it?"),
            ("snugfs verify rootfs.img --against plan.json", "is it also the image of this plan?"),
            ("sudo snugfs verify --used /dev/mmcblk0p2", "a file system that has been mounted"),
            ("snugfs verify --json card.img.zst | jq .", "a compressed disk, for a script"),
        ],
    ),
    (
        "schema",
        &[("snugfs schema > plan.schema.json", "next to plans with \"$schema\": \"plan.schema.json\"")],
    ),
    (
        "help",
        &[
            ("snugfs help plan", "how to write a plan, with examples"),
            ("snugfs help plan filesystem", "every field of this section"),
            ("snugfs help inspect ls", "the same as snugfs inspect IMAGE ls --help"),
            ("snugfs help exit-codes", "exit codes, for scripts"),
        ],
    ),
    (
        "completions",
        &[
            (
                "snugfs completions bash > ~/.local/share/bash-completion/completions/snugfs",
                "for bash, with the package bash-completion",
            ),
            ("snugfs completions zsh > ~/.zfunc/_snugfs", "for zsh, with ~/.zfunc in fpath before compinit"),
            ("snugfs completions fish > ~/.config/fish/completions/snugfs.fish", "for fish"),
        ],
    ),
    ("man", &[("snugfs man ~/.local/share/man && man snugfs-build", "for your user, without root")]),
];

/// The examples of a command; none if the command is unknown.
pub(crate) fn of(command: &str) -> &'static [Example] {
    EXAMPLES.iter().find(|(name, _)| *name == command).map_or(&[], |(_, examples)| examples)
}

/// The examples of a command, as help shows them.
pub(crate) fn text(command: &str) -> String {
    of(command).iter().fold("Examples:".to_owned(), |mut text, (line, meaning)| {
        // Writing to a string can't fail.
        let _ = write!(text, "\n  {line}\n      {meaning}");
        text
    })
}

/// The examples of all commands.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = &'static Example> {
    EXAMPLES.iter().flat_map(|(_, examples)| *examples)
}
