# What a developer has at hand: `nix develop`, or `nix-shell nix/shell.nix`. The Python packages are
# those of the lock, which ./scripts/venv installs.
{
  pkgs ? import <nixpkgs> { },
}:
pkgs.mkShell {
  packages = [
    pkgs.python313
    pkgs.git
    pkgs.nix
    pkgs.nixfmt
    # Tests start these themselves, and skip where they are missing.
    pkgs.redis
    pkgs.postgresql
    pkgs.libfaketime
  ];

  # Wheels of the lock are made for other distributions: here they find the C++ library.
  LD_LIBRARY_PATH = pkgs.lib.makeLibraryPath [ pkgs.stdenv.cc.cc.lib ];
}
