/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stolen time, as KVM tells it: what is counted while another VM spins on the same pCPU. What is
 * refused, is in msr.c. [Linux: virt/kvm/x86/msr.rst, MSR_KVM_STEAL_TIME]
 */
#include "x86.h"

#define KVM_FEATURES 0x40000101u
#define KVM_STEAL    (1u << 5)
#define MSR_STEAL    0x4b564d03u
#define SPIN_MS      500u
#define NS_OF_MS     1000000u

static struct {
    uint64_t steal;
    uint32_t version, flags;
    uint8_t preempted, pad[47];
} shared __attribute__((aligned(64)));

/* As a guest must read it. */
static uint64_t steal_read(void)
{
    uint32_t version;
    uint64_t steal;

    do {
        version = LOAD(shared.version);
        steal = LOAD(shared.steal);
    } while (version & 1 || LOAD(shared.version) != version);
    return steal;
}

void guest_main(void)
{
    uint64_t start, stolen, last;
    unsigned sum = 0;

    check(cpuid(KVM_FEATURES, 0).eax & KVM_STEAL, "CPUID says that stolen time is told");
    start = clock_read();
    wrmsr(MSR_STEAL, (uint64_t)&shared | 1);
    WAIT_FOR(steal_read() >= SPIN_MS / 4 * (uint64_t)NS_OF_MS, LATE_MS);
    stolen = steal_read();
    check(stolen >= SPIN_MS / 4 * (uint64_t)NS_OF_MS, "another VM's turns are counted as stolen");
    check(stolen / 1000 <= (clock_read() - start) * 1000 / (clock_hz() / 1000),
          "no more than has passed");
    check(shared.version != 0, "the version tells of each change");
    for (unsigned i = 0; i < sizeof(shared.pad); i++)
        sum |= shared.pad[i];
    check(shared.flags == 0 && shared.preempted == 0 && sum == 0, "all else stays zero");
    wrmsr(MSR_STEAL, 0);
    last = shared.steal;
    WAIT_FOR(false, SPIN_MS / 4);
    check_eq(shared.steal, last, "when it is off nothing is written any more");
}
