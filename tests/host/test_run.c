/* SPDX-License-Identifier: Apache-2.0 */
/* The run loop: each kind of exit, and what others ask of a vCPU meanwhile. */
#include "tests/host/vm_rig.h"

#define HOLE 0x20000000ull

static struct vcpu_exit mmio(bool write, uint64_t addr, unsigned width, uint64_t data)
{
    return (struct vcpu_exit){
        .kind = write ? EXIT_MMIO_WRITE : EXIT_MMIO_READ,
        .advance = true,
        .cause = {0x93c08007, addr},
        .mmio = {.gpa = gpa(addr), .data = data, .width = (uint8_t)width, .reg = 5},
    };
}

static struct vcpu_exit plain(enum exit_kind kind)
{
    return (struct vcpu_exit){.kind = kind, .advance = true};
}

static struct vcpu_exit call(uint64_t nr)
{
    return (struct vcpu_exit){.kind = EXIT_HYPERCALL, .call.nr = nr};
}

TEST(a_read_of_a_device_register_is_answered_and_stepped_over)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    uint64_t pc = vcpu->arch.regs.pc;

    RIG_SCRIPT(vcpu, mmio(false, RIG_UART + 0xfe0, 4, ~0ull)); /* UARTPeriphID0 */
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.regs.gpr[5], 0x11);
    ASSERT_EQ(vcpu->arch.regs.pc, pc + 4);
    ASSERT_EQ(vcpu->arch.finishes, 1);
    ASSERT_EQ(vm->state, VM_RUNNING);
    RIG_SCRIPT(vcpu, mmio(false, RIG_GICR + 8, 8, 0)); /* GICR_TYPER: Last, and more above. */
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.regs.gpr[5], rig_read(vm, 0, RIG_GICR + 8, 8));
    ASSERT_EQ(vcpu->arch.regs.gpr[5] >> 4 & 1, 1);
    RIG_SCRIPT(vcpu, mmio(false, RIG_GICD + 4, 4, 0)); /* GICD_TYPER */
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.regs.gpr[5], rig_read(vm, 0, RIG_GICD + 4, 4));
    ASSERT(vcpu->arch.regs.gpr[5] > 0xff);
    rig_end();
}

TEST(a_write_of_a_device_register_reaches_the_device_with_its_width)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    RIG_SCRIPT(vcpu, mmio(true, RIG_UART + 0x24, 4, 0x1234), mmio(true, RIG_UART + 0x28, 2, 0x2a));
    rig_turn(0);
    ASSERT_EQ(rig_read(vm, 0, RIG_UART + 0x24, 4), 0x1234); /* UARTIBRD */
    ASSERT_EQ(rig_read(vm, 0, RIG_UART + 0x28, 4), 0x2a);   /* UARTFBRD */
    ASSERT_EQ(vcpu->arch.finishes, 2);
    rig_end();
}

/* The VM has crashed by this one exit, and the instruction was not stepped over. */
static void crashes(struct vcpu_exit exit, const char *why)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    RIG_SCRIPT(vcpu, exit);
    rig_turn(0);
    ASSERT(rig_logged("web: vCPU 0 on cpu0: "));
    ASSERT(rig_logged(why));
    ASSERT_EQ(vcpu->arch.finishes, 0);
    rig_turns(2);
    ASSERT_EQ(vm->state, VM_STOPPED);
    ASSERT_EQ(vm->reason, VM_STOP_CRASH);
    ASSERT(rig_logged("web: crashed\n"));
    rig_end();
}

TEST(an_access_to_a_hole_stops_the_vm_with_a_report)
{
    crashes(mmio(false, HOLE, 4, 0), "access to an address where nothing is\n");
    crashes(mmio(true, HOLE, 1, 7), "access to an address where nothing is\n");
}

TEST(a_pcs_hole_reads_as_ones_takes_no_writes_and_is_told_once)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    struct machine_layout pc = *vm->layout;

    pc.hole_base = HOLE;
    pc.hole_end = HOLE + MIB;
    vm->layout = &pc;
    RIG_SCRIPT(vcpu, mmio(true, HOLE + 8, 4, 7), mmio(false, HOLE + 8, 2, 0));
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.regs.gpr[5], 0xffff);
    RIG_SCRIPT(vcpu, mmio(false, HOLE + MIB - 1, 8, 0));
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.regs.gpr[5], ~0ull);
    ASSERT_EQ(vcpu->arch.finishes, 3);
    ASSERT_EQ(rig_logged_count("web: vCPU 0 "), 1);
    ASSERT(rig_logged("web: vCPU 0 writes to 0x20000008, where nothing is: "));
    RIG_SCRIPT(vcpu, mmio(false, HOLE + MIB, 4, 0));
    rig_turn(0);
    ASSERT(rig_logged("access to an address where nothing is\n"));
    rig_end();
}

