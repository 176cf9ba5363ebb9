# A base beneath a meta flake as hive renders it: all that hive, and an agent, count on in one. The
# bases of the tests and of the pretend host must say the same as the real one.
{
  # A flake.nix as hive renders it.
  meta,
  # The flake.nix of a base without inputs; without one it is `nix/agent-base`, under the stub.
  base ? null,
}:
let
  inherit (builtins) attrNames fromJSON functionArgs intersectAttrs mapAttrs;

  nixosConfigurations =
    if base == null then
      (import ./. { }).bases
    else
      ((import base).outputs { self = { }; }).nixosConfigurations;

  # As a seeded agent's flake hands its module on.
  agent = {
    _module.args.flakeInputs.greeting = "hello";
    imports = [
      (
        {
          config,
          lib,
          pkgs,
          flakeInputs,
          ...
        }:
        {
          environment.variables.GREETING = flakeInputs.greeting or null;
          # One of the tests' bases has no `lib`.
          systemd.services.hive-agent.environment.HIVE_MODEL =
            (lib.mkDefault or (model: model))
              "sonnet";
        }
      )
    ];
  };

  text = import meta;
  outputs = text.outputs (
    mapAttrs (
      name: _:
      if builtins.match "base-.*" name != null then
        { inherit nixosConfigurations; }
      else
        { nixosModules.default = agent; }
    ) text.inputs
  );

  seen =
    system:
    let
      inherit (system.config.system.build) toplevel;
      # The bases without NixOS write what the modules said into the system itself.
      said =
        if system.config ? systemd then
          {
            inherit (system.config.systemd.services.hive-agent) environment;
            inherit (system.config.environment) variables;
          }
        else
          fromJSON toplevel.facts;
    in
    {
      isDerivation = toplevel.type == "derivation";
      GREETING = said.variables.GREETING or null;
      inherit (said) environment;
    };
in
{
  names = attrNames nixosConfigurations;
  takesModules = mapAttrs (_: one: functionArgs one.extendModules ? modules) nixosConfigurations;
  agents = mapAttrs (_: seen) outputs.nixosConfigurations;
}
