/* SPDX-License-Identifier: Apache-2.0 */
/* What guests want by an exit, on each machine. */
#include "kernel/bits.h"
#include "tests/host/test.h"
#include "vcpu/intent.h"
#include "vcpu/machine.h"
#include "vcpu/machine_aarch64.h"
#include "vcpu/vm.h"

static struct config_vm config;
static struct vm vm;
static struct vcpu vcpu;

static void start(const struct machine_layout *layout)
{
    config = (struct config_vm){.name = "a"};
    vm = (struct vm){.config = &config, .layout = layout};
    vcpu = (struct vcpu){.vm = &vm};
    vcpu.arch.timer_deadline = TICKS_NEVER;
}

static struct vcpu_exit arm_call(uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
    struct vcpu_exit exit = {.kind = EXIT_HYPERCALL, .call = {.nr = nr, .args = {a0, a1, a2}}};

    start(&machine_layout_aarch64);
    intent_aarch64(&vcpu, &exit);
    return exit;
}

TEST(an_arm_guest_starts_stops_and_ends_by_psci)
{
    struct vcpu_exit exit = arm_call(0xc4000003, 1, 0x140000000, 7);

    ASSERT_EQ(exit.kind, EXIT_CPU_UP);
    ASSERT_EQ(exit.cpu.target, 1);
    ASSERT_EQ(exit.cpu.entry, 0x140000000);
    ASSERT_EQ(exit.cpu.arg, 7);
    ASSERT_EQ(arm_call(0x84000003, 1, 0x140000000, 7).cpu.entry, 0x40000000); /* 32 bits. */
    ASSERT_EQ(arm_call(0x84000002, 0, 0, 0).kind, EXIT_CPU_DOWN);
    ASSERT_EQ(arm_call(0xc4000001, 0, 0, 0).kind, EXIT_IDLE);
    ASSERT_EQ(arm_call(0x84000008, 0, 0, 0).kind, EXIT_SYSTEM_DOWN);
    ASSERT_EQ(arm_call(0x84000009, 0, 0, 0).kind, EXIT_SYSTEM_RESET);
    ASSERT_EQ(arm_call(0xc4000012, 0, 0, 0).kind, EXIT_SYSTEM_RESET);
    ASSERT_EQ(arm_call(0xc4000012, 1, 0, 0).kind, EXIT_HYPERCALL); /* A vendor's reset. */
    ASSERT_EQ(arm_call(0x84000000, 5, 6, 7).kind, EXIT_HYPERCALL); /* PSCI_VERSION */
    ASSERT_EQ(arm_call(0x84000000, 5, 6, 7).call.args[2], 7);
}

TEST(an_arm_guest_sends_and_ends_interrupts)
{
    struct vcpu_exit sgi = {
        .kind = EXIT_SYSREG_WRITE,
        .advance = true,
        .sysreg = {.addr = ICC_SGI1R_EL1, .value = 0x00aa00bb0500000full | (uint64_t)0xcc << 16}};
    struct vcpu_exit all = {.kind = EXIT_SYSREG_WRITE,
                            .sysreg = {.addr = ICC_SGI1R_EL1, .value = BIT(40) | 3 << 24}};
    struct vcpu_exit end = {.kind = EXIT_SYSREG_WRITE,
                            .sysreg = {.addr = ICC_DIR_EL1, .value = 33}};

    start(&machine_layout_aarch64);
    intent_aarch64(&vcpu, &sgi);
    ASSERT_EQ(sgi.kind, EXIT_SEND_IPI);
    ASSERT(sgi.advance && !sgi.ipi.to_all);
    ASSERT_EQ(sgi.ipi.targets, 0xf);
    ASSERT_EQ(sgi.ipi.group, 0xaabbcc);
    ASSERT_EQ(sgi.ipi.vector, 5);
    intent_aarch64(&vcpu, &all);
    ASSERT(all.ipi.to_all);
    ASSERT_EQ(all.ipi.vector, 3);
    intent_aarch64(&vcpu, &end);
    ASSERT_EQ(end.kind, EXIT_INTERRUPT_END);
    ASSERT_EQ(end.end.vector, 33);
}

TEST(a_host_interrupt_is_the_maintenance_of_a_list_register_or_the_guests_timer)
{
    struct vcpu_exit exit = {.kind = EXIT_INTERRUPT};

    start(&machine_layout_aarch64);
    intent_aarch64(&vcpu, &exit);
    ASSERT_EQ(exit.kind, EXIT_INTERRUPT);
    vcpu.arch.timer_deadline = arch_ticks();
    intent_aarch64(&vcpu, &exit);
    ASSERT_EQ(exit.kind, EXIT_PREEMPTION_TIMER);
    exit.kind = EXIT_INTERRUPT;
    vcpu.arch.slots[2] = BIT(41) | 40; /* Ended, with notice asked. */
    intent_aarch64(&vcpu, &exit);
    ASSERT_EQ(exit.kind, EXIT_INTERRUPT_END);
    ASSERT_EQ(exit.end.vector, 40);
}

