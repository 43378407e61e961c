# SPDX-License-Identifier: Apache-2.0
"""Guests that try to hurt, and the neighbours that go on, in time that is counted."""
import pytest

import hostile
from test_guests import judge

ARCHS = ["aarch64", "riscv64", "x86_64"]
# What the emulator has, and the guests' controller.
HOSTS = {
    "aarch64": {"GICv3": ({}, {})},
    "riscv64": {
        "PLIC": ({}, {}),
        "AIA": ({"aia": "aia=aplic-imsic,aia-guests=3"}, {"interrupt_controller": "aia"}),
    },
    "x86_64": {"xAPIC": ({}, {})},
}
MORE_HOSTS = {  # Only for the soak.
    "aarch64": {"GICv2": ({"gic": 2}, {})},
    "riscv64": {
        "AIA by software": ({"aia": "aia=aplic-imsic"}, {"interrupt_controller": "aia"}),
        "Sstc, vectors": ({"cpu": "rva22s64,h=true,sstc=true,v=true,sv57=true"}, {}),
    },
}
MS = {"aarch64": 400, "riscv64": 250, "x86_64": 250}  # Of the machine's own time.
SOAK_MS = 2000
SOAK_SEEDS = range(2, 12)


def pytest_generate_tests(metafunc):
    arch = metafunc.config.getoption("--arch")
    hosts, seeds = HOSTS.get(arch, {}), [1]
    if metafunc.config.getoption("--soak"):
        hosts, seeds = hosts | MORE_HOSTS.get(arch, {}), SOAK_SEEDS
    metafunc.parametrize("host, seed", [(host, seed) for host in hosts.values() for seed in seeds],
                         ids=[f"{name}, seed {seed}" for name in hosts for seed in seeds])


@pytest.mark.soak
def test_hostile_guests_do_not_disturb_their_neighbours(arch, host, seed, folder, count_checks,
                                                        soak):
    options, properties = host
    said = hostile.run(arch, folder, seed, SOAK_MS if soak else MS[arch], 900 if soak else 150,
                       properties, **options)
    for name, text in said.items():
        judge(text, count_checks)
        print(f"{name}: {hostile.latest(text)} us late at worst")
