/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long mode, compatibility mode, 32 bits with each kind of paging, 16 bits, and real mode: back and
 * forth, and in each what makes a guest exit.
 */
#include "x86.h"

#define RESULTS   15u
#define CYCLES    200u
#define PTE_LARGE 0x083u

enum mode { MODE_COMPAT, MODE_FLAT, MODE_PAGING, MODE_PAE, MODE_16, MODE_REAL, MODES };

uint32_t mode_call(enum mode mode, uint32_t routine, uint32_t argument);
void mode_device(void);
extern char low_device[], low_interrupts[];
extern uint32_t mode_directory[1024];
extern uint64_t mode_pdpt[4], directories[4][512];

static const char *const names[] = {
    "compatibility mode",
    "32 bits without paging",
    "32 bits with paging",
    "32 bits with PAE",
    "16 bits",
    "real mode",
};
static uint32_t results[RESULTS];

static uint32_t low(const char *label)
{
    return (uint32_t)(LOW_BASE + (label - low_start));
}

static uint32_t routine_of(enum mode mode)
{
    return mode >= MODE_16 ? low(low_device) : (uint32_t)(uint64_t)mode_device;
}

/* Pages of 4 MiB and, by the tables of long mode, of 2 MiB. */
static void tables_make(void)
{
    for (uint32_t i = 0; i < 1024; i++)
        mode_directory[i] = i << 22 | PTE_LARGE;
    for (unsigned i = 0; i < 4; i++)
        mode_pdpt[i] = (uint64_t)directories[i] | 1;
}

static void check_mode(enum mode mode)
{
    static const uint32_t cr0[] = {0x80000001, 1, 0x80000001, 0x80000001, 1, 0};
    const uint32_t expected[RESULTS] = {
        0x21,
        0x61,
        0x70,
        0xffffff8f,
        0x8f,
        1,
        0x3b,
        1,
        1,
        0xffff003a,
        0x5a,
        cpuid(0, 0).ebx,
        (uint32_t)rdmsr(MSR_APIC_BASE) & ~0xfffu,
        0xffffffff,
        cr0[mode],
    };
    unsigned wrong = 0;

    memset(results, 0, sizeof(results));
    mode_call(mode, routine_of(mode), (uint32_t)(uint64_t)results);
    for (unsigned i = 0; i < RESULTS; i++) {
        if (results[i] == expected[i])
            continue;
        print("# %s, result %u: expected 0x%x, got 0x%x\n", names[mode], i, expected[i],
              results[i]);
        wrong++;
    }
    print("# %s\n", names[mode]);
    check_eq(wrong, 0, "instructions on a device, on ports, CPUID and RDMSR are right there");
}

static void check_switches(void)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < CYCLES; i++) {
        enum mode mode = (enum mode)(random_next() % MODES);

        results[10] = 0;
        mode_call(mode, routine_of(mode), (uint32_t)(uint64_t)results);
        wrong += results[10] != 0x5a;
    }
    check_eq(wrong, 0, "modes can be entered and left in any order");
    check_eq(rdmsr(MSR_EFER) & 0x500, 0x500, "long mode is on again after each");
}

static volatile unsigned ticks;

static void timer_taken(unsigned irq)
{
    ticks += irq == TIMER_IRQ;
    timer_set(clock_read() + clock_hz() / 5000);
}

/* They wait while a mode has them masked, and come when it is left. */
static void check_timers(void)
{
    irq_handler = timer_taken;
    irq_line_enable(TIMER_IRQ);
    timer_set(clock_read() + clock_hz() / 5000);
    irq_enable();
    check_switches();
    check(WAIT_FOR(ticks > 10, LATE_MS), "the timer goes on over all of them");
    irq_disable();
    timer_off();
}

void guest_main(void)
{
    tables_make();
    for (enum mode mode = MODE_COMPAT; mode < MODES; mode++)
        check_mode(mode);
    check_switches();
    check_timers();
    check_eq(mode_call(MODE_REAL, low(low_interrupts), 300), 300,
             "software interrupts in real mode go by the table at 0");
}
