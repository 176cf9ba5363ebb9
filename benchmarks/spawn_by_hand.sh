#!/usr/bin/env bash
# What an operator would type to make the agent $NAME: the git and nix commands that `hive spawn`
# runs for their effect, without its looks, locks, rows and logs. Needs NAME, PORT, ROOT, BASE.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/by_hand.sh"

seed=$ROOT/seed
mkdir -p "$seed" "$ROOT/blocks" "$ROOT/gcroots/$NAME" "$ROOT/home/$NAME"/{claude,state,run}
mkdir -p "$ROOT/proposed" "$ROOT/applied"
printf '{ ... }: { }\n' >"$seed/agent.nix"
cat >"$seed/flake.nix" <<'NIX'
{ inputs = { }; outputs = { self, ... }: { nixosModules.default = { imports = [ ./agent.nix ]; }; }; }
NIX

proposed=$ROOT/proposed/$NAME applied=$ROOT/applied/$NAME meta=$ROOT/meta
git init --quiet --template= --initial-branch=main "$proposed"
commit "$proposed" refs/heads/main "seed $NAME" "" "$seed/agent.nix" "$seed/flake.nix"
git -C "$proposed" read-tree --reset -u refs/heads/main
git init --quiet --template= --initial-branch=main "$applied"
git -C "$applied" fetch --quiet --no-tags --update-head-ok --no-write-fetch-head -- \
  "$proposed" refs/heads/main:refs/heads/main
rev=$(git -C "$applied" rev-parse refs/heads/main)
echo "create refs/tags/deployed/0 $rev" | git -C "$applied" update-ref --stdin
git -C "$applied" read-tree --reset -u refs/heads/main

if [ ! -d "$meta" ]; then
  nix flake metadata --json "$BASE" | python3 -c 'import json, sys; print(json.load(sys.stdin)["url"])' >"$ROOT/base"
  git init --quiet --template= --initial-branch=main "$meta"
  printf '{ outputs = _: { }; }\n' >"$ROOT/flake.nix"
  commit "$meta" refs/heads/main init "" "$ROOT/flake.nix"
fi
echo "    \"agent-$NAME\".url = \"git+file://$applied?rev=$rev\";" >"$ROOT/blocks/$NAME.input"
cat >"$ROOT/blocks/$NAME.agent" <<NIX
      "$NAME" = inputs."base-0".nixosConfigurations.agent-base.extendModules {
        modules = [
          inputs."agent-$NAME".nixosModules.default
          {
            systemd.services.hive-agent.environment.HIVE_DASHBOARD_PORT = "7000";
            systemd.services.hive-agent.environment.HIVE_LABEL = "$NAME";
            systemd.services.hive-agent.environment.HIVE_PORT = "$PORT";
          }
        ];
      };
NIX
new=$ROOT/new; rm -rf "$new"; mkdir "$new"
flake >"$new/flake.nix"
[ ! -e "$meta/flake.lock" ] || cp "$meta/flake.lock" "$new/"
nix flake lock "path:$new"
main=$(git -C "$meta" rev-parse refs/heads/main)
commit "$meta" "refs/heads/candidate/$NAME" "candidate $NAME" "$main" "$new/flake.nix" "$new/flake.lock"
candidate=$(git -C "$meta" rev-parse "refs/heads/candidate/$NAME")
system=$(cd "$new" && nix build --out-link "$ROOT/gcroots/$NAME/closure" --json --no-update-lock-file \
  --print-build-logs "git+file://$meta?rev=$candidate#nixosConfigurations.\"$NAME\".config.system.build.toplevel" \
  | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["outputs"]["out"])')

container=h-$NAME conf=$HIVE_CONTAINER_CONF_DIR/h-$NAME.conf
nixos-container create "$container" --system-path "$system"
grep -vE '^(PRIVATE_NETWORK|HOST_ADDRESS|LOCAL_ADDRESS|HOST_BRIDGE|PRIVATE_USERS|EXTRA_NSPAWN_FLAGS)=' "$conf" >"$conf.new"
cat >>"$conf.new" <<CONF
PRIVATE_NETWORK=0
PRIVATE_USERS=pick
EXTRA_NSPAWN_FLAGS="--bind=$ROOT/home/$NAME/run:/run/hive:idmap --bind=$ROOT/home/$NAME/claude:/root/.claude:idmap --bind=$ROOT/home/$NAME/state:/state:idmap"
CONF
mv "$conf.new" "$conf"
mkdir -p "$HIVE_SYSTEMD_DIR/container@$container.service.d"
printf '[Service]\nMemoryMax=2G\nCPUQuota=50%%\n' >"$HIVE_SYSTEMD_DIR/container@$container.service.d/limits.conf"
systemctl daemon-reload
systemctl start "container@$container.service"
until curl -sf -o /dev/null "http://$ADDRESS:$PORT/"; do sleep 0.05; done

commit "$meta" "refs/heads/candidate/$NAME" "deploy $NAME deployed/1 ${rev:0:12}" "$main" "$new/flake.nix" "$new/flake.lock"
made=$(git -C "$meta" rev-parse "refs/heads/candidate/$NAME")
printf 'update refs/heads/main %s %s\ndelete refs/heads/candidate/%s %s\n' "$made" "$main" "$NAME" "$made" \
  | git -C "$meta" update-ref --stdin
git -C "$meta" read-tree --reset -u refs/heads/main
echo "create refs/tags/deployed/1 $rev" | git -C "$applied" update-ref --stdin
git -C "$applied" read-tree --reset -u refs/heads/main
