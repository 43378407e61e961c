/* SPDX-License-Identifier: Apache-2.0 */
/* vcpu/config*.c: what is read, and that each mistake is named. */
#include "tests/host/config_builder.h"

#define P(...) ((const struct builder_property[]){__VA_ARGS__, {0}})
#define NONE   P({0})

TEST(the_smallest_configuration_gets_its_defaults)
{
    const struct config_vm *vm = builder_config.vms;

    ASSERT_OK(builder_one(NONE));
    ASSERT_EQ(builder_config.vm_count, 1);
    ASSERT_STR(vm->name, "a");
    ASSERT_EQ(vm->cpu_count, 1);
    ASSERT_EQ(vm->affinity[0], 0);
    ASSERT_EQ(vm->memory_size, 64 * MIB);
    ASSERT_EQ(vm->priority, CONFIG_PRIORITY_DEFAULT);
    ASSERT_EQ(vm->weight, CONFIG_WEIGHT_DEFAULT);
    ASSERT_EQ(vm->budget_us, 0);
    ASSERT(vm->autostart && !vm->exclusive && !vm->raw);
    ASSERT_EQ(vm->on_crash, ACTION_STOP);
    ASSERT_EQ(vm->on_reset, ACTION_RESTART);
    ASSERT_EQ(vm->on_poweroff, ACTION_STOP);
    ASSERT_STR(vm->kernel.name, "vmlinuz");
    ASSERT_EQ(vm->kernel.data, NULL);
    ASSERT_EQ(vm->initrd.name, NULL);
    ASSERT_STR(vm->cmdline, "");
    ASSERT(!builder_config.log_set && !builder_config.console);
}

TEST(every_property_of_a_configuration_is_read)
{
    const struct config_vm *vm = builder_config.vms;

    ASSERT_OK(builder_one(P(
        {"hypervisor", "log", "debug", 0, 0}, {"hypervisor", "console", "a", 0, 0},
        {"vm", "cpus", NULL, 3, 0}, {"vm", "affinity", "0-1,3", 0, 0}, {"vm", "memory", "1G", 0, 0},
        {"vm", "memory-host", "0x80000000", 0, 0}, {"vm", "priority", "31", 0, 0},
        {"vm", "autostart", "no", 0, 0}, {"vm", "weight", "100", 0, 0},
        {"vm", "budget-us", NULL, 2500, 0}, {"vm", "period-us", NULL, 10000, 0},
        {"vm", "on-crash", "restart", 0, 0}, {"vm", "on-reset", "stop", 0, 0},
        {"vm", "on-poweroff", "restart", 0, 0}, {"boot", "initrd", "initrd.gz", 0, 0},
        {"boot", "fdt", "my.dtb", 0, 0}, {"boot", "cmdline", "quiet", 0, 0},
        {"boot", "format", "raw", 0, 0}, {"boot", "load-address", NULL, 0x40200000, 0},
        {"region", "kind", "shared", 0, 0}, {"region", "host", "0x60000000", 0, 0})));
    ASSERT(builder_config.log_set);
    ASSERT_EQ(builder_config.log, LOG_DEBUG);
    ASSERT_STR(builder_config.console, "a");
    ASSERT_EQ(vm->cpu_count, 3);
    ASSERT_EQ(vm->affinity[0], 0xb);
    ASSERT_EQ(vm->affinity[2], 0xb);
    ASSERT_EQ(vm->memory_size, GIB);
    ASSERT_EQ(vm->memory_host, 0x80000000);
    ASSERT_EQ(vm->priority, 31);
    ASSERT_EQ(vm->weight, 100);
    ASSERT_EQ(vm->budget_us, 2500);
    ASSERT_EQ(vm->period_us, 10000);
    ASSERT(!vm->autostart && vm->raw);
    ASSERT_EQ(vm->on_crash, ACTION_RESTART);
    ASSERT_EQ(vm->on_reset, ACTION_STOP);
    ASSERT_EQ(vm->on_poweroff, ACTION_RESTART);
    ASSERT_STR(vm->initrd.name, "initrd.gz");
    ASSERT_STR(vm->fdt.name, "my.dtb");
    ASSERT_STR(vm->cmdline, "quiet");
    ASSERT_EQ(vm->load_address, 0x40200000);
    ASSERT_EQ(vm->region_count, 1);
    ASSERT_STR(vm->regions[0].name, "r");
    ASSERT_EQ(vm->regions[0].kind, CONFIG_SHARED);
    ASSERT_EQ(vm->regions[0].address, 4 * GIB);
    ASSERT_EQ(vm->regions[0].size, 64 * KIB);
    ASSERT_EQ(vm->regions[0].host, 0x60000000);
}

