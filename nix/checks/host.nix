# The host: units, their order, their programs, what is open and who may.
evaluator:
let
  inherit (evaluator) lib pkgs;
  a-host = import ./a-host.nix evaluator;
  host = a-host { };
  busy = a-host {
    services.hyperhive = {
      adminUsers = [ "alice" ];
      node = "one";
      settings.builds = "4";
      workers = {
        count = 3;
        concurrency = 5;
        drain = 90;
      };
      api.listen = "0.0.0.0:7000";
    };
  };
  open = a-host {
    services.hyperhive.api = {
      listen = "[::]:7000";
      openFirewall = true;
    };
  };
  off = a-host { services.hyperhive.enable = lib.mkForce false; };

  hardening = import ../module/hardening.nix;
  ours = names: lib.filter (lib.hasPrefix "hyperhive") (lib.attrNames names);
  daemons = [
    "hyperhive-api"
    "hyperhive-maintenance"
    "hyperhive-worker@"
  ];
  all = daemons ++ [
    "hyperhive-migrate"
    "hyperhive-sweep"
  ];
  unit = name: host.systemd.services.${name};
  each = names: f: lib.genAttrs names (name: f (unit name));
  every = names: value: lib.genAttrs names (_: value);
  words = text: lib.filter lib.isString (builtins.split " " text);
  program = unit: builtins.tail (words unit.serviceConfig.ExecStart);
