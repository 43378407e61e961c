/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu/loader.c and the plans of vcpu/config_image.c and config_elf.c: good images, and hostile
 * ones. */
#include <string.h>

#include "kernel/fdt.h"
#include "mm/guestmap.h"
#include "tests/host/test.h"
#include "vcpu/config.h"
#include "vcpu/loader.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"

#define RAM 0x40000000ull

static char why[200];
static struct image_plan plan;
static uint8_t file[65536];

static struct config_vm vm_of(uint64_t memory, size_t kernel_size, size_t initrd_size)
{
    return (struct config_vm){
        .name = "a",
        .cpu_count = 1,
        .memory_size = memory,
        .cmdline = "",
        .kernel = {"vmlinuz", file, kernel_size},
        .initrd = {initrd_size ? "initrd.gz" : NULL, file, initrd_size},
    };
}

static enum err plan_of(const struct config_vm *vm, const char *arch)
{
    why[0] = '\0';
    return image_plan(vm, machine_find(arch), &plan, why, sizeof(why));
}

static void put(size_t offset, unsigned bytes, uint64_t v)
{
    memcpy(file + offset, &v, bytes);
}

static void linux_image(const char *magic, uint64_t text_offset, uint64_t size, uint64_t flags)
{
    memset(file, 0, sizeof(file));
    put(8, 8, text_offset);
    put(16, 8, size);
    put(24, 8, flags);
    memcpy(file + 0x38, magic, 4);
}

TEST(an_arm64_image_is_placed_with_its_tree_and_initrd_behind)
{
    struct config_vm vm = vm_of(256 * MIB, 65536, 1000);

    linux_image("ARM\x64", 0, 30 * MIB + 4096, 0xa);
    ASSERT_OK(plan_of(&vm, "aarch64"));
    ASSERT_EQ(plan.format, IMAGE_ARM64);
    ASSERT_EQ(plan.kernel, RAM);
    ASSERT_EQ(plan.entry, RAM);
    ASSERT_EQ(plan.kernel_size, 30 * MIB + 4096);
    ASSERT_EQ(plan.tree, RAM + 32 * MIB);
    ASSERT_EQ(plan.initrd, plan.tree + plan.tree_room);
    ASSERT_EQ(plan.initrd_size, 1000);
}

TEST(an_old_arm64_image_goes_to_its_text_offset)
{
    struct config_vm vm = vm_of(64 * MIB, 65536, 0);

    linux_image("ARM\x64", 0, 0, 0);
    ASSERT_OK(plan_of(&vm, "aarch64"));
    ASSERT_EQ(plan.kernel, RAM + 0x80000);
    linux_image("ARM\x64", 0x100000, 65536, 2);
    ASSERT_OK(plan_of(&vm, "aarch64"));
    ASSERT_EQ(plan.kernel, RAM + 0x100000);
    ASSERT_EQ(plan.initrd, 0);
}

TEST(a_riscv_image_is_placed_on_riscv_only)
{
    struct config_vm vm = vm_of(64 * MIB, 65536, 0);

    linux_image("RSC\x05", 0x200000, 65536, 0);
    ASSERT_OK(plan_of(&vm, "riscv64"));
    ASSERT_EQ(plan.kernel, 0x80200000);
    ASSERT_ERR(E_UNSUPPORTED, plan_of(&vm, "aarch64"));
    ASSERT_STR(why, "'vmlinuz' is a kernel for another architecture than aarch64");
}

