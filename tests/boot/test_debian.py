# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel in two VMs on two pCPUs: one boot, which the tests use one after the other. What
is marked `only` has its like for riscv64 in test_riscv64.py."""
import hashlib
import re
import time

import pytest

from caisson import ESCAPE, QUIET, SHELL, Machine, config, debian

ARCHS = ["aarch64", "riscv64", "x86_64"]
SECOND_CPU = {"aarch64": "CPU1: Booted secondary processor",
              "x86_64": "smp: Brought up 1 node, 2 CPUs"}
HOLES = {"aarch64": 0, "x86_64": 392}  # KiB below 1 MiB that a PC's firmware has, and page 0.
TIMER = {"aarch64": r"^ *\d+: .*arch_timer.*", "x86_64": r"^ *LOC: .*"}
COUNT = 500000  # Numbers to write down, ten times: 32.3 MiB of text.


@pytest.fixture(scope="module")
def machine(arch, folder):
    line = QUIET[arch]
    vms = [debian("web", cmdline=line, cpus=2), debian("small", "160M", line)]
    with Machine(arch, config(*vms), folder, limit=900, smp=2) as started:
        started.expect("web: started", 60)
        started.expect(re.escape(SHELL), 180)
        yield started


@pytest.fixture
def web(machine):
    """The first guest's shell has the console."""
    machine.at_shell(1)
    return machine


@pytest.mark.only("aarch64", "x86_64")
def test_a_debian_guest_sees_its_two_cpus(web, arch):
    assert web.shell("nproc").strip() == "2"
    assert web.shell("grep -c ^processor /proc/cpuinfo").strip() == "2"
    assert SECOND_CPU[arch] in web.shell("dmesg")


@pytest.mark.only("aarch64", "x86_64")
def test_a_debian_guest_sees_its_memory(web, arch):
    match = re.search(r"Memory: \d+K/(\d+)K available", web.shell("dmesg"))
    assert int(match.group(1)) == 256 * 1024 - HOLES[arch]
    total = int(re.search(r"MemTotal: +(\d+) kB", web.shell("cat /proc/meminfo")).group(1))
    assert 180 * 1024 < total < 256 * 1024


def test_a_debian_guest_knows_the_time(web):
    """No firmware told it: it is read from the machine's clock."""
    assert abs(int(web.shell("date +%s").strip()) - time.time()) < 60


@pytest.mark.only("x86_64")
def test_a_debian_guest_has_an_x2apic_and_is_told_the_frequency_of_its_tsc(web):
    log = web.shell("dmesg")
    assert "x2apic enabled" in log
    assert "TSC deadline timer available" in log
    measured = int(re.search(r"TSC at (\d+) kHz", web.text).group(1))
    told = float(re.search(r"tsc: Detected ([0-9.]+) MHz", log).group(1))
    assert abs(told * 1000 - measured) < 2
    assert "rtc_cmos" in log


@pytest.mark.only("aarch64")
def test_a_debian_guest_is_started_by_psci_and_has_a_gicv3(web):
    log = web.shell("dmesg")
    assert re.search(r"psci: PSCIv1\.[1-9]", log)
    assert "SMC Calling Convention v1." in log
    assert "GICv3: CPU1: found redistributor 1" in log
    assert "rtc-pl031" in log


def test_a_debian_guest_has_nothing_to_complain_about(web):
    log = re.sub(r".*Overflow: WARNING: See.*hw-vuln.*", "", web.shell("dmesg"))  # The model's own.
    bad = r".*(?:WARNING:|BUG:|Call trace|stall|Unable to handle|soft lockup).*"
    assert not re.findall(bad, log)


def timer_counts(machine, arch):
    interrupts = machine.shell("cat /proc/interrupts")
    line = re.search(TIMER[arch], interrupts, re.M).group(0)
    return [int(count) for count in line.split()[1:3]]


