/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of riscv64 guests and its SBI, over a VM made by hand on the fake architecture. */
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "kernel/string.h"
#include "tests/host/hand_rig.h"
#include "tests/host/state_rig.h"
#include "tests/host/storm.h"
#include "vcpu/chips/vns16550.h"
#include "vcpu/machine.h"
#include "vcpu/machine_ops.h"
#include "vcpu/machine_riscv64.h"

#define VCPUS    3u
#define RAM      0x80000000u
#define PLIC     0x0c000000u
#define CLAIM(n) (PLIC + 0x201004 + 0x2000 * (n))
#define UART     0x10000000u
#define TEST_DEV 0x00100000u
#define IMSIC    0x28000000u

enum { SIREG = 0x151, STOPEI = 0x15c };
enum { BASE = 0x10, TIME = 0x54494d45, IPI = 0x735049, RFENCE = 0x52464e43, HSM = 0x48534d };
enum { SRST = 0x53525354, DBCN = 0x4442434e, STA = 0x535441 };
enum { FAILED = -1, NOT_SUPPORTED = -2, INVALID_PARAM = -3, INVALID_ADDRESS = -5, ALREADY = -6 };

static struct vm vm;
static struct config_vm config;
static struct vcpu vcpus[VCPUS];

static void never_run(struct sched_entity *)
{
}

static void start(enum config_irqchip irqchip)
{
    hand_rig_start();
    config = (struct config_vm){.name = "a", .irqchip = irqchip, .cpu_count = VCPUS};
    virt_caps.guest_msi = true;
    virt_caps.guest_files = 0;
    hand_rig_make(&vm, vcpus, &config, &machine_riscv64);
    for (unsigned i = 0; i < VCPUS; i++) {
        vcpus[i].power = i == 2 ? VCPU_OFF : VCPU_ON;
        vcpus[i].sched.run = never_run;
    }
    ASSERT_OK(rig_bind(&vcpus[0]));
}

static void finish(void)
{
    ASSERT(vcpu_current() == &vcpus[0]);
    hand_rig_end(&vm);
}

static uint64_t line(unsigned vcpu, enum arch_virq_line which)
{
    return vcpus[vcpu].arch.slots[which];
}

static uint64_t mmio(unsigned vcpu, bool write, uint64_t address, uint64_t value)
{
    struct bus_hint hint = {};
    struct vdev *dev = bus_find(&vm.bus, address, 1, &hint);

    ASSERT(dev != NULL);
    if (write)
        dev->ops->write(dev, vcpu, address - dev->base, 4, value);
    else
        value = dev->ops->read(dev, vcpu, address - dev->base, 4);
    return value;
}

static enum exit_kind call_kind;
static struct vcpu_exit last;

/* a0 of the call; a1 in *value. */
static int64_t sbi_value(uint64_t extension, uint64_t function, uint64_t a, uint64_t b, uint64_t c,
                         uint64_t *value)
{
    last = (struct vcpu_exit){.kind = EXIT_HYPERCALL,
                              .call = {.nr = extension, .function = function, .args = {a, b, c}}};
    vcpus[0].arch.returns[0] = vcpus[0].arch.returns[1] = 0x5a;
    machine_riscv64.call(&vcpus[0], &last);
    call_kind = last.kind;
    *value = vcpus[0].arch.returns[1];
    return (int64_t)vcpus[0].arch.returns[0];
}

static int64_t sbi(uint64_t extension, uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t value;

    return sbi_value(extension, function, a, b, c, &value);
}

TEST(sbi_tells_its_version_and_extensions)
{
    static const uint64_t there[] = {0, 8, BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, STA};
    uint64_t v;

    start(CONFIG_PLIC);
    ASSERT_EQ(sbi_value(BASE, 0, 0, 0, 0, &v), 0);
    ASSERT_EQ(v, 0x02000000);
    for (unsigned i = 0; i < ARRAY_SIZE(there); i++) {
        ASSERT_EQ(sbi_value(BASE, 3, there[i], 0, 0, &v), 0);
        ASSERT_EQ(v, 1);
    }
    ASSERT_EQ(sbi_value(BASE, 3, 0x504d55, 0, 0, &v), 0);
    ASSERT_EQ(v, 0);
    ASSERT_EQ(sbi_value(BASE, 4, 0, 0, 0, &v) | (int64_t)v, 0);
    finish();
}

