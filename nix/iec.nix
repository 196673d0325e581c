# A size in bytes from what numfmt --from=iec reads: whole bytes, or a number with K, M, G or T.
{ lib }:
size:
let
  parts = builtins.match "([0-9]+)([KMGT]?)" size;
  kibi = 1024;
  factors = {
    "" = 1;
    K = kibi;
    M = kibi * kibi;
    G = kibi * kibi * kibi;
    T = kibi * kibi * kibi * kibi;
  };
in
if builtins.isInt size then
  size
else
  builtins.fromJSON (lib.head parts) * factors.${lib.last parts}
