# Packages by name only: a path that looks like one of the store, and nothing in it. What a package
# of this project says of itself can be read, and is not built.
{ lib, used }:
let
  inherit (builtins) functionArgs intersectAttrs listToAttrs;

  place = name: "${builtins.storeDir}/00000000000000000000000000000000-${name}";
  package = name: {
    type = "derivation";
    inherit name;
    pname = name;
    outPath = place name;
    meta.mainProgram = name;
  };
  named = names: listToAttrs (map (name: { inherit name; value = package name; }) names);

  pkgs = named used.packages // {
    lib = lib // library;
    stdenv = {
      hostPlatform = {
        system = "x86_64-linux";
        parsed.cpu.name = "x86_64";
      };
      cc.cc.lib = package "gcc-lib";
      mkDerivation =
        said:
        let
          name = said.name or said.pname;
        in
        said // (said.passthru or { }) // package name // { meta = said.meta or { }; };
    };
    python313 = package "python3-3.13" // {
      interpreter = "${place "python3-3.13"}/bin/python3.13";
      pkgs = named [ "pip" ];
    };
    writeShellScript = name: text: package name // { inherit text; };

    # An argument that nixpkgs would give and this does not know is missed, aloud.
    callPackage =
      file: overrides:
      let
        f = import file;
      in
      f (intersectAttrs (functionArgs f) pkgs // overrides);
  };

  # Of `lib`, what only packages use.
  library = {
    makeBinPath = lib.concatMapStringsSep ":" (program: "${program}/bin");
    assertMsg = holds: message: holds || throw message;
    fetchers.proxyImpureEnvVars = [ ];
    licenses.mit = "MIT";
    fileset = {
      unions = files: files;
      toSource =
        { root, fileset }:
        if lib.all builtins.pathExists fileset then root else throw "a file of the package is missing";
    };
  };
in
pkgs