TEST(an_affinity_may_have_one_string_for_each_vcpu)
{
    ASSERT_OK(builder_one(P({"vm", "cpus", NULL, 2, 0}, {"vm", "affinity",
                                                         "0-2\0"
                                                         "5,63",
                                                         0, 9})));
    ASSERT_EQ(builder_config.vms[0].affinity[0], 7);
    ASSERT_EQ(builder_config.vms[0].affinity[1], 1ull << 63 | 1 << 5);
}

TEST(the_pcpus_of_an_exclusive_vm_are_dealt_to_its_vcpus_in_order)
{
    ASSERT_OK(builder_one(P({"vm", "cpus", NULL, 3, 0}, {"vm", "affinity", "1,4-5", 0, 0},
                            {"vm", "exclusive", "yes", 0, 0})));
    ASSERT_EQ(builder_config.vms[0].affinity[0], 1 << 1);
    ASSERT_EQ(builder_config.vms[0].affinity[1], 1 << 4);
    ASSERT_EQ(builder_config.vms[0].affinity[2], 1 << 5);
    ASSERT_EQ(builder_config.exclusive_cpus, 0x32);
}

/* One wrong property, and what is said. */
static const struct {
    struct builder_property property;
    const char *path, *text;
} mistakes[] = {
    {{"vm", "cpu", NULL, 1, 0}, "/vms/a", "unknown property 'cpu', did you mean 'cpus'?"},
    {{"vm", "frobnicate", NULL, 1, 0}, "/vms/a", "unknown property 'frobnicate'"},
    {{"vm", "kernel", "x", 0, 0}, "/vms/a", "'kernel' belongs into the node 'boot'"},
    {{"vm", "cpus", NULL, 0, 0}, "/vms/a", "'cpus' is 0; it must be from 1 to 32"},
    {{"vm", "cpus", NULL, 33, 0}, "/vms/a", "'cpus' is 33; it must be from 1 to 32"},
    {{"vm", "cpus", "two", 0, 0},
     "/vms/a",
     "'cpus' must be a number, as <2>, \"2\" or \"0x40000000\""},
    {{"vm", "priority", NULL, 32, 0}, "/vms/a", "'priority' is 32; it must be from 0 to 31"},
    {{"vm", "weight", NULL, 0, 0}, "/vms/a", "'weight' is 0; it must be from 1 to 100"},
    {{"vm", "budget-us", NULL, 99, 0},
     "/vms/a",
     "'budget-us' is 99; it must be from 100 to 1000000"},
    {{"vm", "budget-us", NULL, 5000, 0}, "/vms/a", "'budget-us' needs a 'period-us'"},
    {{"vm", "period-us", NULL, 5000, 0}, "/vms/a", "'period-us' needs a 'budget-us'"},
    {{"vm", "memory", "-", 0, 0}, "/vms/a", "there is no 'memory', such as \"256M\""},
    {{"vm", "memory", NULL, 256, 0},
     "/vms/a",
     "'memory' must be a string with a size, such as \"256M\""},
    {{"vm", "memory", "256Q", 0, 0},
     "/vms/a",
     "'memory' must be a string with a size, such as \"256M\""},
    {{"vm", "memory", "1025K", 0, 0},
     "/vms/a",
     "'memory' is \"1025K\"; it must be a multiple of 4K, and not 0"},
    {{"vm", "memory", "512K", 0, 0}, "/vms/a", "'memory' is 512K; it must be from 1M to 255G"},
    {{"vm", "memory", "256G", 0, 0},
     "/vms/a",
     "'memory' is 268435456K; it must be from 1M to 255G"},
    {{"vm", "memory-host", "0x1234", 0, 0},
     "/vms/a",
     "'memory-host' is 0x1234; it must be a multiple of 0x1000"},
    {{"vm", "memory-host", "0xffffffffff000", 0, 0},
     "/vms/a",
     "RAM at 0xffffffffff000 with 0x4000000 bytes ends beyond 0x10000000000000"},
    {{"vm", "exclusive", "yes", 0, 0}, "/vms/a", "'exclusive' needs an 'affinity'"},
    {{"vm", "exclusive", "maybe", 0, 0},
     "/vms/a",
     "'exclusive' must be empty (yes), \"yes\" or \"no\""},
    {{"vm", "on-crash", "explode", 0, 0},
     "/vms/a",
     "'on-crash' is \"explode\"; it must be stop, restart, pause or restore"},
    {{"vm", "affinity", NULL, 1, 0},
     "/vms/a",
     "'affinity' must be a string with pCPUs, such as \"0-1,3\""},
    {{"vm", "affinity", "0,", 0, 0},
     "/vms/a",
     "'affinity' is \"0,\"; it must be pCPUs such as \"0-1,3\""},
    {{"vm", "affinity", "-1", 0, 0},
     "/vms/a",
     "'affinity' is \"-1\"; it must be pCPUs such as \"0-1,3\""},
    {{"vm", "affinity", "0 1", 0, 0},
     "/vms/a",
     "'affinity' is \"0 1\"; it must be pCPUs such as \"0-1,3\""},
    {{"vm", "affinity", "0-64", 0, 0}, "/vms/a", "'affinity' is \"0-64\"; pCPUs go from 0 to 63"},
    {{"vm", "affinity", "99999999999", 0, 0},
     "/vms/a",
     "'affinity' is \"99999999999\"; pCPUs go from 0 to 63"},
    {{"vm", "affinity", "3-1", 0, 0},
     "/vms/a",
     "'affinity' is \"3-1\"; its pCPUs must be in ascending order, each once"},
    {{"vm", "affinity", "1,1", 0, 0},
     "/vms/a",
     "'affinity' is \"1,1\"; its pCPUs must be in ascending order, each once"},
    {{"vm", "affinity",
      "0\0"
      "1",
      0, 4},
     "/vms/a",
     "'affinity' has 2 strings; it must have one, or one for each of 1 vCPUs"},
    {{"boot", "kernel", "-", 0, 0}, "/vms/a/boot", "there is no 'kernel'"},
    {{"boot", "kernel", NULL, 1, 0}, "/vms/a/boot", "'kernel' must be a string"},
    {{"boot", "cmdline",
      "a\0"
      "b",
      0, 4},
     "/vms/a/boot",
     "'cmdline' must be one string, not a list"},
    {{"boot", "cmdlin", "a", 0, 0},
     "/vms/a/boot",
     "unknown property 'cmdlin', did you mean 'cmdline'?"},
    {{"boot", "format", "elf", 0, 0},
     "/vms/a/boot",
     "'format' is \"elf\"; it must be auto, raw or firmware"},
    {{"boot", "load-address", NULL, 0x40000000, 0},
     "/vms/a/boot",
     "'load-address' needs format = \"raw\""},
    {{"region", "kind", "-", 0, 0},
     "/vms/a/regions/r",
     "there is no 'kind': ram, rom, device or shared"},
    {{"region", "size", "-", 0, 0}, "/vms/a/regions/r", "there is no 'size'"},
    {{"region", "address", "-", 0, 0}, "/vms/a/regions/r", "there is no 'address'"},
    {{"region", "kind", "device", 0, 0},
     "/vms/a/regions/r",
     "there is no 'host'; a device region needs its host address"},
    {{"region", "address", "0x43fff000", 0, 0},
     "/vms/a/regions/r",
     "the region at 0x43fff000-0x4400efff overlaps the VM's RAM at 0x40000000-0x43ffffff"},
    {{"region", "address", "0x8ffff000", 0, 0}, NULL, NULL},
    {{"region", "address", "0x09000000", 0, 0},
     "/vms/a/regions/r",
     "the region at 0x9000000-0x900ffff overlaps the machine's pl011 at 0x9000000-0x9000fff"},
    {{"region", "address", "0xfffffff000", 0, 0},
     "/vms/a/regions/r",
     "the region at 0xfffffff000 with 0x10000 bytes ends beyond 0x10000000000"},
    {{"vm", "interrupt-controller", "aia", 0, 0},
     "/vms/a",
     "'interrupt-controller' is for riscv64 guests; this one is for aarch64"},
    {{"vm", "interrupt-controller", "gic", 0, 0},
     "/vms/a",
     "'interrupt-controller' is \"gic\"; it must be plic or aia"},
    {{"hypervisor", "log", "loud", 0, 0},
     "/hypervisor",
     "'log' is \"loud\"; it must be error, warn, info or debug"},
    {{"hypervisor", "console", "nobody", 0, 0},
     "/hypervisor",
     "'console' is \"nobody\", which is neither a VM nor \"prompt\""},
};

