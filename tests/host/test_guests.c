/* SPDX-License-Identifier: Apache-2.0 */
/* From a packed configuration to VMs that run: good ones, bad ones, and what is said of them. */
#include "boot/guests.h"
#include "kernel/fdt.h"
#include "kernel/log.h"
#include "mm/memmap.h"
#include "tests/host/vm_rig.h"
#include "vcpu/console.h"

#define GUESTS 4u

/* A VM of the configuration: 4 MiB, its kernel a raw image in the tree; and one property beside. */
struct guest {
    const char *name, *property, *value;
};

static alignas(8) uint8_t blob[65536];

static void put_vm(struct fdt_writer *w, const struct guest *guest)
{
    bool boot = guest->property && strcmp(guest->property, "format") == 0;
    bool memory = guest->property && strcmp(guest->property, "memory") == 0;

    fdt_write_node(w, "%s", guest->name);
    if (!memory)
        fdt_write_string(w, "memory", "4M");
    if (guest->property && !boot && guest->value)
        fdt_write_string(w, guest->property, guest->value);
    else if (guest->property && !boot)
        fdt_write_u32(w, guest->property, 99);
    fdt_write_node(w, "boot");
    fdt_write_string(w, "kernel", "image");
    if (!boot)
        fdt_write_string(w, "format", "raw");
    fdt_write_node_end(w);
    fdt_write_node_end(w);
}

/* The hypervisor's property may be missing. */
static size_t put_config(const char *property, const char *value, const struct guest *guests)
{
    static const char image[64] = "a guest's program";
    struct fdt_writer w;
    size_t size = 0;

    fdt_write_begin(&w, blob, sizeof(blob));
    fdt_write_node(&w, "%s", "");
    fdt_write_string(&w, "compatible", "caisson,config-1");
    if (property) {
        fdt_write_node(&w, "hypervisor");
        fdt_write_string(&w, property, value);
        fdt_write_node_end(&w);
    }
    fdt_write_node(&w, "vms");
    for (unsigned i = 0; i < GUESTS && guests[i].name; i++)
        put_vm(&w, &guests[i]);
    fdt_write_node_end(&w);
    fdt_write_node(&w, "files");
    fdt_write_node(&w, "file@0");
    fdt_write_string(&w, "name", "image");
    fdt_write_bytes(&w, "data", image, sizeof(image));
    fdt_write_node_end(&w);
    fdt_write_node_end(&w);
    fdt_write_node_end(&w);
    ASSERT_OK(fdt_write_end(&w, &size));
    return size;
}

static void boot(const char *property, const char *value, const struct guest *guests)
{
    static struct memmap map;

    rig_start();
    guests_start(blob, put_config(property, value, guests), &map);
}

/* Of those that exist, in order: "web:running db:created". */
static const char *states(void)
{
    static char text[256];
    size_t at = 0;

    text[0] = 0;
    for (unsigned i = 0; i < vm_count; i++)
        at += fmt_buf(text + at, sizeof(text) - at, "%s%s:%s", i ? " " : "", vms[i]->config->name,
                      vm_state_text(vms[i]->state));
    return text;
}

TEST(all_vms_of_a_good_configuration_are_started)
{
    boot(NULL, NULL, (const struct guest[GUESTS]){{.name = "web"}, {.name = "db"}});
    ASSERT_STR(states(), "web:running db:running");
    ASSERT(!rig_logged("error"));
    ASSERT_EQ(vms[0]->vcpus[0].power, VCPU_ON_PENDING);
    ASSERT(vms[0]->map.vmid != vms[1]->map.vmid);
    rig_end();
}

TEST(a_vm_with_a_mistake_is_named_and_the_others_start)
{
    boot(NULL, NULL,
         (const struct guest[GUESTS]){{"web", "cpu", "2"}, {.name = "db"}, {"mail", "cpus", NULL}});
    ASSERT_STR(states(), "db:running");
    ASSERT(rig_logged("error: /vms/web: unknown property 'cpu', did you mean 'cpus'?\n"));
    ASSERT(rig_logged("error: /vms/mail: "));
    rig_end();
}

