# What the manager has besides: the folders of the others, where the binds put them.
{
  config = {
    systemd.services.hive-agent.unitConfig.AssertPathIsDirectory = [
      "/agents"
      "/applied"
      "/meta"
    ];
  };
}
