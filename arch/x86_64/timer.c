/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time is the time stamp counter. Its frequency comes from CPUID, else it is measured against a
 * counter whose frequency is known: ACPI's power-management timer, the HPET, or channel 2 of the
 * PIT, which all count up or down without end. The timer is the local APIC's: with deadlines in
 * time stamps where the processor has that, else one shot of its own clock, measured too.
 * [SDM 3, 11.5.4 APIC Timer, 18.17; ACPI 6.5, 4.8.3.3; IA-PC HPET 1.0a; Intel 8254 data sheet]
 */
#include "arch/x86_64/timer.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/x86.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "kernel/timer.h"
#include "mm/hostmap.h"

#define PM_TIMER_HZ       3579545u
#define PM_TIMER_MASK     BITS(23, 0) /* 24 bits are always there. */

#define PIT_HZ            1193182u
#define PIT_MASK          BITS(15, 0)
#define PIT_CHANNEL_2     ((volatile uint8_t *)0x42)
#define PIT_COMMAND       ((volatile uint8_t *)0x43)
#define PIT_GATE          ((volatile uint8_t *)0x61)
#define PIT_MODE_2        0xb4u /* Channel 2, both bytes, rate generator. */
#define PIT_LATCH         0x80u

#define HPET_PERIOD       0x04u /* Femtoseconds of a tick. */
#define HPET_CONFIG       0x10u
#define HPET_COUNTER      0xf0u
#define HPET_ENABLE       BIT(0)
#define FS_PER_S          1000000000000000ull

#define MEASURE_PRECISION 3072u /* A measurement ends when its error is at most 1 / 3072, */
#define MEASURE_HZ        4u    /* or after 1 / 4 of a second. */
#define FIRST_TICKS       16u
#define APIC_MOMENTS      4u
#define STUCK_READS       100000u

/* A counter to measure against; counts up, modulo mask + 1. */
struct reference {
    const char *name;
    uint64_t (*read)(void);
    uint64_t hz, mask;
};

uint64_t tsc_hz;
static const char *tsc_from = "unknown";
static uint64_t apic_hz; /* One shot; 0: deadlines. */
static volatile char *hpet_regs;

const char *tsc_source(void)
{
    return tsc_from;
}

/* --- What CPUID says --- */

uint64_t tsc_hz_told(void)
{
    struct cpuid ratio = cpuid_or_none(0x15, 0), base = cpuid_or_none(0x16, 0);
    uint64_t hz = 0;

    if (cpuid(1, 0).ecx & CPUID1_ECX_GUEST)
        hz = (uint64_t)cpuid_or_none(0x40000010, 0).eax * 1000;
    if (!hz && ratio.eax && ratio.ebx && ratio.ecx)
        hz = (uint64_t)ratio.ecx * ratio.ebx / ratio.eax;
    if (!hz && ratio.eax && ratio.ebx)
        hz = (uint64_t)(base.eax & 0xffff) * 1000000; /* The crystal's is not told; this is. */
    if (hz)
        tsc_from = "from CPUID";
    return hz;
}

/* --- Counters of known frequency --- */

static uint64_t pm_timer_read(void)
{
    return arch_read32((void *)(uintptr_t)platform.pm_timer);
}

static uint64_t hpet_read(void)
{
    return arch_read32(hpet_regs + HPET_COUNTER);
}

static uint64_t pit_read(void)
{
    unsigned low;

    arch_write8(PIT_COMMAND, PIT_LATCH);
    low = arch_read8(PIT_CHANNEL_2);
    return PIT_MASK & ~(low | (unsigned)arch_read8(PIT_CHANNEL_2) << 8);
}

/* Free-running from 65536, the speaker off. */
static void pit_start(void)
{
    arch_write8(PIT_GATE, (uint8_t)((arch_read8(PIT_GATE) & ~BIT(1)) | BIT(0)));
    arch_write8(PIT_COMMAND, PIT_MODE_2);
    arch_write8(PIT_CHANNEL_2, 0);
    arch_write8(PIT_CHANNEL_2, 0);
}

static bool hpet_start(struct reference *reference)
{
    volatile void *regs;
    uint32_t period;

    if (!platform.hpet || hostmap_device(platform.hpet, PAGE_SIZE, &regs) != OK)
        return false;
    hpet_regs = regs;
    period = arch_read32(hpet_regs + HPET_PERIOD);
    if (period == 0 || period > 100000000) /* [HPET 1.0a, 2.3.4] */
        return false;
    arch_write32(hpet_regs + HPET_CONFIG, arch_read32(hpet_regs + HPET_CONFIG) | HPET_ENABLE);
    *reference = (struct reference){"the HPET", hpet_read, FS_PER_S / period, BITS(31, 0)};
    return true;
}

static struct reference reference_choose(void)
{
    struct reference reference = {"the PM timer", pm_timer_read, PM_TIMER_HZ, PM_TIMER_MASK};

    if (platform.pm_timer || hpet_start(&reference))
        return reference;
    pit_start();
    return (struct reference){"the PIT", pit_read, PIT_HZ, PIT_MASK};
}

/* --- Measuring --- */

/* What a counter had at a moment between two time stamps: a reference its tick, since the first
 * look, or the local APIC's timer its count. */
struct moment {
    uint64_t early, late;
    uint64_t count;
};

/* Between two, and how much of it is unknown. */
static uint64_t moment_span(const struct moment *first, const struct moment *last, uint64_t *error)
{
    *error = (last->late - last->early + first->late - first->early) / 2 + 1;
    return (last->early + last->late - first->early - first->late) / 2;
}