TEST(each_mistake_in_a_configuration_is_one_sentence_with_its_path)
{
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        enum err err = builder_one(P(mistakes[i].property));

        if (!mistakes[i].text) {
            ASSERT_OK(err);
            continue;
        }
        ASSERT_STR(builder_log.text[0], mistakes[i].text);
        ASSERT_STR(builder_log.path[0], mistakes[i].path);
        ASSERT_EQ(builder_log.count, 1);
        ASSERT_EQ(builder_log.report.count, 1);
        ASSERT_ERR(E_INVALID, err);
        ASSERT_EQ(builder_config.vm_count, mistakes[i].property.node[0] == 'h');
    }
}

/* A configuration with these properties, for guests of an architecture. */
static enum err parse_for(const char *arch, const struct builder_property *given)
{
    const struct config_context context = {.machine = machine_find(arch)};
    struct fdt_writer w;
    size_t size;

    builder_begin(&w, given);
    builder_vm(&w, "a", given);
    size = builder_end(&w);
    memset(&builder_log, 0, sizeof(builder_log));
    builder_log.report.mistake = builder_mistake;
    return config_parse(&builder_config, builder_blob, size, &context, &builder_log.report);
}

TEST(an_x86_64_guests_memory_goes_round_the_hole)
{
    static const struct {
        const char *memory, *address, *says;
    } cases[] = {
        {"3G", "0x100000000", NULL},
        {"5G", "0x180000000", NULL},
        {"5G", "0xc0000000", NULL},
        {"5G", "0x17ffff000",
         "the region at 0x17ffff000-0x17fffffff overlaps the VM's RAM at "
         "0x100000000-0x17fffffff"},
        {"5G", "0xbffff000",
         "the region at 0xbffff000-0xbfffffff overlaps the VM's RAM at "
         "0x0-0xbfffffff"},
        {"63G", "0xc0000000", NULL},
        {"64G", "0xc0000000", "'memory' is 67108864K; it must be from 1M to 63G"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        enum err err = parse_for("x86_64", P({"vm", "memory", cases[i].memory, 0, 0},
                                             {"region", "kind", "ram", 0, 0},
                                             {"region", "address", cases[i].address, 0, 0},
                                             {"region", "size", "4K", 0, 0}));

        ASSERT_STR(builder_log.text[0], cases[i].says ? cases[i].says : "");
        ASSERT_ERR(cases[i].says ? E_INVALID : OK, err);
    }
}

TEST(a_riscv64_guest_chooses_its_interrupt_controller)
{
    static const struct {
        const char *word;
        enum config_irqchip irqchip;
    } cases[] = {{"plic", CONFIG_PLIC}, {"aia", CONFIG_AIA}, {"-", CONFIG_PLIC}};

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        ASSERT_OK(parse_for("riscv64", P({"vm", "interrupt-controller", cases[i].word, 0, 0})));
        ASSERT_EQ(builder_config.vms[0].irqchip, cases[i].irqchip);
    }
}

