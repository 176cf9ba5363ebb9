# What of the list in used.nix a nixpkgs does not have: options under their names, packages.
evaluator:
let
  inherit (evaluator) lib pkgs used;
  options = (evaluator.nixosSystem { modules = [ { nixpkgs.hostPlatform = "x86_64-linux"; } ]; }).options;

  has =
    found: path:
    if path == [ ] then
      true
    else if lib.isOption found then
      has (found.type.getSubOptions [ ]) (if lib.head path == "<name>" then builtins.tail path else path)
    else
      found ? ${lib.head path} && has found.${lib.head path} (builtins.tail path);
  path = name: lib.filter lib.isString (builtins.split "\\." name);
in
{
  options = lib.filter (name: !has options (path name)) (lib.attrNames used.options);
  packages = lib.filter (name: !pkgs ? ${name}) used.packages;
}
