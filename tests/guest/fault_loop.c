/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exception whose vectors hold no instructions: the next exception, for ever, and nobody but
 * the guest is concerned. It must be possible to stop it.
 */
#include "guest.h"

static char nowhere[2 * PAGE] __attribute__((aligned(4096)));

void guest_main(void)
{
    print("fault: exceptions for ever\n");
    memset(nowhere, UNDEFINED_BYTE, sizeof(nowhere));
    vectors_set((uint64_t)nowhere);
    __builtin_trap();
}
