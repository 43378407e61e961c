/* SPDX-License-Identifier: Apache-2.0 */
/* Names of exits. */
#include "kernel/string.h"
#include "tests/host/test.h"
#include "vcpu/exit.h"

TEST(each_kind_of_exit_has_a_name_of_its_own)
{
    for (unsigned i = 0; i < EXIT_KINDS; i++) {
        const char *name = exit_kind_text((enum exit_kind)i);

        ASSERT(name && strlen(name) > 2);
        for (unsigned j = 0; j < i; j++)
            ASSERT(strcmp(name, exit_kind_text((enum exit_kind)j)) != 0);
    }
    ASSERT_STR(exit_kind_text(EXIT_MMIO_READ), "mmio-read");
    ASSERT_STR(exit_kind_text(EXIT_UNKNOWN), "unknown");
    ASSERT_STR(exit_kind_text(EXIT_KINDS), "?");
}
