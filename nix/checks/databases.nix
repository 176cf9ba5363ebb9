# Where rows and rings are: secrets as credentials, servers of the host's own.
evaluator:
let
  inherit (evaluator) lib;
  a-host = import ./a-host.nix evaluator;
  services = host: lib.filterAttrs (name: _: lib.hasPrefix "hyperhive-" name) host.systemd.services;
  each = host: f: lib.mapAttrs (_: f) (services host);
  every = host: value: each host (_: value);
  toml = host: host.environment.etc."hyperhive/hive.toml".text;

  lines = text: lib.filter lib.isString (builtins.split "\n" text);

  plain = a-host { };
  fleet = a-host {
    services.hyperhive = {
      database.urlFile = "/run/keys/hive-database";
      redis.urlFile = "/run/keys/hive-redis";
    };
  };
  inherit (near.services) postgresql;
  near = a-host {
    services.hyperhive = {
      database.createLocally = true;
      redis.createLocally = true;
    };
  };
  named = a-host {
    services.hyperhive = {
      database.url = "postgresql+psycopg://hive@db/hive";
      redis.url = "redis://cache:6379";
    };
  };
in
[
  {
    name = "a secret comes to each unit as a credential";
    found = each fleet (unit: {
      inherit (unit.serviceConfig) LoadCredential;
      inherit (unit.environment) HIVE_DATABASE_URL_FILE HIVE_REDIS_URL_FILE;
    });
    wanted = every fleet {
      LoadCredential = [
        "database-url:/run/keys/hive-database"
        "redis-url:/run/keys/hive-redis"
      ];
      HIVE_DATABASE_URL_FILE = "%d/database-url";
      HIVE_REDIS_URL_FILE = "%d/redis-url";
    };
  }
  {
    name = "an operator's hive reads the same file, as root";
    found = toml fleet;
    wanted = ''
      base_flake = "git+file:///srv/base"
      database_url_file = "/run/keys/hive-database"
      node = "lab"
      redis_url_file = "/run/keys/hive-redis"
    '';
  }
  {
    name = "without secrets there is no credential";
    found = each plain (unit: {
      inherit (unit.serviceConfig) LoadCredential;
      said = unit.environment ? HIVE_DATABASE_URL_FILE || unit.environment ? HIVE_REDIS_URL_FILE;
    });
    wanted = every plain {
      LoadCredential = [ ];
      said = false;
    };
  }
  {
    name = "a URL without a password is a setting";
    found = toml named;
    wanted = ''
      base_flake = "git+file:///srv/base"
      database_url = "postgresql+psycopg://hive@db/hive"
      node = "lab"
      redis_url = "redis://cache:6379"
    '';
  }
  {
    name = "servers of the host's own are reached over their sockets";
    found = toml near;
    wanted = ''
      base_flake = "git+file:///srv/base"
      database_url = "postgresql+psycopg://hive@/hive?host=/run/postgresql"
      node = "lab"
      redis_url = "unix:///run/redis-hyperhive/redis.sock"
    '';
  }
  {
    name = "PostgreSQL knows root as hive, who owns the database";
    found = {
      inherit (postgresql) enable ensureDatabases;
      users = map (user: { inherit (user) name ensureDBOwnership; }) postgresql.ensureUsers;
      # NixOS has lines of its own besides.
      map = lib.elem "hyperhive root hive" (lines postgresql.identMap);
      rule = lib.elem "local hive hive peer map=hyperhive" (lines postgresql.authentication);
    };
    wanted = {
      enable = true;
      ensureDatabases = [ "hive" ];
      users = [
        {
          name = "hive";
          ensureDBOwnership = true;
        }
      ];
      map = true;
      rule = true;
    };
  }
  {
    name = "Redis listens on no port, and keeps nothing";
    found = {
      inherit (near.services.redis.servers.hyperhive)
        appendOnly
        enable
        port
        save
        unixSocketPerm
        ;
    };
    wanted = {
      appendOnly = false;
      enable = true;
      port = 0;
      save = [ ];
      unixSocketPerm = 600;
    };
  }
  {
    name = "units come after the servers that they need";
    found = each near (
      unit:
      lib.filter (name: lib.elem name unit.after) [
        "postgresql.service"
        "postgresql.target"
        "redis-hyperhive.service"
      ]
    );
    wanted = every near [
      "postgresql.service"
      "postgresql.target"
      "redis-hyperhive.service"
    ];
  }
  {
    name = "without a switch there is no server";
    found = [
      plain.services.postgresql.enable
      (plain.services.redis.servers ? hyperhive)
    ];
    wanted = [
      false
      false
    ];
  }
]