TEST(unknown_sbi_calls_are_not_supported)
{
    static const uint64_t calls[][2] = {{BASE, 7}, {TIME, 1},     {IPI, 1},        {RFENCE, 3},
                                        {HSM, 4},  {SRST, 1},     {DBCN, 3},       {0x09, 0},
                                        {0x0f, 0}, {0x504d55, 0}, {0xffffffff, 0}, {0x0a434149, 9}};

    start(CONFIG_PLIC);
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++)
        ASSERT_EQ(sbi(calls[i][0], calls[i][1], 0, 0, 0), NOT_SUPPORTED);
    ASSERT_EQ(sbi(0xffffffff00000000 | BASE, 0, 0, 0, 0), 0); /* 32 bits count. */
    finish();
}

/* What is taken is tested by a guest: tests/guest/riscv64/steal.c. */
TEST(sbi_tells_stolen_time_in_aligned_memory_only)
{
    start(CONFIG_PLIC);
    ASSERT_EQ(sbi(STA, 1, 0, 0, 0), NOT_SUPPORTED);
    ASSERT_EQ(sbi(STA, 0, 0x80000000, 0, 1), INVALID_PARAM);
    ASSERT_EQ(sbi(STA, 0, 0x80000008, 0, 0), INVALID_PARAM);
    ASSERT_EQ(sbi(STA, 0, 0x80000000, 1, 0), INVALID_ADDRESS);
    ASSERT_EQ(sbi(STA, 0, 0x40, 0, 0), INVALID_ADDRESS);
    ASSERT_EQ(sbi(STA, 0, ~63ull, 0, 0), INVALID_ADDRESS);
    ASSERT(!vcpus[0].steal.on);
    ASSERT_EQ(sbi(STA, 0, ~0ull, ~0ull, 0), 0);
    finish();
}

TEST(a_typed_character_interrupts_through_the_plic)
{
    start(CONFIG_PLIC);
    mmio(0, true, PLIC + 4 * 10, 1);
    mmio(0, true, PLIC + 0x2080, 1 << 10);
    mmio(0, true, UART + 1, 1); /* IER: what is received. */
    ASSERT_EQ(line(0, VIRQ_LINE_EXTERNAL), 0);
    fake_be_cpu(1); /* Who has the UART. */
    vns16550_receive(riscv64_uart(&vm), 'x');
    fake_be_cpu(0);
    ASSERT(vcpus[0].requests & VCPU_REQ_IRQ);
    ASSERT_EQ(line(0, VIRQ_LINE_EXTERNAL), 0);
    machine_riscv64.refresh(&vcpus[0]);
    ASSERT_EQ(line(0, VIRQ_LINE_EXTERNAL), 1);
    ASSERT(machine_riscv64.pending(&vcpus[0]));
    ASSERT_EQ(mmio(0, false, CLAIM(0), 0), 10);
    ASSERT_EQ(line(0, VIRQ_LINE_EXTERNAL), 0);
    ASSERT_EQ(vns16550_take(riscv64_uart(&vm)), 'x');
    mmio(0, true, CLAIM(0), 10);
    ASSERT_EQ(line(0, VIRQ_LINE_EXTERNAL), 0);
    finish();
}

TEST(an_interrupt_that_a_hart_causes_itself_is_there_at_once)
{
    start(CONFIG_PLIC);
    mmio(0, true, PLIC + 4 * 10, 1);
    mmio(0, true, PLIC + 0x2080, 1 << 10);
    mmio(0, true, UART + 1, 2); /* IER: what can be sent. */
    ASSERT_EQ(line(0, VIRQ_LINE_EXTERNAL), 1);
    ASSERT_EQ(vcpus[0].requests, 0);
    mmio(0, true, PLIC + 0x201000, 7); /* Threshold. */
    ASSERT_EQ(line(0, VIRQ_LINE_EXTERNAL), 0);
    finish();
}

