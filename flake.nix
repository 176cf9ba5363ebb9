{
  description = "hive: a fleet of AI agents, each in its own NixOS container";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    # For claude-code alone: the stable one lags too far.
    nixpkgs-unstable.url = "github:NixOS/nixpkgs/nixos-unstable";
  };

  outputs = inputs: import ./nix/outputs.nix inputs;
}
