/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of ACPI tables never reads outside a table, whatever the table says. */
#include "kernel/string.h"
#include "tests/host/acpi_tables.h"
#include "tests/host/test.h"

static struct acpi acpi;

static enum err open(void)
{
    return acpi_open(&acpi, ACPI_RSDP, acpi_test_map);
}

TEST(a_table_is_found_by_its_signature)
{
    struct acpi_table table;

    acpi_arena_reset();
    acpi_add("AAAA", 40);
    acpi_put(acpi_add("BBBB", 44), 40, 0x12345678, 4);
    acpi_seal_table(acpi_add("CCCC", 36));
    ASSERT_OK(open());
    ASSERT_ERR(E_ABSENT, acpi_find(&acpi, "DDDD", &table));
    ASSERT_OK(acpi_find(&acpi, "AAAA", &table));
    ASSERT_EQ(table.size, 40);
    ASSERT_STR(table.name, "AAAA");
    ASSERT_ERR(E_INVALID, acpi_find(&acpi, "BBBB", &table)); /* Changed after it was sealed. */
    ASSERT_OK(acpi_find(&acpi, "CCCC", &table));
}

TEST(reads_beyond_a_table_give_zero_and_are_remembered)
{
    struct acpi_table table;
    uint8_t *bytes;

    acpi_arena_reset();
    bytes = acpi_add("AAAA", 44);
    acpi_put(bytes, 36, 0x1122334455667788, 8);
    acpi_seal_table(bytes);
    ASSERT_OK(open());
    ASSERT_OK(acpi_find(&acpi, "AAAA", &table));
    ASSERT_EQ(acpi_read(&table, 36, 8), 0x1122334455667788);
    ASSERT_EQ(acpi_read(&table, 40, 2), 0x3344);
    ASSERT(!table.overrun);
    ASSERT_EQ(acpi_read(&table, 37, 8), 0);
    ASSERT(table.overrun);
    table.overrun = false;
    ASSERT_EQ(acpi_read(&table, SIZE_MAX, 1), 0);
    ASSERT(table.overrun);
}

TEST(a_wrong_root_pointer_is_refused)
{
    acpi_arena_reset();
    ASSERT_OK(open());
    acpi_root()[0] = 'X';
    acpi_seal_root();
    ASSERT_ERR(E_INVALID, open());

    acpi_arena_reset();
    acpi_root()[8]++;
    ASSERT_ERR(E_INVALID, open());

    acpi_arena_reset();
    acpi_root()[33]++; /* Only the extended checksum covers it. */
    ASSERT_ERR(E_INVALID, open());

    acpi_arena_reset();
    acpi_root()[15] = 0; /* ACPI 1.0. */
    acpi_seal_root();
    ASSERT_ERR(E_INVALID, open());

    acpi_arena_reset();
    acpi_put(acpi_root(), 20, UINT32_MAX, 4);
    acpi_seal_root();
    ASSERT_ERR(E_INVALID, open());

    ASSERT_ERR(E_INVALID, acpi_open(&acpi, 0, acpi_test_map));
    ASSERT_ERR(E_INVALID, acpi_open(&acpi, 0x1000, acpi_test_map));
}

TEST(a_wrong_xsdt_is_refused)
{
    static const uint32_t sizes[] = {0, 35, 16 * 1024 * 1024 + 1, UINT32_MAX, 1024 * 1024};

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        acpi_arena_reset();
        acpi_put(acpi_xsdt(), 4, sizes[i], 4);
        ASSERT_ERR(E_INVALID, open());
    }
    acpi_arena_reset();
    acpi_xsdt()[20]++;
    ASSERT_ERR(E_INVALID, open());
    acpi_arena_reset();
    acpi_xsdt()[0] = 'R';
    acpi_seal_table(acpi_xsdt());
    ASSERT_ERR(E_INVALID, open());
    acpi_arena_reset();
    acpi_put(acpi_root(), 24, 0x1000, 8);
    acpi_seal_root();
    ASSERT_ERR(E_INVALID, open());
}

TEST(wild_pointers_in_the_xsdt_are_passed_over)
{
    struct acpi_table table;

    acpi_arena_reset();
    acpi_add("AAAA", 40);
    acpi_add("BBBB", 40);
    acpi_put(acpi_xsdt(), 36, 0xdeadbeef000, 8);
    acpi_seal_table(acpi_xsdt());
    ASSERT_OK(open());
    ASSERT_ERR(E_ABSENT, acpi_find(&acpi, "AAAA", &table));
    ASSERT_OK(acpi_find(&acpi, "BBBB", &table));
}

TEST(structures_are_walked_to_the_end_and_never_beyond)
{
    struct acpi_table table;
    struct acpi_item item = {.offset = 36};
    uint8_t *bytes;

    acpi_arena_reset();
    bytes = acpi_add("AAAA", 36 + 2 + 5);
    acpi_put(bytes, 36, 0x0207, 2);
    acpi_put(bytes, 38, 0x0508, 2);
    acpi_seal_table(bytes);
    ASSERT_OK(open());
    ASSERT_OK(acpi_find(&acpi, "AAAA", &table));
    ASSERT_OK(acpi_next(&table, &item));
    ASSERT_EQ(item.type, 7);
    ASSERT_OK(acpi_next(&table, &item));
    ASSERT_EQ(item.type, 8);
    ASSERT_EQ(item.offset, 38);
    ASSERT_ERR(E_ABSENT, acpi_next(&table, &item));
    for (unsigned size = 0; size < 256; size++) {
        bytes[39] = (uint8_t)size;
        item = (struct acpi_item){.offset = 38};
        ASSERT_ERR(size >= 2 && size <= 5 ? OK : E_INVALID, acpi_next(&table, &item));
    }
    item = (struct acpi_item){.offset = 42};
    ASSERT_ERR(E_INVALID, acpi_next(&table, &item));
    item = (struct acpi_item){.offset = 44};
    ASSERT_ERR(E_INVALID, acpi_next(&table, &item));
}