TEST(damaged_linux_headers_are_refused)
{
    struct config_vm vm = vm_of(64 * MIB, 65536, 0);

    linux_image("ARM\x64", 0, 65536, 1);
    ASSERT_ERR(E_UNSUPPORTED, plan_of(&vm, "aarch64"));
    ASSERT_STR(why, "'vmlinuz' is a big-endian kernel");
    linux_image("ARM\x64", UINT64_MAX - 7, 65536, 0);
    ASSERT_ERR(E_INVALID, plan_of(&vm, "aarch64"));
    linux_image("ARM\x64", 0, UINT64_MAX, 0);
    ASSERT_ERR(E_INVALID, plan_of(&vm, "aarch64"));
    linux_image("ARM\x64", 0, 65 * MIB, 0);
    ASSERT_ERR(E_RANGE, plan_of(&vm, "aarch64"));
    ASSERT_STR(why, "'vmlinuz' needs the memory at 0x40000000-0x440fffff; "
                    "the VM's RAM is 0x40000000-0x43ffffff");
}

TEST(what_does_not_fit_together_is_refused)
{
    struct config_vm vm = vm_of(4 * MIB, 65536, 65536);

    linux_image("ARM\x64", 0, 4 * MIB - 65536, 0);
    ASSERT_ERR(E_RANGE, plan_of(&vm, "aarch64"));
    ASSERT_STR(why, "'vmlinuz' with 4032K, its initrd with 64K and the device tree do not fit "
                    "into 4M");
    linux_image("ARM\x64", 0, 4 * MIB - 131072, 0);
    ASSERT_OK(plan_of(&vm, "aarch64"));
    ASSERT_EQ(plan.tree, RAM + 4 * MIB - 131072);
    ASSERT_EQ(plan.initrd, RAM + 4 * MIB - 65536);
    vm.initrd.size = 65537;
    ASSERT_ERR(E_RANGE, plan_of(&vm, "aarch64"));
}

static void expect_refused(const char *start, size_t size, const char *text)
{
    struct config_vm vm = vm_of(64 * MIB, 65536, 0);

    memset(file, 0, sizeof(file));
    memcpy(file, start, size);
    ASSERT(plan_of(&vm, "aarch64") != OK);
    ASSERT_STR(why, text);
}

TEST(formats_that_cannot_be_loaded_are_named)
{
    expect_refused("\x1f\x8b", 2,
                   "'vmlinuz' is gzip-compressed; unpack it first (gunzip): it must be an arm64 "
                   "Image or ELF");
    expect_refused("MZ\0\0zimg", 8,
                   "'vmlinuz' is a compressed EFI zboot image; use the Image inside it: it must be "
                   "an arm64 Image or ELF");
    expect_refused("MZ", 2, "'vmlinuz' is an EFI program, not an arm64 Image or ELF");
    expect_refused("hello", 5,
                   "'vmlinuz' is not an arm64 Image or ELF; format = \"raw\" takes any file");
}

TEST(a_raw_file_goes_where_the_configuration_says)
{
    struct config_vm vm = vm_of(MIB, 65536, 0);

    vm.raw = true;
    ASSERT_OK(plan_of(&vm, "aarch64"));
    ASSERT_EQ(plan.kernel, RAM + 0x80000);
    ASSERT_EQ(plan.entry, RAM + 0x80000);
    ASSERT_EQ(plan.tree, RAM); /* A megabyte has no place behind it. */
    vm.load_address = RAM + MIB - 65536;
    ASSERT_OK(plan_of(&vm, "aarch64"));
    ASSERT_EQ(plan.entry, RAM + MIB - 65536);
    vm.load_address = RAM + MIB - 61440;
    ASSERT_ERR(E_RANGE, plan_of(&vm, "aarch64"));
    vm.load_address = 0xfffffffffffff000;
    ASSERT_ERR(E_RANGE, plan_of(&vm, "aarch64"));
    vm.load_address = 0x1000;
    ASSERT_ERR(E_RANGE, plan_of(&vm, "aarch64"));
    vm.kernel.size = 0;
    ASSERT_ERR(E_INVALID, plan_of(&vm, "aarch64"));
}

/* --- ELF --- */

