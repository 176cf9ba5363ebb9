# An agent from nothing to a container in a user namespace of its own, and what a stop and a purge
# leave. Not run yet.
{
  name = "hive-spawn";
  testScript = ''
    host.wait_for_unit("hyperhive.target")
    host.succeed("hive doctor")
    host.succeed("hive spawn alice")
    host.succeed("systemctl is-active container@h-alice")

    # The root of the container is nobody here.
    main = host.succeed("systemctl show --value -p MainPID container@h-alice").strip()
    leader = host.succeed(f"cat /proc/{main}/task/{main}/children").split()[0]
    outside = host.succeed(f"cat /proc/{leader}/uid_map").split()[1]
    assert outside != "0", "the container has no user namespace"

    # Its environment says who it is, and where its notes are.
    inside = "systemd-run --machine h-alice --pipe --wait"
    environment = host.succeed(f"{inside} systemctl show -p Environment hive-agent")
    for said in ("HIVE_LABEL=alice", "HIVE_PORT=8879", "HYPERHIVE_STATE_DIR=/state"):
        assert said in environment, environment

    # Who is in hive-admin may ask, who is not may not.
    ask = "curl --silent --fail --unix-socket /run/hyperhive/host.sock http://hive/v1/status"
    host.succeed(f"su alice -c '{ask}'")
    host.fail(f"su nobody -s /bin/sh -c '{ask}'")

    host.succeed("hive spawn alice")  # all of it holds already
    host.succeed("hive stop alice")
    host.fail("systemctl is-active container@h-alice")
    host.succeed("hive purge alice --yes")
    host.fail("test -e /etc/nixos-containers/h-alice.conf")
    host.fail("test -e /var/lib/hyperhive/agents/alice")
  '';
}
