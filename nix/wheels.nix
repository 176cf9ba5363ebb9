# The wheels that requirements.lock names, for one Python, in one folder. pip checks the hash of
# each against the lock; the hash of the whole folder is in wheels.json, by scripts/wheels.
{
  lib,
  stdenv,
  python,
  cacert,
}:
let
  known = builtins.fromJSON (builtins.readFile ./wheels.json);
  lock = ../requirements.lock;
  machine = stdenv.hostPlatform.parsed.cpu.name;
  words = lib.concatMapStringsSep " " lib.escapeShellArg (
    known.choice ++ lib.concatMap (tag: [ "--platform" "${tag}_${machine}" ]) known.platforms
  );
in
assert lib.assertMsg (
  builtins.hashFile "sha256" lock == known.lock
) "nix/wheels.json is of another requirements.lock: run scripts/wheels";
stdenv.mkDerivation {
  name = "hive-wheels";
  nativeBuildInputs = [
    python
    python.pkgs.pip
  ];
  SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
  impureEnvVars = lib.fetchers.proxyImpureEnvVars;
  dontUnpack = true;
  buildPhase = ''
    python -m pip download --no-cache-dir --no-deps --require-hashes ${words} \
      --platform any --requirement ${lock} --dest $out
  '';
  dontInstall = true;
  dontFixup = true;
  outputHashMode = "recursive";
  outputHashAlgo = "sha256";
  outputHash = known.hashes.${machine};
}