TEST(ipis_go_to_the_harts_of_the_mask)
{
    start(CONFIG_PLIC);
    ASSERT_EQ(sbi(IPI, 0, 1, 0, 0), 0);
    ASSERT_EQ(line(0, VIRQ_LINE_SOFTWARE), 1);
    ASSERT_EQ(sbi(IPI, 0, 3, 1, 0), 0); /* Harts 1 and 2; 2 is off. */
    ASSERT(vcpus[1].requests & VCPU_REQ_IRQ && !vcpus[2].requests);
    ASSERT_EQ(line(1, VIRQ_LINE_SOFTWARE), 0); /* Only its own pCPU writes it. */
    fake_be_cpu(1);
    machine_riscv64.refresh(&vcpus[1]);
    ASSERT_EQ(line(1, VIRQ_LINE_SOFTWARE), 1);
    fake_be_cpu(0);
    ASSERT_EQ(sbi(IPI, 0, 4, 1, 0), INVALID_PARAM);
    ASSERT_EQ(sbi(IPI, 0, 1, 3, 0), INVALID_PARAM);
    ASSERT_EQ(sbi(IPI, 0, BIT(63), 0, 0), INVALID_PARAM);
    ASSERT_EQ(sbi(IPI, 0, 1, UINT64_MAX - 1, 0), INVALID_PARAM);
    ASSERT_EQ(sbi(IPI, 0, 0x77, UINT64_MAX, 0), 0); /* All. */
    ASSERT_EQ(sbi(0x03, 0, 0, 0, 0), 1);
    ASSERT_EQ(line(0, VIRQ_LINE_SOFTWARE), 0);
    ASSERT_EQ(sbi(0x03, 0, 0, 0, 0), 0);
    finish();
}

TEST(the_timer_is_emulated_where_harts_have_none_for_guests)
{
    start(CONFIG_PLIC);
    ASSERT_EQ(sbi(TIME, 0, 1000, 0, 0), 0);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, 1000);
    fake_advance(1000);
    timer_expire();
    ASSERT_EQ(line(0, VIRQ_LINE_TIMER), 1);
    ASSERT_EQ(sbi(TIME, 0, UINT64_MAX, 0, 0), 0); /* Taken back. */
    ASSERT_EQ(line(0, VIRQ_LINE_TIMER), 0);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
    ASSERT_EQ(sbi(0x00, 0, 999, 0, 0), 0); /* In the past: at once. */
    ASSERT_EQ(line(0, VIRQ_LINE_TIMER), 1);
    sbi(TIME, 0, UINT64_MAX, 0, 0);
    fake.guest_timer = true;
    sbi(TIME, 0, 7, 0, 0);
    ASSERT_EQ(vcpus[0].arch.timer_set, 7);
    ASSERT_EQ(line(0, VIRQ_LINE_TIMER), 0);
    finish();
}

TEST(a_hart_that_stops_leaves_no_timer_and_no_interrupt_behind)
{
    start(CONFIG_PLIC);
    sbi(IPI, 0, 1, 0, 0);
    sbi(TIME, 0, 0, 0, 0);
    ASSERT_EQ(line(0, VIRQ_LINE_TIMER) + line(0, VIRQ_LINE_SOFTWARE), 2);
    machine_riscv64.cpu_reset(&vcpus[0]);
    ASSERT_EQ(line(0, VIRQ_LINE_TIMER) + line(0, VIRQ_LINE_SOFTWARE), 0);
    sbi(TIME, 0, arch_ticks() + 5000, 0, 0);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, arch_ticks() + 5000);
    machine_riscv64.cpu_reset(&vcpus[0]);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
    fake_advance(5000);
    timer_expire();
    ASSERT_EQ(line(0, VIRQ_LINE_TIMER), 0);
    finish();
}