static void elf_phdr(unsigned index, uint32_t flags, uint64_t offset, uint64_t vaddr,
                     uint64_t paddr, uint64_t filesz, uint64_t memsz)
{
    size_t p = 64 + index * 56u;

    put(p, 4, 1);
    put(p + 4, 4, flags);
    put(p + 8, 8, offset);
    put(p + 16, 8, vaddr);
    put(p + 24, 8, paddr);
    put(p + 32, 8, filesz);
    put(p + 40, 8, memsz);
}

/* Text at RAM + 1 MiB, linked elsewhere; data with .bss behind. */
static void elf_good(void)
{
    memset(file, 0, sizeof(file));
    memcpy(file, "\177ELF\2\1\1", 7);
    put(16, 2, 2);
    put(18, 2, 183);
    put(20, 4, 1);
    put(24, 8, 0xffff000000000010);
    put(32, 8, 64);
    put(54, 2, 56);
    put(56, 2, 2);
    elf_phdr(0, 5, 4096, 0xffff000000000000, RAM + MIB, 4096, 4096);
    elf_phdr(1, 6, 8192, 0xffff000000100000, RAM + 2 * MIB, 100, 8192);
    memset(file + 4096, 0xaa, 4096);
    memset(file + 8192, 0xbb, 100);
}

TEST(an_elf_file_is_placed_by_its_physical_addresses)
{
    struct config_vm vm = vm_of(64 * MIB, 65536, 0);
    struct image_segment s;

    elf_good();
    ASSERT_OK(plan_of(&vm, "aarch64"));
    ASSERT_EQ(plan.format, IMAGE_ELF);
    ASSERT_EQ(plan.entry, RAM + MIB + 0x10);
    ASSERT_EQ(plan.kernel, RAM + MIB);
    ASSERT_EQ(plan.kernel_size, MIB + 8192);
    ASSERT(image_segment(&vm, &plan, 1, &s));
    ASSERT_EQ(s.address, RAM + 2 * MIB);
    ASSERT_EQ(s.data_size, 100);
    ASSERT_EQ(s.memory_size, 8192);
    ASSERT(s.data == file + 8192);
    ASSERT(!image_segment(&vm, &plan, 2, &s));
    ASSERT_ERR(E_INVALID, plan_of(&vm, "riscv64"));
}

/* The good file with one field changed. */
static const struct {
    size_t offset;
    unsigned bytes;
    uint64_t value;
    const char *text;
} elf_wrong[] = {
    {4, 1, 1, "'vmlinuz' is not an ELF file with 64 bits and little-endian"},
    {16, 2, 3, "'vmlinuz' is an ELF file, but not linked to a fixed address (type EXEC)"},
    {18, 2, 62, "'vmlinuz' is an ELF file for another architecture"},
    {24, 8, 0x1234, "'vmlinuz' has an ELF entry that is in none of its executable segments"},
    {32, 8, UINT64_MAX, "'vmlinuz' has an ELF program header table beyond its end"},
    {32, 8, 65536 - 100, "'vmlinuz' has an ELF program header table beyond its end"},
    {54, 2, 55, "'vmlinuz' has an ELF program header table with a strange size"},
    {56, 2, 0, "'vmlinuz' has an ELF program header table with a strange size"},
    {56, 2, 0xffff, "'vmlinuz' has an ELF program header table with a strange size"},
    {72, 8, 65536 - 4095, "'vmlinuz' has an ELF segment beyond its end"},
    {72, 8, UINT64_MAX - 100, "'vmlinuz' has an ELF segment beyond its end"},
    {96, 8, 4097, "'vmlinuz' has an ELF segment that is larger in the file than in memory"},
    {104, 8, UINT64_MAX, "'vmlinuz' has an ELF segment that wraps around the address space"},
    {88, 8, RAM + 2 * MIB, "'vmlinuz' has ELF segments that overlap"},
    {88, 8, 0,
     "'vmlinuz' needs the memory at 0x0-0x40201fff; the VM's RAM is 0x40000000-0x43ffffff"},
};

