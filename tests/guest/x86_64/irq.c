/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts: priorities and what holds them back, windows, levels of the I/O APIC with their ends,
 * NMIs. Command line: rounds=N; exits=0: the hardware has the task priority. [SDM
 * 3, 11.8, 6.7, 6.8; 82093AA]
 */
#include "x86.h"

#define UART_IER 0x3f9u
#define UART_THR 2u /* The transmitter is empty. */
#define LOG_MAX  64u

static volatile unsigned seen[LOG_MAX], count, nmis, nmi_depth, nmi_deepest;
static volatile bool nest, nmi_again;
static unsigned uart_pin;

static void reset_log(void)
{
    count = 0;
}

static void taken(unsigned irq)
{
    if (count < LOG_MAX)
        seen[count] = irq;
    count++;
    if (nest) {
        irq_enable();
        irq_disable();
    }
}

static void self(unsigned vector)
{
    lapic_send(0, ICR_SELF | ICR_ASSERT | vector);
}

static bool seen_are(unsigned a, unsigned b, unsigned c)
{
    return count == 3 && seen[0] == a && seen[1] == b && seen[2] == c;
}

static void check_priorities(void)
{
    irq_disable();
    reset_log();
    self(0x45);
    self(0x91);
    self(0x61);
    check(lapic_bit(LAPIC_IRR, 0x45) && lapic_bit(LAPIC_IRR, 0x91),
          "what is sent waits in the IRR");
    check_eq(count, 0, "with interrupts masked nothing is taken");
    irq_enable();
    irq_disable();
    check(seen_are(0x91, 0x61, 0x45), "the highest vector comes first");
    check(!lapic_bit(LAPIC_IRR, 0x45) && !lapic_bit(LAPIC_ISR, 0x45), "ended, it is in neither");
}

static volatile unsigned nested;

/* The first is in service when it sends the others. */
static void taken_and_sends(unsigned irq)
{
    taken(irq);
    if (irq != 0x61)
        return;
    self(0x69);
    self(0x51);
    self(0xa1);
    irq_enable();
    for (volatile unsigned i = 0; i < 100; i++)
        ;
    nested = count;
    irq_disable();
}

static void check_nesting(void)
{
    reset_log();
    irq_handler = taken_and_sends;
    self(0x61);
    irq_enable();
    irq_disable();
    irq_handler = taken;
    check_eq(nested, 2, "only a higher class interrupts a handler");
    check(count == 4 && seen[1] == 0xa1 && seen[2] == 0x69 && seen[3] == 0x51,
          "the others come after its end, in their order");
}

static void check_task_priority(void)
{
    reset_log();
    CR_WRITE(8, 6);
    check_eq(lapic_read(LAPIC_TPR), 0x60, "CR8 is the upper half of the task priority");
    self(0x6f);
    self(0x75);
    irq_enable();
    irq_disable();
    check(count == 1 && seen[0] == 0x75, "the task priority holds back its class");
    check_eq(lapic_read(LAPIC_PPR), 0x60, "the processor's priority is the task's");
    irq_enable();
    CR_WRITE(8, 5);
    check(count == 2 && seen[1] == 0x6f, "lowered by CR8 it lets it in");
    self(0x55);
    check_eq(count, 2, "and the next class waits");
    lapic_write(LAPIC_TPR, 0x40);
    check(WAIT_FOR(count == 3, 100), "lowered by its register it lets that in");
    irq_disable();
    lapic_write(LAPIC_TPR, 0x0f);
    check_eq(CR_READ(8), 0, "CR8 does not show the lower half");
    CR_WRITE(8, 0);
    check_eq(lapic_read(LAPIC_TPR), 0, "but clears it");
}

/* An exit takes some hundred ticks where one is an instruction. */
static void check_exits(void)
{
    uint64_t start = rdtsc();

    for (unsigned i = 0; i < 100; i++)
        lapic_write(LAPIC_TPR, 0);
    check(rdtsc() - start < 100 * 100, "writes of the task priority make no exits");
}

/* STI lets one more instruction by. */
static void check_shadow(void)
{
    reset_log();
    self(0x45);
    __asm__ volatile("sti; cli" ::: "memory");
    check_eq(count, 0, "nothing is taken between STI and CLI");
    __asm__ volatile("sti; nop; cli" ::: "memory");
    check_eq(count, 1, "one instruction later it is");
    self(0x45);
    __asm__ volatile("sti; movl %%ss, %%eax; movl %%eax, %%ss; cli" ::: "eax", "memory");
    check_eq(count, 2, "so it is before the shadow of MOV to SS begins");
    self(0x45);
    __asm__ volatile("sti; hlt; cli" ::: "memory");
    check_eq(count, 3, "STI and HLT lose no interrupt");
    self(0x45);
    __asm__ volatile("sti; inb $0x61, %%al; cli" ::: "eax", "memory");
    check_eq(count, 4, "an instruction that exits ends the shadow of STI");
    self(0x45);
    __asm__ volatile("pushfq; orl $0x200, (%%rsp); popfq; cli" ::: "memory", "cc");
    check_eq(count, 5, "POPF has no shadow");
}

