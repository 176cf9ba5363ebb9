# What hive's units have in common. Not a module: a function of the configuration.
{
  config,
  lib,
  pkgs,
}:
let
  cfg = config.services.hyperhive;

  credentials = lib.filterAttrs (_: file: file != null) {
    database-url = cfg.database.urlFile;
    redis-url = cfg.redis.urlFile;
  };
  variables = {
    database-url = "HIVE_DATABASE_URL_FILE";
    redis-url = "HIVE_REDIS_URL_FILE";
  };

  # Each is there only where this host runs it; systemd passes over what is not.
  servers =
    lib.optionals cfg.database.createLocally [
      "postgresql.service"
      "postgresql.target"
    ]
    ++ lib.optional cfg.redis.createLocally "redis-hyperhive.service";
in
{
  program = lib.getExe' cfg.package "hive";

  # `path`, besides what NixOS gives every unit (coreutils, findutils, grep, sed, systemd): hive's
  # programs, and what `nixos-container destroy` calls. Nothing of the host's own profile.
  service = {
    partOf = [ "hyperhive.target" ];
    wants = [ "network-online.target" ];
    after = [ "network-online.target" ] ++ servers;
    path = [
      pkgs.git
      config.nix.package
      pkgs.nixos-container
      config.systemd.package
      pkgs.util-linux
      pkgs.e2fsprogs
    ];
    environment = {
      # Builds are the daemon's: else they would run in this unit, with its memory and its end.
      NIX_REMOTE = "daemon";
      # Where nix, as a client, keeps what it fetched and evaluated. systemd sets no HOME for root.
      HOME = "/var/cache/hyperhive";
      LANG = "C.UTF-8";
    }
    // builtins.listToAttrs (
      lib.mapAttrsToList (name: _: {
        name = variables.${name};
        value = "%d/${name}";
      }) credentials
    );
    restartTriggers = [ config.environment.etc."hyperhive/hive.toml".text ];
    serviceConfig = import ./hardening.nix // {
      StateDirectory = "hyperhive";
      CacheDirectory = "hyperhive";
      CacheDirectoryMode = "0700";
      RuntimeDirectory = "hyperhive";
      # What containers have bound lies in it: gone with a restart, none of them would start again.
      RuntimeDirectoryPreserve = "yes";
      LoadCredential = lib.mapAttrsToList (name: file: "${name}:${file}") credentials;
    };
  };

  # For those that stay: they say themselves when they are ready, and are begun again whatever ends
  # them. Only hive gets the TERM (`mixed`), not the programs of its jobs. They want the schema and
  # do not require it: a database that comes up late fails the migration once, and who had required
  # it would stay down. hive refuses an old schema by itself, and is begun again until it is there.
  daemon = {
    wants = [ "hyperhive-migrate.service" ];
    after = [ "hyperhive-migrate.service" ];
    unitConfig.StartLimitIntervalSec = 0;
    serviceConfig = {
      Type = "notify";
      KillMode = "mixed";
      Restart = "always";
      RestartSec = 1;
      # One program of a job that the kernel kills for its memory ends that job's attempt, no more.
      OOMPolicy = "continue";
    };
  };
}
