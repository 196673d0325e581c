"""Compares the image with its plan and its report."""

import uuid

import plan_reader
import size_model
from fsck import dumpe2fs

# Names in the report for fields of dumpe2fs.
COUNTS = {
    "blockSize": "Block size", "blocks": "Block count", "freeBlocks": "Free blocks", "inodes": "Inode count",
    "freeInodes": "Free inodes", "inodesPerGroup": "Inodes per group", "reservedGdtBlocks": "Reserved GDT blocks",
    "journalBlocks": "Total journal blocks",
}


def against_report(image, path, report):
    """Compares every count of the report's filesystem part with dumpe2fs. All of them are required."""
    shown = dumpe2fs(path)
    said = report.get("filesystem", {})
    problems = []
    for key, name in COUNTS.items():
        # dumpe2fs omits fields without a value.
        real = int(shown.get(name, 0))
        if said.get(key) != real:
            problems.append(f"report: filesystem.{key} is {said.get(key)}, dumpe2fs has {real}")
    features = said.get("features", [])
    features = features.split() if isinstance(features, str) else features
    if sorted(features) != sorted(shown["Filesystem features"].split()):
        problems.append(f"report: filesystem.features {features}, dumpe2fs has {shown['Filesystem features']}")
    if str(said.get("uuid")).lower() != shown["Filesystem UUID"]:
        problems.append(f"report: filesystem.uuid {said.get('uuid')}, dumpe2fs has {shown['Filesystem UUID']}")
    label = image.superblock["volume_name"].rstrip(b"\0").decode(errors="backslashreplace")
    if said.get("label") != label:
        problems.append(f"report: filesystem.label {said.get('label')!r}, the image has {label!r}")
    if said.get("groups") != image.group_count:
        problems.append(f"report: filesystem.groups is {said.get('groups')}, the image has {image.group_count}")
    return problems


def against_plan(image, journal, plan):
    """Checks the promises of free space, inodes and size, and that the image is as small as possible."""
    settings, problems = plan.filesystem, []
    sb = image.superblock
    free = -(-(plan_reader.size(settings.get("freeSpace")) or 0) // 4096)
    inodes = plan_reader.size(settings.get("freeInodes")) or 0
    size = plan_reader.size(settings.get("size"))
    journal_size = plan_reader.size(settings.get("journalSize"))
    bytes_per_inode = plan_reader.size(settings.get("bytesPerInode")) or 16384
    if "uuid" in settings and uuid.UUID(settings["uuid"]).bytes != sb["uuid"]:
        problems.append(f"plan: filesystem.uuid {settings['uuid']}, the image has {uuid.UUID(bytes=sb['uuid'])}")
    if settings.get("label", "").encode() != sb["volume_name"].rstrip(b"\0") and "label" in settings:
        problems.append(f"plan: filesystem.label {settings['label']!r}, the image has {sb['volume_name']}")
    times = {sb["mkfs_time"], sb["wtime"], sb["lastcheck"]}
    if times != {plan.timestamp & 0xFFFFFFFF}:
        problems.append(f"plan: filesystem.timestamp {plan.timestamp}, the superblock has {sorted(times)}")
    if "freeSpace" in settings and image.free_blocks < free:
        problems.append(f"plan: {free} free blocks promised, the image has {image.free_blocks}")
    if "freeInodes" in settings and sb["free_inodes_count"] < inodes:
        problems.append(f"plan: {inodes} free inodes promised, the image has {sb['free_inodes_count']}")
    if size is not None:
        if image.blocks * 4096 != size // 4096 * 4096:
            problems.append(f"plan: filesystem.size {size}, the image has {image.blocks} blocks")
    elif "freeSpace" in settings and "freeInodes" in settings and "growTo" in settings:
        used = image.blocks - image.free_blocks - size_model.overhead(
            image.group_count, image.inodes_per_group, image.gdt_blocks, image.reserved_gdt, journal
        )
        model = size_model.smallest(
            sb["inodes_count"] - sb["free_inodes_count"], used - (image.reserved_gdt > 0), free, inodes,
            plan_reader.size(settings["growTo"]), bytes_per_inode,
            journal=None if journal_size is None else journal_size // 4096, descriptor_size=image.descriptor_size,
        )
        if image.blocks != model["blocks"]:
            problems.append(
                f"plan: {image.blocks} blocks with {image.free_blocks} free, {free} promised: "
                f"the size model comes to {model['blocks']} blocks ({model})"
            )
    if sb["overhead_clusters"] != size_model.overhead(
        image.group_count, image.inodes_per_group, image.gdt_blocks, image.reserved_gdt, journal
    ):
        problems.append(f"superblock: overhead_clusters {sb['overhead_clusters']} is not the sum of the metadata")
    return problems
