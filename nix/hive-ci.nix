# A Forgejo runner for this host's forge, in a container `hive-ci`. The forge's admin token stays on
# the host: a unit there asks for a registration token, and the container sees that file alone.
#
# Neither the forge nor the registration is in this version, so to enable either is refused.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.hyperhive;
  inherit (cfg) ci forge;
  token = "/run/hive-ci/runner-token";

  runner =
    { lib, pkgs, ... }:
    {
      # Unsandboxed where it must be: nspawn containers cannot make user namespaces.
      nix.settings = {
        sandbox-fallback = true;
        experimental-features = [
          "nix-command"
          "flakes"
        ];
      };
      services.gitea-actions-runner = {
        package = pkgs.forgejo-runner;
        instances.hive = {
          enable = true;
          inherit (ci) name labels;
          url = "http://127.0.0.1:${toString forge.httpPort}";
          # Read where the container has no credentials of its own yet; they stay in it.
          tokenFile = token;
          settings.runner.capacity = ci.concurrency;
          hostPackages = [
            pkgs.bashInteractive
            pkgs.coreutils
            pkgs.git
            pkgs.nix
            pkgs.nodejs
          ];
        };
      };
      system.stateVersion = lib.mkDefault "26.05";
    };
in
{
  options.services.hyperhive = {
    forge = {
      enable = lib.mkEnableOption "a Forgejo on this host. Not in this version";
      httpPort = mkOption {
        type = types.port;
        default = 3000;
        description = "Where the forge answers, on loopback.";
      };
    };
    ci = {
      enable = lib.mkEnableOption "a runner for the forge's actions. Not in this version";
      name = mkOption {
        type = types.str;
        default = "hive-ci";
        description = "The runner's name in the forge.";
      };
      concurrency = mkOption {
        type = types.ints.positive;
        default = 1;
        description = "How many actions run at once.";
      };
      labels = mkOption {
        type = types.listOf types.str;
        default = [ "hive-ci:host" ];
        description = "Which actions it takes, as the forge's runner writes it.";
      };
    };
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = ci.enable -> forge.enable;
            message = "services.hyperhive.ci registers with the forge: services.hyperhive.forge.enable must be true too.";
          }
          {
            assertion = !forge.enable;
            message = "services.hyperhive.forge is not in this version.";
          }
          {
            assertion = !ci.enable;
            message = "services.hyperhive.ci is not in this version: hive cannot register a runner yet.";
          }
        ];
      }
      (lib.mkIf ci.enable {
        containers.hive-ci = {
          autoStart = true;
          # Its credentials outlive a restart, and it reaches the forge on the host's loopback.
          ephemeral = false;
          privateNetwork = false;
          bindMounts.${token} = {
            hostPath = token;
            isReadOnly = true;
          };
          config = runner;
        };

        systemd.services.hive-ci-prefetch = {
          description = "hive: the token with which the runner registers";
          before = [ "container@hive-ci.service" ];
          requiredBy = [ "container@hive-ci.service" ];
          path = [ cfg.package ];
          serviceConfig = {
            Type = "oneshot";
            RemainAfterExit = true;
            RuntimeDirectory = "hive-ci";
            RuntimeDirectoryMode = "0700";
            RuntimeDirectoryPreserve = "yes";
            UMask = "0077";
            ExecStart = "${lib.getExe' cfg.package "hive"} ci register --output ${token}";
          };
        };
      })
    ]
  );
}
