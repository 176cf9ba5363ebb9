# What a service can bear that is root and runs nixos-container. docs/nixos.md says what is not
# here, and why.
{
  # All of the file system is read, and these are written to.
  ProtectSystem = "strict";
  ReadWritePaths = [
    "/etc/nixos-containers"
    "/var/lib/nixos-containers"
    "/nix/var"
    "/run"
  ];
  ProtectHome = "read-only"; # a base flake may lie there
  PrivateTmp = true;
  PrivateDevices = true;
  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  LockPersonality = true;
  NoNewPrivileges = true;
  RestrictNamespaces = true;
  RestrictRealtime = true;
  RestrictSUIDSGID = true;
  RestrictAddressFamilies = [
    "AF_UNIX"
    "AF_INET"
    "AF_INET6"
    "AF_NETLINK"
  ];
  SystemCallArchitectures = "native";
  SystemCallFilter = [ "@system-service" ];
  SystemCallErrorNumber = "EPERM";
  KeyringMode = "private";

  # Files of every owner, also those of containers' users, and their removal; the end of what an
  # attempt has left; `/proc/<pid>/root` of a container, to see what it runs; `chattr`, with which
  # nixos-container makes a container's /var/empty removable.
  CapabilityBoundingSet = [
    "CAP_CHOWN"
    "CAP_DAC_OVERRIDE"
    "CAP_DAC_READ_SEARCH"
    "CAP_FOWNER"
    "CAP_FSETID"
    "CAP_KILL"
    "CAP_LINUX_IMMUTABLE"
    "CAP_SYS_PTRACE"
  ];
}
