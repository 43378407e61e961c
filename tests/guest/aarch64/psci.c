/* SPDX-License-Identifier: Apache-2.0 */
/* PSCI 1.1 and the SMC calling convention, as a guest uses them. [DEN0022, DEN0028] */
#include "arm.h"

#define CONTEXT 0xc0ffee0000000000ul

static uint64_t context_seen, last_cpu;
static unsigned offs;

static int call(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    return (int)hvc(function, a, b, c);
}

static void went_on(uint64_t context)
{
    STORE(context_seen, context);
    ADD(offs, 1);
    call(PSCI_CPU_OFF, 0, 0, 0);
}

static void check_functions(void)
{
    static const uint64_t functions[] = {PSCI_VERSION,      PSCI_CPU_SUSPEND,   PSCI_CPU_OFF,
                                         PSCI_CPU_ON,       PSCI_AFFINITY_INFO, PSCI_SYSTEM_OFF,
                                         PSCI_SYSTEM_RESET, PSCI_FEATURES};
    unsigned missing = 0;
    int version = call(PSCI_VERSION, 0, 0, 0);

    check(version >= 0x10001 && version < 0x20000, "PSCI is 1.1 or a later 1.x");
    for (unsigned i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        missing += call(PSCI_FEATURES, functions[i], 0, 0) < 0;
    check_eq(missing, 0, "PSCI_FEATURES knows what PSCI 1.0 demands");
    check(call(PSCI_FEATURES, SMCCC_VERSION, 0, 0) >= 0, "PSCI_FEATURES knows SMCCC_VERSION");
    check(call(SMCCC_VERSION, 0, 0, 0) >= 0x10001, "SMCCC is 1.1 or later");
    check_eq((uint64_t)call(PSCI_FEATURES, 0x8400007f, 0, 0), (uint64_t)PSCI_NOT_SUPPORTED,
             "PSCI_FEATURES does not know what there is not");
    check_eq((uint64_t)call(0x8400007f, 0, 0, 0), (uint64_t)PSCI_NOT_SUPPORTED,
             "an unknown PSCI function is not supported");
    check_eq((uint64_t)call(0x82001234, 0, 0, 0), (uint64_t)PSCI_NOT_SUPPORTED,
             "nor is one of another service");
    check_eq(hvc(0xc400007f, 0, 0, 0), (uint64_t)(int64_t)PSCI_NOT_SUPPORTED,
             "a 64-bit call gives a 64-bit result");
}

static void check_refusals(void)
{
    uint64_t entry = (uint64_t)secondary_entry;

    check_eq((uint64_t)call(PSCI_CPU_ON, 77, entry, 0), (uint64_t)PSCI_INVALID,
             "CPU_ON of a vCPU that does not exist is invalid");
    check_eq((uint64_t)call(PSCI_CPU_ON, 1ul << 32 | 1, entry, 0), (uint64_t)PSCI_INVALID,
             "so is one with wrong upper affinity");
    check_eq((uint64_t)call(PSCI_CPU_ON, 0, entry, 0), (uint64_t)PSCI_ALREADY_ON,
             "CPU_ON of oneself says already on");
    check_eq((uint64_t)call(PSCI_CPU_ON, last_cpu, HOLE_ADDRESS, 0), (uint64_t)PSCI_INVALID_ADDRESS,
             "CPU_ON to where no memory is: invalid address");
    check_eq((uint64_t)call(PSCI_AFFINITY_INFO, 0, 0, 0), 0, "AFFINITY_INFO of oneself says on");
    check_eq((uint64_t)call(PSCI_AFFINITY_INFO, last_cpu, 0, 0), 1, "of one not started: off");
    check_eq((uint64_t)call(PSCI_AFFINITY_INFO, 77, 0, 0), (uint64_t)PSCI_INVALID,
             "of one that does not exist: invalid");
}

static bool is_off(void)
{
    return call(PSCI_AFFINITY_INFO, last_cpu, 0, 0) == 1;
}

/* On and off again and again, with another context each time. */
static void check_on_off(void)
{
    unsigned wrong = 0;

    secondary_hook = went_on;
    for (unsigned i = 1; i <= 100; i++) {
        uint64_t context = CONTEXT | (uint64_t)i << 8 | last_cpu;

        if (call(PSCI_CPU_ON, last_cpu, (uint64_t)secondary_entry, context) != 0 ||
            !WAIT_FOR(LOAD(offs) == i, LATE_MS) || LOAD(context_seen) != context ||
            !WAIT_FOR(is_off(), LATE_MS))
            wrong++;
    }
    check_eq(wrong, 0, "a vCPU goes on and off 100 times, each time with its context in x0");
    check_eq(secondary_state[0], 4, "it starts at EL1");
    check_eq(secondary_state[1], 0x3c0, "with all interrupts masked");
    check_eq(secondary_state[2] & 0x1005, 0, "with MMU and caches off");
    check_eq(secondary_state[3] & 0xff00ffffff, last_cpu, "and knows its number");
    secondary_hook = NULL;
}

static void check_on_twice(void)
{
    int second;

    check_eq((uint64_t)call(PSCI_CPU_ON, last_cpu, (uint64_t)secondary_entry, last_cpu), 0,
             "CPU_ON of one that is off succeeds");
    second = call(PSCI_CPU_ON, last_cpu, (uint64_t)secondary_entry, last_cpu);
    check(second == PSCI_ALREADY_ON || second == PSCI_ON_PENDING, "at once again it is refused");
    check(WAIT_FOR(call(PSCI_AFFINITY_INFO, last_cpu, 0, 0) == 0, LATE_MS), "AFFINITY_INFO: on");
    check_eq((uint64_t)call(PSCI_CPU_ON, last_cpu, (uint64_t)secondary_entry, last_cpu),
             (uint64_t)PSCI_ALREADY_ON, "then it is already on");
}

/* Registers that a call must keep [DEN0028, 2.6]. */
static void check_kept(void)
{
    uint64_t kept = 0;

    for (unsigned i = 0; i < 100; i++) {
        register uint64_t x0 __asm__("x0") = PSCI_VERSION;
        register uint64_t x5 __asm__("x5") = 0x5555 + i;
        register uint64_t x17 __asm__("x17") = 0x1717 + i;

        __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x5), "+r"(x17)::"x1", "x2", "x3", "memory");
        kept += x5 == 0x5555 + i && x17 == 0x1717 + i;
    }
    check_eq(kept, 100, "a call keeps x4 to x17");
}

