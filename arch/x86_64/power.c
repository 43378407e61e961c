/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power off and reset, by the registers of the FADT, else as PCs mostly do it. [ACPI 6.5, 4.8.3
 * fixed hardware, 4.8.3.6 reset register; 7.4.2.5 \_S5]
 */
#include "arch/x86_64/boot.h"
#include "kernel/arch.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"

#define PM1_SCI_ENABLE BIT(0)
#define PM1_SLEEP_TYPE BITS(12, 10)
#define PM1_SLEEP      BIT(13)

#define RESET_CONTROL  0xcf9u /* Of Intel's chipsets and those after them. */
#define RESET_HARD     0x02u
#define RESET_NOW      0x06u
#define KEYBOARD       0x64u
#define KEYBOARD_RESET 0xfeu
#define BOCHS_SHUTDOWN 0x8900u

#define WAIT_NS        100000000u

static volatile void *power_reg(uint64_t addr)
{
    return (volatile void *)(uintptr_t)addr;
}

static void power_wait(void)
{
    uint64_t end = arch_ticks() + ticks_from_ns(WAIT_NS);

    while (arch_ticks() < end)
        arch_relax();
}

/* Firmware may own the sleep registers until it is told that we know ACPI [4.8.2.5]. */
static void power_take_over(void)
{
    if (!platform.smi_command || !platform.acpi_enable ||
        arch_read16(power_reg(platform.pm1_control[0])) & PM1_SCI_ENABLE)
        return;
    arch_write8(power_reg(platform.smi_command), platform.acpi_enable);
    power_wait();
}

static void power_sleep(uint64_t control, uint8_t type)
{
    volatile void *reg = power_reg(control);
    uint64_t value = arch_read16(reg) & ~(PM1_SLEEP_TYPE | PM1_SLEEP);

    arch_write16(reg, (uint16_t)(value | field_put(PM1_SLEEP_TYPE, type) | PM1_SLEEP));
}

void arch_machine_off(void)
{
    if (platform.pm1_control[0] && platform.sleep5_known) {
        power_take_over();
        for (unsigned i = 0; i < 2; i++)
            if (platform.pm1_control[i])
                power_sleep(platform.pm1_control[i], platform.sleep5[i]);
        power_wait();
    }
    if (!platform.pm1_control[0]) /* A machine without ACPI: it may be Bochs. */
        for (const char *c = "Shutdown"; *c; c++)
            arch_write8(power_reg(BOCHS_SHUTDOWN), (uint8_t)*c);
    log_error("the machine did not power off");
}

void arch_machine_reset(void)
{
    if (platform.reset_reg) {
        arch_write8(power_reg(platform.reset_reg), platform.reset_value);
        power_wait();
    }
    arch_write8(power_reg(RESET_CONTROL), RESET_HARD);
    arch_write8(power_reg(RESET_CONTROL), RESET_NOW);
    power_wait();
    arch_write8(power_reg(KEYBOARD), KEYBOARD_RESET);
    power_wait();
    log_error("the machine did not reset");
}
