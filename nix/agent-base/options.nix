# What an agent.nix can choose of the harness. docs/nixos.md has each of them.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.hive-agent;
in
{
  options.services.hive-agent = {
    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../package.nix {
        nix = config.nix.package;
        systemd = config.systemd.package;
      };
      defaultText = lib.literalExpression "nix/package.nix";
      description = "The hive that is on the PATH inside, with the harness in it.";
    };

    model = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The model: `HIVE_MODEL`. What an operator sets for the agent wins over it.";
    };

    allowedTools = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "The tools that the model may use, joined by commas: `HIVE_ALLOWED_TOOLS`. An operator's word wins. Without any, the harness chooses.";
    };

    command = mkOption {
      type = types.str;
      default = "${lib.getExe' cfg.package "hive"} harness";
      defaultText = lib.literalExpression "\${package}/bin/hive harness";
      description = "What the service `hive-agent` runs. It answers on `HIVE_PORT`.";
    };
  };
}