TEST(a_vm_with_mistakes_is_left_out_and_the_others_work)
{
    ASSERT_ERR(E_INVALID, builder_two(P({"vm", "cpus", NULL, 0, 0}), NONE));
    ASSERT_EQ(builder_config.vm_count, 1);
    ASSERT_STR(builder_config.vms[0].name, "b");
    ASSERT_EQ(builder_config.vms[0].index, 0);
    ASSERT(config_find(&builder_config, "b") && !config_find(&builder_config, "a"));
}

static void expect_of_two(const struct builder_property *a, const struct builder_property *b,
                          const char *path, const char *text)
{
    ASSERT_ERR(E_INVALID, builder_two(a, b));
    ASSERT_STR(builder_log.text[0], text);
    ASSERT_STR(builder_log.path[0], path);
    ASSERT_EQ(builder_log.count, 1);
    ASSERT_EQ(builder_config.vm_count, 1);
}

TEST(mistakes_between_vms_are_found)
{
    expect_of_two(P({"vm", "memory-host", "0x50000000", 0, 0}),
                  P({"vm", "memory-host", "0x53fff000", 0, 0}), "/vms/b",
                  "RAM at 0x53fff000-0x57ffefff overlaps /vms/a's RAM at 0x50000000-0x53ffffff");
    expect_of_two(P({"vm", "affinity", "1", 0, 0}, {"vm", "exclusive", "yes", 0, 0}),
                  P({"vm", "affinity", "1", 0, 0}, {"vm", "exclusive", "yes", 0, 0}), "/vms/b",
                  "pCPU 1 is exclusive to /vms/a already");
    expect_of_two(P({"vm", "affinity", "1", 0, 0}),
                  P({"vm", "affinity", "1", 0, 0}, {"vm", "exclusive", "yes", 0, 0}), "/vms/a",
                  "vCPU 0 has no pCPU to run on: all of its are exclusive to other VMs");
    expect_of_two(NONE, P({"vm", "affinity", "4", 0, 0}), "/vms/b",
                  "'affinity' is \"4\", but this machine has pCPUs 0 to 3 only");
    expect_of_two(P({"vm", "memory", "512M", 0, 0}), P({"vm", "memory", "513M", 0, 0}), "/vms/b",
                  "up to this VM the VMs need 1025M of memory, but this machine has 1024M");
    expect_of_two(P({"region", "host", "0x50000000", 0, 0}),
                  P({"region", "host", "0x50000000", 0, 0}), "/vms/b/regions/r",
                  "r at 0x50000000-0x5000ffff overlaps /vms/a's r at 0x50000000-0x5000ffff");
}

