# hive, from the locked dependencies: the wheels of requirements.lock, whose hashes pip checks, in
# an environment of their own.
{
  lib,
  stdenv,
  python313,
  autoPatchelfHook,
  installShellFiles,
  makeWrapper,
  zlib,
  cacert,
  git,
  nix,
  nixos-container,
  systemd,
}:
let
  python = python313;
  wheels = import ./wheels.nix { inherit lib stdenv python cacert; };

  # The programs of a host that hive runs. nixos-container and systemd's are there for a host; an
  # agent's container has them too, and does not use them.
  programs = lib.makeBinPath [
    git
    nix
    nixos-container
    systemd
  ];
in
stdenv.mkDerivation {
  pname = "hive";
  version = "0.1.0";

  # What the wheel is made of, and nothing else: a change of a test builds nothing anew.
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../LICENSE
      ../README.md
      ../alembic
      ../cli
      ../hive
      ../pyproject.toml
      ../requirements.lock
      ../workers
    ];
  };

  nativeBuildInputs = [
    autoPatchelfHook
    installShellFiles
    makeWrapper
  ];
  # Compiled wheels are linked for other distributions: these are the libraries that they look for.
  buildInputs = [
    python
    stdenv.cc.cc.lib
    zlib
  ];

  dontConfigure = true;

  buildPhase = ''
    runHook preBuild
    cp -r --no-preserve=mode,ownership ${wheels} wheels
    ${python.interpreter} -m venv $out/lib/hive
    pip() {
      $out/lib/hive/bin/python -m pip --disable-pip-version-check install \
        --no-index --no-cache-dir "$@"
    }
    pip --find-links wheels --require-hashes -r requirements.lock
    pip --no-deps --no-build-isolation .
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    makeWrapper $out/lib/hive/bin/hive $out/bin/hive \
      --prefix PATH : ${programs} \
      --set-default HYPERHIVE_GIT ${lib.getExe git}
    runHook postInstall
  '';

  # The hook would come after this phase, and the program is asked in it for its completions.
  dontAutoPatchelf = true;
  postFixup = ''
    autoPatchelf -- $out
    for shell in bash zsh fish; do
      _HIVE_COMPLETE=source_$shell $out/bin/hive > hive.$shell
      test -s hive.$shell
    done
    installShellCompletion --cmd hive --bash hive.bash --zsh hive.zsh --fish hive.fish
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    runHook preInstallCheck
    HIVE_BACKEND=sim HIVE_STATE_DIR=$TMPDIR/state $out/bin/hive db upgrade
    runHook postInstallCheck
  '';

  passthru = { inherit wheels; };

  meta = {
    description = "A fleet of AI agents in NixOS containers, changed by durable, idempotent jobs";
    license = lib.licenses.mit;
    mainProgram = "hive";
    platforms = [
      "x86_64-linux"
      "aarch64-linux"
    ];
  };
}
