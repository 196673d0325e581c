# The name of a platform in names of EFI programs. Older nixpkgs do not have it.
platform:
platform.efiArch or ({
  aarch64-linux = "aa64";
  i686-linux = "ia32";
  riscv64-linux = "riscv64";
  x86_64-linux = "x64";
}.${platform.system} or (throw "makeNixosDisk: no EFI name is known of ${platform.system}"))
