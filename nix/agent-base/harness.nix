# The harness: the process that is the agent, for the world outside.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.hive-agent;

  # Defaults all of them: meta's identity, and what an operator sets, come as plain definitions.
  environment = {
    HIVE_LABEL = "nobody";
    HIVE_PORT = "0";
    HIVE_DASHBOARD_PORT = "7000";
    HYPERHIVE_STATE_DIR = "/state";
    # Its login is bound at /root/.claude.
    HOME = "/root";
  }
  // lib.optionalAttrs (cfg.model != null) { HIVE_MODEL = cfg.model; }
  // lib.optionalAttrs (cfg.allowedTools != [ ]) {
    HIVE_ALLOWED_TOOLS = lib.concatStringsSep "," cfg.allowedTools;
  };
in
{
  config = {
    environment.systemPackages = [
      cfg.package
      pkgs.claude-code
    ];
    # A shell inside, too, knows where the notes are.
    environment.variables.HYPERHIVE_STATE_DIR = "/state";

    systemd.services.hive-agent = {
      description = "the harness of this agent";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      environment = lib.mapAttrs (_: lib.mkDefault) environment;
      # What an agent adds to its own system is there at once, with no word of it here.
      path = [
        pkgs.bashInteractive
        pkgs.coreutils
        pkgs.git
        cfg.package
        pkgs.claude-code
        "/run/current-system/sw"
      ];
      # A container of hive's always has them; anything else is no place for an agent.
      unitConfig.AssertPathIsDirectory = [
        "/run/hive"
        "/state"
        "/root/.claude"
      ];
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig = {
        ExecStart = cfg.command;
        WorkingDirectory = "/state";
        Restart = "always";
        RestartSec = 2;
        # The harness ends the model's processes itself; what is left after it is killed.
        KillMode = "mixed";
        TimeoutStopSec = 30;
      };
    };
  };
}