TEST(a_hart_that_is_held_has_its_timer_when_it_goes_on)
{
    start(CONFIG_PLIC);
    vm.started_ticks = 1000;
    fake_advance(3000);
    ASSERT_OK(vcpu_unbind(&vcpus[0]));
    machine_riscv64.let_go(&vcpus[0]);
    ASSERT_OK(rig_bind(&vcpus[0]));
    sbi(TIME, 0, arch_ticks() - 1000 + 500, 0, 0); /* In 500 ticks of its clock. */
    ASSERT_EQ(pcpus[0].arch.timer_deadline, arch_ticks() + 500);
    ASSERT_OK(vcpu_unbind(&vcpus[0]));
    for (unsigned i = 0; i < 2; i++) { /* Also when it is held again before it ran. */
        machine_riscv64.held(&vcpus[0]);
        ASSERT_EQ(pcpus[0].arch.timer_deadline, TICKS_NEVER);
        fake_advance(70000);
        timer_expire();
        ASSERT_EQ(line(0, VIRQ_LINE_TIMER), 0);
        vm.started_ticks += 70000;
    }
    machine_riscv64.let_go(&vcpus[0]);
    ASSERT_EQ(pcpus[0].arch.timer_deadline, arch_ticks() + 500);
    ASSERT_OK(rig_bind(&vcpus[0]));
    fake_advance(500);
    timer_expire();
    ASSERT_EQ(line(0, VIRQ_LINE_TIMER), 1);
    finish();
}

TEST(remote_fences_are_done_on_the_pcpus_of_the_harts)
{
    struct vcpu_exit exit = {
        .kind = EXIT_HYPERCALL,
        .call = {.nr = RFENCE, .function = 2, .args = {6, 0, 0x1000, 0x2000, 7}}};

    start(CONFIG_PLIC);
    machine_riscv64.call(&vcpus[0], &exit);
    ASSERT_EQ(fake.fence, FENCE_TRANSLATIONS_ASID);
    ASSERT_EQ(fake.fence_pcpus, 6);
    ASSERT_EQ(fake.fence_start, 0x1000);
    ASSERT_EQ(fake.fence_size, 0x2000);
    ASSERT_EQ(fake.fence_asid, 7);
    sbi(RFENCE, 0, 1, UINT64_MAX, 0);
    ASSERT_EQ(fake.fence, FENCE_INSTRUCTIONS);
    ASSERT_EQ(fake.fence_pcpus, 7);
    sbi(RFENCE, 1, 1, 0, 0); /* Start and size 0: all. */
    ASSERT_EQ(fake.fence_size, UINT64_MAX);
    ASSERT_EQ(sbi(RFENCE, 1, 8, 0, 0), INVALID_PARAM);
    ASSERT_EQ(fake.fences, 3);
    finish();
}

TEST(harts_are_started_stopped_and_asked)
{
    unsigned index;
    uint64_t v;

    start(CONFIG_PLIC);
    sbi(HSM, 0, 2, RAM + 0x100, 77);
    ASSERT_EQ(call_kind, EXIT_CPU_UP);
    ASSERT_EQ(last.cpu.target, 2);
    ASSERT_EQ(last.cpu.entry, RAM + 0x100);
    ASSERT_EQ(last.cpu.arg, 77);
    ASSERT(machine_riscv64.cpu_find(&vm, 2, &index) && !machine_riscv64.cpu_find(&vm, 3, &index));
    ASSERT_EQ(machine_riscv64.cpu_up_result(E_EXISTS), ALREADY);
    ASSERT_EQ(sbi(HSM, 0, 3, RAM, 0), INVALID_PARAM);
    ASSERT_EQ(sbi(HSM, 0, 2, 0x1000, 0), INVALID_ADDRESS);
    ASSERT_EQ(sbi(HSM, 0, 2, RAM + 1, 0), INVALID_ADDRESS);
    ASSERT_EQ(sbi_value(HSM, 2, 0, 0, 0, &v) | (int64_t)v, 0);
    ASSERT_EQ(sbi_value(HSM, 2, 2, 0, 0, &v), 0);
    ASSERT_EQ(v, 1);
    ASSERT_EQ(sbi(HSM, 2, 1000, 0, 0), INVALID_PARAM);
    sbi(HSM, 1, 0, 0, 0);
    ASSERT_EQ(call_kind, EXIT_CPU_DOWN);
    finish();
}

