# SPDX-License-Identifier: Apache-2.0
"""The conformance cases (tests/conform/cases.def) and their results, by backend.

Results come from tests/conform, which prints a line for each of its cases, and from boot tests,
by their names. They are kept in build/<arch>/conformance-<backend>.json, for tools/conformance.
"""
import json
import re

from caisson import ROOT, build

BACKENDS = {"aarch64": "el2", "riscv64": "h", "x86_64": "svm"}  # In QEMU; in Bochs: vmx.


def cases():
    """(name, text, regular expression or None) of each case, in order."""
    text = (ROOT / "tests/conform/cases.def").read_text()
    return [(name, what, tests or None) for name, what, tests in re.findall(
        r'^CASE(?:_BOOT)?\((\w+), "([^"]*)"(?:, "([^"]*)")?\)$', text, re.M)]


def results(console):
    """What the program printed: {name: [outcome, why]}."""
    found = re.findall(r"case (\w+): (passed|failed|not possible)(?:: ([^\n]*))?", console)
    return {name: [outcome, why] for name, outcome, why in found}


def keep(arch, backend, new):
    path = build(arch) / f"conformance-{backend}.json"
    old = json.loads(path.read_text()) if path.exists() else {}
    names = [name for name, _, _ in cases()]
    path.write_text(json.dumps({n: r for n, r in (old | new).items() if n in names}, indent=1))


def judge(arch, backend, machine, timeout=90):
    """Of a machine that runs the program: all cases were gone through, and none failed."""
    machine.expect(rf"conformance of {backend} on {arch}", timeout)
    machine.expect(r"conformance: \d+ cases, \d+ passed, \d+ not possible", timeout)
    found = results(machine.text)
    keep(arch, backend, found)
    assert set(found) == {name for name, _, tests in cases() if not tests}, machine.text
    assert not [name for name, (outcome, _) in found.items() if outcome == "failed"], machine.text


class Collector:
    """Of a session: outcomes of the boot tests that prove cases."""

    def __init__(self):
        self.outcomes = {}

    def add(self, nodeid, backend, passed):
        for name, _, tests in cases():
            if tests and re.search(tests, nodeid):
                self.outcomes.setdefault((backend, name), []).append((passed, nodeid))

    def write(self, arch):
        for (backend, name), outcomes in self.outcomes.items():
            bad = [nodeid for passed, nodeid in outcomes if not passed]
            keep(arch, backend, {name: ["failed", bad[0]] if bad else ["passed", ""]})
