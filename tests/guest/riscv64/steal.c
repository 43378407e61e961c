/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stolen time, as SBI tells it: what is refused, and what is counted while another VM spins on the
 * same pCPU. [SBI 2.0, "Steal-time Accounting Extension"]
 */
#include "riscv.h"

#define SBI_STA  0x535441u
#define SPIN_MS  500u
#define NS_OF_MS 1000000u

static struct {
    uint32_t sequence, flags;
    uint64_t steal;
    uint8_t preempted, pad[47];
} shared __attribute__((aligned(64)));

static int64_t set(uint64_t low, uint64_t high, uint64_t flags)
{
    return SBI3(SBI_STA, 0, low, high, flags).error;
}

/* As a guest must read it. */
static uint64_t steal_read(void)
{
    uint32_t sequence;
    uint64_t steal;

    do {
        sequence = LOAD(shared.sequence);
        steal = LOAD(shared.steal);
    } while (sequence & 1 || LOAD(shared.sequence) != sequence);
    return steal;
}

/* But for what was counted since, if the other VM had a turn. */
static bool is_zero(void)
{
    unsigned sum = shared.flags | shared.preempted;

    for (unsigned i = 0; i < sizeof(shared.pad); i++)
        sum |= shared.pad[i];
    return sum == 0 && steal_read() < LATE_MS * (uint64_t)NS_OF_MS;
}

static void check_refusals(uint64_t base, uint64_t size)
{
    uint64_t place = (uint64_t)&shared;

    check_eq((uint64_t)SBI(SBI_STA, 1).error, (uint64_t)SBI_ERR_NOT_SUPPORTED,
             "it has one function");
    check_eq((uint64_t)set(place, 0, 1), (uint64_t)SBI_ERR_INVALID_PARAM, "flags are refused");
    check_eq((uint64_t)set(place + 8, 0, 0), (uint64_t)SBI_ERR_INVALID_PARAM,
             "so is a place that is misaligned");
    check_eq((uint64_t)set(place, 1, 0), (uint64_t)SBI_ERR_INVALID_ADDRESS,
             "and one beyond what can be");
    check_eq((uint64_t)set(base + size, 0, 0), (uint64_t)SBI_ERR_INVALID_ADDRESS,
             "behind the memory");
    check_eq((uint64_t)set(base - 64, 0, 0), (uint64_t)SBI_ERR_INVALID_ADDRESS, "before it");
    check_eq((uint64_t)set(UART_BASE, 0, 0), (uint64_t)SBI_ERR_INVALID_ADDRESS, "in a device");
    check_eq((uint64_t)set(~0ul & ~63ul, 0, 0), (uint64_t)SBI_ERR_INVALID_ADDRESS,
             "or at the end of all");
}

void guest_main(void)
{
    uint64_t base, size, start, stolen, last;

    machine_memory(&base, &size);
    check(SBI3(SBI_BASE, 3, SBI_STA, 0, 0).value != 0, "the extension is found");
    check_refusals(base, size);
    memset(&shared, 0xa5, sizeof(shared));
    check_eq((uint64_t)set((uint64_t)&shared, 0, 0), 0, "a place in memory is taken");
    check(is_zero(), "and zeroed");
    start = clock_read();
    WAIT_FOR(steal_read() >= SPIN_MS / 4 * (uint64_t)NS_OF_MS, LATE_MS);
    stolen = steal_read();
    check(stolen >= SPIN_MS / 4 * (uint64_t)NS_OF_MS, "another VM's turns are counted as stolen");
    check(stolen / 1000 <= (clock_read() - start) * 1000 / (clock_hz() / 1000),
          "no more than has passed");
    check(shared.flags == 0 && shared.preempted == 0, "flags and the sign of preemption stay zero");
    check_eq((uint64_t)set(~0ul, ~0ul, 0), 0, "it can be ended");
    last = shared.steal;
    WAIT_FOR(false, SPIN_MS);
    check_eq(shared.steal, last, "and then nothing is written any more");
}
