# The database's schema, brought up to date before anything else of hive is there.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  unit = import ./unit.nix { inherit config lib pkgs; };
in
{
  config = lib.mkIf config.services.hyperhive.enable {
    systemd.services.hyperhive-migrate = lib.mkMerge [
      unit.service
      {
        description = "hive: the database's schema";
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "${unit.program} db upgrade";
          # A database that is still coming up is no reason to stay down.
          Restart = "on-failure";
          RestartSec = 5;
          TimeoutStartSec = "10min";
        };
        unitConfig.StartLimitIntervalSec = 0;
      }
    ];
  };
}