TEST(a_vm_that_does_not_fit_is_named_and_the_others_start)
{
    boot(NULL, NULL,
         (const struct guest[GUESTS]){
             {"web", "memory", "30M"}, {"mail", "memory", "30M"}, {.name = "db"}});
    ASSERT_EQ(vm_count, 2);
    ASSERT_STR(vms[1]->config->name, "db");
    ASSERT_EQ(vms[1]->state, VM_RUNNING);
    ASSERT(rig_logged("/vms/mail: up to this VM the VMs need 60M of memory, but this machine has"));
    rig_end();
}

TEST(a_vm_for_a_pcpu_that_is_not_there_is_named_and_the_others_start)
{
    boot(NULL, NULL, (const struct guest[GUESTS]){{"web", "affinity", "7"}, {.name = "db"}});
    ASSERT_STR(states(), "db:running");
    ASSERT(rig_logged("error: /vms/web: "));
    rig_end();
}

TEST(a_kernel_of_no_known_format_is_named_and_the_others_start)
{
    boot(NULL, NULL, (const struct guest[GUESTS]){{"web", "format", ""}, {.name = "db"}});
    ASSERT(rig_logged("/vms/web"));
    ASSERT(rig_logged("is not an arm64 Image or ELF"));
    ASSERT_EQ(vms[vm_count - 1]->state, VM_RUNNING);
    rig_end();
}

TEST(a_vm_without_autostart_waits_for_its_start)
{
    boot(NULL, NULL, (const struct guest[GUESTS]){{"web", "autostart", "no"}, {.name = "db"}});
    ASSERT_STR(states(), "web:created db:running");
    ASSERT_OK(vm_start(vms[0]));
    rig_end();
}

static bool types_to(struct vm *vm)
{
    rig_write(vm, 0, RIG_UART + 0x30, 4, 0x301); /* UARTCR: on. */
    console_type('q');
    return rig_read(vm, 0, RIG_UART + 0x18, 4) >> 4 & 1 ? false
                                                        : rig_read(vm, 0, RIG_UART, 4) == 'q';
}

TEST(the_first_vm_has_the_console_unless_the_configuration_says_otherwise)
{
    const struct guest two[GUESTS] = {{.name = "web"}, {.name = "db"}};

    boot(NULL, NULL, two);
    ASSERT(types_to(vms[0]));
    rig_end();
    boot("console", "db", two);
    ASSERT(!types_to(vms[0]));
    ASSERT(types_to(vms[1]));
    rig_end();
    boot("console", "prompt", two);
    ASSERT(!types_to(vms[0]) && !types_to(vms[1]));
    rig_end();
}

TEST(the_configuration_sets_the_level_of_the_log)
{
    boot("log", "error", (const struct guest[GUESTS]){{.name = "web"}});
    log_set_level(LOG_INFO);
    ASSERT_STR(states(), "web:running");
    ASSERT(!rig_logged("web: started"));
    rig_end();
}

TEST(what_is_no_configuration_is_said_to_be_none)
{
    static const struct memmap map;
    size_t size;

    rig_start();
    guests_start(NULL, 0, &map);
    ASSERT(rig_logged("warn: no guest configuration came with this image"));
    memset(blob, 0x5a, sizeof(blob));
    guests_start(blob, sizeof(blob), &map);
    ASSERT_EQ(rig_logged_count("error: what was packed is not a configuration of Caisson\n"), 1);
    size = put_config(NULL, NULL, (const struct guest[GUESTS]){{.name = "web"}});
    guests_start(blob, size / 2, &map); /* Cut off. */
    ASSERT_EQ(rig_logged_count("error: what was packed is not a configuration of Caisson\n"), 2);
    ASSERT_EQ(vm_count, 0);
    rig_end();
}

/* Each byte of a good configuration is damaged in turn: nothing of ours may break. */
TEST(damaged_configurations_end_in_errors_only)
{
    const struct guest guests[GUESTS] = {{"web", "memory", "1M"}};
    static const struct memmap map;
    unsigned running = 0;

    for (size_t at = 0, size = 1; at < size; at += 7) {
        rig_start();
        size = put_config(NULL, NULL, guests);
        blob[at] ^= (uint8_t)(1 + test_random_below(255));
        guests_start(blob, size, &map);
        running += vm_count;
        rig_end();
    }
    ASSERT(running > 0);
}
