# The host switches to another configuration of hive while agents run: its units are begun anew, the
# schema first, and no container notices. Not run yet.
{
  name = "hive-upgrade";
  nodes.host.specialisation.more.configuration.services.hyperhive = {
    workers.count = 2;
    settings.builds = "4";
  };
  testScript = ''
    host.wait_for_unit("hyperhive.target")
    host.succeed("hive spawn alice")
    before = host.succeed("systemctl show --value -p MainPID container@h-alice")
    worker = host.succeed("systemctl show --value -p MainPID hyperhive-worker@1")

    host.succeed("/run/current-system/specialisation/more/bin/switch-to-configuration test")
    host.wait_for_unit("hyperhive-worker@2.service")
    assert host.succeed("systemctl show --value -p MainPID container@h-alice") == before
    assert host.succeed("systemctl show --value -p MainPID hyperhive-worker@1") != worker
    host.succeed("test -d /run/hyperhive/agents/alice")
    host.succeed("hive restart alice")
    host.succeed("grep -q 'builds = \"4\"' /etc/hyperhive/hive.toml")
  '';
}
