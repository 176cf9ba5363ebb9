# The package, as far as it can be read without building it.
evaluator:
let
  inherit (evaluator) lib pkgs;
  hive = pkgs.callPackage ../package.nix { };
  line = builtins.replaceStrings [ "\n" ] [ " " ];
  has = text: pattern: lib.match ".*${pattern}.*" (line text) != null;
in
[
  {
    name = "hive has its own git, nix, nixos-container and systemd";
    found = map (package: has hive.installPhase "--prefix PATH : [^ ]*${package}/bin") [
      pkgs.git
      pkgs.nix
      pkgs.nixos-container
      pkgs.systemd
    ];
    wanted = [
      true
      true
      true
      true
    ];
  }
  {
    name = "git is named by its absolute path";
    found = has hive.installPhase "--set-default HYPERHIVE_GIT ${lib.getExe pkgs.git}";
    wanted = true;
  }
  {
    name = "what is installed is what the lock names, from what lies there";
    found = map (has hive.buildPhase) [
      "--no-index"
      "--require-hashes -r requirements.lock"
    ];
    wanted = [
      true
      true
    ];
  }
]
