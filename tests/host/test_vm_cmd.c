/* SPDX-License-Identifier: Apache-2.0 */
/* The prompt's commands about VMs: what they print and do. */
#include "kernel/shell.h"
#include "mm/page.h"
#include "tests/host/vm_rig.h"

static char output[4096];
static size_t output_size;

static void output_put(struct fmt_sink *, const char *text, size_t size)
{
    size = MIN(size, sizeof(output) - 1 - output_size);
    memcpy(output + output_size, text, size);
    output_size += size;
    output[output_size] = 0;
}

static const char *run(const char *command)
{
    struct fmt_sink sink = {.put = output_put};
    char line[64];

    output_size = 0;
    output[0] = 0;
    str_copy(line, sizeof(line), command);
    shell_run_line(&sink, line);
    return output;
}

static void start_two(void)
{
    rig_start();
    rig_vm("web", 2, 0);
    rig_vm("database", 1, 3);
}

TEST(list_shows_each_vm_with_its_state_and_pcpus)
{
    start_two();
    ASSERT_OK(vm_start(vms[1]));
    ASSERT_STR(run("list"), "NAME             STATE      VCPUS     MEMORY  STARTS  PCPUS\n"
                            "web              created        2      4 MiB       0  0 1\n"
                            "database         running        1      4 MiB       1  3\n");
    rig_end();
    ASSERT_STR(run("list"), "NAME             STATE      VCPUS     MEMORY  STARTS  PCPUS\n");
}

TEST(start_and_stop_do_so_quietly)
{
    start_two();
    ASSERT_STR(run("start web"), "");
    rig_turns(2);
    ASSERT_EQ(vms[0]->state, VM_RUNNING);
    ASSERT_STR(run("stop web"), "");
    rig_turns(3);
    ASSERT_EQ(vms[0]->state, VM_STOPPED);
    ASSERT_EQ(vms[1]->state, VM_CREATED);
    rig_end();
}

TEST(start_and_stop_say_why_not)
{
    start_two();
    ASSERT_STR(run("stop web"), "web is created and cannot become stopping: only a VM that is "
                                "starting, running or paused can\n");
    run("start web");
    ASSERT_STR(run("start web"), "web is running and cannot become starting: only a VM that is "
                                 "created, stopped or failed can\n");
    ASSERT_STR(run("start mail"), "there is no VM 'mail'; 'list' shows those that there are\n");
    ASSERT_STR(run("stop mail"), "there is no VM 'mail'; 'list' shows those that there are\n");
    ASSERT_STR(run("stop"), "usage: stop <vm>\n");
    ((struct config_vm *)vms[1]->config)->raw = false;
    ASSERT_STR(run("start database"), "database could not be started: malformed\n");
    rig_end();
}

TEST(stat_counts_exits_and_running_time)
{
    start_two();
    ASSERT_OK(vm_start(vms[1]));
    rig_turn(3);
    vms[1]->vcpus[0].sched.ran_ticks = 1234 * RIG_MS;
    vms[1]->vcpus[0].exit_count = 56789;
    ASSERT_STR(run("stat"), "NAME              VCPU  PCPU        EXITS       RAN (ms)\n"
                            "web                  0     0            0              0\n"
                            "web                  1     1            0              0\n"
                            "database             0     3        56789           1234\n");
    rig_end();
}

TEST(memory_tells_what_is_free)
{
    char want[64];

    rig_start();
    fmt_buf(want, sizeof(want), "%llu of 47 MiB free (%llu pages)\n",
            (unsigned long long)(page_free_count() * PAGE_SIZE / MIB),
            (unsigned long long)page_free_count());
    ASSERT_STR(run("memory"), want);
    page_alloc(10);
    fmt_buf(want, sizeof(want), "%llu of 47 MiB free (%llu pages)\n",
            (unsigned long long)(page_free_count() * PAGE_SIZE / MIB),
            (unsigned long long)page_free_count());
    ASSERT_STR(run("memory"), want);
    rig_end();
}

TEST(poweroff_and_reboot_reach_the_machine)
{
    ASSERT_STR(run("poweroff"), "powering off\n");
    ASSERT_EQ(fake.machine_offs, 1);
    ASSERT_STR(run("reboot"), "restarting\n");
    ASSERT_EQ(fake.machine_resets, 1);
    ASSERT_STR(run("poweroff now"), "usage: poweroff\n");
    ASSERT_EQ(fake.machine_offs, 1);
}

TEST(dirty_tells_which_pages_were_written)
{
    start_two();
    ASSERT_STR(run("dirty web take"), "web is not watched: 'dirty web start' comes first\n");
    ASSERT_STR(run("dirty nobody take"),
               "there is no VM 'nobody'; 'list' shows those that there are\n");
    ASSERT_STR(run("dirty web look"), "'look' is none of start, take and stop\n");
    ASSERT_STR(run("dirty web start"),
               "web: what is written is known from now on, by the faults of first writes\n");
    ASSERT_OK(guest_fill(&vms[0]->map, gpa(RIG_RAM_BASE + PAGE_SIZE), 0, 2 * PAGE_SIZE));
    ASSERT_OK(guest_fill(&vms[0]->map, gpa(RIG_RAM_BASE + 16 * PAGE_SIZE), 0, 1));
    ASSERT_STR(run("dirty web take"), "  0x40001000-0x40002fff\n"
                                      "  0x40010000-0x40010fff\n"
                                      "web: 3 pages written, in 2 runs; taken in 0 ns\n");
    ASSERT_STR(run("dirty web take"), "web: 0 pages written, in 0 runs; taken in 0 ns\n");
    ASSERT_STR(run("dirty web stop"), "web: what is written is no longer known\n");
    rig_end();
}