in
[
  {
    name = "a host has these units, and no other of hive's";
    found = ours host.systemd.services ++ ours host.systemd.timers ++ ours host.systemd.targets;
    wanted = [
      "hyperhive-api"
      "hyperhive-maintenance"
      "hyperhive-migrate"
      "hyperhive-sweep"
      "hyperhive-worker@"
      "hyperhive-sweep"
      "hyperhive"
    ];
  }
  {
    name = "a host without it has none";
    found = [
      (ours off.systemd.services)
      (ours off.systemd.timers)
      (off.environment.etc ? "hyperhive/hive.toml")
      (off.users.groups ? hive-admin)
    ];
    wanted = [
      [ ]
      [ ]
      false
      false
    ];
  }
  {
    name = "the schema comes before anything else";
    found = each (daemons ++ [ "hyperhive-sweep" ]) (
      unit:
      lib.elem "hyperhive-migrate.service" unit.wants && lib.elem "hyperhive-migrate.service" unit.after
    );
    wanted = every (daemons ++ [ "hyperhive-sweep" ]) true;
  }
  {
    name = "each unit runs the words that it is there for";
    found = each all program;
    wanted = {
      hyperhive-api = [ "api" ];
      hyperhive-maintenance = [ "maintenance" ];
      "hyperhive-worker@" = words "worker --concurrency 2 --drain 30";
      hyperhive-migrate = words "db upgrade";
      hyperhive-sweep = [ "sweep" ];
    };
  }
  {
    name = "each unit has an absolute program";
    found = each all (unit: lib.hasPrefix builtins.storeDir unit.serviceConfig.ExecStart);
    wanted = every all true;
  }
  {
    name = "a daemon says when it is ready, is ended alone, and is begun again";
    found = each daemons (
      { serviceConfig, unitConfig, ... }:
      {
        inherit (serviceConfig) KillMode OOMPolicy Restart Type;
        inherit (unitConfig) StartLimitIntervalSec;
      }
    );
    wanted = every daemons {
      KillMode = "mixed";
      OOMPolicy = "continue";
      Restart = "always";
      StartLimitIntervalSec = 0;
      Type = "notify";
    };
  }
  {
    name = "only who says each second that it is well is watched";
    found = lib.filter (name: (unit name).serviceConfig ? WatchdogSec) all;
    wanted = [ "hyperhive-worker@" ];
  }
  {
    name = "what containers have bound outlives each unit";
    found = each all (
      { serviceConfig, ... }:
      {
        inherit (serviceConfig) RuntimeDirectory RuntimeDirectoryPreserve StateDirectory;
      }
    );
    wanted = every all {
      RuntimeDirectory = "hyperhive";
      RuntimeDirectoryPreserve = "yes";
      StateDirectory = "hyperhive";
    };
  }
  {
    name = "programs come from the store, and none from the host's profile";
    found = each all (unit: {
      missing = lib.filter (package: !lib.elem "${package}" (map toString unit.path)) [
        pkgs.git
        host.nix.package
        pkgs.nixos-container
        host.systemd.package
        pkgs.util-linux
        pkgs.e2fsprogs
      ];
      foreign = lib.filter (path: !lib.hasPrefix builtins.storeDir path) (map toString unit.path);
    });
    wanted = every all {
      missing = [ ];
      foreign = [ ];
    };
  }
  {
    name = "builds are the daemon's, and nix has a home";
    found = each all ({ environment, ... }: { inherit (environment) HOME NIX_REMOTE; });
    wanted = every all {
      HOME = "/var/cache/hyperhive";
      NIX_REMOTE = "daemon";
    };
  }
  {
    name = "workers are as many, and as patient, as asked for";
    found = {
      wants = lib.filter (lib.hasPrefix "hyperhive-worker@") busy.systemd.targets.hyperhive.wants;
      program = program busy.systemd.services."hyperhive-worker@";
      stop = busy.systemd.services."hyperhive-worker@".serviceConfig.TimeoutStopSec;
    };
    wanted = {
      wants = map (number: "hyperhive-worker@${number}.service") [
        "1"
        "2"
        "3"
      ];
      program = words "worker --concurrency 5 --drain 90";
      stop = 120;
    };
  }
  {
    name = "the target has all that stays, and the system has the target";
    found = {
      inherit (host.systemd.targets.hyperhive) wantedBy wants;
      parts = each all (unit: unit.partOf);
    };
    wanted = {
      wantedBy = [ "multi-user.target" ];
      wants = [
        "hyperhive-api.service"
        "hyperhive-maintenance.service"
        "hyperhive-worker@1.service"
      ];
      parts = every all [ "hyperhive.target" ];
    };
  }
  {
    name = "a sweep comes at boot, and every five minutes";
    found = {
      inherit (host.systemd.timers.hyperhive-sweep) wantedBy;
      inherit (host.systemd.timers.hyperhive-sweep.timerConfig) OnBootSec OnCalendar;
    };
    wanted = {
      wantedBy = [ "timers.target" ];
      OnBootSec = "15s";
      OnCalendar = "*:0/5";
    };
  }
  {
    name = "units and operators read the same settings";
    found = [
      host.environment.etc."hyperhive/hive.toml".text
      busy.environment.etc."hyperhive/hive.toml".text
    ];
    wanted = [
      ''
        base_flake = "git+file:///srv/base"
        node = "lab"
      ''
      ''
        base_flake = "git+file:///srv/base"
        builds = "4"
        node = "one"
      ''
    ];
  }
  {
    name = "a change of the settings is a change of each unit";
    found = each all (unit: unit.restartTriggers);
    wanted = every all [ host.environment.etc."hyperhive/hive.toml".text ];
  }
  {
    name = "operators are who was named, and have hive at hand";
    found = {
      inherit (busy.users.groups.hive-admin) members;
      nobody = host.users.groups.hive-admin.members;
      hive = lib.elem busy.services.hyperhive.package busy.environment.systemPackages;
    };
    wanted = {
      members = [ "alice" ];
      nobody = [ ];
      hive = true;
    };
  }
  {
    name = "nothing is open until it is said";
    found = map (host: lib.elem 7000 host.networking.firewall.allowedTCPPorts) [
      host
      busy
      open
    ];
    wanted = [
      false
      false
      true
    ];
  }
  {
    name = "the API answers where it was told to";
    found = [
      (program busy.systemd.services.hyperhive-api)
      (program open.systemd.services.hyperhive-api)
    ];
    wanted = [
      (words "api --listen 0.0.0.0:7000")
      (words "api --listen [::]:7000")
    ];
  }
  {
    name = "a container has ten minutes to start, or what was said";
    found =
      map (host: host.systemd.services."container@".serviceConfig.TimeoutStartSec)
        [
          host
          (a-host { services.hyperhive.containerStartTimeout = "1h"; })
        ];
    wanted = [
      "10min"
      "1h"
    ];
  }
  {
    name = "there are containers, and inotify instances for hundreds of them";
    found = {
      inherit (host.boot) enableContainers;
      instances = host.boot.kernel.sysctl."fs.inotify.max_user_instances";
      mine =
        (a-host { boot.kernel.sysctl."fs.inotify.max_user_instances" = 1000; })
        .boot.kernel.sysctl."fs.inotify.max_user_instances";
    };
    wanted = {
      enableContainers = true;
      instances = 524288;
      mine = 1000;
    };
  }
  {
    name = "what a unit may write to is there before it";
    found = lib.filter (path: !lib.any (lib.hasPrefix "d ${path} ") host.systemd.tmpfiles.rules) (
      lib.filter (path: path != "/nix/var" && path != "/run")
        (unit "hyperhive-worker@").serviceConfig.ReadWritePaths
    );
    wanted = [ ];
  }
  {
    name = "every unit is hardened alike";
    found = each all (
      { serviceConfig, ... }: lib.all (key: serviceConfig ? ${key}) (lib.attrNames hardening)
    );
    wanted = every all true;
  }
]
