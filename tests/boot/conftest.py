# SPDX-License-Identifier: Apache-2.0
"""The boot tests' options, and how they are shown: each as the sentence that it proves."""
import os
import subprocess

import pytest

import conformance
from caisson import ROOT

GUEST_ARCHS = ["aarch64", "riscv64", "x86_64"]
checks = {"ok": 0}
conform = conformance.Collector()


def pytest_addoption(parser):
    parser.addoption("--arch", default="aarch64", help="which architecture to boot")
    parser.addoption("--machine", default="", help="only the tests of this machine, as in MACHINE")
    parser.addoption("--soak", action="store_true", help="as often as takes long")


def pytest_configure(config):
    config.addinivalue_line("markers", "only(arch, ...): a test for these architectures alone")
    config.addinivalue_line("markers", "soak: one that --soak makes long")
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter:
        reporter._show_progress_info = False  # pylint: disable=protected-access


def pytest_collection_modifyitems(config, items):
    """A module with ARCHS is for these architectures; without, for all that guests run on."""
    name = config.getoption("--arch")
    kept = [item for item in items if name in getattr(item.module, "ARCHS", GUEST_ARCHS) and
            all(name in mark.args for mark in item.iter_markers("only"))]
    machine = config.getoption("--machine")
    if machine:
        kept = [item for item in kept if getattr(item.module, "MACHINE", "qemu") == machine]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What a test proves of the conformance cases."""
    outcome = yield
    if call.when == "call" or outcome.get_result().failed:
        arch = item.config.getoption("--arch")
        bochs = getattr(item.module, "MACHINE", "") == "bochs"
        backend = "vmx" if bochs else conformance.BACKENDS[arch]
        conform.add(item.nodeid, backend, outcome.get_result().passed)


def pytest_sessionfinish(session):
    conform.write(session.config.getoption("--arch"))


def sentence(nodeid):
    name = nodeid.split("::")[-1].removeprefix("test_")
    name, _, case = name.partition("[")
    return name.replace("_", " ") + (f" ({case.rstrip(']')})" if case else "")


def pytest_report_teststatus(report):
    word = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}[report.outcome]
    if report.when == "call" or report.outcome != "passed":
        line = f"{word} {sentence(report.nodeid)} ({getattr(report, 'duration', 0):.1f} s)\n"
        category = "error" if report.failed and report.when != "call" else report.outcome
        return category, line, word.strip().upper()
    return None


def pytest_terminal_summary(terminalreporter):
    if checks["ok"]:
        terminalreporter.write_line(f"(the guests' own checks: {checks['ok']} ok)")


@pytest.fixture(scope="session")
def arch(request):
    """The architecture; all that is started was built (by make, when make called us)."""
    name = request.config.getoption("--arch")
    command = ["make", "-s", "-C", ROOT, f"ARCH={name}", "all", "guests", "programs",
               f"build/{name}/vmlinuz"]
    if "MAKELEVEL" not in os.environ and subprocess.run(command, check=False).returncode != 0:
        pytest.exit("the build failed", 1)
    return name


@pytest.fixture(scope="session")
def soak(request):
    return request.config.getoption("--soak")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("machine")


@pytest.fixture(scope="session")
def count_checks():
    """Adds to the number of checks that guests made."""
    def add(count):
        checks["ok"] += count
    return add
