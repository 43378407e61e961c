/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GICv3 for a guest: distributor, redistributors, SGIs, and the filling of list registers. A pure model: its only way to
 * hardware is the slots of vcpu/arch_vcpu.h (tests/fake has some too).
 *
 * Locking: one lock per VM (RANK_IRQCHIP) for all state here. The list registers of a vCPU are touched only on the
 * pCPU where it is bound. Injection from elsewhere comes through the vCPU's IRQ queue (vcpu/virq.h), whose owner
 * calls vgic_accept().
 *
 * [GIC architecture specification, IHI 0069]
 */
#pragma once

#include "kernel/lock.h"
#include "vcpu/arch_vcpu.h"

#define VGIC_CPUS_MAX  32u
#define VGIC_PRIVATE   32u             /* SGIs 0-15 and PPIs 16-31, of each vCPU. */
#define VGIC_SPIS_MAX  256u
#define VGIC_IRQS_MAX  (VGIC_PRIVATE + VGIC_SPIS_MAX)

struct vgic;

/* What the VM gives. */
struct vgic_owner {
    /* Something changed that this vCPU must look at before it runs on (wakes it, or makes it exit). */
    void (*kick)(struct vgic_owner *owner, unsigned cpu);
    /* The level on the wire of a level-triggered interrupt, now (cpu: for private ones). */
    bool (*line)(struct vgic_owner *owner, unsigned cpu, uint32_t irq);
};

void vgic_init(struct vgic *vgic, unsigned cpus, unsigned spis, struct vgic_owner *owner);
/* The vCPU's interface; mpidr: its affinity; slots: list registers that there are. */
void vgic_cpu_init(struct vgic *vgic, unsigned cpu, struct arch_vcpu *arch, uint64_t mpidr,
                   unsigned slots);
/* All state to reset; no vCPU is bound. */
void vgic_reset(struct vgic *vgic);

/* GICD registers at offset; width 1, 2, 4, 8 bytes; false: hardware would ignore it (reads as zero). */
bool vgic_dist_read(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t *v);
bool vgic_dist_write(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t v);
/* GICR registers: target's two 64 KiB frames; cpu is the one that does the access. */
bool vgic_redist_read(struct vgic *vgic, unsigned cpu, unsigned target, uint32_t offset,
                      unsigned width, uint64_t *v);
bool vgic_redist_write(struct vgic *vgic, unsigned cpu, unsigned target, uint32_t offset,
                       unsigned width, uint64_t v);
/* ICC_SGI1R_EL1 was written (group 1), or ICC_SGI0R/ASGI1R (group 0: ignored in one security state where disabled). */
void vgic_send_sgi(struct vgic *vgic, unsigned cpu, uint64_t value, bool group1);
/* ICC_DIR_EL1 was written while trapped (an active interrupt is not in a list register). */
void vgic_deactivate(struct vgic *vgic, unsigned cpu, uint32_t irq);

/*
 * For the vCPU `cpu`, on its pCPU: an interrupt needs attention. edge: one edge came (pending is latched); else
 * its line changed (owner->line() is asked). An SPI that is routed elsewhere is passed on by kick().
 */
void vgic_accept(struct vgic *vgic, unsigned cpu, uint32_t irq, bool edge);
/*
 * The same for an interrupt of the hardware that we leave active for the guest to end (LR.HW = 1): the virtual timer.
 * Fast path: goes straight into a free list register when nothing more urgent stands in the way.
 */
void vgic_accept_hw(struct vgic *vgic, unsigned cpu, uint32_t irq, uint32_t physical_irq);
/* True while that interrupt is pending or active for the guest (its physical one must be active when bound). */
bool vgic_hw_in_flight(struct vgic *vgic, unsigned cpu, uint32_t irq);

/* Before entry, bound: what is pending goes into list registers, most urgent first. Cheap when nothing changed. */
void vgic_fill(struct vgic *vgic, unsigned cpu);
/* Bound: take back the state of the list registers into the model (before unbind, on maintenance). */
void vgic_sync(struct vgic *vgic, unsigned cpu);
/* Whether the vCPU has something pending, enabled and of its group enabled: whether WFI returns at once. Bound or not. */
bool vgic_has_pending(struct vgic *vgic, unsigned cpu);
/* The vCPU to which an SPI is routed now: where to post it. Lock-free. */
unsigned vgic_spi_target(const struct vgic *vgic, uint32_t irq);
