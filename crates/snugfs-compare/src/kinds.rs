//! All kinds of differences, and of problems of parts other than ext4, with code and meaning. docs/reference/verify-codes.md is
//! generated from these tables.

macro_rules! kinds {
    ($(#[$about:meta])* $kind:ident; $($variant:ident $name:literal $meaning:literal;)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind {
            $(#[doc = $meaning] $variant,)*
        }

        impl $kind {
            /// All kinds, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code at the end of messages.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The meaning, in a few words.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

kinds! {
    /// A kind of difference.
    Kind;
    TreeMissing "tree-missing" "a file of the plan is not in the image";
    TreeExtra "tree-extra" "a file in the image is not in the plan";
    TreeKind "tree-kind" "the kind differs: file, directory, symlink, device, FIFO or socket";
    TreeMode "tree-mode" "permission bits differ";
    TreeOwner "tree-owner" "the owner differs";
    TreeGroup "tree-group" "the group differs";
    TreeTime "tree-time" "the modification time differs";
    TreeXattr "tree-xattr" "an extended attribute is missing, differs, or is not in the plan";
    TreeTarget "tree-target" "the target of a symlink differs";
    TreeDevice "tree-device" "a device number differs";
    TreeSize "tree-size" "a file's length differs";
    TreeContents "tree-contents" "a file's contents differ";
    TreeLinks "tree-links" "two names are hard links of one file, or are not, against the plan";
    StorePathMissing "store-path-missing" "a registered store path is not in the image";
    StorePathKind "store-path-kind" "a store path contains a device, FIFO or socket";
    StorePathSize "store-path-size" "the NAR size of a store path in the image differs from the registered one";
    StorePathHash "store-path-hash" "the NAR hash of a store path in the image differs from the registered one";
    FilesystemSize "filesystem-size" "the size of the file system differs";
    FilesystemLabel "filesystem-label" "the label differs";
    FilesystemUuid "filesystem-uuid" "the UUID differs";
    FilesystemFeatures "filesystem-features" "the features differ";
    FilesystemInodes "filesystem-inodes" "the number of inodes differs";
    FilesystemFreeSpace "filesystem-free-space" "the free space differs";
    FilesystemFreeInodes "filesystem-free-inodes" "the number of free inodes differs";
    FilesystemReserved "filesystem-reserved" "the space reserved for root differs";
    FilesystemGrowth "filesystem-growth" "the number of blocks reserved for growth differs";
    FilesystemJournal "filesystem-journal" "the size of the journal differs";
    FilesystemTime "filesystem-time" "the creation time of the file system differs";
    FatLabel "fat-label" "the label of a FAT file system differs";
    FatNumber "fat-number" "the serial number of a FAT file system differs";
    FatUnreadable "fat-unreadable" "a FAT file system, or a part of it, can't be read";
    SwapArea "swap-area" "a swap area is missing, or its header differs";
    ImageSize "image-size" "the length of the image differs";
    DiskTable "disk-table" "the partition table is missing, of another kind, or has another identifier";
    DiskPartition "disk-partition" "a partition is missing, not in the plan, or its entry differs";
    DiskRaw "disk-raw" "the bytes of a raw partition differ";
    DiskBlob "disk-blob" "the bytes of a blob differ";
    ImageBytes "image-bytes" "bytes differ from those that build would write, although their meaning is the same";
}

kinds! {
    /// A kind of damage outside of ext4.
    PartCode;
    PartitionTable "partition-table" "the partition table is damaged, its backup is not at the end, or a partition can't be read";
    SwapHeader "swap-header" "Linux would refuse the swap area";
    HashTreeMismatch "hash-tree-mismatch" "the data does not have the hashes of its hash tree, or is not in the image";
    HashTreeDamaged "hash-tree-damaged" "a hash tree is cut off, or its upper blocks do not have the hashes of those below";
}
