/* SPDX-License-Identifier: Apache-2.0 */
/* Images of x86_64 guests: bzImage, PVH, multiboot, firmware; good ones and hostile ones. */
#include <string.h>

#include "mm/guestmap.h"
#include "tests/host/test.h"
#include "vcpu/config.h"
#include "vcpu/guest_boot.h"
#include "vcpu/loader.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"

static char why[200];
static struct image_plan plan;
static uint8_t file[65536];
static uint8_t area[GUEST_BOOT_SIZE];

static struct config_vm vm_of(uint64_t memory, size_t initrd_size)
{
    return (struct config_vm){
        .name = "a",
        .cpu_count = 2,
        .memory_size = memory,
        .cmdline = "console=ttyS0",
        .kernel = {"vmlinuz", file, sizeof(file)},
        .initrd = {initrd_size ? "initrd.gz" : NULL, file, initrd_size},
    };
}

static enum err plan_of(const struct config_vm *vm)
{
    why[0] = '\0';
    return image_plan(vm, machine_find("x86_64"), &plan, why, sizeof(why));
}

static void put(size_t offset, unsigned bytes, uint64_t v)
{
    memcpy(file + offset, &v, bytes);
}

static uint64_t get(size_t offset, unsigned bytes)
{
    uint64_t v = 0;

    memcpy(&v, area + offset, bytes);
    return v;
}

/* As Linux 6.12 has it, but small. */
static void bzimage(void)
{
    memset(file, 0, sizeof(file));
    put(0x1f1, 1, 3);
    put(0x1fe, 2, 0xaa55);
    put(0x200, 2, 0x6aeb);
    memcpy(file + 0x202, "HdrS", 4);
    put(0x206, 2, 0x020f);
    put(0x211, 1, 1);
    put(0x22c, 4, 0x7fffffff);
    put(0x230, 4, 0x200000);
    put(0x234, 1, 1);
    put(0x236, 2, 0x3f);
    put(0x238, 4, 2047);
    put(0x258, 8, 0x1000000);
    put(0x260, 4, 0x800000);
    memset(file + 2048, 0x90, sizeof(file) - 2048);
}

TEST(a_bzimage_goes_where_it_prefers_and_its_initrd_to_the_end)
{
    struct config_vm vm = vm_of(64 * MIB, 5000);

    bzimage();
    ASSERT_OK(plan_of(&vm));
    ASSERT_EQ(plan.format, IMAGE_BZIMAGE);
    ASSERT_EQ(plan.kernel, 0x1000000);
    ASSERT_EQ(plan.kernel_size, 0x800000);
    ASSERT_EQ(plan.entry, 0x1000200);
    ASSERT_EQ(plan.initrd, 64 * MIB - 8192);
    ASSERT_EQ(plan.tree_room, 0);
    vm.memory_size = 16 * MIB; /* Not enough for its wish: as low as it may. */
    ASSERT_OK(plan_of(&vm));
    ASSERT_EQ(plan.kernel, 0x200000);
    put(0x234, 1, 0);
    ASSERT_ERR(E_RANGE, plan_of(&vm));
    ASSERT_STR(why, "'vmlinuz' needs the memory at 0x1000000-0x17fffff; "
                    "the VM's RAM is 0x0-0xffffff");
    put(0x234, 1, 1);
    vm.memory_size = 10 * MIB;
    vm.initrd.size = 5 * KIB;
    ASSERT_ERR(E_RANGE, plan_of(&vm));
    ASSERT_STR(why, "'vmlinuz' with 8192K and its initrd with 5K do not fit into 10M");
    put(0x22c, 4, 0x1ffffff); /* An initrd below 32 MiB only. */
    vm.memory_size = 64 * MIB;
    ASSERT_OK(plan_of(&vm));
    ASSERT_EQ(plan.initrd, 0x2000000 - 8192);
}

static void expect_refused(const char *text)
{
    struct config_vm vm = vm_of(64 * MIB, 0);

    ASSERT(plan_of(&vm) != OK);
    ASSERT_STR(why, text);
}