@pytest.mark.only("aarch64", "x86_64")
def test_each_vcpu_gets_its_timer_interrupts(web, arch):
    before = timer_counts(web, arch)
    web.shell("for i in 0 1; do taskset $((1 << i)) sh -c 'i=0; while [ $i -lt 50000 ]; "
              "do i=$((i+1)); done' & done; wait; sleep 1")
    after = timer_counts(web, arch)
    assert all(b > a for a, b in zip(before, after)), (before, after)


@pytest.mark.only("aarch64")
def test_a_debian_guest_computes_what_the_host_computes(web):
    numbers = "".join(f"{i}\n" for i in range(1, COUNT + 1)).encode()
    digest = hashlib.sha256()
    for turn in range(10):
        digest.update(numbers + f"turn {turn}\n".encode())
    web.shell("cat >/tmp/sum <<'.'\r"
              f"seq 1 {COUNT} >/tmp/n$1; for i in 0 1 2 3 4 5 6 7 8 9; do cat /tmp/n$1; "
              "echo turn $i; done | sha256sum\r.\r true")
    output = web.shell("sh /tmp/sum 1 & sh /tmp/sum 2; wait", 240)
    assert re.findall(r"^([0-9a-f]{64}) ", output, re.M) == [digest.hexdigest()] * 2, output


def test_a_long_paste_reaches_a_debian_guest_whole(web):
    lines = [f"{i:03} " + "abcdefghijklmnopqrstuvwxyz0123456789 ABCDEF"[i % 7:] for i in range(60)]
    text = "".join(line + "\n" for line in lines)
    assert len(text) > 2000
    web.line("stty -echo; cat >/tmp/paste; stty echo; sha256sum /tmp/paste; wc -c /tmp/paste")
    web.quiet(1)
    web.send(text.replace("\n", "\r"))
    web.send("\x04")
    digest = web.expect(r"([0-9a-f]{64}) +/tmp/paste").group(1)
    size = web.expect(r"(\d+) /tmp/paste").group(1)
    web.expect(re.escape(SHELL))
    assert int(size) == len(text)
    assert digest == hashlib.sha256(text.encode()).hexdigest()


def test_what_is_typed_comes_back(web):
    web.line("echo back-and-forth | tr a-z A-Z")
    web.expect("BACK-AND-FORTH")


def test_a_key_switches_to_the_next_guest(machine):
    machine.prompt()
    machine.focus("n")
    machine.expect("--- web ")
    machine.focus("n")
    machine.expect("--- small ")
    machine.at_shell(2)
    assert machine.shell("nproc").strip() == "1"


def test_the_prompt_lists_stops_and_starts_a_vm(machine):
    machine.prompt()
    listed = machine.command("list", r"small +running +1 +160 MiB +1\b")
    assert re.search(r"web +running +2 +256 MiB +1\b", machine.text) and listed
    machine.command("stop small", "small: stopped")
    machine.command("list", r"small +stopped")
    machine.command("start small", "small: started")
    machine.command("list", r"small +running +1 +160 MiB +2\b")
    machine.at_shell(2)


def test_a_reboot_in_a_guest_restarts_it_alone(machine):
    machine.at_shell(1)
    machine.shell("echo before >/tmp/before")
    machine.at_shell(2)
    machine.shell("echo gone >/tmp/gone")
    machine.line("reboot -f")
    machine.expect("small: reset, restarting")
    machine.expect(re.escape(SHELL), 120)
    assert machine.shell("ls /tmp").strip() == ""
    machine.at_shell(1)
    assert machine.shell("cat /tmp/before").strip() == "before"


def test_a_poweroff_in_a_guest_stops_it_and_the_other_goes_on(machine):
    machine.at_shell(2)
    machine.line("poweroff -f")
    machine.expect("small: powered off")
    machine.prompt()
    machine.command("list", r"small +stopped")
    machine.at_shell(1)
    assert machine.shell("cat /tmp/before").strip() == "before"


def test_help_names_the_commands(machine):
    machine.prompt()
    machine.line("help")
    for command in ("help", "list", "start", "stop"):
        machine.expect(rf"^  {command}\b")
    machine.send(ESCAPE + "?")
    machine.expect("Ctrl-T then 1-9")
    machine.prompt()
    machine.command("lisst", "did you mean 'list'")