TEST(sgis_of_a_gicv2_are_writes_to_its_distributor)
{
    struct vcpu_exit exit = {.kind = EXIT_MMIO_WRITE,
                             .mmio = {.gpa = gpa(0x08000f00), .data = 1 << 24 | 2, .width = 4}};

    start(&machine_layout_aarch64);
    intent_aarch64(&vcpu, &exit);
    ASSERT_EQ(exit.kind, EXIT_MMIO_WRITE);
    virt_caps.gic_version = 2;
    intent_aarch64(&vcpu, &exit);
    virt_caps.gic_version = 3;
    ASSERT_EQ(exit.kind, EXIT_SEND_IPI);
    ASSERT(exit.ipi.to_all);
    ASSERT_EQ(exit.ipi.vector, 2);
}

static struct vcpu_exit sbi_call(uint64_t extension, uint64_t function, uint64_t a0, uint64_t a1)
{
    struct vcpu_exit exit = {.kind = EXIT_HYPERCALL,
                             .call = {.nr = extension, .function = function, .args = {a0, a1, 9}}};

    start(&machine_layout_riscv64);
    intent_riscv64(&vcpu, &exit);
    return exit;
}

TEST(a_riscv_guest_starts_stops_sends_and_ends_by_sbi)
{
    struct vcpu_exit exit = sbi_call(0x48534d, 0, 1, 0x80200000);

    ASSERT_EQ(exit.kind, EXIT_CPU_UP);
    ASSERT_EQ(exit.cpu.target, 1);
    ASSERT_EQ(exit.cpu.entry, 0x80200000);
    ASSERT_EQ(exit.cpu.arg, 9);
    ASSERT_EQ(sbi_call(0x48534d, 1, 0, 0).kind, EXIT_CPU_DOWN);
    ASSERT_EQ(sbi_call(0x48534d, 2, 0, 0).kind, EXIT_HYPERCALL);
    ASSERT_EQ(sbi_call(0x48534d, 3, 0, 0).kind, EXIT_IDLE);
    ASSERT_EQ(sbi_call(0x48534d, 3, 0x80000000, 0).kind, EXIT_IDLE);
    ASSERT_EQ(sbi_call(0x48534d, 3, 5, 0).kind, EXIT_HYPERCALL);
    ASSERT_EQ(sbi_call(0x53525354, 0, 0, 0).kind, EXIT_SYSTEM_DOWN);
    ASSERT_EQ(sbi_call(0x53525354, 0, 1, 0).kind, EXIT_SYSTEM_RESET);
    ASSERT_EQ(sbi_call(0x53525354, 0, 7, 0).kind, EXIT_HYPERCALL);
    ASSERT_EQ(sbi_call(8, 0, 0, 0).kind, EXIT_SYSTEM_DOWN);
    exit = sbi_call(0x735049, 0, 3, 4);
    ASSERT_EQ(exit.kind, EXIT_SEND_IPI);
    ASSERT_EQ(exit.ipi.targets, 3);
    ASSERT_EQ(exit.ipi.group, 4);
    ASSERT(!exit.ipi.to_all);
    ASSERT(sbi_call(0x735049, 0, 0, UINT64_MAX).ipi.to_all);
    ASSERT_EQ(sbi_call(0x735049, 1, 0, 0).kind, EXIT_HYPERCALL);
    ASSERT_EQ(sbi_call(0x10, 0, 0, 0).kind, EXIT_HYPERCALL);
}

static struct vcpu_exit rv_store(uint64_t addr, uint64_t data)
{
    struct vcpu_exit exit = {.kind = EXIT_MMIO_WRITE,
                             .mmio = {.gpa = gpa(addr), .data = data, .width = 4}};

    intent_riscv64(&vcpu, &exit);
    return exit;
}

