# The API: host.sock for operators, a socket for each agent, and TCP where asked for. No job runs in
# it, so that to restart it stops none.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.hyperhive;
  unit = import ./unit.nix { inherit config lib pkgs; };
in
{
  config = lib.mkIf cfg.enable {
    systemd.services.hyperhive-api = lib.mkMerge [
      unit.service
      unit.daemon
      {
        description = "hive: the API of this node";
        serviceConfig = {
          ExecStart =
            "${unit.program} api"
            + lib.optionalString (cfg.api.listen != null) " --listen ${cfg.api.listen}";
          TimeoutStopSec = 30;
        };
      }
    ];
  };
}