TEST(a_suspend_retains_or_resumes_anew)
{
    uint64_t v;

    start(CONFIG_PLIC);
    ASSERT_EQ(sbi(HSM, 3, 0, 0, 0), 0);
    ASSERT_EQ(call_kind, EXIT_IDLE);
    ASSERT(!vcpus[0].resume);
    ASSERT_EQ(sbi(HSM, 3, 1, RAM, 0), INVALID_PARAM);
    ASSERT_EQ(sbi(HSM, 3, 0x80000000, 4, 0), INVALID_ADDRESS);
    sbi(HSM, 3, 0x80000000, RAM + 8, 55);
    ASSERT_EQ(call_kind, EXIT_IDLE);
    ASSERT(vcpus[0].resume);
    ASSERT_EQ(vcpus[0].entry.pc.v, RAM + 8);
    ASSERT_EQ(vcpus[0].entry.arg, 55);
    ASSERT_EQ(sbi_value(HSM, 2, 0, 0, 0, &v), 0);
    ASSERT_EQ(v, 4);
    vcpus[0].resume = false;
    ASSERT_EQ(sbi_value(HSM, 2, 0, 0, 0, &v), 0);
    ASSERT_EQ(v, 0);
    vcpus[0].suspended = true;
    ASSERT_EQ(sbi_value(HSM, 2, 0, 0, 0, &v), 0);
    ASSERT_EQ(v, 4);
    vcpus[0].suspended = false;
    finish();
}

TEST(a_guest_powers_off_and_resets_by_sbi_or_by_the_test_device)
{
    start(CONFIG_PLIC);
    sbi(SRST, 0, 0, 0, 0);
    ASSERT_EQ(call_kind, EXIT_SYSTEM_DOWN);
    sbi(SRST, 0, 2, 1, 0);
    ASSERT_EQ(call_kind, EXIT_SYSTEM_RESET);
    ASSERT_EQ(sbi(SRST, 0, 3, 0, 0), INVALID_PARAM);
    ASSERT_EQ(sbi(SRST, 0, 0, 2, 0), INVALID_PARAM);
    sbi(0x08, 0, 0, 0, 0);
    ASSERT_EQ(call_kind, EXIT_SYSTEM_DOWN);
    mmio(0, true, TEST_DEV + 4, 0x5555);
    mmio(0, true, TEST_DEV, 0x1234);
    ASSERT_EQ(vm.state, VM_RUNNING);
    mmio(0, true, TEST_DEV, 0x7777);
    ASSERT_EQ(vm.state, VM_STOPPING);
    ASSERT_EQ(vm.reason, VM_STOP_RESET);
    mmio(0, true, TEST_DEV, 0x5555); /* Too late. */
    ASSERT_EQ(vm.reason, VM_STOP_RESET);
    finish();
}

TEST(the_debug_console_reads_and_writes_guest_memory)
{
    char text[4] = "";
    uint64_t v;

    start(CONFIG_PLIC);
    ASSERT_OK(guest_write(&vm.map, gpa(RAM), "hello", 5));
    ASSERT_EQ(sbi_value(DBCN, 0, 5, RAM, 0, &v), 0);
    ASSERT_EQ(v, 5);
    ASSERT_EQ(riscv64_uart(&vm)->port.written, 5);
    ASSERT_EQ(sbi_value(DBCN, 0, MIB, RAM, 0, &v), 0);
    ASSERT_EQ(v, 1024); /* A part of it. */
    ASSERT_EQ(sbi(DBCN, 0, 5, 0x1000, 0), INVALID_PARAM);
    ASSERT_EQ(sbi(DBCN, 0, 5, RAM, 1), INVALID_PARAM);
    ASSERT_EQ(sbi(DBCN, 0, 5, UINT64_MAX - 2, 0), INVALID_PARAM);
    ASSERT_EQ(sbi_value(DBCN, 1, 100, RAM, 0, &v), 0);
    ASSERT_EQ(v, 0);
    vns16550_receive(riscv64_uart(&vm), 'o');
    vns16550_receive(riscv64_uart(&vm), 'k');
    ASSERT_EQ(sbi(DBCN, 1, 2, 0x1000, 0), INVALID_PARAM); /* Nothing is lost. */
    ASSERT_EQ(sbi_value(DBCN, 1, 100, RAM + 16, 0, &v), 0);
    ASSERT_EQ(v, 2);
    ASSERT_OK(guest_read(&vm.map, gpa(RAM + 16), text, 2));
    ASSERT_STR(text, "ok");
    ASSERT_EQ(sbi(DBCN, 2, 'x', 0, 0), 0);
    ASSERT_EQ(sbi(0x02, 0, 0, 0, 0), -1);
    finish();
}

