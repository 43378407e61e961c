# SPDX-License-Identifier: Apache-2.0
"""
Configurations with mistakes that `caisson pack` would refuse, or cannot know: the hypervisor names
each with its node, and the VMs without mistakes run.
"""
import re

import pytest

from caisson import Packed, build, compile_unchecked, config, vm


# In the words of the x86_64 machine.
X86_VMS = [
    vm("tree", "echo.img").replace("boot {", 'boot { fdt = "text";'),
    vm("rom", "text").replace("boot {", 'boot { format = "firmware";'),
]


@pytest.fixture(scope="module")
def machine(arch, folder):
    text = folder / "text"
    text.write_text("This is not a kernel.\n" * 100)
    large = folder / "large"
    large.write_bytes(bytes(3 << 20))
    files = {"echo.img": build(arch) / "guests/echo.img", "text": text, "large": large}
    vms = [
        vm("good", "echo.img"),
        vm("text", "text"),
        vm("large", "large", "2M").replace("boot {", 'boot { format = "raw";'),
        vm("missing", "no-such-file"),
        vm("far", "echo.img", affinity="7"),
        vm("typo", "echo.img", cpu=2),
        vm("many", "echo.img", cpus=99),
        vm("none", "echo.img", cpus=0),
        vm("small", "echo.img", "64K"),
        vm("big", "echo.img", "600M"),
        vm("huge", "echo.img", "600M"),
        vm("Upper", "echo.img"),
        *(X86_VMS if arch == "x86_64" else []),
        vm("last", "echo.img"),
    ]
    tree = compile_unchecked(config(*vms), files, folder / "mistakes.dtb")
    with Packed(arch, tree, smp=2, ram="1G") as started:
        started.expect("echo: ready", 60)
        started.quiet(1)
        yield started


def errors(machine, name):
    return re.findall(rf"error: (/vms/{name}\b.*)", machine.text)


@pytest.mark.parametrize("name, words", [
    ("text", r"'text'.*(Image|kernel)"),
    ("large", r"'large'.*(memory|fit)"),
    ("missing", r"'no-such-file'"),
    ("far", r"affinity.*7|pCPU"),
    ("typo", r"unknown property 'cpu', did you mean 'cpus'"),
    ("many", r"'cpus'.*(99|32)"),
    ("none", r"'cpus'"),
    ("small", r"'memory'.*1M"),
    ("Upper", r"a-z"),
])
def test_a_mistake_is_named_with_its_node(machine, name, words):
    said = errors(machine, name)
    assert said and any(re.search(words, line) for line in said), machine.text


@pytest.mark.only("x86_64")
@pytest.mark.parametrize("name, words", [
    ("tree", r"'text' is (not a compiled|a) device tree"),
    ("rom", r"'text' is no firmware: its size must be a multiple of 4K"),
])
def test_a_mistake_of_an_x86_guest_is_named_with_its_node(machine, name, words):
    said = errors(machine, name)
    assert said and any(re.search(words, line) for line in said), machine.text


def test_vms_that_want_more_memory_than_there_is_are_named(machine):
    said = errors(machine, "(?:big|huge)")
    assert any("memory" in line for line in said), machine.text


def test_vms_without_mistakes_run_beside_them(machine):
    machine.prompt()
    machine.line("list")
    running = set()
    while not {"good", "last"} <= running:
        running.add(machine.expect(r"^(\S+) +running", 30).group(1))
    machine.prompt()
    machine.focus(1)
    machine.line("still here")
    machine.expect(r"echo\[10\]: still here")


def test_vms_with_mistakes_do_not_run(machine):
    machine.prompt()
    machine.command("list", "last +running")
    for name in ("text", "large", "missing", "far", "typo", "many", "none", "small", "Upper"):
        assert not re.search(rf"^{name} +running", machine.text, re.M)
