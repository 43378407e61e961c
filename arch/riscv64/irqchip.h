/* SPDX-License-Identifier: Apache-2.0 */
/* The two host interrupt controllers behind irqchip.c. */
#pragma once

#include "kernel/err.h"
#include "kernel/irq.h"

struct platform;
struct pcpu;

enum err plic_init(const struct platform *platform);
enum err plic_init_cpu(struct pcpu *cpu);
enum err plic_enable(uint32_t irq);
/* 0: none. */
uint32_t plic_claim(void);
void plic_complete(uint32_t irq);

enum err aia_init(const struct platform *platform);
enum err aia_init_cpu(struct pcpu *cpu);
enum err aia_enable(uint32_t irq, enum irq_trigger trigger);
/* 0: none. IPIs are taken inside. */
uint32_t aia_claim(void);
void aia_end(uint32_t irq);
void aia_ipi_send(const struct pcpu *cpu);