TEST(legacy_calls_take_their_mask_from_memory_and_leave_a1)
{
    uint64_t mask = 2, v;

    start(CONFIG_PLIC);
    ASSERT_OK(guest_write(&vm.map, gpa(RAM + 64), &mask, 8));
    ASSERT_EQ(sbi_value(0x04, 5, RAM + 64, 0, 0, &v), 0);
    ASSERT_EQ(v, 0x5a);
    ASSERT(vcpus[1].requests & VCPU_REQ_IRQ);
    ASSERT_EQ(line(0, VIRQ_LINE_SOFTWARE), 0);
    ASSERT_EQ(sbi(0x05, 0, 0, 0, 0), 0); /* No mask: all. */
    ASSERT_EQ(fake.fence_pcpus, 7);
    ASSERT_EQ(sbi(0x04, 0, 0x1000, 0, 0), INVALID_ADDRESS);
    ASSERT_EQ(sbi(0x04, 0, RAM + 65, 0, 0), INVALID_ADDRESS);
    ASSERT_EQ(sbi(0x01, 0, 'x', 0, 0), 0);
    finish();
}

static bool csr(bool write, uint32_t addr, uint32_t select, uint64_t *value)
{
    struct vcpu_exit exit = {.kind = write ? EXIT_SYSREG_WRITE : EXIT_SYSREG_READ,
                             .sysreg = {.addr = addr, .select = select, .value = *value}};
    bool known = machine_riscv64.sysreg(&vcpus[0], &exit);

    *value = exit.sysreg.value;
    return known;
}

/* What one instruction that reads and writes does in one exit. */
static uint64_t claim(void)
{
    struct vcpu_exit exit = {.kind = EXIT_SYSREG_READ, .sysreg = {.addr = STOPEI, .both = true}};

    ASSERT(machine_riscv64.sysreg(&vcpus[0], &exit));
    ASSERT(!exit.sysreg.both);
    return exit.sysreg.value;
}

TEST(msis_reach_the_software_interrupt_file)
{
    uint64_t v = 1;

    start(CONFIG_AIA);
    ASSERT(csr(true, SIREG, 0x70, &v));
    v = ~0ull;
    ASSERT(csr(true, SIREG, 0xc0, &v));
    mmio(0, true, IMSIC, 40);
    ASSERT_EQ(line(0, VIRQ_LINE_EXTERNAL), 1);
    ASSERT(csr(false, STOPEI, 0, &v));
    ASSERT_EQ(v, 40 << 16 | 40);
    ASSERT(csr(true, STOPEI, 0, &v));
    ASSERT_EQ(line(0, VIRQ_LINE_EXTERNAL), 0);
    mmio(0, true, IMSIC, 41);
    ASSERT_EQ(claim(), 41 << 16 | 41);
    ASSERT_EQ(line(0, VIRQ_LINE_EXTERNAL), 0);
    ASSERT(!csr(false, SIREG, 0x81, &v));
    ASSERT(!csr(false, 0x150, 0, &v));
    mmio(0, true, IMSIC + 0x1000, 9); /* To hart 1. */
    ASSERT(vcpus[1].requests & VCPU_REQ_IRQ);
    ASSERT(bus_find(&vm.bus, IMSIC + 0x3000, 4, &(struct bus_hint){}) == NULL);
    mmio(0, true, 0xd000000, 0x100);
    mmio(0, true, 0xd000000 + 4 * 10, 6);
    mmio(0, true, 0xd003000 + 4 * 10, 12); /* The UART's wire to identity 12 of hart 0. */
    mmio(0, true, 0xd001edc, 10);
    riscv64_uart(&vm)->vdev.set_irq(&riscv64_uart(&vm)->vdev, true);
    machine_riscv64.refresh(&vcpus[0]);
    ASSERT(csr(false, STOPEI, 0, &v));
    ASSERT_EQ(v >> 16, 12);
    mmio(0, true, 0xd003000 + 4 * 10, 31u << 18 | 12); /* To a hart that there is not. */
    mmio(0, true, 0xd001cdc, 10);
    finish();
}

