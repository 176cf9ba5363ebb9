# The options of the list, declared: `a.<name>.b` becomes a set of submodules at `a`.
{ lib, used }:
let
  inherit (builtins) attrNames filter head isString listToAttrs split tail;

  flat = map (name: {
    path = filter isString (split "\\." name);
    type = used.options.${name};
  }) (attrNames used.options);

  # What is empty or off unless something is said, as in NixOS; every other has no value then.
  default =
    type:
    if lib.hasPrefix "list of" type.description then
      { default = [ ]; }
    else if lib.hasPrefix "attribute set of" type.description then
      { default = { }; }
    else if lib.hasPrefix "null or" type.description then
      { default = null; }
    else if type.description == "boolean" then
      { default = false; }
    else if lib.elem type.description [ "string" "lines" "strings concatenated with \"\\n\"" ] then
      { default = ""; }
    else
      { };

  tree =
    entries:
    let
      named = name: filter (entry: head entry.path == name) entries;
      below = name: map (entry: entry // { path = tail entry.path; }) (named name);
      node =
        name:
        let
          inside = below name;
          first = head inside;
        in
        if first.path == [ ] then
          lib.mkOption ({ inherit (first) type; } // default first.type)
        else if head first.path == "<name>" then
          lib.mkOption {
            type = lib.types.attrsOf (
              lib.types.submodule {
                options = tree (map (entry: entry // { path = tail entry.path; }) inside);
              }
            );
            default = { };
          }
        else
          tree inside;
    in
    listToAttrs (
      map (entry: {
        name = head entry.path;
        value = node (head entry.path);
      }) entries
    );
in
tree flat
