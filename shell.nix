# The development shell for people without flakes.
arguments: (import ./. arguments).devShell
