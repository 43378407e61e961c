/* SPDX-License-Identifier: Apache-2.0 */
/* tools/caisson/pe.c: sections appended to EFI programs as GNU-EFI's objcopy makes them, and as
 * hand-made headers are. */
#include <stdlib.h>
#include <string.h>

#include "tests/host/test.h"
#include "tools/caisson/pe.c"

void *allocate(size_t size)
{
    return calloc(1, size);
}

#define PE_AT    0x80u
#define OPT_AT   (PE_AT + 24u)
#define OPT_SIZE 240u
#define TABLE_AT (OPT_AT + OPT_SIZE)

static uint8_t image[8192];

/* One section, .text, at the end of the headers. */
static struct pe_file program(uint32_t headers_size, uint32_t file_align, uint32_t raw)
{
    memset(image, 0, sizeof(image));
    memcpy(image, "MZ", 2);
    put(image + 60, 4, PE_AT);
    memcpy(image + PE_AT, "PE\0\0", 4);
    put(image + PE_AT + 4, 2, PE_MACHINE_RISCV64);
    put(image + PE_AT + 6, 2, 1);
    put(image + PE_AT + 20, 2, OPT_SIZE);
    put(image + OPT_AT, 2, MAGIC_PE32_64);
    put(image + OPT_AT + OPT_SECTION_ALIGN, 4, 4096);
    put(image + OPT_AT + OPT_FILE_ALIGN, 4, file_align);
    put(image + OPT_AT + OPT_IMAGE_SIZE, 4, 0x3000);
    put(image + OPT_AT + OPT_HEADERS_SIZE, 4, headers_size);
    put(image + OPT_AT + OPT_DIRECTORY_COUNT, 4, 16);
    memcpy(image + TABLE_AT, ".text", 5);
    put(image + TABLE_AT + SEC_VIRTUAL_SIZE, 4, 0x2000);
    put(image + TABLE_AT + SEC_ADDRESS, 4, 0x1000);
    put(image + TABLE_AT + SEC_RAW_SIZE, 4, 512);
    put(image + TABLE_AT + SEC_RAW, 4, raw);
    return (struct pe_file){image, raw + 512};
}

static void expect_section(const struct pe_file *out, uint32_t address, uint32_t raw,
                           const char *data, uint32_t size)
{
    const uint8_t *s = out->data + TABLE_AT + HEADER_SIZE;

    ASSERT_EQ(get(out->data + PE_AT + 6, 2), 2);
    ASSERT(memcmp(s, ".config\0", 8) == 0);
    ASSERT_EQ(get(s + SEC_VIRTUAL_SIZE, 4), size);
    ASSERT_EQ(get(s + SEC_ADDRESS, 4), address);
    ASSERT_EQ(get(s + SEC_RAW, 4), raw);
    ASSERT_EQ(get(s + SEC_FLAGS, 4), 0x40000040);
    ASSERT(memcmp(out->data + raw, data, size) == 0);
    ASSERT_EQ(out->size, raw + get(s + SEC_RAW_SIZE, 4));
    ASSERT_EQ(get(out->data + OPT_AT + OPT_IMAGE_SIZE, 4), address + 4096);
}

TEST(a_section_is_appended_to_an_efi_program)
{
    struct pe_file in = program(1024, 512, 1024), out;

    ASSERT_EQ(pe_machine(in.data, in.size), PE_MACHINE_RISCV64);
    ASSERT_EQ(pe_add_section(&in, ".config", "data", 5, &out), NULL);
    expect_section(&out, 0x3000, 1536, "data", 5);
    ASSERT_EQ(get(out.data + OPT_AT + OPT_INIT_DATA, 4), 512);
    ASSERT_EQ(get(out.data + OPT_AT + OPT_HEADERS_SIZE, 4), 1024);
    ASSERT_STR(pe_add_section(&out, ".config", "data", 5, &in),
               "has a configuration already; give the program without one");
    free(out.data);
}

TEST(headers_grow_into_the_gap_before_the_first_section)
{
    struct pe_file in = program(TABLE_AT + HEADER_SIZE, 512, 4096), out;

    ASSERT_EQ(pe_add_section(&in, ".config", "data", 5, &out), NULL);
    expect_section(&out, 0x3000, 4608, "data", 5);
    ASSERT_EQ(get(out.data + OPT_AT + OPT_HEADERS_SIZE, 4), 512);
    free(out.data);
}

static void expect_refused(struct pe_file *in, const char *text)
{
    struct pe_file out = {0};

    ASSERT_STR(pe_add_section(in, ".config", "data", 5, &out), text);
    free(out.data);
}

TEST(a_program_without_room_for_a_section_header_is_refused)
{
    struct pe_file in = program(TABLE_AT + HEADER_SIZE, 8, TABLE_AT + HEADER_SIZE);

    expect_refused(&in, "has no room for one more section header before its first section");
    in = program(1024, 512, 1024);
    image[TABLE_AT + HEADER_SIZE + 3] = 1;
    expect_refused(&in, "has something other than zeroes where one more section header would go");
}

TEST(a_signed_program_is_refused)
{
    struct pe_file in = program(1024, 512, 1024);

    put(image + OPT_AT + OPT_DIRECTORIES + CERTIFICATES * 8 + 4, 4, 100);
    expect_refused(&in, "is signed; pack first, then sign");
}

TEST(damaged_efi_programs_are_never_read_beyond_their_end)
{
    struct pe_file in = program(1024, 512, 1024), out;
    uint8_t *tight = malloc(in.size);

    for (unsigned round = 0; round < 20000; round++) {
        struct pe_file bad = {tight, in.size};

        memcpy(tight, image, in.size);
        for (unsigned i = 0; i < 3; i++)
            tight[test_random_below(i ? TABLE_AT + 80 : 64)] = (uint8_t)test_random();
        memcpy(tight, "MZ", 2);
        out.data = NULL;
        if (!pe_add_section(&bad, ".config", "data", 5, &out))
            ASSERT(out.size > in.size);
        free(out.data);
    }
    free(tight);
}