TEST(hostile_elf_files_are_refused)
{
    struct config_vm vm = vm_of(64 * MIB, 65536, 0);

    for (size_t i = 0; i < ARRAY_SIZE(elf_wrong); i++) {
        elf_good();
        put(elf_wrong[i].offset, elf_wrong[i].bytes, elf_wrong[i].value);
        ASSERT(plan_of(&vm, "aarch64") != OK);
        ASSERT_STR(why, elf_wrong[i].text);
    }
    vm.kernel.size = 63;
    elf_good();
    ASSERT_ERR(E_INVALID, plan_of(&vm, "aarch64"));
}

TEST(garbage_is_planned_inside_ram_or_refused)
{
    size_t size = 12288;
    uint8_t *tight = __builtin_malloc(size);

    for (unsigned round = 0; round < 20000; round++) {
        struct config_vm vm = vm_of(64 * MIB, size, 1000);
        struct image_segment s;

        if (round % 2)
            elf_good();
        else
            linux_image("ARM\x64", 0, 65536, 0);
        for (unsigned i = 0; i < 4; i++)
            file[test_random_below(64 + 112)] = (uint8_t)test_random();
        memcpy(tight, file, size);
        vm.kernel.data = tight;
        if (plan_of(&vm, "aarch64") != OK)
            continue;
        for (unsigned i = 0; image_segment(&vm, &plan, i, &s); i++) {
            ASSERT(s.address >= RAM && s.address + s.memory_size <= RAM + 64 * MIB);
            ASSERT((const uint8_t *)s.data >= tight &&
                   (const uint8_t *)s.data + s.data_size <= tight + size);
        }
    }
    __builtin_free(tight);
}

/* --- Loading --- */

static struct guestmap map;
static alignas(8) uint8_t scratch[LOADER_SCRATCH_SIZE];

static void guest_make(uint64_t memory)
{
    fake_ram(memory + 4 * MIB);
    ASSERT_OK(guestmap_init(&map, arch_stage2_format(), 1));
    ASSERT_OK(guestmap_add(&map, gpa(RAM), memory, REGION_RAM, hpa(0)));
}

static enum err load(const struct config_vm *vm, struct loader_result *result)
{
    struct loader_job job = {
        .map = &map,
        .vm = vm,
        .machine = &machine_aarch64,
        .gic_version = 3,
        .scratch = scratch,
        .scratch_size = sizeof(scratch),
    };

    enum err err = loader_plan(&job, result);

    if (err == OK)
        err = loader_load(&job, result);
    while (err == OK && loader_copy(&job, 1000))
        ;
    return err;
}

static uint32_t guest_word(uint64_t address)
{
    uint32_t word = 0;

    ASSERT_OK(guest_read(&map, gpa(address), &word, sizeof(word)));
    return word;
}

/* What a good load must have left in the guest. */
static void expect_loaded(const struct config_vm *vm, const struct loader_result *result)
{
    static alignas(8) uint8_t tree[IMAGE_TREE_SIZE];
    struct fdt fdt;
    uint64_t v;

    ASSERT_EQ(result->entry.pc.v, RAM + MIB + 0x10);
    ASSERT_EQ(guest_word(RAM + MIB), 0xaaaaaaaa);
    ASSERT_EQ(guest_word(RAM + 2 * MIB + 96), 0xbbbbbbbb);
    ASSERT_EQ(guest_word(RAM + 2 * MIB + 100), 0);
    ASSERT_EQ(guest_word(result->plan.initrd), 0x464c457f); /* The same file serves. */
    ASSERT_OK(guest_read(&map, gpa(result->entry.arg), tree, sizeof(tree)));
    ASSERT_OK(fdt_open(&fdt, tree, sizeof(tree)));
    ASSERT_OK(fdt_u64(&fdt, fdt_node(&fdt, "/chosen"), "linux,initrd-start", &v));
    ASSERT_EQ(v, result->plan.initrd);
    ASSERT_OK(fdt_u64(&fdt, fdt_node(&fdt, "/chosen"), "linux,initrd-end", &v));
    ASSERT_EQ(v, result->plan.initrd + vm->initrd.size);
}

