/* SPDX-License-Identifier: Apache-2.0 */
/* The processors' own structs. Each is written by its pCPU, but for the fields that are atomic. */
#include "kernel/percpu.h"

struct pcpu pcpus[CPUS_MAX];
unsigned pcpu_count = 1;
