from __future__ import annotations

import json
from pathlib import Path

from tests.contract.programs.hosts import Host

PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,Result,MainPID,NRestarts,ActiveEnterTimestamp,"
    "MemoryCurrent,CPUUsageNSec"
)
JOB_FAILED = (
    "Job for container@h-alice.service failed because the control process exited with error code."
)


def limit(host: Host, *lines: str) -> None:
    drop_in = Path(host.places.drop_ins("h-alice")) / "limits.conf"
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text("\n".join(["[Service]", *lines, ""]))


def test_unknown_units_are_inactive_and_dead_in_systemds_order(host: Host) -> None:
    asked = ["container@h-a.service", "container@h-b.service"]

    shown = host.run("systemctl", "show", "-p", PROPERTIES, *asked).out

    golden = Path(__file__).parents[2] / "golden" / "systemctl-show-unknown.txt"
    assert shown == golden.read_text()


def test_a_unit_of_no_template_is_not_found(host: Host) -> None:
    shown = host.run("systemctl", "show", "-p", "LoadState,ActiveState", "nonsense.service").out

    assert shown == "LoadState=not-found\nActiveState=inactive\n"


def test_systemd_says_its_version(host: Host) -> None:
    assert host.run("systemctl", "show", "-p", "Version").out.startswith("Version=252")
    assert host.run("systemctl", "--version").out.startswith("systemd 252")


def test_a_missing_bind_source_keeps_a_container_from_starting(host: Host) -> None:
    host.created()
    missing = host.root / "gone"
    with host.conf().open("a") as conf:
        conf.write(f'EXTRA_NSPAWN_FLAGS="--bind={missing}:/state:idmap"\n')

    ran = host.fails("systemctl", "start", "container@h-alice")

    assert (ran.exit_code, ran.tail.splitlines()[0]) == (1, JOB_FAILED)
    assert host.show("h-alice")["Result"] == "exit-code"
    said = host.run("journalctl", "-u", "container@h-alice", "-o", "cat").out
    assert f"Failed to stat {missing}: No such file or directory" in said
    missing.mkdir()
    host.run("systemctl", "start", "container@h-alice")


def test_a_system_that_fails_to_start_is_a_failed_unit(host: Host) -> None:
    host.created(HIVE_SIM_START="fails")

    ran = host.fails("nixos-container", "start", "h-alice")

    assert JOB_FAILED in ran.tail
    assert "failed to start container" in ran.tail
    assert host.state("h-alice") == "failed"


def test_five_failures_need_a_reset(host: Host) -> None:
    host.created(HIVE_SIM_START="fails")
    for _ in range(5):
        host.fails("systemctl", "start", "container@h-alice")
    host.set_profile(host.system("good"))

    refused = host.fails("systemctl", "start", "container@h-alice")
    assert "Job for container@h-alice.service failed.\n" in f"{refused.tail}\n"
    assert host.show("h-alice")["Result"] == "start-limit-hit"

    host.run("systemctl", "reset-failed", "container@h-alice")
    assert host.state("h-alice") == "inactive"
    host.run("systemctl", "start", "container@h-alice")


def test_is_active_exits_three_for_what_is_not(host: Host) -> None:
    host.created()

    ran = host.fails("systemctl", "is-active", "container@h-alice")

    assert (ran.exit_code, ran.out) == (3, "inactive\n")


def test_limits_are_printed_as_systemd_prints_them(host: Host) -> None:
    limit(host, "MemoryMax=2G", "CPUQuota=50%", "TasksMax=512")

    shown = host.show("h-alice")

    assert shown["MemoryMax"] == "2147483648"
    assert shown["CPUQuotaPerSecUSec"] == "500ms"
    assert shown["TasksMax"] == "512"
    assert host.show("h-bob")["MemoryMax"] == "infinity"


def test_a_running_unit_keeps_its_limits_until_a_daemon_reload(host: Host) -> None:
    host.created()
    limit(host, "MemoryMax=1G")
    host.run("systemctl", "start", "container@h-alice")

    limit(host, "MemoryMax=2G", "CPUQuota=150%")
    before = host.show("h-alice")
    assert (before["NeedDaemonReload"], before["MemoryMax"]) == ("yes", "1073741824")

    host.run("systemctl", "daemon-reload")
    after = host.show("h-alice")
    assert (after["NeedDaemonReload"], after["MemoryMax"]) == ("no", "2147483648")
    assert after["CPUQuotaPerSecUSec"] == "1.5s"


def test_the_journal_is_a_json_object_a_line(host: Host) -> None:
    host.created()
    host.run("systemctl", "start", "container@h-alice")

    lines = host.run("journalctl", "-u", "container@h-alice", "-o", "json", "--no-pager").out
    entries = [json.loads(line) for line in lines.splitlines()]

    assert "Started container@h-alice.service." in [entry["MESSAGE"] for entry in entries]
    assert {entry["_SYSTEMD_UNIT"] for entry in entries} == {"container@h-alice.service"}
    assert all(entry["__REALTIME_TIMESTAMP"].isdigit() for entry in entries)
    last = host.run("journalctl", "-u", "container@h-alice", "-n", "1", "-o", "cat").out
    assert len(last.splitlines()) == 1


def test_machinectl_knows_only_what_runs(host: Host) -> None:
    ran = host.fails("machinectl", "show", "h-alice", "-p", "Leader", "--value")

    assert ran.exit_code == 1
    assert ran.tail == "Could not get path to machine: No machine 'h-alice' known"