TEST(a_vm_is_loaded_and_loaded_again_after_a_reset)
{
    struct config_vm vm = vm_of(8 * MIB, 65536, 5000);
    struct loader_result result;

    guest_make(8 * MIB);
    ASSERT(!guestmap_clear(&map, &(gpa_t){0}, 8 * MIB));
    elf_good();
    ASSERT_OK(load(&vm, &result));
    expect_loaded(&vm, &result);
    ASSERT_OK(guest_fill(&map, gpa(RAM), 0x55, 8 * MIB)); /* The guest ran. */
    ASSERT(!guestmap_clear(&map, &(gpa_t){0}, 8 * MIB));
    ASSERT_OK(load(&vm, &result));
    expect_loaded(&vm, &result);
    ASSERT_EQ(guest_word(RAM + MIB - 4), 0);
    guestmap_destroy(&map);
}

TEST(what_is_large_is_copied_later_in_pieces)
{
    static uint8_t initrd[LOADER_SCRATCH_SIZE + 1000];
    struct config_vm vm = vm_of(8 * MIB, 65536, 0);
    struct loader_result result;
    struct loader_job job = {.map = &map,
                             .vm = &vm,
                             .machine = &machine_aarch64,
                             .gic_version = 3,
                             .scratch = scratch,
                             .scratch_size = sizeof(scratch)};
    unsigned pieces = 1;

    for (unsigned i = 0; i < sizeof(initrd); i++)
        initrd[i] = (uint8_t)(i * 7 + i / 256);
    guest_make(8 * MIB);
    ASSERT(!guestmap_clear(&map, &(gpa_t){0}, 8 * MIB));
    elf_good();
    vm.initrd = (struct config_file){"initrd", initrd, sizeof(initrd)};
    ASSERT_OK(loader_plan(&job, &result));
    ASSERT_OK(loader_load(&job, &result));
    ASSERT_EQ(guest_word(RAM + MIB), 0xaaaaaaaa);
    ASSERT_EQ(guest_word(result.plan.initrd), 0);
    while (loader_copy(&job, 1000))
        pieces++;
    ASSERT_EQ(pieces, sizeof(initrd) / 1000 + 1);
    ASSERT(memcmp(guest_ptr(&map, gpa(result.plan.initrd), &(uint64_t){0}), initrd,
                  sizeof(initrd)) == 0);
    ASSERT(!loader_copy(&job, 1000));
    guestmap_destroy(&map);
}

TEST(a_vms_own_tree_is_given_to_it_unchanged)
{
    static const uint8_t own[] = {0xd0, 0x0d, 0xfe, 0xed, 1, 2, 3, 4};
    struct config_vm vm = vm_of(8 * MIB, 65536, 0);
    struct loader_result result;

    guest_make(8 * MIB);
    elf_good();
    vm.fdt = (struct config_file){"my.dtb", own, sizeof(own)};
    ASSERT_OK(load(&vm, &result));
    ASSERT_EQ(guest_word(result.entry.arg), 0xedfe0dd0);
    ASSERT_EQ(guest_word(result.entry.arg + 4), 0x04030201);
    guestmap_destroy(&map);
}

TEST(nothing_is_written_when_a_load_is_refused)
{
    struct config_vm vm = vm_of(8 * MIB, 65536, 7 * MIB);
    struct loader_result result;

    guest_make(8 * MIB);
    elf_good();
    ASSERT_ERR(E_RANGE, load(&vm, &result));
    ASSERT_EQ(map.ram, GUESTMAP_FRESH);
    guestmap_destroy(&map);
}