TEST(an_access_that_reaches_beyond_a_device_stops_the_vm)
{
    crashes(mmio(false, RIG_UART + 0x1000, 4, 0), "access to an address where nothing is\n");
    crashes(mmio(false, RIG_UART - 4, 8, 0), "access to an address where nothing is\n");
}

TEST(what_the_hypervisor_does_not_handle_stops_the_vm)
{
    crashes(plain(EXIT_FAIL_ENTRY), "the hardware refused to enter the guest\n");
    crashes(plain(EXIT_INTERNAL_ERROR), "a system error reached the guest\n");
    crashes(plain(EXIT_UNKNOWN), "an exit that we do not handle\n");
    crashes(plain(EXIT_DEBUG), "an exit that we do not handle\n");
    crashes(plain((enum exit_kind)99), "an exit that we do not handle\n");
}

static struct vcpu_exit stage2(bool execute, bool table_walk)
{
    return (struct vcpu_exit){
        .kind = EXIT_STAGE2_FAULT,
        .fault = {.gpa = gpa(HOLE), .execute = execute, .table_walk = table_walk},
    };
}

TEST(a_fetch_and_page_tables_where_no_memory_is_stop_the_vm)
{
    crashes(stage2(true, false), "instruction fetch where no memory is\n");
    crashes(stage2(false, true), "page tables where no memory is\n");
    crashes(stage2(true, true), "page tables where no memory is\n");
    crashes(stage2(false, false), "access by an instruction that cannot be emulated\n");
}

static uint32_t decoded;
static uint64_t decode_to;

static bool decode(struct arch_vcpu *, const void *insn, unsigned size, struct vcpu_exit *exit)
{
    if (size != 4)
        return false;
    memcpy(&decoded, insn, 4);
    *exit = mmio(true, decode_to, 4, 0x77);
    return true;
}

TEST(an_access_without_syndrome_is_decoded_from_the_guests_memory)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    vcpu->arch.on_decode = decode;
    decode_to = RIG_UART + 0x24;
    RIG_SCRIPT(vcpu, stage2(false, false));
    rig_turn(0);
    ASSERT(memcmp(&decoded, "a gu", 4) == 0); /* The image begins so. */
    ASSERT_EQ(rig_read(vm, 0, RIG_UART + 0x24, 4), 0x77);
    ASSERT_EQ(vm->state, VM_RUNNING);
    decode_to = HOLE;
    RIG_SCRIPT(vcpu, stage2(false, false));
    rig_turn(0);
    ASSERT(rig_logged("access to an address where nothing is"));
    rig_end();
}

TEST(an_instruction_that_cannot_be_read_is_not_emulated)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    vcpu->arch.on_decode = decode;
    vcpu->arch.regs.pc = RIG_RAM_BASE + RIG_GUEST_RAM - 2;
    RIG_SCRIPT(vcpu, stage2(false, false));
    rig_turn(0);
    ASSERT(rig_logged("access by an instruction that cannot be emulated"));
    rig_end();
}

TEST(an_instruction_that_is_gone_when_it_is_read_is_left_to_the_guest)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    vcpu->arch.on_decode = decode;
    vcpu->arch.regs.pc = HOLE;
    RIG_SCRIPT(vcpu, stage2(false, false), plain(EXIT_HALT));
    rig_turn(0);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT_EQ(vcpu->arch.finishes, 1); /* Of its next exit. */
    ASSERT(vcpu->waiting);
    rig_end();
}

TEST(rom_ignores_writes_and_a_hole_beside_it_does_not)
{
    struct config_vm *config;
    struct vm *vm;

    rig_start();
    config = rig_config("web", 1, 0);
    config->region_count = 1;
    config->regions[0] = (struct config_region){
        .name = "boot", .kind = CONFIG_ROM, .address = HOLE, .size = PAGE_SIZE};
    vm = rig_vm_of(config);
    ASSERT_OK(vm_start(vm));
    RIG_SCRIPT(&vm->vcpus[0], mmio(true, HOLE + 8, 8, ~0ull));
    rig_turns(2);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT_EQ(vm->vcpus[0].arch.finishes, 1);
    RIG_SCRIPT(&vm->vcpus[0], mmio(true, HOLE + PAGE_SIZE, 8, ~0ull));
    rig_turn(0);
    ASSERT(rig_logged("nearest region: ROM 0x20000000-0x20000fff"));
    rig_turns(3);
    ASSERT_OK(vm_start(vm));
    RIG_SCRIPT(&vm->vcpus[0], mmio(false, HOLE + 8, 8, 0)); /* From ROM to a device. */
    rig_turns(2);
    ASSERT_EQ(vm->vcpus[0].arch.finishes, 2);
    ASSERT_EQ(rig_logged_count("access to an address where nothing is"), 1);
    rig_end();
}