TEST(shared_regions_may_lie_on_the_same_host_memory)
{
    const struct builder_property *shared =
        P({"region", "kind", "shared", 0, 0}, {"region", "host", "0x50000000", 0, 0});

    ASSERT_OK(builder_two(shared, shared));
}

static void expect_of_name(const char *name, const char *text)
{
    struct fdt_writer w;

    builder_begin(&w, NONE);
    builder_vm(&w, "x", NONE);
    builder_vm(&w, name, NONE);
    ASSERT_ERR(E_INVALID, builder_parse(builder_end(&w), 0, 0, false));
    ASSERT_STR(builder_log.text[0], text);
    ASSERT_EQ(builder_log.count, 1);
}

TEST(names_of_vms_are_checked)
{
    expect_of_name("Web", "a VM's name has only a-z, 0-9 and -, not 'W'");
    expect_of_name("a-name-that-has-32-characters-xx", "the VM's name has more than 31 characters");
    expect_of_name("prompt", "a VM cannot be named 'prompt', as the console is");
    expect_of_name("x", "there is another VM named 'x'");
}

TEST(a_configuration_without_vms_is_a_mistake)
{
    struct fdt_writer w;

    builder_begin(&w, NONE);
    ASSERT_ERR(E_INVALID, builder_parse(builder_end(&w), 0, 0, false));
    ASSERT_STR(builder_log.text[0], "there are no VMs; the node 'vms' has one node for each");
    ASSERT_STR(builder_log.path[0], "/vms");
}

