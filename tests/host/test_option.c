/* SPDX-License-Identifier: Apache-2.0 */
/* Boot options. */
#include "kernel/option.h"
#include "tests/host/test.h"

static bool probe = true;
BOOT_OPTION(probe, "test.probe", "probes of tests");

static bool after(bool before, const char *text)
{
    probe = before;
    options_parse(text);
    return probe;
}

TEST(a_boot_option_turns_its_feature_off_and_on)
{
    ASSERT(!after(true, "test.probe=off"));
    ASSERT(after(false, "test.probe=on"));
    ASSERT(!after(true, "  fs0:\\efi\\caisson.efi  quiet   test.probe=off  "));
    ASSERT(after(true, "test.probe=off test.probe=on"));
    ASSERT(after(true, ""));
}

TEST(what_is_no_boot_option_changes_nothing)
{
    static const char *const texts[] = {
        "test.probe",
        "test.probe=",
        "test.probe=of",
        "test.probe=offx",
        "test.probe=off=off",
        "test.prob=off",
        "test.probes=off",
        "=off",
        "=",
        "x.test.probe=off",
        "test.probe=OFF",
        "test.probe=offffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        ASSERT(after(true, texts[i]));
}
