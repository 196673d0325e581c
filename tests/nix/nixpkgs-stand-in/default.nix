# The package set of the stand-in. Builds run the host's own tools, so they need `--option sandbox false`.
{
  system ? builtins.currentSystem,
  # Another platform for the packages than for the builders.
  crossSystem ? system,
  overlays ? [ ],
  # packageTests: whether a package's own tests are there. systemdBoot: the folder with systemd-boot. kernel: a folder
  # with vmlinuz and initrd.
  config ? { },
  # Only marks the platform: the host has no musl to link with.
  isStatic ? false,
}:
let
  lib = import ./lib;

  native = packagesFor system;
  packagesFor =
    host:
    let
      pkgs = lib.fix (lib.extends (lib.composeManyExtensions overlays) (base host));
    in
    pkgs;

  base =
    host: pkgs:
    let
      stdenv = import ./stdenv.nix {
        inherit lib host isStatic;
        build = system;
      };
      inherit (stdenv) mkDerivation;
      # One directory with links to programs of the host.
      hostTools =
        name: programs:
        let
          package = mkDerivation {
            inherit name programs;
            buildCommand = ''
              mkdir -p "$out/bin"
              for program in $programs; do
                if at=$(command -v "$program"); then
                  ln -s "$at" "$out/bin/$program"
                else
                  printf '#!/bin/sh\necho "%s is not installed on this host" >&2\nexit 127\n' "$program" > "$out/bin/$program"
                  chmod +x "$out/bin/$program"
                fi
              done
            '';
          };
        in
        package // { bin = package; };
      # Where the builder's platform is another, every package knows its twin there, as nixpkgs' splicing has it.
      spliced =
        if host == system then
          pkgs
        else
          lib.mapAttrs (
            name: value:
            if lib.isDerivation value then value // { __spliced.buildHost = native.${name}; } else value
          ) pkgs;
    in
    {
      inherit lib stdenv pkgs;
      inherit (stdenv) mkDerivation;
      path = ./.;
      buildPackages = if host == system then pkgs else native;
      pkgsCross.aarch64-multiplatform = import ./. {
        inherit system overlays config;
        crossSystem = "aarch64-linux";
      };
      pkgsStatic = import ./. {
        inherit system overlays config;
        crossSystem = host;
        isStatic = true;
      };
      callPackage = lib.callPackageWith spliced;

      runCommand =
        name: env: buildCommand:
        mkDerivation ({ inherit name buildCommand; } // env);
      mkShell =
        args:
        mkDerivation (
          {
            name = "shell";
            buildCommand = ''printf '%s\n' $packages > "$out"'';
          }
          // args
        );
      writeText =
        name: text:
        mkDerivation {
          inherit name text;
          passAsFile = [ "text" ];
          buildCommand = ''cp "$textPath" "$out"'';
        };
      writeShellScriptBin =
        name: text:
        mkDerivation {
          inherit name;
          text = "#!/bin/bash\n${text}";
          passAsFile = [ "text" ];
          meta.mainProgram = name;
          buildCommand = ''install -D "$textPath" "$out/bin/$name"'';
        };
      writeShellApplication =
        {
          name,
          runtimeInputs,
          text,
        }:
        mkDerivation {
          inherit name runtimeInputs;
          text = "#!/bin/bash\nset -euo pipefail\n${text}";
          passAsFile = [ "text" ];
          buildCommand = ''install -D "$textPath" "$out/bin/$name"'';
        };

      # The files that the real one writes.
      closureInfo =
        { rootPaths }:
        mkDerivation {
          name = "closure-info";
          __structuredAttrs = true;
          exportReferencesGraph.closure = rootPaths;
          buildCommand = ''
            mkdir "$out"
            jq -r '.closure[].path' "$NIX_ATTRS_JSON_FILE" > "$out/store-paths"
            jq -r '.closure[] | .path, .narHash, .narSize, "", (.references | length), .references[]' \
              "$NIX_ATTRS_JSON_FILE" > "$out/registration"
          '';
        };
      rustPlatform.buildRustPackage = import ./build-rust-package.nix {
        inherit lib config mkDerivation;
      };

      cargo = hostTools "cargo" [ "cargo" ];
      clippy = hostTools "clippy" [ "cargo-clippy" ];
      dosfstools = hostTools "dosfstools" [
        "fsck.vfat"
        "mkfs.vfat"
      ];
      e2fsprogs = hostTools "e2fsprogs" [
        "debugfs"
        "dumpe2fs"
        "e2fsck"
        "mkfs.ext4"
        "resize2fs"
        "tune2fs"
      ];
      fakeroot = hostTools "fakeroot" [ "fakeroot" ];
      fish = hostTools "fish" [ "fish" ];
      git = hostTools "git" [ "git" ];
      gptfdisk = hostTools "gptfdisk" [ "sgdisk" ];
      # Where the real one puts completions and pages.
      installShellFiles = mkDerivation {
        name = "install-shell-files";
        buildCommand = ''
          mkdir -p "$out/bin"
          cat > "$out/bin/installShellCompletion" <<'END'
          #!/bin/bash -e
          for file; do
            name=''${file##*/}
            case $file in
              *.bash) install -D -m 644 "$file" "$out/share/bash-completion/completions/$name" ;;
              *.fish) install -D -m 644 "$file" "$out/share/fish/vendor_completions.d/$name" ;;
              *.zsh) install -D -m 644 "$file" "$out/share/zsh/site-functions/_''${name%.zsh}" ;;
            esac
          done
          END
          cat > "$out/bin/installManPage" <<'END'
          #!/bin/bash -e
          for file; do install -D -m 644 "$file" "$out/share/man/man''${file##*.}/''${file##*/}"; done
          END
          sed -i 's/^          //' "$out/bin/"*
          chmod +x "$out/bin/"*
        '';
      };
      jq = hostTools "jq" [ "jq" ];
      libfaketime = hostTools "libfaketime" [ "faketime" ];
      mandoc = hostTools "mandoc" [ "mandoc" ];
      mtools = hostTools "mtools" [
        "mcopy"
        "mdir"
        "mmd"
        "mtype"
      ];
      nix = hostTools "nix" [
        "nix"
        "nix-store"
      ];
      nixfmt = hostTools "nixfmt" [ "nixfmt" ];
      perl = hostTools "perl" [ "perl" ];
      python3 = hostTools "python3" [ "python3" ];
      rustc = hostTools "rustc" [ "rustc" ];
      rustfmt = hostTools "rustfmt" [ "cargo-fmt" ];
      util-linux = hostTools "util-linux" [
        "blkid"
        "partx"
        "script"
        "sfdisk"
      ];
      xfsprogs = hostTools "xfsprogs" [ "mkfs.xfs" ];
      xz = hostTools "xz" [ "xz" ];
      zsh = hostTools "zsh" [ "zsh" ];
      zstd = hostTools "zstd" [ "zstd" ];

      grub2 = mkDerivation {
        name = "grub-2";
        passthru = {
          grubTarget = "i386-pc";
          override = _: pkgs.grub2 // { grubTarget = "x86_64-efi"; };
        };
        buildCommand = ''
          mkdir -p "$out/bin" "$out/lib"
          for program in grub-mkimage grub-mkfont; do
            if at=$(command -v "$program"); then ln -s "$at" "$out/bin/$program"; fi
          done
          if ! [ -e /usr/lib/grub/i386-pc/boot.img ] || ! [ -e /usr/lib/grub/x86_64-efi/moddep.lst ]; then
            echo 'GRUB is not installed on this host' >&2
            exit 1
          fi
          ln -s /usr/lib/grub "$out/lib/grub"
        '';
      };
      systemd = mkDerivation {
        name = "systemd-252";
        from = config.systemdBoot or "/usr/lib/systemd/boot/efi";
        buildCommand = ''
          mkdir -p "$out/lib/systemd/boot/efi"
          cp "$from"/*.efi "$out/lib/systemd/boot/efi/"
        '';
      };
      # A kernel and an initial RAM disk: of the host's folder `config.kernel`, or texts in their place.
      linux = mkDerivation {
        name = "linux-6.1";
        from = config.kernel or "";
        buildCommand = ''
          mkdir "$out"
          if [ -n "$from" ]; then cp "$from/vmlinuz" "$out/bzImage"; else seq 200000 > "$out/bzImage"; fi
        '';
      };
      initrd = mkDerivation {
        name = "initrd-linux-6.1";
        from = config.kernel or "";
        buildCommand = ''
          mkdir "$out"
          if [ -n "$from" ]; then cp "$from/initrd" "$out/initrd"; else seq 100000 > "$out/initrd"; fi
        '';
      };

      # Something to put into images: a package, and one that refers to it and holds more than one kind of file.
      hello = mkDerivation {
        name = "hello-1";
        inherit host;
        buildCommand = ''
          mkdir -p "$out/bin" "$out/share"
          printf '#!/bin/sh\necho hello from %s\n' "$host" > "$out/bin/hello"
          chmod +x "$out/bin/hello"
          seq 100000 > "$out/share/numbers"
        '';
      };
      greeter = mkDerivation {
        name = "greeter-1";
        buildCommand = ''
          mkdir -p "$out/bin" "$out/empty"
          ln -s ${pkgs.hello}/bin/hello "$out/bin/greet"
          echo ${pkgs.hello} > "$out/uses"
          echo "$out" > "$out/itself"
        '';
      };
    };
in
packagesFor crossSystem