TEST(what_is_no_configuration_is_told_apart)
{
    struct fdt_writer w;
    size_t size = 0;

    fdt_write_begin(&w, builder_blob, sizeof(builder_blob));
    fdt_write_node(&w, "%s", "");
    fdt_write_string(&w, "compatible", "linux,dummy-virt");
    fdt_write_node_end(&w);
    ASSERT_OK(fdt_write_end(&w, &size));
    ASSERT_ERR(E_ABSENT, builder_parse(size, 0, 0, false));
    memset(builder_blob, 0x5a, 64);
    ASSERT_ERR(E_ABSENT, builder_parse(64, 0, 0, false));
    ASSERT_ERR(E_ABSENT, builder_parse(0, 0, 0, false));
}

static size_t build_packed(const char *name, size_t data_size)
{
    static const char data[128] = "data";
    struct fdt_writer w;
    size_t size = 0;

    builder_begin(&w, NONE);
    builder_vm(&w, "a", P({"boot", "format", "raw", 0, 0}));
    fdt_write_node_end(&w);
    fdt_write_node(&w, "files");
    fdt_write_node(&w, "file@0");
    fdt_write_string(&w, "name", name);
    fdt_write_bytes(&w, "data", data, data_size);
    fdt_write_node_end(&w);
    fdt_write_node_end(&w);
    fdt_write_node_end(&w);
    ASSERT_OK(fdt_write_end(&w, &size));
    return size;
}

TEST(files_are_found_in_the_image_by_their_names)
{
    ASSERT_OK(builder_parse(build_packed("vmlinuz", 128), 0, 0, true));
    ASSERT_EQ(builder_config.vms[0].kernel.size, 128);
    ASSERT_STR(builder_config.vms[0].kernel.data, "data");
    ASSERT_ERR(E_INVALID, builder_parse(build_packed("vmlinux", 128), 0, 0, true));
    ASSERT_STR(builder_log.text[0], "file 'vmlinuz' is not in the image");
    ASSERT_STR(builder_log.path[0], "/vms/a/boot");
    ASSERT_ERR(E_INVALID, builder_parse(build_packed("vmlinuz", 0), 0, 0, true));
}

TEST(a_damaged_configuration_is_never_read_beyond_its_end)
{
    size_t size = build_packed("vmlinuz", 128);
    static uint8_t good[BUILDER_SIZE];
    uint8_t *tight = __builtin_malloc(size);

    memcpy(good, builder_blob, size);
    for (unsigned round = 0; round < 5000; round++) {
        const struct config_context context = {.machine = machine_find("aarch64"), .packed = true};

        memcpy(tight, good, size);
        for (unsigned i = 0; i <= test_random_below(4); i++)
            tight[test_random_below(size)] = (uint8_t)test_random();
        memset(&builder_log, 0, sizeof(builder_log));
        builder_log.report.mistake = builder_mistake;
        if (config_parse(&builder_config, tight, size, &context, &builder_log.report) == OK)
            ASSERT(builder_log.count == 0);
    }
    __builtin_free(tight);
}
