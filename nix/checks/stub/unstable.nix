# An unstable nixpkgs that gives out claude-code, and only to who allows it by name.
{ system, config }:
let
  allows = pname: config.allowUnfreePredicate { inherit pname; };
in
assert system == "x86_64-linux";
assert !allows "another-unfree-package";
if allows "claude-code" then
  {
    claude-code = {
      type = "derivation";
      name = "claude-code";
      pname = "claude-code";
      outPath = "${builtins.storeDir}/00000000000000000000000000000000-claude-code-unstable";
    };
  }
else
  throw "claude-code is unfree"
