# A root with a hash tree of dm-verity: what it asks of the table of partitions, and the partition of the tree.
{ lib }:
let
  inherit (builtins) isAttrs isList match;
  inherit (import ./values.nix { inherit lib; }) no;

  kindOf = partition: (partition.content or null).kind or null;
  isRoot = partition: kindOf partition == "root";
  isTree = partition: kindOf partition == "verity" && partition.content.of or null == "root";
  # "root-ARCH" or "usr-ARCH", with "linux-" in front or without.
  typeOf =
    partition:
    let
      type = toString partition.type or "";
      found = match "(linux-)?((root|usr)-[a-z0-9-]+)" type;
    in
    if found == null || lib.hasSuffix "-verity" type || lib.hasSuffix "-verity-sig" type then
      null
    else
      lib.elemAt found 1;

  # ARCH in types of partitions, by the processor's name in Nix' names of systems.
  architectures = {
    aarch64 = "arm64";
    armv6l = "arm";
    armv7l = "arm";
    i686 = "x86";
    loongarch64 = "loongarch64";
    powerpc64le = "ppc64-le";
    riscv32 = "riscv32";
    riscv64 = "riscv64";
    s390x = "s390x";
    x86_64 = "x86-64";
  };
  # As the program knows it in texts.
  rootHash = "\${rootHash:root}";
  kernelParam = "roothash=${rootHash}";
  module = "import nixosModules.verity of snugfs, or set it yourself";
in
{
  inherit kernelParam;

  # What a NixOS configuration lacks that boots from such a root.
  configurationProblems =
    {
      config,
      # Whether the disk has the configuration's boot loader.
      installBootLoader,
      # Its kind, as nixos-boot.nix knows it.
      kind,
    }:
    let
      initrd = config.boot.initrd.systemd or { };
      params = config.boot.kernelParams or [ ];
      opened = [
        "/dev/mapper/root"
        "/dev/mapper/usr"
      ];
    in
    lib.optionals (installBootLoader && kind != null) (
      no (
        kind == "systemd-boot"
      ) "the root hash goes into the entries of systemd-boot, and the configuration's boot loader is ${kind}; choose systemd-boot, or set installBootLoader = false"
      ++ no (
        kind != "systemd-boot"
        || lib.elem kernelParam params
        || lib.elem "usrhash=${rootHash}" params
      ) "config.boot.kernelParams has no \"${lib.replaceStrings [ "$" ] [ "\\$" ] kernelParam}\"; ${module}"
    )
    ++ no (
      !(initrd ? dmVerity) || initrd.dmVerity.enable
    ) "config.boot.initrd.systemd.dmVerity.enable is false, so nothing opens the root; ${module}"
    ++ no (
      lib.any (fileSystem: lib.elem (toString fileSystem.device or "") opened) (
        lib.attrValues (config.fileSystems or { })
      )
    ) "config.fileSystems mounts neither ${lib.concatStringsSep " nor " opened}; ${module}";

  # Why a disk can't have a unified kernel image with the root hash.
  ukiProblems =
    {
      verity,
      installBootLoader,
      kind,
      hasEsp,
    }:
    no (verity == true) "it is made of the root hash, and there is no hash tree; set verity = true"
    ++ no hasEsp "it is a file in an EFI system partition; set partitionTableType to efi, efixbootldr or hybrid"
    ++ no (
      !installBootLoader || kind == null
    ) "the firmware starts either it or the configuration's boot loader, ${toString kind}; set installBootLoader = false";

  # What must be left out, by name.
  leftOut =
    { given, names }:
    lib.concatMap (
      name:
      no (
        given.${name} or null == null || given.${name} == 0
      ) "a root with a hash tree is sealed, as small as its contents, and ${name} is given; leave one of the two out"
    ) names;

  # What is wrong with the plan's section `disk`.
  problems =
    disk:
    let
      partitions = if isList (disk.partitions or null) then lib.filter isAttrs disk.partitions else [ ];
      roots = lib.filter isRoot partitions;
    in
    no (
      disk.table or null == "gpt"
    ) "the hash tree needs a partition table that has GUIDs; set disk.table to \"gpt\""
    ++ no (
      lib.length roots == 1
    ) "the hash tree is that of the root, and disk.partitions has ${toString (lib.length roots)} partitions with content.kind = \"root\"; write one"
    ++ lib.concatMap (
      root:
      no (
        typeOf root != null
      ) "the kernel's root hash finds partitions of the types root-ARCH and usr-ARCH, and that of the root has the type \"${toString root.type or ""}\"; choose one such as \"root-x86-64\""
    ) roots;

  # The section with the partition of the tree as its last one, unless it is there.
  withTree =
    disk:
    let
      root = lib.findFirst isRoot null disk.partitions;
    in
    if lib.any isTree disk.partitions then
      disk
    else
      disk
      // {
        partitions = disk.partitions ++ [
          (
            {
              type = "${typeOf root}-verity";
              content = {
                kind = "verity";
                of = "root";
              };
            }
            // lib.optionalAttrs (root.name or null != null) { name = "${root.name}-verity"; }
          )
        ];
      };

  # The type of a root partition for this platform.
  rootType =
    platform:
    let
      processor = lib.head (lib.splitString "-" platform.system);
    in
    "root-${
      architectures.${processor} or (throw "makeNixosDisk: verity: no type of a root partition is known of ${platform.system}")
    }";
}
