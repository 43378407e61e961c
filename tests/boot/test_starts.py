# SPDX-License-Identifier: Apache-2.0
"""The ways to start: by UEFI with ACPI or a tree, directly; on either interrupt controller. Those
that one architecture alone has: test_riscv64_starts.py, test_x86_64.py."""
import re
import shutil

import pytest

from caisson import QUIET, SHELL, Console, Machine, build, config, debian, direct, qemu, vm


CONTROLLER = {"aarch64": "GICv3", "x86_64": "APIC"}


@pytest.fixture(scope="module")
def dts(arch):
    return config(debian("web", "192M", QUIET[arch], cpus=2), vm("small", "echo.img"))


def boots_to_its_shell(machine):
    machine.expect("web: started", 90)
    machine.expect(re.escape(SHELL), 150)
    assert machine.shell("nproc").strip() == "2"
    machine.focus(2)
    machine.expect("echo: ready")
    machine.line("hello")
    machine.expect(r"echo\[5\]: hello")
    return machine.text


@pytest.mark.only("aarch64")
def test_caisson_boots_from_a_disk_by_uefi_without_acpi(arch, folder, dts):
    with Machine(arch, dts, folder, uefi=True, acpi=False, limit=300) as machine:
        text = boots_to_its_shell(machine)
        assert "platform: from device tree: 2 processors, GICv3" in text


@pytest.mark.only("aarch64", "x86_64")
def test_caisson_boots_from_a_disk_by_uefi(arch, folder, dts):
    with Machine(arch, dts, folder, uefi=True, limit=300) as machine:
        text = boots_to_its_shell(machine)
        assert f"platform: from ACPI: 2 processors, {CONTROLLER[arch]}" in text
        machine.focus(1)
        machine.at_shell(1)
        assert int(machine.shell("date +%Y").strip()) >= 2024, "the guest's clock is not set"


@pytest.mark.only("aarch64")
@pytest.mark.parametrize("uefi", [True, False], ids=["by UEFI", "directly"])
def test_caisson_runs_its_guests_on_a_host_with_a_gicv2(arch, folder, dts, uefi):
    with Machine(arch, dts, folder, uefi=uefi, gic=2, limit=300) as machine:
        machine.expect("platform: from .*: 2 processors, GICv2", 60)
        machine.expect(re.escape(SHELL), 150)
        assert machine.shell("nproc").strip() == "2"
        assert re.search(r"GIC-0 +27 Level +arch_timer", machine.shell("cat /proc/interrupts"))


def test_caisson_uses_four_pcpus(arch, folder):
    vms = [vm(f"vm{i}", "timer.img", cmdline="rounds=100", affinity=str(i)) for i in range(4)]
    with Machine(arch, config(*vms), folder, smp=4) as machine:
        left = {f"vm{i}" for i in range(4)}
        while left:
            left.discard(machine.expect(r"(vm\d): powered off", 60).group(1))
        for number in (2, 3, 4):  # The first has been shown already.
            machine.focus(number)
            machine.expect(r"guest done: \d+ passed, 0 failed")
        assert len(re.findall(r"guest done: \d+ passed, 0 failed", machine.text)) == 4, machine.text
        machine.prompt()
        machine.line("list")
        for i in range(4):
            machine.expect(rf"vm{i} +stopped +1 +64 MiB +1 +{i}\r")


@pytest.mark.parametrize("ram", ["256M", "3G"])
def test_caisson_starts_with_little_and_with_much_memory(arch, folder, ram):
    one = config(vm("one", "memory.img", "96M", "mib=96"))
    with Machine(arch, one, folder, ram=ram) as machine:
        machine.expect("guest done: 6 passed, 0 failed")
        machine.expect("one: powered off")


@pytest.mark.only("aarch64")
def test_started_at_el1_caisson_says_so_and_stops(arch, folder):
    with Machine(arch, config(vm("one", "echo.img")), folder, virtualization=False,
                 limit=60) as machine:
        machine.expect("EL1", 30)
        said = machine.quiet(3)
        lines = [line for line in (machine.text + said).split("\n") if line.strip()]
        assert len(lines) <= 2 and "EL2" in machine.text, machine.text


@pytest.mark.only("aarch64")
def test_started_by_uefi_at_el1_caisson_says_so(arch, folder):
    with Machine(arch, config(vm("one", "echo.img")), folder, uefi=True, virtualization=False,
                 limit=90) as machine:
        machine.expect("EL2", 60)


def test_without_a_configuration_caisson_says_so_and_gives_its_prompt(arch):
    with Console(qemu(arch, direct(arch, None))) as machine:
        machine.expect("no guest configuration")
        machine.line("")
        machine.expect("caisson> ")


def test_an_initrd_that_is_no_configuration_is_named(arch, folder):
    junk = folder / "junk"
    shutil.copyfile(build(arch) / "guests/echo.img", junk)
    with Console(qemu(arch, direct(arch, junk))) as machine:
        machine.expect("not a configuration")
        machine.line("")
        machine.expect("caisson> ")


def test_a_long_paste_reaches_a_kilobyte_guest_whole(arch, folder):
    with Machine(arch, config(vm("one", "echo.img")), folder) as machine:
        machine.expect("echo: ready")
        text = "".join(chr(ord("!") + i % 90) for i in range(2000))
        machine.send(text + "\r")
        match = machine.expect(r"echo\[(\d+)\]: (.*?)\r")
        assert (int(match.group(1)), match.group(2)) == (2000, text)
        machine.line("quit")
        machine.expect("guest done: 1 passed, 0 failed")
        machine.expect("one: powered off")


def test_a_long_paste_beside_vms_that_spin_is_not_lost(arch, folder):
    vms = [vm("one", "echo.img"), vm("spin", "spin.img", cpus=2)]
    with Machine(arch, config(*vms), folder) as machine:
        machine.expect("(?s)echo: ready.*spin: started|spin: started.*echo: ready")
        lines = [chr(ord("a") + i) * (1001 + i) for i in range(8)]
        machine.send("".join(line + "\r" for line in lines))
        for line in lines:
            match = machine.expect(r"echo\[(\d+)\]: (.*?)\r", 30)
            assert match.group(2) == line, f"{len(line)} characters became {match.group(1)}"


def test_the_prompt_can_power_the_machine_off(arch, folder):
    with Machine(arch, config(vm("one", "echo.img")), folder) as machine:
        machine.expect("echo: ready")
        machine.prompt()
        machine.line("poweroff")
        machine.ends()