static void check_smc(void)
{
    fault_expect();
    hvc(PSCI_VERSION, 0, 0, 0);
    check_eq(fault_taken().count, 0, "HVC is the conduit");
    fault_expect();
    uint64_t result = smc(PSCI_VERSION, 0, 0, 0);
    struct fault fault = fault_taken();

    if (fault.count == 0)
        check(result == hvc(PSCI_VERSION, 0, 0, 0) || (int)result == PSCI_NOT_SUPPORTED,
              "SMC is answered");
    else
        check(fault.count == 1 && ESR_EC(fault.cause) == EC_UNKNOWN, "SMC is undefined");
}

static void woken(unsigned irq)
{
    (void)irq;
    timer_off();
}

static void check_suspend(void)
{
    uint64_t start = clock_read(), delay = clock_hz() / 500;
    int result;

    irq_handler = woken;
    irq_line_enable(TIMER_IRQ);
    timer_set(start + delay);
    result = call(PSCI_CPU_SUSPEND, 0, 0, 0);
    check(result == 0 && clock_read() - start >= delay,
          "CPU_SUSPEND (standby) lasts until an interrupt");
    timer_off();
}

void guest_main(void)
{
    last_cpu = machine_cpu_count() - 1;
    check(last_cpu > 0, "there are several vCPUs");
    check_functions();
    check_refusals();
    check_on_off();
    check_on_twice();
    check_kept();
    check_smc();
    check_suspend();
}
