# A disk of a NixOS configuration: drop-in for nixpkgs' nixos/lib/make-disk-image.nix, with the same arguments and the
# same result, without a virtual machine. Its arguments: arguments.nix, or docs/nix.md.
import ./function.nix {
  name = "makeNixosDisk";
  make =
    {
      self,
      given,
      arguments,
    }:
    let
      inherit (arguments)
        pkgs
        lib
        config
        partitionTableType
        installBootLoader
        format
        ;
      layout = import ./nixos-layout.nix { inherit lib; };
      contents = import ./nixos-contents.nix { inherit lib; };
      boot = import ./nixos-boot.nix { inherit lib; } { inherit config partitionTableType; };
      iec = import ./iec.nix { inherit lib; };
      verity = import ./verity.nix { inherit lib; };
      output = (import ./disk-formats.nix).${format};

      uuid = lib.toLower (if arguments.rootFSUID != null then arguments.rootFSUID else arguments.rootGPUID);
      serials = layout.serials uuid;
      bootEnd = layout.bootEnd (iec arguments.bootSize);
      diskSize =
        if builtins.isInt arguments.diskSize then
          arguments.diskSize
        else if arguments.diskSize == "auto" then
          null
        else
          builtins.fromJSON arguments.diskSize;
      table = layout.disk {
        inherit partitionTableType bootEnd diskSize;
        rootGPUID = lib.toLower arguments.rootGPUID;
        verityType = if arguments.verity then verity.rootType pkgs.stdenv.hostPlatform else null;
        ids = lib.mapAttrs (_type: serial: serial.number) serials;
      };
      efiArch = import ./efi-arch.nix pkgs.stdenv.hostPlatform;
      disk =
        if arguments.uki == null then
          table
        else
          table
          // {
            partitions = map (
              partition:
              if partition.type == "esp" then
                lib.recursiveUpdate partition {
                  content.entries."/EFI/BOOT/BOOT${lib.toUpper efiArch}.EFI" = {
                    type = "file";
                    source = "${uki}";
                  };
                }
              else
                partition
            ) table.partitions;
          };
      # The root hash is that of the disk without the kernel image, which is never built. The root is the same.
      inherit (self (given // { uki = null; })) roothash;
      uki = arguments.uki roothash;

      toplevel = config.system.build.toplevel;
      # As nixpkgs makes it.
      channel =
        if !arguments.copyChannel then
          null
        else
          pkgs.runCommand "nixos-${config.system.nixos.version}" { } ''
            mkdir -p "$out"
            cp -prd ${lib.cleanSource pkgs.path} "$out/nixos"
            chmod -R u+w "$out/nixos"
            if [ ! -e "$out/nixos/nixpkgs" ]; then ln -s . "$out/nixos/nixpkgs"; fi
            rm -rf "$out/nixos/.git"
            printf %s ${lib.escapeShellArg config.system.nixos.versionSuffix} > "$out/nixos/.version-suffix"
          '';

      fields = arguments // {
        inherit uuid;
        volumeLabel = arguments.label;
        storePaths = [ toplevel ] ++ lib.optional (channel != null) channel ++ arguments.additionalPaths;
        populateRootCommands = contents.commands arguments.contents;
        seal = arguments.verity;
        postBuildCommands = "";
        # With a given size, the contents have what they leave.
        freeSpace = if diskSize == null then iec arguments.additionalSpace else 0;
        freeInodes = if diskSize == null then arguments.freeInodes else 0;
        entries =
          contents.system {
            inherit toplevel channel;
            inherit (arguments) configFile;
          }
          // arguments.entries;
        attributes =
          contents.storeAttributes config
          // contents.attributes config arguments.contents
          // arguments.attributes;
        plan = merged generated arguments.plan;
      };
      # What a plan has beside the arguments of makeDiskImage. The caller's own takes precedence, field by field.
      generated = {
        closure.registrationTarget = null;
        output =
          output.output
          # VMware looks for the file's own name in it.
          // lib.optionalAttrs (format == "vmdk-sparse") { member = arguments.imageName; };
      }
      // lib.optionalAttrs (disk == null && diskSize != null) {
        filesystem.size = "${toString diskSize}MiB";
      }
      // lib.optionalAttrs (installBootLoader && boot.kind != null) {
        boot = boot.plan {
          inherit pkgs;
          inherit efiArch;
        };
      };
      merged =
        first: second:
        first
        // lib.mapAttrs (
          name: value:
          if builtins.isAttrs value && builtins.isAttrs (first.${name} or null) then
            first.${name} // value
          else
            value
        ) second;

      variant =
        compress:
        if compress == arguments.compressImage then
          image
        else
          self (given // { compressImage = compress; });
      image = import ./disk-image.nix {
        arguments = fields;
        inherit disk;
        roundTo = if diskSize == null then output.roundTo or null else null;
        layout = {
          directory = null;
          product = "${format}-image";
          file = arguments.imageName;
        };
        populateCommands = lib.optionalString installBootLoader (
          boot.commands {
            inherit pkgs;
            fsUUIDs = {
              root = uuid;
              esp = serials.esp.name;
              xbootldr = serials.xbootldr.name;
            };
          }
        );
        passthru = {
          uncompressed = variant false;
          compressed = variant true;
        }
        // lib.optionalAttrs (arguments.uki != null) { inherit roothash uki; };
      };
    in
    image;
}
