/* SPDX-License-Identifier: Apache-2.0 */
/* The two host interrupt controllers behind gic.c. */
#pragma once

#include "kernel/err.h"
#include "kernel/irq.h"
#include "kernel/types.h"

struct platform;
struct pcpu;
struct arch_gic_state;

#define GIC_SPURIOUS    1020u /* To GIC_SPECIAL_MAX: no interrupt. Above are LPIs. */
#define GIC_SPECIAL_MAX 1023u
#define GIC_SGI_KICK    0u /* The one IPI. */
#define GIC_PRIORITY    0xa0u

/* Distributor registers that both have [IHI 0069, 12.9]. */
#define GICD_CTLR       0x0000u
#define GICD_TYPER      0x0004u
#define GICD_IGROUPR    0x0080u
#define GICD_ISENABLER  0x0100u
#define GICD_ICENABLER  0x0180u
#define GICD_ICPENDR    0x0280u
#define GICD_ISACTIVER  0x0300u
#define GICD_ICACTIVER  0x0380u
#define GICD_IPRIORITYR 0x0400u
#define GICD_ITARGETSR  0x0800u
#define GICD_ICFGR      0x0c00u
#define GICD_SGIR       0x0f00u
#define GICD_IROUTER    0x6000u

extern unsigned gic_version; /* 2 or 3; set once in arch_irqchip_init(). */
extern volatile char *gicd;
extern uint32_t gic_spi_end; /* First INTID beyond the SPIs. */

enum err gicv3_init(const struct platform *platform);
enum err gicv3_init_cpu(struct pcpu *cpu);
enum err gicv2_init(const struct platform *platform);
enum err gicv2_init_cpu(struct pcpu *cpu);

/* CPU interface of the GICv2, memory-mapped. */
uint32_t gicv2_ack(void);
void gicv2_eoi(uint32_t iar);
void gicv2_deactivate(uint32_t iar);
void gicv2_send_ipi(const struct pcpu *cpu);

/* All SPIs to a known state: disabled, not pending, level, group 1 where that can be set. */
void gicd_reset_spis(void);

/* Guests' side: save and restore what a vCPU has in the virtual interface. */
unsigned gich_slots(void);
/* GICv3: active priority registers of each group. */
unsigned gich_apr_count(void);
void gich_load(const struct arch_gic_state *state);
void gich_store(struct arch_gic_state *state);

/* The same of the GICv2 (GICH); values have the GICv3's layout. */
unsigned gicv2_slots(void);
uint64_t gicv2_lr_read(unsigned slot);
void gicv2_lr_write(unsigned slot, uint64_t value);
uint64_t gicv2_empty(void);
uint64_t gicv2_ended(void);
uint64_t gicv2_control(void);
void gicv2_set_control(uint64_t value);
void gicv2_load(const struct arch_gic_state *state);
void gicv2_store(struct arch_gic_state *state);
