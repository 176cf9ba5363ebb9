# What is refused, and what not: each assertion fires where it must, alone.
evaluator:
let
  inherit (evaluator) lib;
  a-host = import ./a-host.nix evaluator;

  # A NixOS without a disk has complaints of its own.
  fired =
    said:
    map (one: one.message) (
      lib.filter (one: lib.hasPrefix "services.hyperhive" one.message && !one.assertion)
        (a-host said).assertions
    );
  refuses = about: said: begins: {
    name = "refused: ${about}";
    found = map (lib.hasPrefix begins) (fired said);
    wanted = [ true ];
  };
  hive = said: { services.hyperhive = said; };
in
[
  {
    name = "what is well is not refused";
    found = map fired [
      { }
      (hive { database.urlFile = "/run/keys/db"; })
      (hive { database.url = "postgresql+psycopg://hive@db/hive?options=-c%20x:y"; })
      (hive { redis.createLocally = true; })
      (hive { api.listen = "127.0.0.1:7000"; })
    ];
    wanted = [
      [ ]
      [ ]
      [ ]
      [ ]
      [ ]
    ];
  }
  (refuses "a password of the database in the store" (hive {
    database.url = "postgresql://hive:secret@db/hive";
  }) "services.hyperhive.database.url has a password")
  (refuses "a password of Redis in the store" (hive {
    redis.url = "redis://:secret@cache:6379";
  }) "services.hyperhive.redis.url has a password")
  (refuses "a password among the settings" (hive {
    settings.database_url = "postgresql://hive:secret@db/hive";
  }) "services.hyperhive.settings has a URL")
  (refuses "a secret that lies in the store" (hive {
    database.urlFile = "${builtins.storeDir}/0000-secret";
  }) "services.hyperhive.database.urlFile must be")
  (refuses "a secret at a relative path" (hive { redis.urlFile = "keys/redis"; })
    "services.hyperhive.redis.urlFile must be"
  )
  (refuses "two places for one database" (hive {
    database.url = "sqlite:////srv/hive.sqlite";
    database.createLocally = true;
  }) "services.hyperhive.database: of url, urlFile and createLocally")
  (refuses "two places for one Redis" (hive {
    redis.url = "redis://cache";
    redis.urlFile = "/run/keys/redis";
  }) "services.hyperhive.redis: of url, urlFile and createLocally")
  (refuses "no base" (hive { baseFlake = lib.mkForce null; })
    "services.hyperhive.baseFlake is not set"
  )
  (refuses "no nix daemon" { nix.enable = lib.mkForce false; } "services.hyperhive builds agents")
  (refuses "old places of containers" {
    system.stateVersion = lib.mkForce "21.11";
  } "services.hyperhive needs system.stateVersion")
  (refuses "a firewall opened for nothing" (hive { api.openFirewall = true; })
    "services.hyperhive.api.openFirewall opens"
  )
  (refuses "an address without a port" (hive { api.listen = "127.0.0.1"; })
    "services.hyperhive.api.listen must be"
  )
  (refuses "a forge, in this version" (hive { forge.enable = true; })
    "services.hyperhive.forge is not in"
  )
  {
    name = "refused: a runner without a forge, and in this version";
    found = fired (hive { ci.enable = true; });
    wanted = [
      "services.hyperhive.ci registers with the forge: services.hyperhive.forge.enable must be true too."
      "services.hyperhive.ci is not in this version: hive cannot register a runner yet."
    ];
  }
]