static bool sysreg_answer(struct arch_vcpu *, struct vcpu_exit *exit)
{
    if (exit->sysreg.addr != 77)
        return false;
    exit->sysreg.value = 0x1234;
    return true;
}

TEST(ram_that_waits_for_its_first_write_is_written_by_the_guest_itself)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    struct vcpu_exit fault = {.kind = EXIT_STAGE2_FAULT,
                              .fault = {.gpa = gpa(RIG_RAM_BASE + 5 * PAGE_SIZE), .write = true}};
    uint64_t size, word = 0;
    gpa_t at;

    ASSERT_OK(guestmap_dirty_start(&vm->map));
    RIG_SCRIPT(vcpu, mmio(true, RIG_RAM_BASE + 3 * PAGE_SIZE, 8, 0x55), fault);
    rig_turn(0);
    ASSERT_EQ(vm->state, VM_RUNNING);
    ASSERT_EQ(vcpu->arch.finishes, 0); /* Neither is stepped over: hardware does it. */
    ASSERT_OK(guest_read(&vm->map, gpa(RIG_RAM_BASE + 3 * PAGE_SIZE), &word, 8));
    ASSERT(word != 0x55);
    ASSERT_OK(guestmap_dirty_take(&vm->map));
    ASSERT(guestmap_dirty_next(&vm->map, gpa(RIG_RAM_BASE + PAGE_SIZE), &at, &size));
    ASSERT_EQ(at.v, RIG_RAM_BASE + 3 * PAGE_SIZE);
    ASSERT(guestmap_dirty_next(&vm->map, gpa(at.v + size), &at, &size));
    ASSERT_EQ(at.v, RIG_RAM_BASE + 5 * PAGE_SIZE);
    /* An instruction that is being emulated is not made again. */
    vcpu->arch.midway = true;
    RIG_SCRIPT(vcpu, mmio(true, RIG_RAM_BASE + 7 * PAGE_SIZE, 8, 0x55));
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.finishes, 1);
    ASSERT_OK(guest_read(&vm->map, gpa(RIG_RAM_BASE + 7 * PAGE_SIZE), &word, 8));
    ASSERT_EQ(word, 0x55);
    ASSERT_OK(guestmap_dirty_take(&vm->map));
    ASSERT(guestmap_dirty_next(&vm->map, gpa(RIG_RAM_BASE + 7 * PAGE_SIZE), &at, &size));
    ASSERT_EQ(at.v, RIG_RAM_BASE + 7 * PAGE_SIZE);
    rig_end();
}

TEST(ram_that_is_protected_ignores_the_guests_writes)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    uint64_t page = vm->layout->ram_base + 16 * PAGE_SIZE, value = 5;

    ASSERT_OK(guest_write(&vm->map, gpa(page), &value, sizeof(value)));
    ASSERT_OK(guestmap_protect(&vm->map, gpa(page), PAGE_SIZE, false));
    RIG_SCRIPT(vcpu, mmio(true, page, 8, 1), mmio(true, page + PAGE_SIZE - 4, 8, ~0ull));
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.finishes, 2); /* Also what ends in it, or begins in it and goes on. */
    ASSERT_OK(guest_read(&vm->map, gpa(page), &value, sizeof(value)));
    ASSERT_EQ(value, 5);
    ASSERT_OK(guest_read(&vm->map, gpa(page + PAGE_SIZE), &value, sizeof(value)));
    ASSERT_EQ(value, 0);
    ASSERT_OK(guestmap_protect(&vm->map, gpa(page), PAGE_SIZE, true));
    RIG_SCRIPT(vcpu, mmio(true, page, 8, 1)); /* A fault of before, that comes late. */
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.finishes, 2); /* The guest does it itself. */
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_end();
}

