/* SPDX-License-Identifier: Apache-2.0 */
/* ISA strings of RISC-V. */
#include "kernel/isa.h"
#include "kernel/string.h"
#include "tests/host/test.h"

static char isa[128];

TEST(an_isa_string_is_brought_into_one_form)
{
    static const char *const pairs[][2] = {
        {"rv64imafdch_zicsr_sstc", "rv64imafdch_zicsr_sstc"},
        {"RV64IMAFDC_Zicsr", "rv64imafdc_zicsr"},
        {"rv64i2p1m2p0a2p1_zicsr2p0_zic64b_zve64d", "rv64ima_zicsr_zic64b_zve64d"},
        {"rv64imazicsr_zifencei", "rv64ima_zicsr_zifencei"},
        {"rv64i_m_a_zba_c", "rv64imac_zba"},
        {"rv64imac_zba_zba_c", "rv64imac_zba"},
        {"rv64i2", "rv64i"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
        ASSERT_OK(isa_copy(isa, sizeof(isa), pairs[i][0]));
        ASSERT_STR(isa, pairs[i][1]);
    }
}

TEST(what_is_no_isa_string_is_refused)
{
    ASSERT_ERR(E_INVALID, isa_copy(isa, sizeof(isa), ""));
    ASSERT_ERR(E_INVALID, isa_copy(isa, sizeof(isa), "rv64"));
    ASSERT_ERR(E_INVALID, isa_copy(isa, sizeof(isa), "rv32ima"));
    ASSERT_ERR(E_INVALID, isa_copy(isa, sizeof(isa), "rv64im#"));
    ASSERT_ERR(E_RANGE, isa_copy(isa, 12, "rv64ima_zicsr"));
}

TEST(extensions_are_found_by_their_whole_names)
{
    ASSERT_OK(isa_copy(isa, sizeof(isa), "rv64imafdch_zicsr_sstc"));
    ASSERT(isa_has(isa, "h") && isa_has(isa, "sstc") && isa_has(isa, "i"));
    ASSERT(!isa_has(isa, "v") && !isa_has(isa, "sst") && !isa_has(isa, "zic") &&
           !isa_has(isa, "s"));
}

TEST(only_what_all_harts_have_is_left)
{
    ASSERT_OK(isa_copy(isa, sizeof(isa), "rv64imafdchv_zicsr_zba_sstc"));
    isa_common(isa, "rv64imafdc_zba_svadu");
    ASSERT_STR(isa, "rv64imafdc_zba");
    isa_common(isa, "rv64i");
    ASSERT_STR(isa, "rv64i");
}

TEST(no_isa_string_is_written_beyond_its_buffer)
{
    char from[40];

    for (unsigned round = 0; round < 20000; round++) {
        size_t room = 6 + test_random_below(40);
        char *tight = __builtin_malloc(room);

        for (unsigned i = 0; i < sizeof(from); i++)
            from[i] = "rv64imsxz_09pAZ"[test_random_below(15)];
        from[test_random_below(sizeof(from))] = from[sizeof(from) - 1] = '\0';
        memcpy(from, "rv64", 4);
        if (isa_copy(tight, room, from) == OK)
            ASSERT(strlen(tight) < room);
        __builtin_free(tight);
    }
}
