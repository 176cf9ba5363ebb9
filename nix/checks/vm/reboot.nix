# Containers do not start by themselves: after a reboot the sweep brings back what should run, with
# its limits, and leaves stopped what was stopped. Not run yet.
{
  name = "hive-reboot";
  testScript = ''
    host.wait_for_unit("hyperhive.target")
    host.succeed("hive spawn alice", "hive spawn bob", "hive stop bob")

    host.shutdown()
    host.start()
    host.wait_for_unit("hyperhive.target")
    host.wait_until_succeeds("systemctl is-active container@h-alice", timeout=300)
    host.fail("systemctl is-active container@h-bob")
    limit = host.succeed("systemctl show --value -p MemoryMax container@h-alice").strip()
    assert limit == str(2 * 1024**3), limit

    # A killed worker's job goes on in the next one.
    job = host.succeed("hive rebuild alice --detach").strip()
    host.succeed("systemctl kill --signal KILL hyperhive-worker@1")
    host.succeed(f"hive wait {job}")
    host.succeed("systemctl is-active container@h-alice")
  '';
}
