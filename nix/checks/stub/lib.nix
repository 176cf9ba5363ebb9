# The part of nixpkgs' `lib` that this project's modules use, under the same names and with the same
# meaning. What is not here cannot be used: nix says so at once.
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elemAt
    filter
    genList
    length
    listToAttrs
    replaceStrings
    stringLength
    substring
    ;

  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  mkOrder = priority: content: {
    _type = "order";
    inherit priority content;
  };

  lib = {
    inherit mkOverride mkOrder;
    inherit (builtins)
      all
      any
      attrNames
      attrValues
      concatMap
      concatStringsSep
      elem
      filter
      head
      isList
      isString
      length
      mapAttrs
      match
      ;

    # Properties of definitions.
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    mkOptionDefault = mkOverride 1500;
    mkDefault = mkOverride 1000;
    mkForce = mkOverride 50;
    mkBefore = mkOrder 500;
    mkAfter = mkOrder 1500;

    # Options.
    mkOption = attributes: attributes // { _type = "option"; };
    mkEnableOption =
      name:
      lib.mkOption {
        type = lib.types.bool;
        default = false;
        description = "Whether to enable ${name}.";
      };
    isOption = value: value._type or "" == "option";
    literalExpression = text: {
      _type = "literalExpression";
      inherit text;
    };

    # Lists and sets.
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    range = first: last: if last < first then [ ] else genList (n: first + n) (last - first + 1);
    last = list: elemAt list (length list - 1);
    filterAttrs =
      keep: set:
      removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    genAttrs =
      names: f:
      listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    toList = value: if builtins.isList value then value else [ value ];
    concatMapStrings = f: list: concatStringsSep "" (map f list);
    concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
    concatLines = lib.concatMapStrings (line: "${line}\n");

    # Strings.
    optionalString = condition: text: if condition then text else "";
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    toInt = builtins.fromJSON;
    escapeShellArg = text: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";
    getExe = package: "${package}/bin/${package.meta.mainProgram or package.pname}";
    getExe' = package: program: "${package}/bin/${program}";
    getName = package: package.pname;
    versionAtLeast = found: least: builtins.compareVersions found least >= 0;

    types = import ./types.nix { inherit lib; };
    evalModules = import ./modules.nix { inherit lib; };
  };
in
lib
