//! Every kind of problem by its name. docs/reference/verify-codes.md is generated from this list.

/// The severity of a kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file system is damaged, or promises what it can't keep.
    Unsound,
    /// Allowed by the format, but not what snugfs writes: another program made the image or changed it since.
    Foreign,
}

macro_rules! codes {
    ($($variant:ident $name:literal $severity:ident $meaning:literal;)*) => {
        /// A kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// All kinds, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name that messages have at their end.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its severity.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What it means, in a few words.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    ImageTooShort "image-too-short" Unsound "the image ends before the file system does";
    TrailingData "trailing-data" Foreign "there is data after the end of the file system";
    SuperblockMagic "superblock-magic" Unsound "there is no ext4 superblock";
    SuperblockChecksum "superblock-checksum" Unsound "the superblock's checksum is wrong";
    SuperblockFeatures "superblock-features" Unsound "a feature that snugfs does not use, or a missing one that it always uses";
    SuperblockGeometry "superblock-geometry" Unsound "sizes of blocks, groups, inodes or descriptors that snugfs does not use";
    SuperblockBlocks "superblock-blocks" Unsound "the number of blocks can't be right";
    SuperblockInodes "superblock-inodes" Unsound "the number of inodes is not that of all groups";
    SuperblockFreeBlocks "superblock-free-blocks" Unsound "free blocks in all are not as counted";
    SuperblockFreeInodes "superblock-free-inodes" Unsound "free inodes in all are not as counted";
    SuperblockReserved "superblock-reserved-blocks" Unsound "more than half of all blocks is kept for root";
    SuperblockOverhead "superblock-overhead" Unsound "the overhead is not that of the fixed metadata and the journal";
    SuperblockState "superblock-state" Unsound "the file system is not marked clean, or has a record of errors";
    SuperblockField "superblock-field" Unsound "a field has a value that it never has in a file system of snugfs";
    SuperblockUnused "superblock-unused" Unsound "a field without use is not zero";
    SuperblockLabel "superblock-label" Unsound "there are bytes after the end of the label";
    SuperblockTimes "superblock-times" Foreign "the times of making, writing and checking are not the same";
    SuperblockHashSeed "superblock-hash-seed" Foreign "the seed of the hashes is not the UUID";
    SuperblockTuned "superblock-tuned" Foreign "a setting is not that of a new file system, as tune2fs and resize2fs leave it";
    SuperblockUse "superblock-use" Foreign "the file system was mounted or written since it was made";
    BackupSuperblock "backup-superblock" Unsound "a copy of the superblock differs from it";
    BackupState "backup-state" Foreign "a copy of the superblock has another state than a new one";
    BackupChecksum "backup-checksum" Unsound "the checksum of a copy of the superblock is wrong";
    BackupDescriptors "backup-descriptors" Unsound "a copy of the descriptors differs from them";
    BackupOld "backup-old" Foreign "a copy of the superblock or the descriptors is older than the first, which is usual after a mount or tune2fs";
    MetadataPadding "metadata-padding" Unsound "the rest of a metadata block is not zero";
    DescriptorChecksum "descriptor-checksum" Unsound "the checksum of a group's descriptor is wrong";
    DescriptorLocation "descriptor-location" Unsound "a bitmap or an inode table is where it can't be";
    DescriptorFlags "descriptor-flags" Unsound "a group has flags that do not exist";
    DescriptorUnused "descriptor-unused" Unsound "a field of a descriptor without use is not zero";
    DescriptorsBehind "descriptors-behind" Foreign "something is behind the last descriptor, as shrinking leaves it";
    TablesElsewhere "tables-elsewhere" Foreign "bitmaps and inode tables are not where snugfs and mke2fs put them";
    LastGroupTooShort "last-group-too-short" Unsound "the last group can't hold its own metadata, so Linux can't grow the file system";
    GroupFreeBlocks "group-free-blocks" Unsound "a group's free blocks are not as counted";
    GroupFreeInodes "group-free-inodes" Unsound "a group's free inodes are not as counted";
    GroupUsedDirs "group-used-dirs" Unsound "a group's directories are not as counted";
    ItableUnusedHides "itable-unused-hides" Unsound "a used inode is counted as one of the unused rest of the table";
    ItableUnusedSmall "itable-unused-small" Foreign "less of the inode table is marked unused than is unused";
    ItableNotZeroed "itable-not-zeroed" Foreign "a group's table counts as not zeroed: Linux would zero its table in the background";
    BlockUninit "block-uninit" Unsound "a group's block bitmap counts as not written although it holds blocks in use";
    InodeUninit "inode-uninit" Unsound "a group's inode bitmap counts as not written although it holds inodes in use";
    UninitBitmap "uninit-bitmap" Unsound "a bitmap that counts as not written, or its checksum, is not zero";
    UninitBitmapUsed "uninit-bitmap-used" Foreign "a bitmap that counts as not written, or its checksum, is not zero, which is usual after a mount";
    BlockBitmapChecksum "block-bitmap-checksum" Unsound "the checksum of a block bitmap is wrong";
    InodeBitmapChecksum "inode-bitmap-checksum" Unsound "the checksum of an inode bitmap is wrong";
    BlockBitmapPadding "block-bitmap-padding" Unsound "a bit of a block bitmap after the end of the group is not set";
    InodeBitmapPadding "inode-bitmap-padding" Unsound "a bit of an inode bitmap after the group's inodes is not set";
    BlockLeaked "block-leaked" Unsound "a block is marked used, but nothing uses it";
    BlockNotMarked "block-not-marked" Unsound "a block is used, but not marked so";
    BlockShared "block-shared" Unsound "a block is used twice";
    BlockOutside "block-outside" Unsound "a block number is outside of the file system";
    InodeLeaked "inode-leaked" Unsound "an inode is marked used, but no name leads to it";
    InodeNotMarked "inode-not-marked" Unsound "an inode is used, but not marked so";
    InodeOrphan "inode-orphan" Unsound "an inode has contents, but no name leads to it";
    InodeUnusedNotZero "inode-unused-not-zero" Foreign "an unused inode is not zero";
    ReservedInode "reserved-inode" Unsound "one of the first ten inodes is not as it must be";
    ResizeInode "resize-inode" Unsound "the inode that keeps room for more descriptors is not as it must be";
    ResizePointer "resize-pointer" Unsound "a pointer to a reserved block of the first group is wrong";
    ResizeBackupPointer "resize-backup-pointer" Unsound "a pointer to a reserved block of another group is wrong";
    ReserveNotZero "reserve-not-zero" Unsound "a reserved block of another group is not zero";
    JournalInode "journal-inode" Unsound "the journal's inode is not as it must be";
    JournalBackup "journal-backup" Unsound "the superblock's copy of the journal's inode differs from it";
    JournalSuperblock "journal-superblock" Unsound "the journal's superblock is wrong";
    JournalChecksum "journal-checksum" Unsound "the checksum of the journal's superblock is wrong";
    JournalNotEmpty "journal-not-empty" Unsound "the journal waits to be replayed";
    JournalUsed "journal-used" Foreign "the journal was used, or has features or a UUID that a new journal does not have";
    JournalTooShort "journal-too-short" Unsound "the journal is shorter than Linux takes";
    InodeChecksum "inode-checksum" Unsound "an inode's checksum is wrong";
    InodeType "inode-type" Unsound "an inode's type does not exist";
    InodeFlags "inode-flags" Unsound "an inode has flags that do not fit what it is";
    InodeAttributes "inode-attributes" Foreign "an inode has flags that chattr sets";
    InodeLinks "inode-links" Unsound "an inode's links are not as counted";
    InodeSize "inode-size" Unsound "an inode's size does not fit what it is";
    InodeBlocks "inode-blocks" Unsound "an inode's blocks are not as counted";
    InodeTime "inode-time" Unsound "an inode's time is out of range";
    InodeTimes "inode-times" Foreign "an inode's times are not all the same";
    InodeExtraSize "inode-extra-size" Unsound "the length of an inode's later fields is not 32";
    InodeUnusedField "inode-unused-field" Unsound "a field of an inode without use is not zero";
    InodeDeleted "inode-deleted" Unsound "an inode that is in use has a time of deletion";
    InodeGeneration "inode-generation" Foreign "an inode's generation is not 0";
    InodeVersion "inode-version" Foreign "an inode's version is not 0";
    DeviceNumber "device-number" Unsound "a device number, or the unused bytes after it, are wrong";
    ExtentMagic "extent-magic" Unsound "there is no extent tree where one must be";
    ExtentHeader "extent-header" Unsound "the header of an extent node has impossible numbers";
    ExtentDepth "extent-depth" Unsound "the depth of an extent node is not one less than above it";
    ExtentIndex "extent-index" Unsound "an extent index does not name the first block below it";
    ExtentOrder "extent-order" Unsound "extents are out of order, or overlap";
    ExtentLength "extent-length" Unsound "an extent has no blocks";
    ExtentPastEnd "extent-past-end" Unsound "there are extents after the end of the file";
    ExtentReserved "extent-reserved" Foreign "space is reserved after the end of a file";
    ExtentUnwritten "extent-unwritten" Foreign "an extent counts as not written";
    ExtentSplit "extent-split" Foreign "two extents could be one";
    ExtentUnused "extent-unused" Foreign "an unused part of an extent node is not zero";
    ExtentChecksum "extent-checksum" Unsound "the checksum of an extent block is wrong";
    DirectorySize "directory-size" Unsound "a directory's size is not that of its blocks";
    DirectoryHole "directory-hole" Unsound "a directory has a hole, or a block that counts as not written";
    DirectoryDots "directory-dots" Unsound "the entries . and .. are missing or wrong";
    DirectoryParent "directory-parent" Unsound "a directory's .. is not the directory that holds it";
    DirectoryLinkedTwice "directory-linked-twice" Unsound "a directory has two names";
    DirectoryLinear "directory-linear" Foreign "a directory of several blocks has no index";
    DirectoryTail "directory-tail" Unsound "a directory block has no place for its checksum";
    DirectoryChecksum "directory-checksum" Unsound "the checksum of a directory block is wrong";
    EntryLength "entry-length" Unsound "the length of a directory entry is impossible";
    EntryInode "entry-inode" Unsound "a directory entry leads to an inode that it can't lead to";
    EntryName "entry-name" Unsound "a name is empty, `.` or `..`, or contains a slash or a NUL";
    EntryType "entry-type" Unsound "a directory entry's type is not that of its inode";
    EntryDuplicate "entry-duplicate" Unsound "two entries of a directory have the same name";
    EntryUnused "entry-unused" Foreign "a directory has an unused entry";
    EntryPadding "entry-padding" Foreign "the bytes after a name are not zero";
    LostFound "lost-found" Unsound "the directory /lost+found is missing or is not inode 11";
    LostFoundShort "lost-found-short" Foreign "the directory /lost+found has less than four blocks, and the file system is not sealed";
    HtreeHeader "htree-header" Unsound "the header of a directory's index is wrong";
    HtreeHash "htree-hash" Foreign "a directory's index uses another hash than the superblock says";
    HtreeLimit "htree-limit" Unsound "the capacity of an index block is wrong";
    HtreeCount "htree-count" Unsound "the number of entries of an index block is impossible";
    HtreeOrder "htree-order" Unsound "the hashes of an index are out of order";
    HtreeBlock "htree-block" Unsound "an index leads to a block that it can't lead to";
    HtreeUnreached "htree-unreached" Unsound "an index does not lead to a block of its directory";
    HtreeRange "htree-range" Unsound "a name is in a block where its hash does not belong";
    HtreeContinued "htree-continued" Foreign "an index block says that a hash continues, which it does not";
    HtreeNode "htree-node" Unsound "an index block does not look like an empty directory block to software without indexes";
    HtreeChecksum "htree-checksum" Unsound "the checksum of an index block is wrong";
    HtreePadding "htree-padding" Foreign "an unused part of an index block is not zero";
    XattrMagic "xattr-magic" Unsound "there are no attributes where some must be";
    XattrHeader "xattr-header" Unsound "the header of an attribute block is wrong";
    XattrEntry "xattr-entry" Unsound "the list of attributes does not end where it must";
    XattrName "xattr-name" Unsound "the name or namespace of an attribute does not exist";
    XattrValue "xattr-value" Unsound "the value of an attribute is where it can't be";
    XattrOrder "xattr-order" Unsound "attributes are out of order, so that Linux does not find them";
    XattrDuplicate "xattr-duplicate" Unsound "two attributes have the same name";
    XattrHash "xattr-hash" Unsound "the hash of an attribute or of all of them is wrong";
    XattrChecksum "xattr-checksum" Unsound "the checksum of an attribute block is wrong";
    XattrCount "xattr-count" Unsound "an attribute block's users are not as counted";
    XattrShared "xattr-shared" Foreign "an attribute block has several users";
    XattrPadding "xattr-padding" Foreign "an unused part of an attribute area is not zero";
    XattrAcl "xattr-acl" Unsound "an access control list is not one that Linux accepts";
    XattrAclMode "xattr-acl-mode" Unsound "the mode and the access control list do not agree";
    SlotShape "slot-shape" Foreign "the room of a slot is not as snugfs reserves it";
    SlotNotZero "slot-not-zero" Foreign "the unused rest of a slot is not zero";
    SymlinkTarget "symlink-target" Unsound "the target of a link is empty, too long, or does not end with the first NUL";
    SymlinkPlace "symlink-place" Foreign "the target of a short symlink is in a block instead of the inode";
    SlackNotZero "slack-not-zero" Foreign "the rest of the last block of a file or symlink is not zero";
    FreeBlockNotZero "free-block-not-zero" Foreign "a free block is not zero";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(names.contains("inode-links") && names.iter().all(|name| !name.is_empty()));
    }
}
