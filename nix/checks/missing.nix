# What of the list in used.nix a nixpkgs does not have: options under their names, packages.
evaluator:
let
  inherit (evaluator) lib pkgs used;
  inherit (evaluator.nixosSystem { modules = [ { nixpkgs.hostPlatform = "x86_64-linux"; } ]; })
    options
    ;

  has =
    found: path:
    let
      first = lib.head path;
      rest = builtins.tail path;
    in
    if path == [ ] then
      true
    else if lib.isOption found then
      has (found.type.getSubOptions [ ]) (lib.filter (word: word != "<name>") [ first ] ++ rest)
    else
      found ? ${first} && has found.${first} rest;
  path = name: lib.filter lib.isString (builtins.split "\\." name);
in
{
  options = lib.filter (name: !has options (path name)) (lib.attrNames used.options);
  packages = lib.filter (name: !pkgs ? ${name}) used.packages;
}
