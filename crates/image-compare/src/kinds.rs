//! Every kind of difference by its name. docs/reference/verify-codes.md is made from this table.

macro_rules! kinds {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// A kind of difference.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = $meaning] $variant,)*
        }

        impl Kind {
            /// All kinds, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name that messages have at their end.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, in a few words.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

kinds! {
    TreeMissing "tree-missing" "something of the plan is not in the image";
    TreeExtra "tree-extra" "something is in the image and not in the plan";
    TreeKind "tree-kind" "something is a file, a directory, a link, a device, and should be another of these";
    TreeMode "tree-mode" "permission bits differ";
    TreeOwner "tree-owner" "the owner differs";
    TreeGroup "tree-group" "the group differs";
    TreeTime "tree-time" "the time of modification differs";
    TreeXattr "tree-xattr" "an extended attribute is missing, differs, or should not be there";
    TreeTarget "tree-target" "a symbolic link leads elsewhere";
    TreeDevice "tree-device" "the number of a device differs";
    TreeSize "tree-size" "a file's length differs";
    TreeContents "tree-contents" "a file's contents differ";
    TreeLinks "tree-links" "two names lead to one file and should not, or do not and should";
    StorePathMissing "store-path-missing" "a registered store path is not in the image";
    StorePathKind "store-path-kind" "a store path holds what no store path can";
    StorePathSize "store-path-size" "the NAR of a store path, made of the image's bytes, has not the registered size";
    StorePathHash "store-path-hash" "the NAR of a store path, made of the image's bytes, has not the registered hash";
    FilesystemSize "filesystem-size" "the file system has another size";
    FilesystemLabel "filesystem-label" "the label differs";
    FilesystemUuid "filesystem-uuid" "the UUID differs";
    FilesystemFeatures "filesystem-features" "there are other features";
    FilesystemInodes "filesystem-inodes" "there are more or fewer inodes";
    FilesystemFreeSpace "filesystem-free-space" "there is more or less free space";
    FilesystemFreeInodes "filesystem-free-inodes" "there are more or fewer free inodes";
    FilesystemReserved "filesystem-reserved" "more or less is kept for root";
    FilesystemGrowth "filesystem-growth" "the reserve for growth differs";
    FilesystemJournal "filesystem-journal" "the journal has another length";
    FilesystemTime "filesystem-time" "the time at which the file system was made differs";
    FatLabel "fat-label" "the label of a FAT file system differs";
    FatNumber "fat-number" "the number of a FAT file system differs";
    FatUnreadable "fat-unreadable" "a FAT file system, or a part of it, can't be read";
    ImageSize "image-size" "the image has another length";
    DiskTable "disk-table" "the partition table is of another kind, has another identifier, or is not there";
    DiskPartition "disk-partition" "a partition is missing, is one too many, or is described otherwise";
    DiskRaw "disk-raw" "the bytes of a raw partition differ";
    DiskBlob "disk-blob" "the bytes of a blob differ";
    ImageBytes "image-bytes" "bytes are not those that build would write, although all that they say is right";
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
