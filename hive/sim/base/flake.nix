{
  description = "hive's pretend base: a shell script in place of NixOS, for machines without it";

  # No inputs: nix builds this offline, with the machine's own shell. It has what hive asks of a base
  # flake, and the little of NixOS's module system that an agent.nix of a few lines needs.
  outputs = { self }:
    let
      base = configuration: {
        extendModules = { modules, ... }: {
          config.system.build.toplevel = import ./system.nix { inherit configuration modules; };
        };
      };
    in
    {
      nixosConfigurations.agent-base = base "agent-base";
      nixosConfigurations.manager = base "manager";
    };
}
