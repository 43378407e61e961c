#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compares arch/aarch64/insn.c with objdump, an independent decoder of the same words.

Every value of bits 31..10 of the load/store group, with registers at random, then words at random
of the forms that matter, so that all fields of each take many values. Outside the group, all words
of the 2^32 must be refused. --seed=N repeats a run; without, the seed is 1.
"""
import array
import collections
import os
import random
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OBJDUMP = "aarch64-linux-gnu-objdump"
RANDOM_WORDS = 400_000
SHOWN = 10  # Differences of a check that are printed.

# Reads words, writes a line for each; with an argument counts what is accepted outside the group.
DUMPER = r"""
#include <stdio.h>
#include "arch/aarch64/insn.h"

int main(int argc, char **argv)
{
    struct a64_insn_access a;
    unsigned long wrong = 0;
    uint32_t w;

    (void)argv;
    if (argc > 1) {
        for (uint64_t i = 0; i <= UINT32_MAX; i++)
            if ((i >> 25 & 5) != 4)
                wrong += a64_insn_decode((uint32_t)i, &a);
        printf("%lu\n", wrong);
        return 0;
    }
    while (fread(&w, sizeof(w), 1, stdin) == 1) {
        if (!a64_insn_decode(w, &a))
            puts("-");
        else
            printf("%d %d %d %d %u %u %u %u %u %lld %lld %d %u %u %u\n", a.load, a.sign_extend,
                   a.pair, a.writeback, a.width, a.reg_width, a.reg, a.reg2, a.base,
                   (long long)a.offset, (long long)a.index, a.offset_reg, a.index_reg, a.extend,
                   a.shift);
    }
    return 0;
}
"""

# In the order in which the dumper prints them.
Access = collections.namedtuple("Access", "load sign_extend pair writeback width reg_width reg "
                                "reg2 base offset index offset_reg index_reg extend shift")

SINGLE = re.compile(r"(ldr|str|ldur|stur|ldtr|sttr|ldar|stlr|ldlar|stllr|ldapr|ldapur|stlur)"
                    r"(b|h|sb|sh|sw)?$")
PAIR = re.compile(r"(ldp|stp|ldnp|stnp|ldpsw)$")
OPERANDS = re.compile(r"([wx])(\d+|zr), (?:([wx])(\d+|zr), )?"
                      r"\[(x\d+|sp)(?:, (?:#(-?\d+)|([wx])(\d+|zr)(?:, (\w+)(?: #(\d+))?)?))?\]"
                      r"(!|, #(-?\d+))?$")
EXTENDS = {"uxtw": 2, "lsl": 3, None: 3, "sxtw": 6, "sxtx": 7}


def number(name):
    return 31 if name in ("zr", "sp") else int(name.lstrip("x"))


def unpredictable(word, mnemonic, access):
    """What the manual calls CONSTRAINED UNPREDICTABLE, and objdump prints all the same."""
    if re.match(r"(ldar|stlr|ldlar|stllr)(b|h)?$", mnemonic) and word & 0x1f7c00 != 0x1f7c00:
        return True  # Rs and Rt2 should be ones.
    if re.match(r"ldapr(b|h)?$", mnemonic) and word & 0x1f0000 != 0x1f0000:
        return True
    transferred = [access.reg] + [access.reg2] * access.pair
    if access.writeback and access.base != 31 and access.base in transferred:
        return True
    return bool(access.pair and access.load and access.reg == access.reg2)


def expected(word, mnemonic, operands):
    """The access that a line of disassembly means, None for one that must be refused."""
    single, pair = SINGLE.match(mnemonic), PAIR.match(mnemonic)
    match = OPERANDS.match(operands)
    if not (single or pair) or not match:
        return None
    letter, reg, _, reg2, base, imm, _, index_reg, extend, amount, after, post = match.groups()
    if bool(pair) != (reg2 is not None):
        raise ValueError(f"not understood: {mnemonic} {operands}")
    suffix = "sw" if mnemonic == "ldpsw" else single and single.group(2) or ""
    reg_width = {"w": 4, "x": 8}[letter]
    offset = int(imm or 0)
    access = Access(
        load=int(mnemonic.startswith("ld")), sign_extend=int(suffix.startswith("s")),
        pair=int(bool(pair)), writeback=int(after is not None),
        width={"b": 1, "h": 2, "w": 4, "": reg_width}[suffix[-1:]], reg_width=reg_width,
        reg=number(reg), reg2=number(reg2) if pair else 0, base=number(base), offset=offset,
        index=int(post) if post is not None else offset if after else 0,
        offset_reg=int(index_reg is not None), index_reg=number(index_reg) if index_reg else 0,
        extend=EXTENDS[extend] if index_reg else 0, shift=int(amount or 0))
    return None if unpredictable(word, mnemonic, access) else access


def disassemble(words, folder):
    path = os.path.join(folder, "words")
    with open(path, "wb") as file:
        words.tofile(file)
    text = subprocess.run([OBJDUMP, "-D", "-z", "-b", "binary", "-m", "aarch64", "-M", "no-aliases",
                           path], check=True, capture_output=True, text=True).stdout
    lines = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) < 3:
            continue
        if int(fields[1], 16) != words[len(lines)]:
            raise ValueError(f"objdump lost a word before {line}")
        lines.append((fields[2], fields[3].split(" //")[0].strip() if len(fields) > 3 else ""))
    if len(lines) != len(words):
        raise ValueError(f"{len(words)} words, {len(lines)} lines of objdump")
    return lines


def compare(name, words, dumper, folder):
    out = subprocess.run([dumper], input=words.tobytes(), check=True, capture_output=True).stdout
    results = out.decode().splitlines()
    accepted, wrong, seen = 0, 0, collections.Counter()
    lines = disassemble(words, folder)
    for word, (mnemonic, operands), result in zip(words, lines, results, strict=True):
        want = expected(word, mnemonic, operands)
        got = None if result == "-" else Access(*map(int, result.split()))
        if want is not None:
            accepted += 1
            seen[mnemonic] += 1
        if want != got:
            wrong += 1
            if wrong <= SHOWN:
                print(f"# {word:08x} {mnemonic} {operands}\n#   want {want}\n#   got  {got}")
    print(f"{'FAIL' if wrong else 'ok'} {name}: {len(words)} words, {accepted} accepted of "
          f"{len(seen)} mnemonics, {wrong} differ")
    return wrong == 0 and accepted > 0


def build(folder):
    source, dumper = os.path.join(folder, "dumper.c"), os.path.join(folder, "dumper")
    with open(source, "w") as file:
        file.write(DUMPER)
    subprocess.run(["gcc", "-std=gnu2x", "-O2", "-Wall", "-Wextra", "-I", ROOT, "-o", dumper,
                    source, os.path.join(ROOT, "arch/aarch64/insn.c")], check=True)
    return dumper


def group_words():
    """All of bits 31..10 where bit 27 is 1 and bit 25 is 0 [Arm ARM C4.1, op1 = x1x0]."""
    return array.array("I", (top << 10 | random.getrandbits(10) for top in range(1 << 22)
                             if top >> 15 & 5 == 4))


def form_words():
    """(bits that are fixed, their value) of each class; size, opc and the rest are random."""
    forms = [(0x3f200c00, 0x38000000 | mode << 10) for mode in range(4)]   # Immediate, 9 bits.
    forms += [(0x3f200c00, 0x38200800), (0x3f000000, 0x39000000)]          # Register; 12 bits.
    forms += [(0x3f800000, 0x28000000 | mode << 23) for mode in range(4)]  # Pairs.
    forms += [(0x3fbf7c00, 0x089f7c00), (0x3ffffc00, 0x38bfc000), (0x3f200c00, 0x19000000)]
    words = array.array("I")
    for _ in range(RANDOM_WORDS):
        mask, value = random.choice(forms)
        word = random.getrandbits(32) & ~mask | value
        if random.randrange(8) == 0:  # The same register twice, which is rare by chance.
            word = word & ~0x1f | word >> random.choice((5, 10)) & 0x1f
        words.append(word)
    return words


def outside(dumper):
    count = int(subprocess.run([dumper, "-"], check=True, capture_output=True).stdout)
    print(f"{'FAIL' if count else 'ok'} outside the group: {count} of {3 << 30} words accepted")
    return count == 0


def main():
    seeds = [arg[7:] for arg in sys.argv[1:] if arg.startswith("--seed=")]
    random.seed(int(seeds[0]) if seeds else 1)
    with tempfile.TemporaryDirectory() as folder:
        dumper = build(folder)
        passed = [compare("the whole group", group_words(), dumper, folder),
                  compare("random forms", form_words(), dumper, folder), outside(dumper)]
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
