# SPDX-License-Identifier: Apache-2.0
"""Debian on x86_64 without KVM's clock, on one pCPU whose TSC counts instructions."""
import re

import pytest

from caisson import SHELL, Machine, config, debian

ARCHS = ["x86_64"]
CMDLINE = "console=ttyS0 quiet no-kvmclock reboot=triple initcall_blacklist=jent_mod_init"


@pytest.fixture(scope="module")
def machine(arch, folder):
    vms = [debian("web", "256M", CMDLINE, cpus=4, on_crash="restart")]
    with Machine(arch, config(*vms), folder, limit=500, smp=1, counted=True) as started:
        started.expect("web: started", 60)
        started.expect(re.escape(SHELL), 240)
        started.at_shell(1)
        yield started


def test_four_vcpus_are_started_by_init_and_sipi(machine):
    assert machine.shell("nproc").strip() == "4"
    assert "smp: Brought up 1 node, 4 CPUs" in machine.shell("dmesg")


def test_a_guest_measures_the_frequency_of_its_tsc_rightly_against_the_pit(machine):
    told = int(re.search(r"TSC at (\d+) kHz", machine.text).group(1))
    log = machine.shell("dmesg")
    assert "tsc: Fast TSC calibration using PIT" in log
    measured = float(re.search(r"tsc: Detected ([0-9.]+) MHz", log).group(1)) * 1000
    assert abs(measured - told) < told / 1000


def test_a_triple_fault_is_reported_and_the_vm_restarts(machine):
    machine.line("reboot -f")
    machine.expect("web: .*triple fault", 60)
    machine.expect("web: crashed, restarting", 60)
    machine.expect(re.escape(SHELL), 240)
    machine.at_shell(1)
    assert machine.shell("nproc").strip() == "4"
