/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the hypervisor: ours, and numbers that there are not. [vcpu/hypercall.h] */
#include "x86.h"

void hypercall_words(uint64_t number, uint64_t words[4]);

/* The other vendor's instruction, by the bytes of both. */
static void other_call(void *)
{
    if (cpuid(0, 0).ebx == 0x756e6547)
        __asm__ volatile("vmmcall" : : "a"(0) : "rbx", "rcx", "rdx", "memory");
    else
        __asm__ volatile("vmcall" : : "a"(0) : "rbx", "rcx", "rdx", "memory");
}

void guest_main(void)
{
    static const uint32_t uid[4] = {0x7c65e5d2, 0x9c3b4a1e, 0x8d0fc415, 0x5017a1b2};
    uint64_t words[4], flags;
    unsigned wrong = 0, cause;

    if (!is_caisson) {
        check(true, "there are no calls on bare QEMU");
        return;
    }
    check_eq(hypercall_number(HYPERCALL_COUNT), 3, "the number of calls");
    hypercall_words(HYPERCALL_UID, words);
    for (unsigned i = 0; i < 4; i++)
        wrong += words[i] != uid[i];
    check_eq(wrong, 0, "the four words of the UID");
    check_eq(hypercall_number(HYPERCALL_YIELD), 0, "YIELD returns 0");
    check_eq(hypercall_number(0), ~0ull, "a number that there is not returns ones");
    check_eq(hypercall_number(~0ull), ~0ull, "so do others");
    check_eq(hypercall_number(0xdead00000000 | HYPERCALL_COUNT), ~0ull, "of more than 32 bits too");
    cause = probe(other_call, NULL);
    check(cause == VECTOR_UD || cause == NO_EXCEPTION, "the other vendor's call does no harm");
    __asm__ volatile("stc; movl $0, %%eax;" HYPERVISOR_CALL "pushfq; popq %0"
                     : "=r"(flags)
                     :
                     : "rax", "rbx", "rcx", "rdx", "memory", "cc");
    check_eq(flags & FLAG_CF, FLAG_CF, "a call keeps the flags");
}
