//! Examples of each command, for its help, its manual page and the documentation alike.

use std::fmt::Write;

/// A command line, and what it is for.
type Example = (&'static str, &'static str);

/// Examples by command; the empty name has those that introduce the program.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "",
        &[
            ("snugfs build plan.json -o rootfs.img", "an image, exactly as large as it must be"),
            ("snugfs build plan.json -o rootfs.img.zst", "the same, compressed on the way"),
            (
                "snugfs build plan.json -o - | ssh board 'dd of=/dev/mmcblk0p2'",
                "written where it is to be, without a file in between",
            ),
            ("snugfs size plan.json", "how large it would be, and of what, without writing it"),
            ("snugfs explain plan.json --why glibc", "where the bytes go; why a store path is there"),
            ("snugfs check plan.json", "whether it can be built, and if not, why"),
            ("snugfs inspect rootfs.img ls -l /etc", "what is in an image, without mounting it"),
            ("snugfs verify rootfs.img", "whether every byte of it is as it must be"),
            ("snugfs verify rootfs.img --against plan.json", "and whether it holds what the plan says"),
            ("snugfs help plan", "what a plan may say, with examples"),
        ],
    ),
    (
        "build",
        &[
            ("snugfs build plan.json -o rootfs.img", "an image, exactly as large as it must be"),
            (
                "snugfs build plan.json -o rootfs.img.zst --report rootfs.json",
                "compressed on the way; with what it is and holds as JSON",
            ),
            (
                "snugfs build plan.json -o - | ssh board 'dd of=/dev/mmcblk0p2'",
                "written where it is to be, without a file in between",
            ),
            ("snugfs build card.json -o /dev/sdX --device", "onto an SD card, read back and compared"),
            ("jq '.filesystem.label = \"B\"' plan.json | snugfs build - -o b.img", "a plan made on the way"),
        ],
    ),
    (
        "size",
        &[
            ("snugfs size plan.json", "a table of what the image is made of"),
            ("snugfs size plan.json --json | jq .image.bytes", "how large it would be, for a script"),
        ],
    ),
    (
        "explain",
        &[
            ("snugfs explain plan.json", "tables of what takes most, and what would make it smaller"),
            ("snugfs explain plan.json --why glibc", "who refers to a store path"),
            ("snugfs explain plan.json --html image.html", "a page with a map to click into"),
            ("snugfs explain plan.json --compare old.json", "what grew since another plan or report"),
        ],
    ),
    (
        "check",
        &[
            ("snugfs check plan.json", "one line if all is well, else one for each problem"),
            ("snugfs check plan.json --progress none && echo ready", "the exit code is the answer"),
        ],
    ),
    (
        "inspect",
        &[
            ("snugfs inspect card.img.zst", "partitions and file systems"),
            ("snugfs inspect rootfs.img ls -l /etc", "files with modes, owners, sizes and times"),
            ("snugfs inspect card.img --partition 1 cat /config.txt", "a file of the firmware partition"),
            ("snugfs inspect rootfs.img extract / -o copy", "all files, into a folder"),
        ],
    ),
    (
        "inspect ls",
        &[
            ("snugfs inspect rootfs.img ls -l /etc", "one directory"),
            ("snugfs inspect rootfs.img ls -lR", "everything"),
        ],
    ),
    ("inspect cat", &[("snugfs inspect rootfs.img cat /etc/fstab | less", "a file, page by page")]),
    ("inspect stat", &[("snugfs inspect rootfs.img stat --json /bin/sh", "a symlink itself, as JSON")]),
    (
        "inspect extract",
        &[
            ("snugfs inspect rootfs.img extract /etc -o copy", "a directory, into ./copy"),
            (
                "sudo snugfs inspect rootfs.img extract / -o root --owner keep --devices",
                "all of it, as the image has it",
            ),
        ],
    ),
    (
        "verify",
        &[
            ("snugfs verify rootfs.img", "whether all is as snugfs writes it"),
            ("snugfs verify rootfs.img --against plan.json", "and whether it holds what the plan says"),
            ("snugfs verify --used /dev/mmcblk0p2", "a file system that was mounted since"),
            ("snugfs verify --json card.img.zst | jq .", "for a script, of a compressed disk"),
        ],
    ),
    (
        "schema",
        &[("snugfs schema > plan.schema.json", "beside plans that say \"$schema\": \"plan.schema.json\"")],
    ),
    (
        "help",
        &[
            ("snugfs help plan", "what a plan may say, with examples"),
            ("snugfs help plan filesystem", "every field of a section"),
            ("snugfs help inspect ls", "the same as snugfs inspect IMAGE ls --help"),
            ("snugfs help exit-codes", "what scripts can rely on"),
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
    (
        "man",
        &[("snugfs man ~/.local/share/man && man snugfs-build", "where man looks for pages of one's own")],
    ),
];

/// The examples of a command, none where it is not known.
pub(crate) fn of(command: &str) -> &'static [Example] {
    EXAMPLES.iter().find(|(name, _)| *name == command).map_or(&[], |(_, examples)| examples)
}

/// The examples of a command as help shows them.
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
