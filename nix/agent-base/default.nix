# The systems that meta extends: `agent-base`, and `manager`. Meta adds the agent's own module and
# one of identity, by `extendModules`.
{
  nixosSystem,
  # A nixpkgs where claude-code is young enough: the stable one lags too far.
  unstable,
  system ? "x86_64-linux",
}:
let
  base =
    modules:
    nixosSystem {
      modules = [
        (import ./claude-code.nix { inherit unstable; })
        ./options.nix
        ./container.nix
        ./harness.nix
        ./git.nix
        # A default: an agent.nix may say another.
        ({ lib, ... }: { nixpkgs.hostPlatform = lib.mkDefault system; })
      ]
      ++ modules;
    };
in
{
  agent-base = base [ ];
  manager = base [ ./manager.nix ];
}
