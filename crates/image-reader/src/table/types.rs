//! Names of partition types, as in plans where these have one. The GUIDs are those of the Discoverable Partitions Specification and of UEFI.

use super::PartitionType;

const MBR: [(u8, &str); 15] = [
    (0x01, "fat12"),
    (0x04, "fat16-small"),
    (0x05, "extended"),
    (0x06, "fat16-chs"),
    (0x07, "ntfs-exfat"),
    (0x0b, "fat32-chs"),
    (0x0c, "fat32"),
    (0x0e, "fat16"),
    (0x0f, "extended-lba"),
    (0x82, "swap"),
    (0x83, "linux"),
    (0x8e, "linux-lvm"),
    (0xee, "gpt-protective"),
    (0xef, "esp"),
    (0xfd, "linux-raid"),
];

const GPT: [(&str, &str); 27] = [
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "esp"),
    ("21686148-6449-6e6f-744e-656564454649", "bios-boot"),
    ("0fc63daf-8483-4772-8e79-3d69d8477de4", "linux"),
    ("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "swap"),
    ("e6d6d379-f507-44c2-a23c-238f2a3df928", "linux-lvm"),
    ("a19d880f-05fc-4d3b-a006-743f0f84911e", "linux-raid"),
    ("bc13c2ff-59e6-4262-a352-b275fd6f7172", "xbootldr"),
    ("933ac7e1-2eb4-4f13-b844-0e14e2aef915", "home"),
    ("3b8f8425-20e0-4f3b-907f-1a25a76f98e8", "srv"),
    ("4d21b016-b534-45c2-a9fb-5c16e091fd2d", "var"),
    ("44479540-f297-41b2-9af7-d131d5f0458a", "linux-root-x86"),
    ("4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "linux-root-x86-64"),
    ("69dad710-2ce4-4e3c-b16c-21a1d49abed3", "linux-root-arm"),
    ("b921b045-1df0-41c3-af44-4c6f280d3fae", "linux-root-arm64"),
    ("60d5a7fe-8e7d-435c-b714-3dd8162144e1", "linux-root-riscv32"),
    ("72ec70a6-cf74-40e6-bd49-4bda08e8f224", "linux-root-riscv64"),
    ("77055800-792c-4f94-b39a-98c91b762bb6", "linux-root-loongarch64"),
    ("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5", "root-x86-64-verity"),
    ("df3300ce-d69f-4c92-978c-9bfb0f38d820", "root-arm64-verity"),
    ("8484680c-9521-48c6-9c11-b0720656f69e", "usr-x86-64"),
    ("77ff5f63-e7b6-4633-acf4-1565b864c0e6", "usr-x86-64-verity"),
    ("b0e01050-ee5f-4390-949a-9101b17104e9", "usr-arm64"),
    ("6e11a4e7-fbca-4ded-b9e9-e1a512bb664e", "usr-arm64-verity"),
    ("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", "microsoft-basic-data"),
    ("e3c9e316-0b5c-4db8-817d-f92df00215ae", "microsoft-reserved"),
    ("de94bba4-06d1-4d40-a16a-bfd50179d6ac", "microsoft-recovery"),
    ("fe3a2a5d-4f32-41a7-b725-accc3285a309", "chromeos-kernel"),
];

pub(super) fn name(kind: PartitionType) -> Option<&'static str> {
    match kind {
        PartitionType::Mbr(byte) => MBR.iter().find(|(code, _)| *code == byte).map(|(_, name)| *name),
        PartitionType::Gpt(guid) => {
            let guid = guid.to_string();
            GPT.iter().find(|(code, _)| *code == guid).map(|(_, name)| *name)
        }
    }
}
