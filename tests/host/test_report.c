/* SPDX-License-Identifier: Apache-2.0 */
/* The fault report of a VM: what it says, that there is one, and who waits for it. */
#include "kernel/log.h"
#include "tests/host/vm_rig.h"

static const struct vcpu_exit hole = {
    .kind = EXIT_MMIO_WRITE,
    .cause = {0x93c08047, 0x30000010},
    .mmio = {.gpa = {0x30000010}, .width = 4, .data = 7},
};

TEST(a_report_says_what_where_and_what_was_before)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    vcpu->arch.regs.pc = 0x40080010;
    RIG_SCRIPT(vcpu, {.kind = EXIT_NOTHING, .cause = {0x1234}}, hole);
    rig_log_clear();
    rig_turn(0);
    ASSERT(rig_logged("error: web: vCPU 0 on cpu0: access to an address where nothing is\n"));
    ASSERT(rig_logged("  exit: mmio-write\n"));
    ASSERT(rig_logged("  write of 4 bytes\n"));
    ASSERT(rig_logged("  stage 1: guest-virtual 0x30000010 -> guest-physical 0x30000010\n"));
    ASSERT(rig_logged("  stage 2: guest-physical 0x30000010 is not mapped\n"));
    ASSERT(rig_logged("  nearest region: RAM 0x40000000-0x403fffff\n"));
    ASSERT(rig_logged("pc 0x40080010\n"));
    ASSERT(rig_logged("    pc 0000000040080010  nothing      cause 00001234\n"));
    ASSERT(rig_logged("    pc 0000000040080010  mmio-write   cause 93c08047\n"));
    rig_end();
}

TEST(a_report_names_the_device_and_the_mapping_of_an_address)
{
    const struct vcpu_exit fetch = {
        .kind = EXIT_STAGE2_FAULT,
        .fault = {
            .gpa = {RIG_RAM_BASE + 0x1234}, .gva = {0x5678}, .gva_valid = true, .execute = true}};
    struct vm *vm = rig_running(1);

    RIG_SCRIPT(&vm->vcpus[0],
               {.kind = EXIT_STAGE2_FAULT, .fault = {.gpa = {RIG_UART + 8}, .table_walk = true}});
    rig_turn(0);
    ASSERT(rig_logged("  device there: "));
    ASSERT(rig_logged(" at 0x9000000\n"));
    ASSERT(!rig_logged("stage 1:")); /* No virtual address is known. */
    rig_end();
    vm = rig_running(1);
    vm_fault(&vm->vcpus[0], "a fetch", &fetch);
    ASSERT(rig_logged("  stage 1: guest-virtual 0x5678 -> "));
    ASSERT(rig_logged("  stage 2: guest-physical 0x40001234 -> host 0x"));
    ASSERT(rig_logged(" (rwx, 2048 KiB leaf)\n"));
    rig_end();
}

TEST(a_report_names_no_virtual_address_where_the_hardware_tells_none)
{
    struct vm *vm = rig_running(1);

    virt_caps.access_gva = false;
    RIG_SCRIPT(&vm->vcpus[0], hole);
    rig_turn(0);
    virt_caps.access_gva = true;
    ASSERT(rig_logged("  write of 4 bytes\n"));
    ASSERT(!rig_logged("stage 1:"));
    ASSERT(rig_logged("  stage 2: guest-physical 0x30000010 is not mapped\n"));
    rig_end();
}

TEST(a_report_tells_an_event_from_a_walk_of_page_tables)
{
    struct vm *vm = rig_running(1);

    RIG_SCRIPT(&vm->vcpus[0],
               {.kind = EXIT_STAGE2_FAULT, .fault = {.gpa = {RIG_UART}, .delivery = true}});
    rig_turn(0);
    ASSERT(rig_logged("an event is taken by tables or a stack where no memory is\n"));
    rig_end();
}

TEST(only_the_last_sixteen_exits_are_told)
{
    struct vm *vm = rig_running(1);
    struct vcpu_exit exits[20];

    for (unsigned i = 0; i < 19; i++)
        exits[i] = (struct vcpu_exit){.kind = EXIT_NOTHING, .cause = {0xabc000 + i}};
    exits[19] = hole;
    rig_script(&vm->vcpus[0], exits, ARRAY_SIZE(exits));
    rig_turn(0);
    ASSERT_EQ(rig_logged_count(" nothing      cause 00abc0"), 15);
    ASSERT(!rig_logged("cause 00abc003"));
    ASSERT(rig_logged("cause 00abc004"));
    ASSERT(rig_logged("  last 16 of "));
    rig_end();
}

