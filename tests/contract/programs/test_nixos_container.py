from __future__ import annotations

from pathlib import Path

from tests.contract.programs.hosts import Host


def test_a_created_container_has_a_conf_a_profile_and_a_root(host: Host) -> None:
    system = host.created()

    conf = dict(line.split("=", 1) for line in host.conf().read_text().splitlines())
    assert conf == {
        "PRIVATE_NETWORK": "1",
        "HOST_ADDRESS": "10.233.1.1",
        "LOCAL_ADDRESS": "10.233.1.2",
        "HOST_BRIDGE": "",
        "HOST_PORT": "",
        "AUTO_START": "0",
    }
    assert Path(host.places.profile("h-alice")).resolve() == system
    assert Path(host.places.container_root("h-alice")).is_dir()
    assert host.run("nixos-container", "list").out == "h-alice\n"


def test_a_second_container_gets_another_address(host: Host) -> None:
    host.created("h-alice")
    host.created("h-bob")

    assert "HOST_ADDRESS=10.233.2.1\n" in host.conf("h-bob").read_text()


def test_creating_it_twice_is_refused_by_its_conf(host: Host) -> None:
    system = host.created()

    ran = host.fails("nixos-container", "create", "h-alice", "--system-path", system)

    assert ran.exit_code == 25
    assert "container ‘h-alice’ already exists" in ran.tail


def test_a_failed_create_leaves_a_conf_that_poisons_the_next(host: Host) -> None:
    flake = f"path:{host.root}/no-such-flake#alice"
    assert (
        "failed to build" in host.fails("nixos-container", "create", "h-a", "--flake", flake).tail
    )

    again = host.fails("nixos-container", "create", "h-a", "--flake", flake)

    assert again.exit_code == 25
    assert f"FLAKE=path:{host.root}/no-such-flake\n" in host.conf("h-a").read_text()
    assert host.run("nixos-container", "list").out == "h-a\n"


def test_a_name_of_twelve_characters_is_too_long(host: Host) -> None:
    system = host.system()

    ran = host.fails("nixos-container", "create", "h-0123456789", "--system-path", system)

    assert "is too long" in ran.tail
    assert not host.conf("h-0123456789").exists()


def test_status_says_gone_down_and_up(host: Host) -> None:
    gone = host.fails("nixos-container", "status", "h-alice")
    assert (gone.exit_code, gone.out) == (2, "gone\n")

    host.created()
    assert host.run("nixos-container", "status", "h-alice").out == "down\n"

    host.run("nixos-container", "start", "h-alice")
    assert host.run("nixos-container", "status", "h-alice").out == "up\n"


def test_destroying_what_is_missing_succeeds_in_silence(host: Host) -> None:
    ran = host.run("nixos-container", "destroy", "h-alice")

    assert (ran.out, ran.tail) == ("", "")


def test_destroy_stops_and_removes_it_and_leaves_its_drop_ins(host: Host) -> None:
    host.created()
    drop_in = Path(host.places.drop_ins("h-alice")) / "limits.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nMemoryMax=1G\n")
    host.run("nixos-container", "start", "h-alice")

    host.run("nixos-container", "destroy", "h-alice")

    assert host.state("h-alice") == "inactive"
    assert host.is_silent()
    assert not host.conf().exists()
    assert not Path(host.places.container_root("h-alice")).exists()
    assert not Path(host.places.profile("h-alice")).is_symlink()
    assert drop_in.exists()
    assert host.run("journalctl", "-u", "container@h-alice", "-o", "cat").out


def test_starting_what_does_not_exist_says_so(host: Host) -> None:
    assert "does not exist" in host.fails("nixos-container", "start", "ghost").tail


def test_update_moves_the_profile_and_passes_over_what_is_not_running(host: Host) -> None:
    host.created()
    new = host.system("new")

    ran = host.run("nixos-container", "update", "h-alice", "--system-path", new)

    assert "reloading" not in ran.tail
    assert Path(host.places.profile("h-alice")).resolve() == new


def test_a_stand_in_without_a_root_says_what_it_needs(host: Host) -> None:
    from hive.adapters.shell import LocalShell
    from hive.sim import install

    start = install.folder() / "start.py"
    ran = LocalShell({"PATH": host.environment["PATH"]}).run(
        "python3", "-I", "-S", start, "nix", "--version", accept=(1,)
    )

    assert "HIVE_SIM_ROOT is not set" in ran.tail
