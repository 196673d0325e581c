# Stands where nixpkgs has the function that snugfs replaces: tests see by the name of its result that it was called.
{
  pkgs,
  storePaths,
  volumeLabel,
  compressImage ? false,
  populateImageCommands ? "",
  uuid ? "",
}:
pkgs.runCommand "the-old-function" { } "exit 1"
