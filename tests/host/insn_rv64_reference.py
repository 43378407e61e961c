#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares arch/riscv64/insn.c with objdump, an independent decoder of the same words.

All 65536 compressed instructions but those of Zcb, which objdump 2.40 does not know, and words at
random, half of them loads and stores. --seed=N repeats a run; without, the seed is 1.
"""
import array
import os
import random
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OBJDUMP = "riscv64-linux-gnu-objdump"
RANDOM_WORDS = 400_000
SHOWN = 10  # Differences that are printed.

DUMPER = r"""
#include <stdio.h>
#include "arch/riscv64/insn.h"

int main(void)
{
    struct rv64_insn_access a;
    uint32_t w;

    while (fread(&w, sizeof(w), 1, stdin) == 1) {
        if (!rv64_insn_decode((w & 3) == 3 ? w : w & 0xffff, &a))
            puts("-");
        else
            printf("%d %d %u %u %u %u %d\n", a.load, a.sign_extend, a.width, a.reg, a.base,
                   a.length, a.offset);
    }
    return 0;
}
"""

LINE = re.compile(r"^\s*([0-9a-f]+):\s+[0-9a-f]+\s+(\S+)(?:\s+(\S+))?")
ACCESS = re.compile(r"x(\d+),(-?\d+)\(x(\d+)\)$")
WIDTHS = {"b": 1, "h": 2, "w": 4, "d": 8}


def expected(name, operands):
    match = re.fullmatch(r"(c\.)?([ls])([bhwd])(u?)(sp)?", name)
    access = ACCESS.match(operands or "")
    if not match or not access:
        return "-"
    load, width = match[2] == "l", WIDTHS[match[3]]
    signed = load and not match[4] and width < 8
    return "%d %d %d %s %s %d %s" % (load, signed, width, access[1], access[3],
                                     2 if match[1] else 4, access[2])


def words_of(seed):
    chosen = random.Random(seed)
    words = [0x10000 | half for half in range(0x10000)  # c.nop behind each.
             if half & 3 != 3 and not (half & 3 == 0 and half >> 13 == 4)]
    for _ in range(RANDOM_WORDS):
        word = chosen.getrandbits(32) | 3
        if chosen.getrandbits(1):
            word = word & ~0x7f | chosen.choice((0x03, 0x23))
        words.append(word)
    # What objdump takes for more than 32 bits would shift the rest.
    return [word for word in words if word & 0x1f != 0x1f]


def objdump(words, folder):
    path = os.path.join(folder, "words")
    with open(path, "wb") as file:
        array.array("I", words).tofile(file)
    text = subprocess.run([OBJDUMP, "-D", "-b", "binary", "-m", "riscv:rv64", "-M",
                           "no-aliases,numeric", "-z", path], check=True, capture_output=True,
                          text=True).stdout
    lines = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match:
            lines[int(match[1], 16)] = expected(match[2], match[3])
    return [lines[4 * i] for i in range(len(words))]


def ours(words, folder):
    source, program = os.path.join(folder, "dump.c"), os.path.join(folder, "dump")
    with open(source, "w") as file:
        file.write(DUMPER)
    subprocess.run(["gcc", "-std=gnu2x", "-O2", "-I" + ROOT, "-o", program, source,
                    os.path.join(ROOT, "arch/riscv64/insn.c")], check=True)
    return subprocess.run([program], input=array.array("I", words).tobytes(), check=True,
                          capture_output=True).stdout.decode().splitlines()


def main():
    seed = int(sys.argv[1].split("=")[1]) if len(sys.argv) > 1 else 1
    words = words_of(seed)
    with tempfile.TemporaryDirectory() as folder:
        want, have = objdump(words, folder), ours(words, folder)
    wrong = [(w, a, b) for w, a, b in zip(words, want, have) if a != b]
    for word, a, b in wrong[:SHOWN]:
        print("%08x: objdump %s, we %s" % (word, a, b))
    decoded = sum(line != "-" for line in want)
    print("seed %d: %d words, %d loads and stores, %d differences" %
          (seed, len(words), decoded, len(wrong)))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