TEST(a_system_register_is_answered_or_undefined)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    struct vcpu_exit exit = {
        .kind = EXIT_SYSREG_READ, .advance = true, .sysreg = {.addr = 77, .reg = 9}};

    vcpu->arch.on_sysreg = sysreg_answer;
    RIG_SCRIPT(vcpu, exit);
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.regs.gpr[9], 0x1234);
    ASSERT_EQ(vcpu->arch.faults, 0);
    exit.sysreg.addr = 78;
    RIG_SCRIPT(vcpu, exit);
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.faults, 1);
    ASSERT_EQ(vcpu->arch.fault_last, FAULT_UNDEFINED);
    ASSERT_EQ(vcpu->arch.finishes, 1);
    ASSERT_EQ(vm->state, VM_RUNNING);
    rig_end();
}

/* The vCPU's guest runs as soon as it has reason to. */
static bool runs(struct vcpu *vcpu)
{
    unsigned before = vcpu->arch.runs;

    rig_turn(vcpu->sched.cpu);
    return vcpu->arch.runs != before;
}

static struct vm *waiting(enum exit_kind kind)
{
    struct vm *vm = rig_running(1);

    RIG_SCRIPT(&vm->vcpus[0], plain(kind));
    rig_turns(2);
    ASSERT_EQ(vm->vcpus[0].sched.state, SCHED_BLOCKED);
    ASSERT(!runs(&vm->vcpus[0]));
    return vm;
}

TEST(a_vcpu_that_waits_costs_nothing_until_an_interrupt_wakes_it)
{
    static const enum exit_kind kinds[] = {EXIT_WFI, EXIT_HALT, EXIT_IDLE};

    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct vm *vm = waiting(kinds[i]);
        struct vcpu *vcpu = &vm->vcpus[0];
        unsigned idles = fake.idles;

        rig_turns(1);
        ASSERT_EQ(fake.idles, idles + pcpu_count);
        ASSERT_EQ(pcpu(0)->arch.timer_deadline, TICKS_NEVER);
        rig_irq_enable(vm, 0, RIG_UART_IRQ);
        rig_write(vm, 0, RIG_UART + 0x38, 4, 0x7ff); /* UARTIMSC */
        rig_write(vm, 0, RIG_UART + 0x30, 4, 0x301); /* UARTCR */
        fake_be_cpu(2);
        rig_type(vm, 'x');
        ASSERT(runs(vcpu));
        ASSERT(rig_irq_seen(vcpu, RIG_UART_IRQ));
        rig_end();
    }
}

TEST(a_wait_with_an_interrupt_pending_goes_on)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    rig_irq_enable(vm, 0, 20);
    vcpu_interrupt(vcpu, 20, true);
    rig_turn(0);
    ASSERT(rig_irq_seen(vcpu, 20));
    RIG_SCRIPT(vcpu, plain(EXIT_WFI), plain(EXIT_WFI));
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.script_next, 2);
    ASSERT_EQ(vcpu->sched.state, SCHED_RUNNING); /* Not blocked: its turn was over. */
    rig_end();
}

static struct vcpu *other;

static bool post_while_running(struct arch_vcpu *, struct vcpu_exit *exit)
{
    *exit = plain(EXIT_WFI);
    vcpu_request(other, VCPU_REQ_IRQ); /* As if from another pCPU, just before the exit. */
    return true;
}

TEST(a_request_that_comes_just_before_a_wait_is_seen)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    bool (*on_run)(struct arch_vcpu *, struct vcpu_exit *) = vcpu->arch.on_run;

    other = vcpu;
    vcpu->arch.on_run = post_while_running;
    atomic_store(&this_cpu()->sched.leave, false);
    ASSERT_OK(rig_bind(vcpu));
    ASSERT(vcpu_turn(vcpu));
    ASSERT(!vcpu->waiting);
    ASSERT_OK(vcpu_unbind(vcpu));
    vcpu->arch.on_run = on_run;
    rig_end();
}

TEST(a_waiting_vcpu_wakes_at_its_timers_deadline_and_not_before)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    vcpu->arch.timer_deadline = 5 * RIG_MS;
    RIG_SCRIPT(vcpu, plain(EXIT_WFI));
    rig_turns(2);
    ASSERT_EQ(pcpu(0)->arch.timer_deadline, 5 * RIG_MS);
    rig_advance(5 * RIG_MS - 1);
    ASSERT(!runs(vcpu));
    rig_advance(1);
    ASSERT(runs(vcpu));
    ASSERT_EQ(pcpu(0)->arch.timer_deadline, TICKS_NEVER);
    rig_end();
}

