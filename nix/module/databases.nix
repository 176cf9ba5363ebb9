# A PostgreSQL and a Redis of this host's own, each by one switch. Agents share the host's network,
# so hive reaches them over sockets: by the peer's user, and by the socket's mode.
{ config, lib, ... }:
let
  cfg = config.services.hyperhive;
  socket = "/run/redis-hyperhive/redis.sock";
in
{
  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      (lib.mkIf cfg.database.createLocally {
        services.hyperhive.settings.database_url = "postgresql+psycopg://hive@/hive?host=/run/postgresql";
        services.postgresql = {
          enable = true;
          ensureDatabases = [ "hive" ];
          ensureUsers = [
            {
              name = "hive";
              ensureDBOwnership = true;
            }
          ];
          # hive runs as root, and its role is called `hive`.
          identMap = "hyperhive root hive";
          authentication = lib.mkBefore "local hive hive peer map=hyperhive";
        };
      })
      (lib.mkIf cfg.redis.createLocally {
        services.hyperhive.settings.redis_url = "unix://${socket}";
        services.redis.servers.hyperhive = {
          enable = true;
          port = 0;
          unixSocket = socket;
          unixSocketPerm = 600;
          # It carries numbers of jobs, which the database has too.
          save = [ ];
          appendOnly = false;
        };
      })
    ]
  );
}
