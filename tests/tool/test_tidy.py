# SPDX-License-Identifier: Apache-2.0
"""The style check: a good tree passes, and every planted fault is found where it is."""
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARK = "/* SPDX-License-Identifier: Apache-2.0 */\n"
ONCE = MARK + "#pragma once\n\n"

GOOD = {
    "kernel/types.h": ONCE + "#include <stdint.h>\n\ntypedef uint64_t gpa_t;\n",
    "kernel/arch.h": ONCE + '#include "arch_inline.h"\n#include "arch_types.h"\n\n'
                     "void arch_idle(void);\n",
    "kernel/log.c": MARK + '#include "kernel/arch.h"\n\nvoid log_all(void)\n'
                    "{\n    arch_idle();\n}\n",
    "mm/page.c": MARK + '#include "kernel/types.h"\n\ngpa_t page_first;\n',
    "vcpu/arch_vcpu.h": ONCE + '#include "kernel/arch.h"\n\nvoid arch_vcpu_run(void);\n',
    "arch/zed/arch.mk": "# SPDX-License-Identifier: Apache-2.0\nCROSS ?= no-such-compiler-\n",
    "arch/zed/arch_types.h": ONCE + "struct arch_pcpu;\n",
    "arch/zed/arch_inline.h": ONCE + '#include "kernel/types.h"\n',
    "arch/zed/run.c": MARK + '#include "arch/zed/zed.h"\n#include "vcpu/arch_vcpu.h"\n\n'
                      'void arch_idle(void)\n{\n    __asm__("idle");\n}\n',
    "arch/zed/zed.h": ONCE + "struct zed;\n",
    "tests/fake/arch_types.h": ONCE + "struct arch_pcpu;\n",
    "tests/fake/arch_inline.h": ONCE + '#include "kernel/types.h"\n',
    "tools/go": "#!/bin/bash\n# SPDX-License-Identifier: Apache-2.0\necho go\n",
}


def function(lines):
    return MARK + "void mm_f(void)\n{\n" + "    ;\n" * lines + "}\n"


NESTED = (MARK + "void mm_f(void)\n{\n    if (1)\n        if (1)\n            if (1)\n"
          "                if (1)\n                    mm_f();\n}\n")

# What is planted, and the sentence and the place that must be named.
FAULTS = {
    "up": ("mm/a.c", MARK + '#include "vcpu/arch_vcpu.h"\n', "arrows between", 2),
    "tests": ("kernel/a.c", MARK + '#include "tests/fake/fake.h"\n', "arrows between", 2),
    "arch up": ("arch/zed/a.c", MARK + '#include "vcpu/vm.h"\n', "an architecture includes", 2),
    "arch across": ("arch/zed/a.c", MARK + '#include "arch/y/y.h"\n',
                    "an architecture includes", 2),
    "private": ("kernel/a.c", MARK + '#include "arch/zed/zed.h"\n', "private headers", 2),
    "inline": ("vcpu/a.c", MARK + '#include "arch_inline.h"\n', "private headers", 2),
    "seam": ("mm/a.h", ONCE + "void arch_flush(int);\n", "two seam headers", 4),
    "asm": ("vcpu/a.c", MARK + '\nvoid f(void)\n{\n    asm volatile("nop");\n}\n',
            "assembly is", 5),
    "asm file": ("mm/a.S", MARK + "nop\n", "assembly is", 1),
    "libfdt": ("vcpu/a.c", MARK + "#include <libfdt.h>\n", "libfdt is used", 2),
    "efi": ("boot/a.c", MARK + "#include <efi.h>\n", "libfdt is used", 2),
    "libc": ("kernel/a.c", MARK + "#include <string.h>\n", "headers of the compiler", 2),
    "columns": ("mm/a.c", MARK + "/* " + "x" * 95 + " */\n", "longer than 100 columns", 2),
    "function": ("mm/a.c", function(68), "longer than 70 lines", 2),
    "file": ("mm/a.c", MARK + "\n".join(f"int mm_{i};" for i in range(600)) + "\n",
             "longer than 600 lines", 1),
    "nesting": ("mm/a.c", NESTED, "nested deeper", 7),
    "condition": ("mm/a.c", MARK + "#ifdef X\n#endif\n", "conditional compilation", 2),
    "guard": ("mm/a.h", MARK + "int mm_a;\n", "#pragma once", 1),
    "to do": ("mm/a.c", MARK + "/* TO" + "DO: more */\n", "left to do", 2),
    "licence": ("mm/a.c", "int mm_a;\n", "its licence", 1),
    "script": ("tools/a", "#!/bin/bash\necho\n", "its licence", 2),
    "blanks": ("mm/a.c", MARK + "int mm_a; \n", "ends in blanks", 2),
    "end": ("mm/a.c", MARK + "int mm_a;", "ends in blanks", 2),
    "tab": ("mm/a.c", MARK + "\tint mm_a;\n", "tabs are for", 2),
    "place": ("tools/a.py", "# SPDX-License-Identifier: Apache-2.0\nX = '/ro" + "ot/x'\n",
              "somebody's own machine", 2),
    "archive": ("tools/a.py", "# SPDX-License-Identifier: Apache-2.0\nX = 'http://d" + "eb.x/'\n",
                "package archives", 2),
    "header": ("mm/a.h", ONCE + "gpa_t mm_a;\n", "compiles alone", 0),
    "format": ("mm/a.c", MARK + "int   mm_a;\n", "laid out as", 2),
}


@pytest.fixture(name="tree")
def tree_fixture(tmp_path):
    for name, text in GOOD.items():
        put(tmp_path, name, text)
    shutil.copy(ROOT / ".clang-format", tmp_path)
    return tmp_path


def put(tree, name, text):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def tidy(tree):
    run = subprocess.run([ROOT / "tools/tidy", tree], capture_output=True, text=True, timeout=60)
    return run.returncode, run.stdout.splitlines()


def test_a_tree_without_faults_passes(tree):
    code, lines = tidy(tree)
    assert code == 0, lines
    assert [line for line in lines[:-1] if not line.startswith("ok   ")] == []
    assert lines[-1] == f"{len(lines) - 1} passed, 0 failed"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(tree, fault):
    name, text, sentence, line = FAULTS[fault]
    if fault == "format":
        program = shutil.which("clang-format")
        version = program and subprocess.run([program, "--version"], capture_output=True, text=True)
        if not program or "version 14." not in version.stdout:
            pytest.skip("clang-format 14 is not here")
    put(tree, name, text)
    code, lines = tidy(tree)
    at = [i for i, found in enumerate(lines) if found.startswith("FAIL ") and sentence in found]
    assert code == 1 and at, lines
    assert lines[at[0] + 1].startswith(f"     {name}:{line}" if line else f"     {name}:"), lines


def test_a_function_and_a_line_of_the_greatest_length_pass(tree):
    put(tree, "mm/a.c", function(67) + "\n/* " + "x" * 94 + " */\n")
    assert tidy(tree)[0] == 0


def test_words_in_comments_and_strings_are_no_code(tree):
    put(tree, "mm/a.c", MARK + '/* asm: the\n#if of others */\nconst char *mm_a = "asm";\n')
    code, lines = tidy(tree)
    assert code == 0, lines
