/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs into an undefined state: an exception whose vectors are nowhere. The VM must stop, with a
 * report.
 */
#include "guest.h"

void guest_main(void)
{
    print("fault: an exception without vectors\n");
    vectors_set(HOLE_ADDRESS);
    __builtin_trap();
}
