/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine can do is shown, and what is beyond it refused with a sentence. */
#include "kernel/shell.h"
#include "mm/page.h"
#include "tests/host/vm_rig.h"
#include "vcpu/caps.h"

static char output[2048];
static size_t output_size;

static void output_put(struct fmt_sink *, const char *text, size_t size)
{
    size = MIN(size, sizeof(output) - 1 - output_size);
    memcpy(output + output_size, text, size);
    output_size += size;
    output[output_size] = 0;
}

static bool shows(const char *text)
{
    for (const char *at = output; *at; at++)
        if (strncmp(at, text, strlen(text)) == 0)
            return true;
    return false;
}

TEST(capabilities_are_those_of_backend_machine_and_host)
{
    struct fmt_sink sink = {.put = output_put};
    char line[] = "capabilities";
    struct caps caps;

    rig_start();
    caps = caps_get();
    ASSERT_STR(caps.backend, "fake");
    ASSERT_STR(caps.irqchips, "GICv3");
    ASSERT_EQ(caps.cpus, 4);
    ASSERT_EQ(caps.vcpus_max, 32);
    ASSERT_EQ(caps.memory_max, 255 * GIB);
    ASSERT_EQ(caps.memory_free, page_free_count() * PAGE_SIZE);
    ASSERT(!caps.nested);
    output_size = 0;
    shell_run_line(&sink, line);
    ASSERT(shows("architecture      fake, backend fake\n"));
    ASSERT(shows("of at most 32 vCPUs and 16 regions\n"));
    ASSERT(shows("nested            no\n"));
    virt_caps.gpa_bits = 32; /* Less than the machine has. */
    ASSERT_EQ(caps_get().memory_max, 4 * GIB - RIG_RAM_BASE);
    virt_caps.gpa_bits = 40;
    rig_end();
}

static enum err create(uint64_t memory, unsigned vcpus)
{
    struct config_vm *config = rig_config("web", 1, 0);
    struct vm *vm;

    config->memory_size = memory;
    config->cpu_count = vcpus;
    rig_log_clear();
    return vm_create(config, &vm);
}

TEST(a_vm_beyond_the_capabilities_is_refused_with_a_sentence)
{
    uint64_t free;

    rig_start();
    free = page_free_count();
    ASSERT_ERR(E_RANGE, create(4 * MIB, 0));
    ASSERT(rig_logged("/vms/web: it has no vCPU"));
    ASSERT_ERR(E_UNSUPPORTED, create(4 * MIB, 33));
    ASSERT(
        rig_logged("/vms/web: cpus = <33>, but this machine gives a VM 32 at most (fake, GICv3)"));
    virt_caps.vcpus_max = 8;
    ASSERT_ERR(E_UNSUPPORTED, create(4 * MIB, 9));
    virt_caps.vcpus_max = 32;
    ASSERT_ERR(E_RANGE, create(4 * MIB + 1, 1));
    ASSERT_ERR(E_RANGE, create(0, 1));
    ASSERT(
        rig_logged("/vms/web: memory of 0 bytes: it is a multiple of 4 KiB, and 1 MiB at least"));
    ASSERT_ERR(E_UNSUPPORTED, create(256 * GIB, 1));
    ASSERT(rig_logged("are more than this machine gives a VM, 261120 MiB"));
    ASSERT_ERR(E_NOMEM, create(GIB, 1));
    ASSERT(rig_logged("/vms/web: cannot have 1024 MiB of memory: "));
    ASSERT_EQ(page_free_count(), free);
    virt_caps.vmids_max = 1;
    ASSERT_ERR(E_UNSUPPORTED, create(4 * MIB, 1));
    virt_caps.vmids_max = 256;
    rig_end();
}

TEST(all_memory_is_dumped_in_one_piece_wherever_it_is)
{
    static char copy[4 * MIB + 3 * PAGE_SIZE];
    struct guestmap *map;
    uint64_t size;
    struct vm *vm;

    rig_start();
    vm = rig_vm("web", 1, 0);
    map = &vm->map;
    ASSERT_OK(guestmap_add(map, gpa(0x10000000), PAGE_SIZE, REGION_ROM, hpa(0)));
    size = guestmap_memory_size(map); /* RAM, this, and the page of stolen time. */
    ASSERT_EQ(size, RIG_GUEST_RAM + 2 * PAGE_SIZE);
    ASSERT_OK(guest_fill(map, gpa(0x10000000), 0x11, PAGE_SIZE));
    ASSERT_OK(guest_fill(map, gpa(RIG_RAM_BASE), 0x22, 1));
    ASSERT_OK(guest_fill(map, gpa(RIG_RAM_BASE + RIG_GUEST_RAM - 1), 0x33, 1));
    memset(copy, 0x7f, sizeof(copy));
    ASSERT_ERR(E_RANGE, guestmap_dump(map, copy, size - 1));
    ASSERT_EQ(copy[0], 0x7f);
    ASSERT_OK(guestmap_dump(map, copy, sizeof(copy)));
    ASSERT_EQ(copy[guestmap_dump_offset(map, gpa(0x10000000))], 0x11);
    ASSERT_EQ(copy[guestmap_dump_offset(map, gpa(RIG_RAM_BASE))], 0x22);
    ASSERT_EQ(guestmap_dump_offset(map, gpa(RIG_RAM_BASE)), 2 * PAGE_SIZE);
    ASSERT_EQ(copy[size - 1], 0x33);
    ASSERT_EQ(copy[size], 0x7f); /* Nothing behind it. */
    ASSERT_EQ(guestmap_dump_offset(map, gpa(RIG_RAM_BASE + RIG_GUEST_RAM)), UINT64_MAX);
    ASSERT_EQ(guestmap_dump_offset(map, gpa(UINT64_MAX)), UINT64_MAX);
    rig_end();
}