/* Who looks at the reference again and again. */
struct watch {
    const struct reference *reference;
    uint64_t value;         /* When it was read last: */
    uint64_t before, after; /* between these time stamps. */
    uint64_t ticks;
};

/* Waits for a tick. False: the reference does not move. */
static bool watch_tick(struct watch *watch, struct moment *moment)
{
    uint64_t before = watch->before, after = watch->after, old = watch->value, value, now;
    unsigned reads = 0;

    for (;;) {
        value = watch->reference->read();
        now = arch_ticks();
        if (value != old)
            break;
        before = after;
        after = now;
        if (++reads == STUCK_READS)
            return false;
    }
    watch->ticks += (value - old) & watch->reference->mask;
    *moment = (struct moment){before, now, watch->ticks};
    watch->value = value;
    watch->before = after;
    watch->after = now;
    return true;
}

/* Whoever looks may be stopped in between, by an emulator's host or by firmware: of some, the tick
 * that is known best. */
static bool watch_first(struct watch *watch, struct moment *first)
{
    struct moment moment;

    if (!watch_tick(watch, first))
        return false;
    for (unsigned i = 1; i < FIRST_TICKS; i++) {
        if (!watch_tick(watch, &moment))
            return false;
        if (moment.late - moment.early < first->late - first->early)
            *first = moment;
    }
    return true;
}

/*
 * The TSC's frequency; 0: the reference does not move. How long it takes follows from how well the
 * ticks are known: to tens of nanoseconds or a microsecond, by what a read takes.
 */
static uint64_t tsc_measure_by(const struct reference *reference)
{
    uint64_t now = arch_ticks(), span, error, ticks;
    struct watch watch = {reference, reference->read(), now, arch_ticks(), 0};
    struct moment first, last;

    if (!watch_first(&watch, &first))
        return 0;
    do {
        if (!watch_tick(&watch, &last))
            return 0;
        span = moment_span(&first, &last, &error);
        ticks = last.count - first.count;
    } while (error * MEASURE_PRECISION > span && ticks < reference->hz / MEASURE_HZ);
    return span * reference->hz / ticks;
}

static enum err tsc_measure(void)
{
    struct reference reference = reference_choose();

    tsc_hz = tsc_measure_by(&reference);
    tsc_from = "measured";
    if (tsc_hz)
        return OK;
    log_error("the TSC cannot be measured: %s does not count", reference.name);
    return E_IO;
}

/* Of a few that which is known best, as above. */
static struct moment apic_moment(void)
{
    struct moment best = {.late = UINT64_MAX}, moment;

    for (unsigned i = 0; i < APIC_MOMENTS; i++) {
        moment.early = arch_ticks();
        moment.count = UINT32_MAX - apic_timer_left();
        moment.late = arch_ticks();
        if (moment.late - moment.early < best.late - best.early)
            best = moment;
    }
    return best;
}

/* Since first, when it was started: mostly that is long enough by now. */
static enum err apic_measure(const struct moment *first)
{
    uint64_t span, error, count;
    struct moment last;

    do {
        last = apic_moment();
        span = moment_span(first, &last, &error);
        count = last.count - first->count;
    } while ((error * MEASURE_PRECISION > span || count < MEASURE_PRECISION) &&
             span < tsc_hz / MEASURE_HZ);
    apic_timer_start(0);
    apic_hz = count * tsc_hz / span;
    if (apic_hz)
        return OK;
    log_error("the local APIC's timer does not count");
    return E_IO;
}

/* Once, on the boot processor. */
static enum err timer_measure(void)
{
    bool deadlines = cpuid(1, 0).ecx & CPUID1_ECX_DEADLINE;
    struct moment first;

    if (!deadlines) {
        apic_timer_mode(APIC_TIMER_ONCE);
        apic_timer_start(UINT32_MAX);
        first = apic_moment();
    }
    if (!tsc_hz)
        TRY(tsc_measure());
    return deadlines ? OK : apic_measure(&first);
}

/* --- The timer --- */

/* Too early is right: what is due is looked at again. */
static uint32_t timer_count(uint64_t deadline)
{
    uint64_t now = arch_ticks(), count;

    if (deadline <= now)
        return 1;
    if (__builtin_mul_overflow(deadline - now, apic_hz, &count))
        return UINT32_MAX;
    return (uint32_t)MIN(count / tsc_hz + 1, UINT32_MAX);
}

void arch_timer_set(uint64_t deadline)
{
    struct arch_pcpu *cpu = &this_cpu()->arch;

    if (!cpu->apic_on || (deadline == TICKS_NEVER && cpu->timer_off))
        return; /* It does not run yet, or no more. */
    cpu->timer_off = false;
    if (apic_hz)
        apic_timer_start(deadline == TICKS_NEVER ? 0 : timer_count(deadline));
    else
        msr_write(MSR_TSC_DEADLINE, deadline == TICKS_NEVER ? 0 : deadline);
}

static enum irq_result timer_irq([[maybe_unused]] uint32_t irq, [[maybe_unused]] void *arg)
{
    this_cpu()->arch.timer_off = true;
    timer_expire();
    return IRQ_DONE;
}

enum err arch_timer_init_cpu(void)
{
    if (this_cpu()->id == 0)
        TRY(timer_measure());
    apic_timer_mode(apic_hz ? APIC_TIMER_ONCE : APIC_TIMER_DEADLINE);
    arch_timer_set(TICKS_NEVER);
    if (this_cpu()->id != 0)
        return OK; /* irq_init_cpu() enables it. */
    return irq_attach(ARCH_IRQ_TIMER, IRQ_LEVEL, timer_irq, NULL);
}
