/* SPDX-License-Identifier: Apache-2.0 */
/* How a configuration shares pCPUs: policies, time tables, and what is wrong with them. */
#include "tests/host/config_builder.h"

#define P(...) ((const struct builder_property[]){__VA_ARGS__, {0}})
#define NONE   P({0})
#define SLOTS  4u

/* A slot of the table of pCPU 1; NULL: no more. start_us of ANY: not given. */
#define ANY    UINT32_MAX
struct slot {
    const char *vm;
    uint32_t vcpu, start_us, length_us;
};

static void put_slots(struct fdt_writer *w, const struct slot *slots)
{
    fdt_write_node(w, "slots");
    for (unsigned i = 0; i < SLOTS && slots[i].vm; i++) {
        fdt_write_node(w, "s%u", i);
        fdt_write_string(w, "vm", slots[i].vm);
        if (slots[i].vcpu)
            fdt_write_u32(w, "vcpu", slots[i].vcpu);
        if (slots[i].start_us != ANY)
            fdt_write_u32(w, "start-us", slots[i].start_us);
        fdt_write_u32(w, "length-us", slots[i].length_us);
        fdt_write_node_end(w);
    }
    fdt_write_node_end(w);
}

/*
 * VMs "a" and "b" on 4 pCPUs, and a node for one of these with properties of the node "cpu", and
 * slots unless NULL.
 */
static enum err parse(const struct builder_property *a, const struct builder_property *b,
                      const char *name, const struct builder_property *cpu,
                      const struct slot *slots)
{
    struct fdt_writer w;

    builder_begin(&w, a);
    builder_vm(&w, "a", a);
    builder_vm(&w, "b", b);
    fdt_write_node_end(&w);
    fdt_write_node(&w, "cpus");
    fdt_write_node(&w, "%s", name);
    builder_node(&w, "cpu", builder_defaults, cpu);
    if (slots)
        put_slots(&w, slots);
    fdt_write_node_end(&w);
    return builder_parse(builder_end(&w), 4, GIB, false);
}

static const struct builder_property table[] = {
    {"cpu", "policy", "table", 0, 0},
    {"cpu", "cycle-us", NULL, 10000, 0},
    {0},
};

TEST(without_cpus_every_pcpu_is_shared)
{
    ASSERT_OK(builder_one(NONE));
    for (unsigned i = 0; i < CPUS_MAX; i++) {
        ASSERT_EQ(builder_config.cpus[i].policy, CONFIG_SHARED_CPU);
        ASSERT_EQ(builder_config.cpus[i].slice_us, 0);
    }
    ASSERT_EQ(builder_config.table_cpus, 0);
}

TEST(a_time_table_is_read_and_its_vcpus_are_put_there)
{
    const struct slot slots[SLOTS] = {
        {"a", 0, ANY, 2000}, {"b", 1, 3000, 4000}, {"a", 0, ANY, 3000}};
    const struct config *config = &builder_config;

    ASSERT_OK(parse(NONE, P({"vm", "cpus", NULL, 2, 0}), "cpu@1", table, slots));
    ASSERT_EQ(config->cpus[1].policy, CONFIG_TABLE_CPU);
    ASSERT_EQ(config->cpus[1].cycle_us, 10000);
    ASSERT_EQ(config->cpus[1].slot_count, 3);
    ASSERT_EQ(config->slot_count, 3);
    ASSERT_STR(config->slots[1].vm, "b");
    ASSERT_EQ(config->slots[1].vcpu, 1);
    ASSERT_EQ(config->slots[0].start_us, 0);
    ASSERT_EQ(config->slots[1].start_us, 3000);
    ASSERT_EQ(config->slots[2].start_us, 7000);
    ASSERT_EQ(config->slots[2].length_us, 3000);
    ASSERT_EQ(config->table_cpus, 2);
    ASSERT_EQ(config->vms[0].affinity[0], 2);
    ASSERT_EQ(config->vms[1].affinity[0], ~(uint64_t)2); /* It has no slot. */
    ASSERT_EQ(config->vms[1].affinity[1], 2);
}

TEST(policies_of_shared_and_exclusive_pcpus_are_read)
{
    ASSERT_OK(parse(NONE, NONE, "cpu@3", P({"cpu", "slice-us", "2000", 0, 0}), NULL));
    ASSERT_EQ(builder_config.cpus[3].slice_us, 2000);
    ASSERT_OK(parse(P({"vm", "affinity", "2", 0, 0}, {"vm", "exclusive", "yes", 0, 0}), NONE,
                    "cpu@2", P({"cpu", "policy", "exclusive", 0, 0}), NULL));
    ASSERT_EQ(builder_config.cpus[2].policy, CONFIG_EXCLUSIVE_CPU);
}

static void expect(const char *path, const char *text, enum err err)
{
    ASSERT_STR(builder_log.text[0], text);
    ASSERT_STR(builder_log.path[0], path);
    ASSERT_EQ(builder_log.count, 1);
    ASSERT_ERR(E_INVALID, err);
    for (unsigned i = 0; i < 4; i++) /* As if there were no node. */
        ASSERT_EQ(builder_config.cpus[i].policy, CONFIG_SHARED_CPU);
    ASSERT_EQ(builder_config.slot_count, 0);
}

