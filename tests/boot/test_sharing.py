# SPDX-License-Identifier: Apache-2.0
"""How guests that never rest share processors, as `stat` counts it, in time that is counted too."""
import re

import pytest

from caisson import Machine, config, vm

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
    machine.prompt()
    start = len(machine.text)
    machine.command("stat", r"RAN[\s\S]*caisson> ")
    rows = re.findall(r"^(\w+) +0 +0 +\d+ +(\d+)$", machine.text[start:], re.M)
    return {name: int(ms) for name, ms in rows}


@pytest.mark.parametrize("cpus, guests", [(SLICES, SHARED), (TABLE, SLOTS)],
                         ids=["weights and a budget", "a time table"])
def test_processors_are_shared_as_configured(arch, cpus, guests, tmp_path):
    dts = config(*(vm(name, "spin.img", **how) for name, (_, how) in guests.items()))
    with Machine(arch, dts.replace("vms {", cpus + "vms {", 1), tmp_path, counted=True, smp=1,
                 limit=240) as machine:
        machine.expect("spin: 1 vCPUs")
        machine.quiet(3)
        before = ran(machine)
        machine.quiet(20)
        after = ran(machine)
    took = {name: after[name] - before[name] for name in guests}
    whole = sum(took.values())
    assert whole > 2000, took
    for name, (part, how) in guests.items():
        slack = (0.03 if "weight" in how else 0.01) * part * whole
        assert abs(took[name] - part * whole) <= slack + 2, took  # Milliseconds are cut off.