TEST(priorities_of_major_interrupts_are_zeroes)
{
    uint64_t v = ~0ull;

    start(CONFIG_AIA);
    for (uint32_t select = 0x30; select < 0x40; select += 2) {
        ASSERT(csr(true, SIREG, select, &v));
        v = ~0ull;
        ASSERT(csr(false, SIREG, select, &v));
        ASSERT_EQ(v, 0);
        ASSERT(!csr(false, SIREG, select + 1, &v));
    }
    ASSERT(!csr(false, SIREG, 0x2e, &v) && !csr(false, SIREG, 0x40, &v));
    finish();
}

TEST(a_plic_guest_has_no_interrupt_file)
{
    uint64_t v = 0;

    start(CONFIG_PLIC);
    ASSERT(!csr(false, SIREG, 0x30, &v));
    ASSERT(!csr(false, SIREG, 0x70, &v) && !csr(false, STOPEI, 0, &v));
    finish();
}

TEST(an_aia_guest_needs_harts_with_an_aia)
{
    start(CONFIG_AIA);
    finish();
    virt_caps.guest_msi = false;
    memset(vm.machine_state, 0, machine_riscv64.state_size);
    vm.bus.count = 0;
    ASSERT_ERR(E_UNSUPPORTED, machine_riscv64.create(&vm));
}

TEST(whatever_a_guest_asks_of_the_riscv64_machine_it_goes_on)
{
    static const uint32_t csrs[] = {SIREG, STOPEI, 0x14d, 0x150};
    static const uint64_t calls[] = {BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN, 0};
    const struct storm storm = {csrs, ARRAY_SIZE(csrs), calls, ARRAY_SIZE(calls), RAM};

    for (unsigned i = 0; i < 2; i++) {
        test_random_seed(i);
        start(i ? CONFIG_AIA : CONFIG_PLIC);
        storm_run(&storm, &vcpus[0], 50000);
        machine_riscv64.held(&vcpus[0]);
        finish();
    }
}

static struct state_rig rig;

static enum err hart_state(bool load)
{
    (load ? state_rig_load : state_rig_save)(&rig, 0);
    machine_riscv64.cpu_state(&vcpus[0], &rig.state);
    return state_rig_end(&rig);
}

TEST(a_harts_timer_goes_on_after_a_restore)
{
    start(CONFIG_PLIC);
    ASSERT_EQ(sbi(TIME, 0, 1000, 0, 0), 0);
    machine_riscv64.held(&vcpus[0]);
    ASSERT_OK(hart_state(false));
    machine_riscv64.reset(&vm);
    ASSERT_OK(hart_state(true));
    machine_riscv64.let_go(&vcpus[0]);
    fake_advance(999);
    timer_expire();
    ASSERT_EQ(line(0, VIRQ_LINE_TIMER), 0);
    fake_advance(1);
    timer_expire();
    ASSERT_EQ(line(0, VIRQ_LINE_TIMER), 1);
    finish();
}

TEST(a_harts_interrupt_file_is_as_before_after_a_restore)
{
    uint64_t v = 1;

    start(CONFIG_AIA);
    ASSERT(csr(true, SIREG, 0x70, &v));
    v = ~0ull;
    ASSERT(csr(true, SIREG, 0xc0, &v));
    mmio(0, true, IMSIC, 40);
    ASSERT_OK(hart_state(false));
    machine_riscv64.reset(&vm);
    arch_virq_write(&vcpus[0].arch, VIRQ_LINE_EXTERNAL, 0);
    ASSERT_OK(hart_state(true));
    ASSERT_EQ(line(0, VIRQ_LINE_EXTERNAL), 1);
    ASSERT_EQ(claim(), 40 << 16 | 40);
    finish();
    start(CONFIG_PLIC);
    ASSERT_ERR(E_INVALID, hart_state(true));
    ASSERT_STR(rig.state.why, "another interrupt controller");
    finish();
}
