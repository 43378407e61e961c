/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ISA string of guests: what the harts have, without what a guest cannot use or whose state we
 * do not keep. An extension is passed on only when it is known here to add no state, or state that
 * csr.def has.
 */
#include "arch/riscv64/vcpu.h"
#include "kernel/platform.h"
#include "kernel/string.h"

#define ISA_LETTERS "imafdcb" /* Not V: its registers are not kept. Not H. */

/* Extensions of more letters: no state of their own, or enabled by henvcfg. Sorted by name. */
static const char *const isa_known[] = {
    "sstc",      "svade",       "svinval", "svnapot", "svpbmt",  "svvptc", "za128rs", "za64rs",
    "zaamo",     "zabha",       "zacas",   "zalrsc",  "zama16b", "zawrs",  "zba",     "zbb",
    "zbc",       "zbkb",        "zbkc",    "zbkx",    "zbs",     "zca",    "zcb",     "zcd",
    "zcmop",     "zfa",         "zfbfmin", "zfh",     "zfhmin",  "zic64b", "zicbom",  "zicbop",
    "zicboz",    "ziccamoa",    "ziccif",  "zicclsm", "ziccrse", "zicond", "zicsr",   "zifencei",
    "zihintntl", "zihintpause", "zimop",   "zkn",     "zknd",    "zkne",   "zknh",    "zks",
    "zksed",     "zksh",        "zkt",     "zmmul",
};

/* What hardware lets guests use only when henvcfg has the bit; the bit stays 0 where firmware
 * forbids. */
static bool isa_enabled(const char *name, size_t size)
{
    static const struct {
        const char *name;
        uint64_t bit;
    } gates[] = {
        {"sstc", HENVCFG_STCE},
        {"svpbmt", HENVCFG_PBMTE},
        {"zicbom", HENVCFG_CBCFE},
        {"zicboz", HENVCFG_CBZE},
    };
    uint64_t saved, bits;

    for (unsigned i = 0; i < ARRAY_SIZE(gates); i++) {
        if (strlen(gates[i].name) != size || memcmp(gates[i].name, name, size) != 0)
            continue;
        if (!cpu_has.envcfg || (gates[i].bit == HENVCFG_STCE && !cpu_has.sstc))
            return false;
        saved = csr_read("henvcfg");
        csr_write("henvcfg", gates[i].bit);
        bits = csr_read("henvcfg");
        csr_write("henvcfg", saved);
        return bits & gates[i].bit;
    }
    return true;
}

/* D is needed to keep the registers: without, guests do not get them. */
static bool isa_is_fp(const char *name, size_t size)
{
    return (size == 1 && (*name == 'f' || *name == 'd')) ||
           (size > 2 && memcmp(name, "zf", 2) == 0) || (size == 3 && memcmp(name, "zcd", 3) == 0);
}

static bool isa_is_known(const char *name, size_t size)
{
    unsigned low = 0, high = ARRAY_SIZE(isa_known);

    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = strncmp(isa_known[middle], name, size);

        if (order == 0 && isa_known[middle][size] == '\0')
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool isa_passes(const char *name, size_t size)
{
    if (!cpu_has.fp && isa_is_fp(name, size))
        return false;
    return isa_is_known(name, size) && isa_enabled(name, size);
}

const char *guest_isa(void)
{
    static char text[PLATFORM_ISA_MAX];
    const char *from = platform.isa;
    size_t used = 4;

    memcpy(text, "rv64", 4);
    if (memcmp(from, "rv64", 4) != 0)
        from = "rv64imac"; /* The tables said nothing: what we are compiled for. */
    for (from += 4; *from && *from != '_'; from++)
        if (strchr(ISA_LETTERS, *from) && (cpu_has.fp || !isa_is_fp(from, 1)))
            text[used++] = *from;
    while (*from == '_') {
        const char *name = ++from;

        while (*from && *from != '_')
            from++;
        if (isa_passes(name, (size_t)(from - name))) {
            text[used++] = '_';
            memcpy(text + used, name, (size_t)(from - name));
            used += (size_t)(from - name);
        }
    }
    text[used] = '\0';
    return text;
}