TEST(a_vcpu_that_an_interrupt_woke_leaves_no_timer_behind)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    vcpu->arch.timer_deadline = 5 * RIG_MS;
    RIG_SCRIPT(vcpu, plain(EXIT_WFI));
    rig_turns(2);
    fake_be_cpu(1);
    vcpu_interrupt(vcpu, 20, true);
    vcpu->arch.timer_deadline = TICKS_NEVER;
    ASSERT(runs(vcpu));
    ASSERT(!vcpu->wake.armed);
    rig_end();
}

TEST(wait_for_event_gives_way_to_a_peer)
{
    struct vm *web, *db;

    rig_start();
    web = rig_vm("web", 1, 0);
    db = rig_vm("db", 1, 0);
    ASSERT_OK(vm_start(web));
    ASSERT_OK(vm_start(db));
    RIG_SCRIPT(&web->vcpus[0], plain(EXIT_WFE), plain(EXIT_WFE), plain(EXIT_WFE));
    rig_turn(0);
    ASSERT_EQ(web->vcpus[0].arch.script_next, 1);
    ASSERT_EQ(web->vcpus[0].arch.finishes, 1);
    rig_turn(0);
    ASSERT(db->vcpus[0].arch.runs > 0);
    rig_end();
}

TEST(an_exit_without_reason_runs_on_and_a_host_interrupt_is_handled)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];

    fake_irq_raise(900);
    RIG_SCRIPT(vcpu, plain(EXIT_NOTHING), plain(EXIT_INTERRUPT), plain(EXIT_NOTHING));
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.script_next, 3);
    ASSERT_EQ(fake.irq_count, 0);
    ASSERT_EQ(fake.irq_ended, 900);
    ASSERT_EQ(vcpu->arch.finishes, 0);
    rig_end();
}

TEST(a_call_is_answered_and_stepped_over_only_where_the_backend_says)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    struct vcpu_exit smc = call(0x84000000);
    uint64_t pc = vcpu->arch.regs.pc;

    smc.advance = true;
    RIG_SCRIPT(vcpu, call(0x84000000), smc);
    rig_turn(0);
    ASSERT_EQ(vcpu->arch.returns[0], 0x10001);
    ASSERT_EQ(vcpu->arch.regs.pc, pc + 4);
    rig_end();
}

TEST(what_was_asked_while_the_guest_ran_is_seen_before_it_runs_again)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    unsigned runs_before = vcpu->arch.runs;

    fake_be_cpu(0);
    ASSERT_OK(rig_bind(vcpu));
    fake_be_cpu(3);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    ASSERT(atomic_load(&pcpu(0)->ipi_under_way));
    fake_be_cpu(0);
    atomic_store(&this_cpu()->sched.leave, false); /* No other reason to go. */
    ASSERT(!vcpu_turn(vcpu));
    ASSERT_EQ(vcpu->arch.runs, runs_before);
    ASSERT_OK(vcpu_unbind(vcpu));
    rig_end();
}

TEST(a_stop_goes_before_a_start_and_an_interrupt)
{
    struct vm *vm = rig_running(2);
    struct vcpu *vcpu = &vm->vcpus[1];

    ASSERT_OK(vcpu_power_on(vcpu, arch_entry(gpa(RIG_ENTRY), 0)));
    vcpu_interrupt(vcpu, 20, true);
    ASSERT_OK(vm_stop(vm, VM_STOP_ASKED));
    rig_turns(3);
    ASSERT_EQ(vcpu->arch.runs, 0);
    ASSERT_EQ(vcpu->power, VCPU_OFF);
    ASSERT_EQ(vm->state, VM_STOPPED);
    rig_end();
}

TEST(the_last_exits_are_kept_in_order)
{
    struct vm *vm = rig_running(1);
    struct vcpu *vcpu = &vm->vcpus[0];
    struct vcpu_exit exits[20];
    uint64_t first = vcpu->exit_count;

    for (unsigned i = 0; i < ARRAY_SIZE(exits); i++) {
        exits[i] = plain(EXIT_NOTHING);
        exits[i].cause[0] = 1000 + i;
    }
    rig_script(vcpu, exits, ARRAY_SIZE(exits));
    rig_turn(0);
    ASSERT_EQ(vcpu->exit_count, first + ARRAY_SIZE(exits) + 1);
    for (unsigned i = 5; i < ARRAY_SIZE(exits); i++)
        ASSERT_EQ(vcpu->trace[(first + i) % VCPU_TRACE].cause, 1000 + i);
    rig_end();
}