/* Windows at random places. */
static void check_windows(void)
{
    unsigned rounds = (unsigned)machine_argument("rounds", 2000), sent = 0;

    reset_log();
    for (unsigned i = 0; i < rounds; i++) {
        unsigned vector = 0x40 + (unsigned)(random_next() % 0x80);

        irq_disable();
        if (i & 1)
            CR_WRITE(8, random_next() % 16);
        self(vector);
        sent++;
        if (i & 2)
            (void)lapic_read(LAPIC_ID);
        irq_enable();
        CR_WRITE(8, 0);
        if (i & 4)
            (void)in8(0x61);
        if (!WAIT_FOR(count == sent, 100))
            break;
    }
    irq_disable();
    check_eq(count, rounds, "each comes once, through windows of CR8 and the interrupt flag");
}

/* --- Levels --- */

static volatile unsigned remote_in, levels;

static void level_taken(unsigned irq)
{
    (void)irq;
    levels++;
    remote_in += (redirect_read(uart_pin) & REDIRECT_REMOTE) != 0;
    if (levels == 5)
        out8(UART_IER, 0);
}

static void level_ignored(unsigned irq)
{
    (void)irq;
    levels++;
    if (levels == 1)
        out8(UART_IER, 0);
}

static void check_levels(void)
{
    out8(UART_IER - 1 + 4, 0x0b); /* OUT2 gates it. */
    irq_handler = level_taken;
    out8(UART_IER, UART_THR);
    redirect_write(uart_pin, REDIRECT_LEVEL | 0x75, apic_id_of(0));
    irq_enable();
    check(WAIT_FOR(levels >= 5, LATE_MS), "a level that stays interrupts again after each end");
    WAIT_FOR(false, 5);
    check_eq(levels, 5, "until it drops");
    check_eq(remote_in, 5, "remote IRR is set until the end");
    check_eq(redirect_read(uart_pin) & REDIRECT_REMOTE, 0, "and clear after");
    irq_disable();
    levels = 0;
    irq_handler = level_ignored;
    redirect_write(uart_pin, REDIRECT_MASKED | REDIRECT_LEVEL | 0x75, apic_id_of(0));
    out8(UART_IER, UART_THR);
    irq_enable();
    WAIT_FOR(false, 5);
    check_eq(levels, 0, "a masked pin interrupts nobody");
    redirect_write(uart_pin, REDIRECT_LEVEL | 0x75, apic_id_of(0));
    check(WAIT_FOR(levels == 1, 1000), "unmasked while the level is up it does");
    irq_disable();
    levels = 0;
    irq_handler = level_ignored;
    redirect_write(uart_pin, 0x75, apic_id_of(0));
    out8(UART_IER, UART_THR);
    irq_enable();
    check(WAIT_FOR(levels == 1, 1000), "an edge interrupts once");
    irq_disable();
    redirect_write(uart_pin, REDIRECT_MASKED | 0x75, apic_id_of(0));
    irq_handler = taken;
}

/* --- NMIs --- */

static bool nmi_taken(struct frame *frame)
{
    if (frame->vector != VECTOR_NMI)
        return false;
    nmis++;
    nmi_depth++;
    nmi_deepest = nmi_depth > nmi_deepest ? nmi_depth : nmi_deepest;
    if (nmi_again) {
        nmi_again = false;
        lapic_send(apic_id_of(0), ICR_NMI | ICR_ASSERT);
        WAIT_FOR(false, 2);
        hypercall();
    }
    nmi_depth--;
    return true;
}

static void nmi_self(void)
{
    lapic_send(apic_id_of(0), ICR_NMI | ICR_ASSERT);
}

static void check_nmi(void)
{
    exception_hook = nmi_taken;
    irq_disable();
    nmi_self();
    check(WAIT_FOR(nmis == 1, 1000), "an NMI comes though interrupts are masked");
    nmi_again = true;
    nmi_self();
    check(WAIT_FOR(nmis == 3, 1000), "one that is sent in its handler comes too");
    check_eq(nmi_deepest, 1, "but not before the handler's IRET");
    reset_log();
    self(0x45);
    nmi_self();
    WAIT_FOR(nmis == 4, 1000);
    check_eq(count, 0, "an NMI does not open the window for others");
    irq_enable();
    irq_disable();
    check_eq(count, 1, "which come when they may");
    for (unsigned i = 0; i < 500; i++) {
        unsigned before = nmis;

        self(0x45);
        irq_enable();
        nmi_self();
        if (!WAIT_FOR(nmis == before + 1 && count == i + 2, 1000))
            break;
        irq_disable();
    }
    irq_disable();
    check(nmis == 504 && count == 501, "NMIs and interrupts at once: neither is lost");
    exception_hook = NULL;
}

static void check_software_off(void)
{
    reset_log();
    lapic_write(LAPIC_SVR, SPURIOUS_IRQ);
    check(lapic_read(LAPIC_LVT_TIMER) & LVT_MASKED, "a local APIC that is off masks its own");
    lapic_write(LAPIC_SVR, 0x100 | SPURIOUS_IRQ);
    self(0x45);
    irq_enable();
    irq_disable();
    check_eq(count, 1, "turned on it takes interrupts again");
    lapic_setup();
}

static void check_all(bool x2)
{
    print("# %s\n", x2 ? "x2APIC" : "xAPIC");
    check_priorities();
    check_nesting();
    check_task_priority();
    check_shadow();
    check_windows();
    check_software_off();
}

void guest_main(void)
{
    bool both = lapic_x2;

    irq_handler = taken;
    uart_pin = isa_pin(4);
    check_all(lapic_x2);
    if (machine_argument("exits", 1) == 0)
        check_exits();
    check_levels();
    check_nmi();
    if (!both)
        return;
    lapic_enter(false);
    lapic_write(LAPIC_SVR, 0x100 | SPURIOUS_IRQ);
    check_all(false);
}