TEST(a_riscv_guest_ends_interrupts_and_its_machine_by_stores)
{
    struct vcpu_exit stopei = {.kind = EXIT_SYSREG_WRITE, .sysreg = {.addr = 0x15c}};

    start(&machine_layout_riscv64);
    ASSERT_EQ(rv_store(0x0c201004, 10).kind, EXIT_INTERRUPT_END);
    ASSERT_EQ(rv_store(0x0c201004, 10).end.vector, 10);
    ASSERT_EQ(rv_store(0x0c201000, 10).kind, EXIT_MMIO_WRITE); /* The threshold. */
    ASSERT_EQ(rv_store(0x0c000004, 1).kind, EXIT_MMIO_WRITE);
    ASSERT_EQ(rv_store(0x00100000, 0x5555).kind, EXIT_SYSTEM_DOWN);
    ASSERT_EQ(rv_store(0x00100000, 0x7777).kind, EXIT_SYSTEM_RESET);
    ASSERT_EQ(rv_store(0x00100000, 1).kind, EXIT_MMIO_WRITE);
    config.irqchip = CONFIG_AIA;
    ASSERT_EQ(rv_store(0x0c201004, 10).kind, EXIT_MMIO_WRITE); /* There is no PLIC. */
    intent_riscv64(&vcpu, &stopei);
    ASSERT_EQ(stopei.kind, EXIT_INTERRUPT_END);
}

static struct vcpu_exit wrmsr(uint32_t msr, uint64_t value)
{
    struct vcpu_exit exit = {.kind = EXIT_SYSREG_WRITE, .sysreg = {.addr = msr, .value = value}};

    start(&machine_layout_x86_64);
    intent_x86_64(&vcpu, &exit);
    return exit;
}

TEST(an_x86_guest_sends_messages_by_its_local_apic)
{
    struct vcpu_exit exit = wrmsr(0x830, (uint64_t)3 << 32 | 0x41);

    ASSERT_EQ(exit.kind, EXIT_SEND_IPI);
    ASSERT_EQ(exit.ipi.targets, 3);
    ASSERT_EQ(exit.ipi.vector, 0x41);
    ASSERT(!exit.ipi.to_all && !exit.ipi.to_self && !exit.ipi.group);
    exit = wrmsr(0x830, (uint64_t)3 << 32 | 0x608);
    ASSERT_EQ(exit.kind, EXIT_CPU_UP);
    ASSERT_EQ(exit.cpu.target, 3);
    ASSERT_EQ(exit.cpu.entry, 0x8000);
    ASSERT_EQ(wrmsr(0x830, (uint64_t)3 << 32 | 0x500).kind, EXIT_SEND_IPI); /* INIT of another. */
    ASSERT_EQ(wrmsr(0x830, 0x500).kind, EXIT_CPU_DOWN);
    exit = wrmsr(0x830, 2 << 18 | 0x42);
    ASSERT(exit.ipi.to_all && exit.ipi.to_self);
    exit = wrmsr(0x830, 3 << 18 | 0x42);
    ASSERT(exit.ipi.to_all && !exit.ipi.to_self);
    exit = wrmsr(0x83f, 0x43);
    ASSERT(exit.ipi.to_self && !exit.ipi.to_all);
    ASSERT_EQ(exit.ipi.vector, 0x43);
    ASSERT_EQ(wrmsr(0x80b, 0).kind, EXIT_INTERRUPT_END);
    ASSERT_EQ(wrmsr(0x808, 0).kind, EXIT_SYSREG_WRITE);
}

static enum exit_kind out(uint16_t port, uint64_t data)
{
    struct vcpu_exit exit = {.kind = EXIT_PIO_OUT, .pio = {.port = port, .data = data}};

    intent_x86_64(&vcpu, &exit);
    return exit.kind;
}

TEST(an_x86_guest_ends_by_ports_and_calls_with_registers)
{
    struct vcpu_exit call = {.kind = EXIT_HYPERCALL, .call = {.nr = 1}};
    struct vcpu_exit eoi = {.kind = EXIT_MMIO_WRITE, .mmio = {.gpa = gpa(0xfee000b0)}};

    start(&machine_layout_x86_64);
    ASSERT_EQ(out(0x604, 0x3400), EXIT_SYSTEM_DOWN);
    ASSERT_EQ(out(0x604, 0x2000), EXIT_PIO_OUT); /* Another sleep. */
    ASSERT_EQ(out(0x604, 0x1400), EXIT_PIO_OUT);
    ASSERT_EQ(out(0xcf9, 6), EXIT_SYSTEM_RESET);
    ASSERT_EQ(out(0xcf9, 2), EXIT_PIO_OUT);
    ASSERT_EQ(out(0x3f8, 6), EXIT_PIO_OUT);
    intent_x86_64(&vcpu, &eoi);
    ASSERT_EQ(eoi.kind, EXIT_INTERRUPT_END);
    vcpu.arch.regs.gpr[3] = 30;
    vcpu.arch.regs.gpr[5] = 50;
    intent_x86_64(&vcpu, &call);
    ASSERT_EQ(call.call.args[0], 30);
    ASSERT_EQ(call.call.args[5], 50);
}