TEST(mistakes_of_policies_are_named)
{
    static const struct {
        const char *node;
        struct builder_property property;
        const char *text;
    } cases[] = {
        {"cpu1",
         {"cpu", "policy", "-", 0, 0},
         "unknown node 'cpu1'; pCPUs are named cpu@0, cpu@1 and so on"},
        {"cpu@x",
         {"cpu", "policy", "-", 0, 0},
         "unknown node 'cpu@x'; pCPUs are named cpu@0, cpu@1 and so on"},
        {"cpu@4", {"cpu", "policy", "-", 0, 0}, "this machine has pCPUs 0 to 3 only"},
        {"cpu@0",
         {"cpu", "policy", "fair", 0, 0},
         "'policy' is \"fair\"; it must be shared, exclusive or table"},
        {"cpu@0",
         {"cpu", "slices", NULL, 1, 0},
         "unknown property 'slices', did you mean 'slice-us'?"},
        {"cpu@0",
         {"cpu", "slice-us", NULL, 999, 0},
         "'slice-us' is 999; it must be from 1000 to 1000000"},
        {"cpu@0", {"cpu", "cycle-us", NULL, 5000, 0}, "'cycle-us' needs policy = \"table\""},
        {"cpu@0",
         {"cpu", "policy", "exclusive", 0, 0},
         "no exclusive VM has this pCPU in its 'affinity'"},
        {"cpu@3",
         {"cpu", "slice-us", NULL, 5000, 0},
         "the pCPU is exclusive to a VM, and cannot be \"shared\""},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        char path[32];
        enum err err =
            parse(NONE, P({"vm", "affinity", "3", 0, 0}, {"vm", "exclusive", "yes", 0, 0}),
                  cases[i].node, P(cases[i].property), NULL);

        fmt_buf(path, sizeof(path), "/cpus/%s", cases[i].node);
        expect(path, cases[i].text, err);
        ASSERT_EQ(builder_config.vm_count, 2);
    }
}

TEST(a_table_that_overlaps_or_does_not_add_up_is_named)
{
    static const struct {
        struct slot slots[SLOTS];
        const char *path, *text;
    } cases[] = {
        {{{"a", 0, ANY, 5000}, {"b", 0, 4999, 1000}},
         "/cpus/cpu@1/slots/s1",
         "the slot starts at 4999 us, but the one before it ends at 5000 us"},
        {{{"a", 0, ANY, 5000}, {"b", 0, ANY, 5001}},
         "/cpus/cpu@1/slots/s1",
         "the slot ends at 10001 us, but the cycle has 10000 us"},
        {{{"a", 0, ANY, 99}},
         "/cpus/cpu@1/slots/s0",
         "'length-us' is 99; it must be from 100 to 10000000"},
        {{{"c", 0, ANY, 5000}}, "/cpus/cpu@1/slots/s0", "there is no VM 'c'"},
        {{{"a", 1, ANY, 5000}}, "/cpus/cpu@1/slots/s0", "/vms/a has 1 vCPUs only, from 0 on"},
        {{{0}}, "/cpus/cpu@1/slots", "there are no slots; the node 'slots' has one node for each"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        expect(cases[i].path, cases[i].text, parse(NONE, NONE, "cpu@1", table, cases[i].slots));
    expect("/cpus/cpu@1", "there are no slots; the node 'slots' has one node for each",
           parse(NONE, NONE, "cpu@1", table, NULL));
    expect("/cpus/cpu@1", "there is no 'cycle-us', after which the table repeats",
           parse(NONE, NONE, "cpu@1", P({"cpu", "policy", "table", 0, 0}), cases[0].slots + 1));
    expect("/cpus/cpu@1/slots", "'slots' need policy = \"table\"",
           parse(NONE, NONE, "cpu@1", NONE, cases[0].slots));
}

TEST(who_cannot_have_a_slot_is_named)
{
    static const struct slot slots[SLOTS] = {{"a", 0, ANY, 5000}};

    expect("/cpus/cpu@1/slots/s0", "vCPU 0 of /vms/a has an affinity without pCPU 1",
           parse(P({"vm", "affinity", "0,2-3", 0, 0}), NONE, "cpu@1", table, slots));
    expect("/cpus/cpu@1/slots/s0", "/vms/a has a budget; what has slots cannot",
           parse(P({"vm", "budget-us", NULL, 1000, 0}, {"vm", "period-us", NULL, 2000, 0}), NONE,
                 "cpu@1", table, slots));
    expect("/cpus/cpu@1/slots/s0", "/vms/a is exclusive: it has pCPUs of its own",
           parse(P({"vm", "affinity", "2", 0, 0}, {"vm", "exclusive", "yes", 0, 0}), NONE, "cpu@1",
                 table, slots));
}

TEST(a_vcpu_without_a_slot_does_not_run_under_a_table)
{
    static const struct slot slots[SLOTS] = {{"a", 0, ANY, 5000}};

    ASSERT_ERR(E_INVALID, parse(NONE, P({"vm", "affinity", "1", 0, 0}), "cpu@1", table, slots));
    ASSERT_STR(builder_log.text[0],
               "vCPU 0 has no pCPU to run on: all of its are exclusive to other VMs, or have time "
               "tables in which it has no slot");
    ASSERT_EQ(builder_config.vm_count, 1);
}

TEST(shares_mean_nothing_to_an_exclusive_vm)
{
    ASSERT_ERR(E_INVALID,
               builder_one(P({"vm", "affinity", "2", 0, 0}, {"vm", "exclusive", "yes", 0, 0},
                             {"vm", "weight", NULL, 5, 0})));
    ASSERT_STR(builder_log.text[0], "'weight' means nothing to an exclusive VM");
}

TEST(a_budget_above_its_period_is_named)
{
    ASSERT_ERR(E_INVALID, builder_one(P({"vm", "budget-us", NULL, 12000, 0},
                                        {"vm", "period-us", NULL, 10000, 0})));
    ASSERT_STR(builder_log.text[0], "'budget-us' is 12000, more than 'period-us', 10000");
    ASSERT_EQ(builder_log.count, 1);
}