TEST(a_bzimage_that_cannot_be_started_is_refused)
{
    struct config_vm vm = vm_of(64 * MIB, 0);

    bzimage();
    put(0x206, 2, 0x020b);
    expect_refused("'vmlinuz' is a bzImage of a boot protocol before 2.12 (Linux 3.8)");
    bzimage();
    put(0x236, 2, 0x3e);
    expect_refused("'vmlinuz' is a bzImage of a 32-bit kernel");
    bzimage();
    put(0x211, 1, 0);
    expect_refused("'vmlinuz' is a zImage, which loads below 1 MiB");
    bzimage();
    put(0x1f1, 1, 200);
    expect_refused("'vmlinuz' ends before its code");
    bzimage();
    put(0x230, 4, 0x200001);
    expect_refused("'vmlinuz' has a damaged setup header");
    bzimage();
    put(0x258, 8, 0xff000);
    expect_refused("'vmlinuz' has a damaged setup header");
    bzimage();
    put(0x238, 4, 5);
    expect_refused("'vmlinuz' takes a command line of at most 5 characters");
    bzimage();
    vm.kernel.size = 0x260;
    ASSERT_ERR(E_INVALID, plan_of(&vm));
    ASSERT_STR(why, "'vmlinuz' ends inside its setup header");
    vm = vm_of(64 * MIB, 0);
    vm.fdt.name = "a.dtb";
    ASSERT_ERR(E_UNSUPPORTED, plan_of(&vm));
    ASSERT_STR(why, "'a.dtb' is a device tree; x86_64 guests have ACPI");
}

TEST(a_bzimage_is_for_no_other_architecture)
{
    struct config_vm vm = vm_of(64 * MIB, 0);

    bzimage();
    ASSERT_ERR(E_UNSUPPORTED, image_plan(&vm, machine_find("aarch64"), &plan, why, sizeof(why)));
    ASSERT_STR(why, "'vmlinuz' is a bzImage, for x86; it must be an arm64 Image or ELF");
}

/* An ELF file of either width: code at 1 MiB, notes at 0x800. */
static void elf(bool narrow, unsigned phdrs)
{
    memset(file, 0, sizeof(file));
    memcpy(file, narrow ? "\177ELF\1\1\1" : "\177ELF\2\1\1", 7);
    put(16, 2, 2);
    put(18, 2, narrow ? 3 : 62);
    put(24, narrow ? 4 : 8, 0x100010);
    put(narrow ? 28 : 32, 4, 0x100);
    put(narrow ? 42 : 54, 2, narrow ? 32 : 56);
    put(narrow ? 44 : 56, 2, phdrs);
}

static void phdr(bool narrow, unsigned index, uint32_t type, uint64_t offset, uint64_t addr,
                 uint64_t size)
{
    size_t at = 0x100 + index * (narrow ? 32 : 56);
    unsigned w = narrow ? 4 : 8;

    put(at, 4, type);
    put(narrow ? at + 24 : at + 4, 4, 5);
    at += narrow ? 4 : 8;
    put(at, w, offset);
    put(at + w, w, addr);
    put(at + 2 * w, w, addr);
    put(at + 3 * w, w, size);
    put(at + 4 * w, w, size + 0x1000);
}

static void pvh_note(uint64_t entry, unsigned width)
{
    put(0x800, 4, 4); /* Somebody else's note before. */
    put(0x804, 4, 3);
    put(0x808, 4, 18);
    memcpy(file + 0x80c, "GNU", 4);
    put(0x814, 4, 4);
    put(0x818, 4, width);
    put(0x81c, 4, 18);
    memcpy(file + 0x820, "Xen", 4);
    put(0x824, width, entry);
}

TEST(an_elf_with_a_pvh_note_begins_where_the_note_says)
{
    struct config_vm vm = vm_of(64 * MIB, 4096);

    for (unsigned narrow = 0; narrow < 2; narrow++) {
        elf(narrow, 2);
        phdr(narrow, 0, 1, 0x1000, 0x100000, 0x2000);
        phdr(narrow, 1, 4, 0x800, 0x100800, 0x100);
        pvh_note(0x100040, narrow ? 4 : 8);
        ASSERT_OK(plan_of(&vm));
        ASSERT_EQ(plan.format, IMAGE_PVH);
        ASSERT_EQ(plan.entry, 0x100040);
        ASSERT_EQ(plan.kernel, 0x100000);
        ASSERT_EQ(plan.kernel_size, 0x3000);
        pvh_note(0x102000, 4);
        expect_refused("'vmlinuz' has a PVH note whose entry is in none of its executable "
                       "segments");
        phdr(narrow, 1, 4, 0x800, 0x100800, 0x26); /* Cut off: no note. */
        ASSERT_EQ(plan_of(&vm), narrow ? E_UNSUPPORTED : OK);
        phdr(narrow, 1, 4, 0xfff0, 0x100800, 0x26);
        expect_refused("'vmlinuz' has an ELF segment beyond its end");
    }
}

