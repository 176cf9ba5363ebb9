# `evalModules`: modules are loaded with what they import, their options are put together, and what
# they define is merged. A definition of an option that nobody has declared is an error.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    foldl'
    functionArgs
    isFunction
    isPath
    isString
    mapAttrs
    ;

  option = import ./option.nix { inherit lib; };
  show = concatStringsSep ".";

  # `mkIf`, `mkMerge` and `mkOverride` around a set, put around each of its values.
  pushedDown =
    value:
    let
      kind = value._type or "";
      around = wrap: map (mapAttrs (_: wrap)) (pushedDown value.content);
    in
    if kind == "merge" then
      concatMap pushedDown value.contents
    else if kind == "if" then
      around (lib.mkIf value.condition)
    else if kind == "override" then
      around (lib.mkOverride value.priority)
    else
      [ value ];

  pieces = concatMap (
    definition: map (value: definition // { inherit value; }) (pushedDown definition.value)
  );

  named =
    name:
    concatMap (
      piece:
      lib.optional (piece.value ? ${name}) {
        inherit (piece) file;
        value = piece.value.${name};
      }
    );

  merged =
    location: options: definitions:
    let
      all = pieces definitions;
    in
    mapAttrs (
      name: declared:
      (if lib.isOption declared then option.value else merged) (location ++ [ name ]) declared (
        named name all
      )
    ) options;

  # Where something is defined that nobody has declared.
  unknown =
    location: options: definitions:
    concatMap (
      piece:
      concatMap (
        name:
        let
          here = location ++ [ name ];
        in
        if !options ? ${name} then
          [ "The option `${show here}' does not exist. Defined in ${piece.file}." ]
        else if lib.isOption options.${name} then
          [ ]
        else
          unknown here options.${name} (named name [ piece ])
      ) (attrNames piece.value)
    ) (pieces definitions);

  declared =
    location: a: b:
    a
    // mapAttrs (
      name: value:
      if !a ? ${name} then
        value
      else if lib.isOption value || lib.isOption a.${name} then
        throw "The option `${show (location ++ [ name ])}' is declared twice."
      else
        declared (location ++ [ name ]) a.${name} value
    ) b;

  loaded =
    given: arguments: module:
    let
      isFile = isPath module || isString module;
      file = if isFile then toString module else module._file or "a module without a file";
      read = if isFile then import module else module;
      # Only the arguments that a function names, and lazily: some come out of the modules.
      asked = f: mapAttrs (name: _: given.${name} or arguments.${name}) (functionArgs f);
      value = if isFunction read then read (given // asked read) else read;
      isWhole = value ? config || value ? options;
      rest = removeAttrs value [ "_file" "imports" "options" "config" ];
    in
    if isWhole && rest != { } then
      throw "${file} has `config' or `options', and beside them ${show (attrNames rest)}."
    else
      concatMap (loaded given arguments) (value.imports or [ ])
      ++ [
        {
          inherit file;
          options = value.options or { };
          value = if isWhole then value.config or { } else rest;
        }
      ];

  arguments = {
    options._module.args = lib.mkOption {
      type = lib.types.attrsOf lib.types.raw;
      default = { };
    };
  };

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
    }:
    let
      given = specialArgs // {
        inherit lib config options;
      };
      all = concatMap (loaded given config._module.args) ([ arguments ] ++ modules);
      options = foldl' (declared prefix) { } (map (module: module.options) all);
      config = merged prefix options all;
      wrong = unknown prefix options all;
      here = { inherit modules specialArgs prefix; };
    in
    {
      inherit options;
      config = if wrong == [ ] then removeAttrs config [ "_module" ] else throw (lib.head wrong);
      extendModules =
        {
          modules ? [ ],
          specialArgs ? { },
          prefix ? [ ],
        }:
        evalModules {
          modules = here.modules ++ modules;
          specialArgs = here.specialArgs // specialArgs;
          prefix = here.prefix ++ prefix;
        };
    };
in
evalModules
