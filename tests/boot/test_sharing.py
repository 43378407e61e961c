# SPDX-License-Identifier: Apache-2.0
"""How guests that never rest share processors, as `stat` counts it."""
import time

import pytest

from caisson import Machine, config, debian, vm
from test_guests import judge
from test_life import free_pages

ARCHS = ["aarch64", "riscv64", "x86_64"]

# What the budget leaves is shared by weights.
SHARED = {
    "capped": (0.2, {"priority": 20, "budget_us": 2000, "period_us": 10000}),
    "light": (0.8 * 0.05, {"weight": 5}),
    "middle": (0.8 * 0.2, {"weight": 20}),
    "heavy": (0.8 * 0.75, {"weight": 75}),
}
SLICES = "cpus { cpu@0 { slice-us = <2000>; }; };\n"
# Nobody runs in its gaps. A slot that began late would make a short one lose more.
TABLE = """cpus {
	cpu@0 {
		policy = "table";
		cycle-us = <10000>;
		slots {
			first { vm = "often"; length-us = <1000>; };
			second { vm = "long"; length-us = <4000>; };
			third { vm = "often"; start-us = <6000>; length-us = <1000>; };
			fourth { vm = "short"; start-us = <8000>; length-us = <500>; };
		};
	};
};
"""
SLOTS = {"often": (2 / 6.5, {}), "long": (4 / 6.5, {}), "short": (0.5 / 6.5, {})}


def ran(machine):
    """Milliseconds by VM."""
    return {name: ms for (name, _), (_, ms) in machine.stat().items()}


def shared_as_configured(machine, guests, seconds):
    """Of the machine's time, what each of these ran for, within 1 or 3 percent."""
    before = ran(machine)
    machine.quiet(seconds)
    after = ran(machine)
    took = {name: after[name] - before[name] for name in guests}
    whole = sum(took.values())
    assert whole > 100 * seconds, took
    for name, (part, how) in guests.items():
        slack = (0.03 if "weight" in how else 0.01) * part * whole
        assert abs(took[name] - part * whole) <= slack + 2, took  # Milliseconds are cut off.


@pytest.mark.parametrize("cpus, guests", [(SLICES, SHARED), (TABLE, SLOTS)],
                         ids=["weights and a budget", "a time table"])
def test_processors_are_shared_as_configured(arch, cpus, guests, tmp_path):
    dts = config(*(vm(name, "spin.img", **how) for name, (_, how) in guests.items()))
    with Machine(arch, dts.replace("vms {", cpus + "vms {", 1), tmp_path, counted=True, smp=1,
                 limit=240) as machine:
        machine.expect("spin: 1 vCPUs")
        machine.quiet(3)
        shared_as_configured(machine, guests, 20)


def test_vms_of_a_time_table_come_and_go_and_have_their_slots_again(arch, tmp_path):
    dts = config(*(vm(name, "spin.img", "2M", **how) for name, (_, how) in SLOTS.items()))
    pages = set()
    with Machine(arch, dts.replace("vms {", TABLE + "vms {", 1), tmp_path, counted=True, smp=1,
                 limit=120) as machine:
        machine.expect("spin: 1 vCPUs")
        machine.prompt()
        for name in ("long", "short", "often", "often"):
            machine.command(f"stop {name}", f"{name}: stopped")
            machine.command(f"destroy {name}", f"{name}: destroyed")
            alone = {other: ms for other, ms in ran(machine).items() if other != name}
            pages.add(free_pages(machine))
            machine.quiet(1)
            for other, ms in ran(machine).items():  # The others go on in their own slots.
                assert ms > alone[other] + 10, (name, other)
            machine.prompt()
            machine.command(f"create {name}")
            machine.command(f"start {name}", f"{name}: started")
        assert len(pages) == 1, pages
        shared_as_configured(machine, SLOTS, 8)


def test_sixty_four_vms_on_two_processors_all_make_progress(arch, folder):
    vms = [vm(f"spin{number}", "spin.img", memory="2M") for number in range(64)]
    with Machine(arch, config(*vms), folder) as machine:
        starting = {f"spin{number}" for number in range(64)}
        while starting:
            starting.discard(machine.expect(r"(\w+): started").group(1))
        before = machine.stat()
        end = time.monotonic() + 60
        while True:  # Each pCPU has 32 of them, a slice of 10 ms for each.
            machine.quiet(1)
            after = machine.stat()
            if len(after) == 64 and all(after[one][1] > before[one][1] + 10 for one in after):
                return
            assert time.monotonic() < end, (before, after)



BUSY = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; head -1 /proc/stat"
CONSOLE = {"aarch64": "ttyAMA0", "x86_64": "ttyS0"}


@pytest.mark.only("aarch64", "x86_64")  # Debian builds its riscv64 kernel without.
def test_debian_is_told_how_much_of_its_time_another_vm_stole(arch, folder):
    cmdline = f"console={CONSOLE[arch]} quiet initcall_blacklist=jent_mod_init"
    vms = [debian("web", "192M", cmdline), vm("spin", "spin.img", autostart="no")]

    def busy():  # In its /proc/stat: user, nice, system, ..., the eighth is what was stolen.
        fields = [int(field) for field in machine.shell(BUSY).split()[1:]]
        return fields[0] + fields[2], fields[7]

    with Machine(arch, config(*vms), folder, smp=1, limit=200) as machine:
        machine.at_shell(1)
        _, alone = busy()
        _, stolen = busy()
        assert stolen - alone <= 2, (alone, stolen)  # Nobody else was there.
        machine.prompt()
        machine.command("start spin", "spin: started")
        machine.at_shell(1)
        before, stat_before = busy(), ran(machine)
        machine.at_shell(1)
        after, stat_after = busy(), ran(machine)
    took, stolen = after[0] - before[0], after[1] - before[1]  # Hundredths of a second.
    spun = (stat_after["spin"] - stat_before["spin"]) / 10
    assert took > 10 and 0.6 * took < stolen < spun + 2, (before, after, spun)


@pytest.mark.only("riscv64", "x86_64")
def test_a_vcpu_is_told_how_much_of_its_time_another_vm_stole(arch, folder, count_checks):
    vms = [vm("steal", "steal.img"), vm("spin", "spin.img")]
    with Machine(arch, config(*vms), folder, smp=1) as machine:
        machine.expect("steal: powered off")
        judge(machine.text, count_checks)


def test_a_vcpu_that_waits_goes_to_an_idle_processor_and_its_timers_with_it(arch, folder,
                                                                          count_checks):
    how = {"affinity": "0-1", "balance": True}
    vms = [vm("timer", "timer.img", cmdline="rounds=100", cpus=3, **how),  # More than there are.
           vm("first", "spin.img", autostart="no", **how), vm("own", "spin.img", **how),
           vm("second", "spin.img", autostart="no", **how)]
    with Machine(arch, config(*vms), folder) as machine:
        machine.expect("timer: powered off", 90)
        judge(machine.text, count_checks)
        machine.prompt()
        machine.command("stop own")
        machine.expect("own: stopped")
        placed = machine.command("list", r"first +created[^\n]* (\d)\r*\n[\s\S]*"
                                 r"second +created[^\n]* (\d)\r*\n")
        machine.command("start first")
        machine.command("start second")
        machine.quiet(2)
        before = machine.stat()
        machine.quiet(3)
        after = machine.stat()
        ran = {name: after[name, 0][1] - before[name, 0][1] for name in ("first", "second")}
        assert placed.group(1) == placed.group(2), "they would not have to move"
        assert min(ran.values()) > 0.7 * max(ran.values()) and sum(ran.values()) > 4000, ran