TEST(an_elf_with_a_multiboot_header_begins_at_its_entry)
{
    struct config_vm vm = vm_of(64 * MIB, 0);

    elf(true, 1);
    phdr(true, 0, 1, 0x1000, 0x100000, 0x2000);
    expect_refused("'vmlinuz' is a 32-bit ELF file with neither a PVH note nor a multiboot header");
    put(0x1004, 4, 0x1badb002);
    put(0x1008, 4, 3);
    put(0x100c, 4, -0x1badb002u - 3);
    ASSERT_OK(plan_of(&vm));
    ASSERT_EQ(plan.format, IMAGE_MULTIBOOT);
    ASSERT_EQ(plan.entry, 0x100010);
    put(0x1008, 4, 7);
    put(0x100c, 4, -0x1badb002u - 7);
    expect_refused("'vmlinuz' has a multiboot header that requires what there is not (a video "
                   "mode)");
    put(0x100c, 4, 5); /* Its checksum is wrong: it is none. */
    ASSERT_ERR(E_UNSUPPORTED, plan_of(&vm));
    elf(false, 1);
    phdr(false, 0, 1, 0x1000, 0x100000, 0x2000);
    ASSERT_OK(plan_of(&vm));
    ASSERT_EQ(plan.format, IMAGE_ELF);
}

TEST(a_kernel_where_the_loader_writes_is_refused)
{
    elf(false, 2);
    phdr(false, 0, 1, 0x1000, 0x100000, 0x2000);
    phdr(false, 1, 1, 0x4000, 0xf800, 0x100);
    expect_refused("'vmlinuz' would lie at 0xf800-0x108ff; 0x7000-0xffff and 0xe0000-0xfffff are "
                   "taken");
    phdr(false, 1, 1, 0x4000, 0xde800, 0x801);
    expect_refused("'vmlinuz' would lie at 0xde800-0xe0000; 0x7000-0xffff and 0xe0000-0xfffff are "
                   "taken");
}

TEST(a_firmware_ends_at_4_gib_and_lies_below_1_mib_as_well)
{
    struct config_vm vm = vm_of(64 * MIB, 0);
    struct image_segment s;

    vm.firmware = true;
    ASSERT_OK(plan_of(&vm));
    ASSERT_EQ(plan.entry, ARCH_RESET_VECTOR);
    ASSERT_EQ(plan.kernel, 4 * GIB - sizeof(file));
    ASSERT(image_segment(&vm, &plan, 0, &s));
    ASSERT_EQ(s.address, 4 * GIB - sizeof(file));
    ASSERT(image_segment(&vm, &plan, 1, &s));
    ASSERT_EQ(s.address, MIB - sizeof(file));
    ASSERT(s.data == file);
    ASSERT(!image_segment(&vm, &plan, 2, &s));
    vm.kernel.size = 65535;
    ASSERT_ERR(E_INVALID, plan_of(&vm));
    vm.kernel.size = sizeof(file);
    vm.initrd = vm.kernel;
    ASSERT_ERR(E_UNSUPPORTED, plan_of(&vm));
}

TEST(no_damage_of_a_file_leads_outside_of_it)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        for (unsigned turn = 0; turn < 20000; turn++) {
            struct config_vm vm = vm_of(64 * MIB, 4096);
            struct image_segment s;

            if (kind == 0)
                bzimage();
            else
                elf(kind == 1, 3);
            phdr(kind == 1, kind ? 0 : 100, 1, 0x1000, 0x100000, 0x2000);
            phdr(kind == 1, kind ? 1 : 101, 4, 0x800, 0x100800, 0x100);
            pvh_note(0x100040, 4);
            for (unsigned i = 0; i < 3; i++)
                put(test_random_below(i ? 0x400 : 0x900), 1u << test_random_below(4),
                    i ? test_random() : test_random_below(0x200));
            vm.kernel.size = turn & 1 ? sizeof(file) : test_random_below(sizeof(file)) + 1;
            if (plan_of(&vm) != OK)
                continue;
            for (unsigned i = 0; image_segment(&vm, &plan, i, &s); i++) {
                ASSERT((const uint8_t *)s.data >= file &&
                       (const uint8_t *)s.data + s.data_size <= file + vm.kernel.size);
                ASSERT(s.address >= plan.kernel && s.memory_size >= s.data_size &&
                       s.address + s.memory_size <= plan.kernel + plan.kernel_size);
            }
            ASSERT(plan.kernel + plan.kernel_size <= 64 * MIB && plan.initrd < 64 * MIB);
        }
    }
}