TEST(two_vcpus_that_fault_together_make_one_report)
{
    struct vm *vm = rig_running(2);

    ASSERT_OK(vcpu_power_on(&vm->vcpus[1], arch_entry(gpa(RIG_ENTRY), 0)));
    rig_turns(1);
    fake_be_cpu(1);
    ASSERT_OK(rig_bind(&vm->vcpus[1])); /* It is in the guest. */
    RIG_SCRIPT(&vm->vcpus[0], hole);
    rig_turn(0);
    fake_be_cpu(1);
    vm_fault(&vm->vcpus[1], "another mistake", &hole);
    ASSERT_OK(vcpu_unbind(&vm->vcpus[1]));
    ASSERT_EQ(rig_logged_count(": vCPU "), 1);
    ASSERT(!rig_logged("another mistake"));
    rig_turns(3);
    ASSERT_EQ(vm->state, VM_STOPPED);
    rig_end();
}

TEST(a_vm_that_crashes_again_and_again_tells_each_crash_once)
{
    struct vm *vm = rig_running(1);

    for (unsigned i = 1; i < 5; i++) {
        RIG_SCRIPT(&vm->vcpus[0], hole, hole, hole);
        rig_turns(3);
        ASSERT_EQ(rig_logged_count("access to an address where nothing is"), i);
        ASSERT_OK(vm_start(vm));
    }
    rig_end();
}

#define LINE_NS (7 * RIG_MS) /* Of a UART with 115200 baud. */

static unsigned slow_lines;
static struct sched_slot table[] = {{0, RIG_MS / 2, NULL}};

static void slow_put(const char *text, size_t size)
{
    slow_lines += memchr(text, '\n', size) != NULL;
    fake_advance(LINE_NS);
}

TEST(neighbours_run_between_the_lines_of_a_report_on_a_slow_uart)
{
    struct vm *vm = rig_running(1), *neighbour = rig_vm("neighbour", 1, 0);
    unsigned lines, lines_at_stop = 0;
    uint64_t runs;

    ASSERT_OK(vm_start(neighbour));
    rig_turns(2);
    log_attach(slow_put);
    slow_lines = 0;
    RIG_SCRIPT(&vm->vcpus[0], hole);
    for (unsigned i = 0; i < 2000; i++) {
        lines = slow_lines;
        runs = neighbour->vcpus[0].exit_count;
        rig_turn(0);
        ASSERT(slow_lines <= lines + 1);
        ASSERT(neighbour->vcpus[0].exit_count > runs || lines == 0);
        if (vm->state == VM_STOPPED && lines_at_stop == 0)
            lines_at_stop = slow_lines;
        rig_advance(RIG_MS);
    }
    ASSERT(lines_at_stop > 0 && lines_at_stop < 3); /* It does not wait for its report. */
    ASSERT(slow_lines > 10);
    lines = slow_lines;
    log_flush();
    ASSERT_EQ(slow_lines, lines);
    rig_end();
}

TEST(a_report_is_shown_where_no_time_table_is)
{
    struct vm *vm;

    rig_start();
    sched_set_table(1, table, ARRAY_SIZE(table), RIG_MS);
    vm = rig_vm("web", 1, 1);
    ASSERT_OK(vm_start(vm));
    log_attach(slow_put);
    slow_lines = 0;
    fake_be_cpu(1);
    vm_fault(&vm->vcpus[0], "a mistake", &hole);
    rig_turn(1);
    ASSERT_EQ(slow_lines, 0);
    rig_turn(2);
    ASSERT_EQ(slow_lines, 1);
    rig_end();
}

TEST(the_log_is_behind_until_the_last_line_that_is_for_the_console)
{
    rig_running(1);
    log_attach(slow_put);
    slow_lines = 0;
    ASSERT(!log_is_behind());
    for (unsigned i = 0; i < 5; i++)
        log_later(LOG_ERROR, "line %u of a report", i);
    log_debug("a line for the ring alone");
    while (slow_lines < 5) {
        ASSERT(log_is_behind());
        rig_turn(0);
        rig_advance(RIG_MS);
    }
    ASSERT(!log_is_behind());
    rig_end();
}

TEST(log_lines_stay_in_order_and_none_is_lost_when_reports_come_faster_than_they_are_shown)
{
    struct vm *vm = rig_running(1);

    log_attach(slow_put);
    slow_lines = 0;
    for (unsigned i = 0; i < 2000; i++)
        log_later(LOG_ERROR, "line %u of a long report, %080u", i, i);
    ASSERT(slow_lines > 1000 && slow_lines < 2000);
    log_info("a line behind it");
    ASSERT(slow_lines < 2000);
    log_flush();
    ASSERT_EQ(slow_lines, 2001);
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_end();
}
