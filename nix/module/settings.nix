# `/etc/hyperhive/hive.toml`: one place for the units and for the `hive` that an operator types.
{ config, lib, ... }:
let
  cfg = config.services.hyperhive;

  said = lib.filterAttrs (_: value: value != null) {
    inherit (cfg) node;
    base_flake = cfg.baseFlake;
    database_url = cfg.database.url;
    database_url_file = cfg.database.urlFile;
    redis_url = cfg.redis.url;
    redis_url_file = cfg.redis.urlFile;
  };

  # A string of JSON is one of TOML.
  line = key: value: "${key} = ${builtins.toJSON value}";
in
{
  config = lib.mkIf cfg.enable {
    environment.etc."hyperhive/hive.toml".text = lib.concatLines (
      lib.mapAttrsToList line (said // cfg.settings)
    );
    environment.systemPackages = [ cfg.package ];
  };
}