/* --- What the guest finds --- */

static struct arch_entry write_boot(const struct config_vm *vm)
{
    const struct guest_boot_params params = {machine_find("x86_64"), vm, &plan, 0xe0000};

    ASSERT_OK(plan_of(vm));
    memset(area, 0x5a, sizeof(area));
    return guest_boot_write(&params, area);
}

TEST(a_bzimage_finds_its_boot_params_page_tables_and_descriptors)
{
    struct config_vm vm = vm_of(64 * MIB, 5000);
    struct arch_entry entry;

    bzimage();
    vm.regions[0] = (struct config_region){"r", CONFIG_RAM, 0x100000000, 0x10000, 0};
    vm.regions[1] = (struct config_region){"s", CONFIG_SHARED, 0xd0000000, 0x1000, 0x1000};
    vm.region_count = 2;
    entry = write_boot(&vm);
    ASSERT_EQ(entry.mode, ARCH_MODE_LONG);
    ASSERT_EQ(entry.pc.v, 0x1000200);
    ASSERT_EQ(entry.arg, IMAGE_BOOT_BASE);
    ASSERT(memcmp(area + 0x1f1, file + 0x1f1, 0x210 - 0x1f1) == 0);
    ASSERT_EQ(get(0x70, 8), 0xe0000);
    ASSERT_EQ(get(0x210, 1), 0xff);
    ASSERT_EQ(get(0x218, 4), plan.initrd);
    ASSERT_EQ(get(0x21c, 4), 5000);
    ASSERT_EQ(get(0x228, 4), 0xf000);
    ASSERT_STR((char *)area + 0x8000, "console=ttyS0");
    ASSERT_EQ(get(0x1e8, 1), 6);
    ASSERT(get(0x2d0, 8) == 0 && get(0x2d8, 8) == 0x9f000 && get(0x2e0, 4) == 1);
    ASSERT(get(0x2e4, 8) == 0x9f000 && get(0x2ec, 8) == 0x61000 && get(0x2f4, 4) == 2);
    ASSERT(get(0x2f8, 8) == MIB && get(0x300, 8) == 63 * MIB && get(0x308, 4) == 1);
    ASSERT(get(0x30c, 8) == 0xe0000000 && get(0x31c, 4) == 2);
    ASSERT(get(0x320, 8) == 0x100000000 && get(0x330, 4) == 1);
    ASSERT(get(0x334, 8) == 0xd0000000 && get(0x344, 4) == 2);
    ASSERT_EQ(get(0x2000, 8), 0xa003); /* The first 4 GiB, one to one. */
    ASSERT_EQ(get(0x3018, 8), 0xe003);
    ASSERT_EQ(get(0x7ff8, 8), 0xffe00083);
    ASSERT_EQ(get(0x1010, 8), 0x00af9b000000ffff);
    ASSERT_EQ(get(0x1018, 8), 0x00cf93000000ffff);
}

TEST(a_guest_with_much_memory_finds_a_piece_below_the_hole_and_one_behind)
{
    struct config_vm vm = vm_of(5 * GIB, 5000);

    bzimage();
    write_boot(&vm);
    ASSERT_EQ(plan.initrd, 2 * GIB - 8192); /* As far up as this kernel takes it. */
    ASSERT_EQ(get(0x1e8, 1), 5);
    ASSERT(get(0x2f8, 8) == MIB && get(0x300, 8) == 3 * GIB - MIB && get(0x308, 4) == 1);
    ASSERT(get(0x30c, 8) == 0xe0000000 && get(0x31c, 4) == 2);
    ASSERT(get(0x320, 8) == 4 * GIB && get(0x328, 8) == 2 * GIB && get(0x330, 4) == 1);
    put(0x22c, 4, 0xffffffff);
    ASSERT_OK(plan_of(&vm));
    ASSERT_EQ(plan.initrd, 3 * GIB - 8192);
}

TEST(a_pvh_guest_finds_its_start_info)
{
    struct config_vm vm = vm_of(64 * MIB, 5000);
    struct arch_entry entry;
    unsigned map;

    elf(false, 2);
    phdr(false, 0, 1, 0x1000, 0x100000, 0x2000);
    phdr(false, 1, 4, 0x800, 0x100800, 0x100);
    pvh_note(0x100040, 4);
    entry = write_boot(&vm);
    ASSERT_EQ(entry.mode, ARCH_MODE_PROTECTED);
    ASSERT_EQ(entry.pc.v, 0x100040);
    ASSERT_EQ(entry.arg, IMAGE_BOOT_BASE);
    ASSERT_EQ(get(0, 4), 0x336ec578);
    ASSERT_EQ(get(4, 4), 1);
    ASSERT_EQ(get(12, 4), 1);
    ASSERT_EQ(get(get(16, 8) - IMAGE_BOOT_BASE, 8), plan.initrd);
    ASSERT_EQ(get(get(16, 8) - IMAGE_BOOT_BASE + 8, 8), 5000);
    ASSERT_EQ(get(24, 8), 0xf000);
    ASSERT_EQ(get(32, 8), 0xe0000);
    map = (unsigned)get(40, 8) - IMAGE_BOOT_BASE;
    ASSERT_EQ(get(48, 4), 4);
    ASSERT(get(map + 48, 8) == MIB && get(map + 56, 8) == 63 * MIB && get(map + 64, 4) == 1);
}

TEST(a_multiboot_guest_finds_its_information)
{
    struct config_vm vm = vm_of(64 * MIB, 5000);
    struct arch_entry entry;
    unsigned map;

    elf(true, 1);
    phdr(true, 0, 1, 0x1000, 0x100000, 0x2000);
    put(0x1004, 4, 0x1badb002);
    put(0x100c, 4, -0x1badb002u);
    entry = write_boot(&vm);
    ASSERT_EQ(entry.mode, ARCH_MODE_PROTECTED);
    ASSERT_EQ(get(0, 4) & 0x4d, 0x4d);
    ASSERT_EQ(get(4, 4), 0x9f000 / 1024);
    ASSERT_EQ(get(8, 4), 63 * 1024);
    ASSERT_EQ(get(16, 4), 0xf000);
    ASSERT_EQ(get(20, 4), 1);
    ASSERT_EQ(get(get(24, 4) - IMAGE_BOOT_BASE, 4), plan.initrd);
    ASSERT_EQ(get(get(24, 4) - IMAGE_BOOT_BASE + 4, 4), plan.initrd + 5000);
    ASSERT_EQ(get(44, 4), 4 * 24);
    map = (unsigned)get(48, 4) - IMAGE_BOOT_BASE;
    ASSERT(get(map, 4) == 20 && get(map + 4, 8) == 0 && get(map + 12, 8) == 0x9f000);
    ASSERT_STR((char *)area + get(64, 4) - IMAGE_BOOT_BASE, "caisson");
}

TEST(the_loader_places_an_x86_guest)
{
    struct config_vm vm = vm_of(16 * MIB, 5000);
    struct guestmap map;
    struct loader_result result;
    uint8_t scratch[LOADER_SCRATCH_SIZE], bytes[16];
    struct loader_job job = {.map = &map,
                             .vm = &vm,
                             .machine = &machine_x86_64,
                             .scratch = scratch,
                             .scratch_size = sizeof(scratch)};

    fake_ram(32 * MIB);
    ASSERT_OK(guestmap_init(&map, arch_stage2_format(), 1));
    ASSERT_OK(guestmap_add(&map, gpa(0), vm.memory_size, REGION_RAM, hpa(0)));
    bzimage();
    ASSERT_OK(loader_plan(&job, &result));
    ASSERT_OK(loader_load(&job, &result));
    ASSERT_EQ(result.entry.pc.v, 0x200200);
    ASSERT_OK(guest_read(&map, gpa(0x200200), bytes, 4));
    ASSERT_EQ(bytes[0], 0x90);
    ASSERT_OK(guest_read(&map, gpa(0xe0000), bytes, 8));
    ASSERT(memcmp(bytes, "RSD PTR ", 8) == 0);
    ASSERT_OK(guest_read(&map, gpa(IMAGE_BOOT_BASE + 0x202), bytes, 4));
    ASSERT(memcmp(bytes, "HdrS", 4) == 0);
    vm.initrd.name = NULL;
    vm.firmware = true;
    ASSERT_OK(guestmap_add(&map, gpa(4 * GIB - sizeof(file)), sizeof(file), REGION_ROM, hpa(0)));
    ASSERT_OK(loader_plan(&job, &result));
    ASSERT_OK(loader_load(&job, &result));
    ASSERT_EQ(result.entry.mode, ARCH_MODE_NATIVE);
    ASSERT_OK(guest_read(&map, gpa(ARCH_RESET_VECTOR), bytes, 1));
    ASSERT_EQ(bytes[0], 0x90);
    guestmap_destroy(&map);
}
