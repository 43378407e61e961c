/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GICv3 for a guest: distributor, redistributors, SGIs, and the filling of list registers. A pure
 * model: its only way to hardware is the slots of vcpu/arch_vcpu.h (tests/fake has some too). One
 * security state, affinity routing always on, no LPIs, 32 priorities.
 *
 * Or a GICv2, made by vgic_v2_init(): another view of the same lines, without redistributors,
 * affinities and system registers, and with SGIs that are told apart by their sender. Its CPU
 * interface is hardware's (GICV).
 *
 * Locking: one lock per VM (RANK_IRQCHIP) for all state here. The list registers of a vCPU are
 * touched only on the pCPU where it is bound. Injection from elsewhere comes through the vCPU's IRQ
 * queue (vcpu/virq.h), whose owner calls vgic_accept().
 *
 * [GIC architecture specification, IHI 0069; GICv2: IHI 0048B]
 */
#pragma once

#include "kernel/lock.h"
#include "vcpu/arch_vcpu.h"

struct state;

#define VGIC_CPUS_MAX  32u
#define VGIC_PRIVATE   32u /* SGIs 0-15 and PPIs 16-31, of each vCPU. */
#define VGIC_SGIS      16u
#define VGIC_V2_CPUS   8u /* GICv2: at most. */
#define VGIC_SPIS_MAX  256u
#define VGIC_IRQS_MAX  (VGIC_PRIVATE + VGIC_SPIS_MAX)
#define VGIC_SPI_BANKS (VGIC_SPIS_MAX / 32u)
#define VGIC_SLOTS_MAX 16u
#define VGIC_NO_CPU    0xffu /* Route of an SPI whose affinity names no vCPU. */

/* What the VM gives. */
struct vgic_owner {
    /*
     * Something changed that this vCPU must look at before it runs on (wakes it, or makes it exit).
     * Called without the lock, never for the vCPU that does the call into here.
     */
    void (*kick)(struct vgic_owner *owner, unsigned cpu);
    /*
     * The level on the wire of a level-triggered interrupt, now (cpu: for private ones). Called
     * with the lock held: must take no lock of this rank or an outer one, so it reads a flag that
     * the device has set before it notified.
     */
    bool (*line)(struct vgic_owner *owner, unsigned cpu, uint32_t irq);
    /*
     * An interrupt given to vgic_accept_hw() has ended for the guest, but the hardware was not told
     * (it was not in a list register then, or was ended through the distributor): deactivate the
     * physical one. Bound, lock held. NULL: there are none.
     */
    void (*hw_end)(struct vgic_owner *owner, unsigned cpu, uint32_t irq, uint32_t physical_irq);
};

/*
 * 32 lines: the private ones of a vCPU, or SPIs. A line is "held" by a vCPU (home) while it is in
 * one of its list registers (in_lr) or was active there and had to make room (evicted). What is
 * held is changed only by its home; others leave requests, and change the last known state
 * (lr_pending, active).
 */
struct vgic_bank {
    uint32_t enabled, edge;
    uint32_t pending; /* Latched: an edge, or written by the guest; for held lines: in addition. */
    uint32_t level; /* Line was high when last asked; a rise is always told, a fall is asked for. */
    uint32_t message; /* Level raised by GICD_SETSPI_NSR. */
    uint32_t active;  /* For held lines: as last known. */
    uint32_t in_lr, evicted;
    uint32_t lr_pending; /* As last known; of levels: beyond what the line says. */
    uint32_t hw;         /* What is pending is the hardware's: its physical interrupt is active. */
    uint32_t hw_held;    /* The same for what is held. */
    uint32_t drop, activate,
        deactivate;         /* Requests to home: clear pending, set active, clear active. */
    _Atomic uint32_t group; /* 1: group 1. */
    _Atomic uint32_t
        ready; /* May be delivered when pending: enabled, group enabled, not active elsewhere. */
    union {
        _Atomic uint8_t priority[32];
        _Atomic uint32_t priorities[8]; /* The same by fours, as the guest reads them. */
    };
    uint16_t physical[32]; /* Of lines in hw or hw_held. */
    uint8_t home[32];      /* Of SPIs that are held. */
};

/* One vCPU's part. What a snapshot keeps is in state (of an unbound vCPU: complete, but for the
 * active ones in slots). */
struct vgic_cpu {
    struct vgic_cpu_state {
        struct vgic_bank private;
        uint64_t lr[VGIC_SLOTS_MAX]; /* As written or last read. */
        uint16_t slot_irq[VGIC_SLOTS_MAX];
        uint16_t used;    /* Slots that hold something; it may have ended. */
        uint16_t evicted; /* Active interrupts that are in no slot. */
        bool asleep;      /* GICR_WAKER.ProcessorSleep. */
    } state;
    /* Of the vCPU's own pCPU, without lock. */
    bool running;    /* Slots may differ from what the model knows: since a fill, until a sync. */
    bool overflow;   /* More is deliverable than is in slots. */
    uint16_t direct; /* Slots filled by the fast path since the last sync, to be filled so again. */
    uint8_t slot_of[VGIC_PRIVATE]; /* Where the fast path last put that interrupt. */
    uint16_t fresh;                /* Slots filled by the fast path, not yet known to the bank. */
    uint16_t stale;                /* Slots where hardware is to get lr[]. */
    uint16_t slots;                /* Bit for each that there is. */
    uint32_t control;              /* Our bits of ICH_HCR_EL2 as last set; ~0: not known. */
    _Atomic bool dirty;            /* Look again before entry. Set by anybody with the lock. */
    uint32_t affinity;             /* Aff3.Aff2.Aff1.Aff0. */
    struct arch_vcpu *arch;
};

struct vgic {
    struct lock lock;
    struct vgic_owner *owner;
    unsigned cpu_count;
    uint16_t spi_banks;
    bool v2;
    uint32_t kicks; /* vCPUs to kick when the lock is dropped. */
    uint32_t typer; /* GICD_TYPER. */
    struct vgic_state {
        uint32_t ctlr;     /* Enables of the groups. */
        uint32_t spi_busy; /* Banks that may have something pending. */
        struct vgic_bank spi[VGIC_SPI_BANKS];
        uint32_t router[VGIC_SPIS_MAX];       /* GICD_IROUTER, packed; GICv2: GICD_ITARGETSR. */
        _Atomic uint8_t route[VGIC_SPIS_MAX]; /* Index of the vCPU it names, or VGIC_NO_CPU. */
    } state;
    struct vgic_cpu cpus[VGIC_CPUS_MAX];
    /* GICv2, part of the state: SGIs to each vCPU. */
    struct vgic_v2_sgis {
        uint8_t senders[VGIC_SGIS]; /* Of what is pending (the bank's line: any of them). */
        uint8_t sender[VGIC_SGIS];  /* Index: whose is in a slot or evicted. */
    } v2_sgis[VGIC_V2_CPUS];
};

/* spis is rounded up to a multiple of 32. */
void vgic_init(struct vgic *vgic, unsigned cpus, unsigned spis, struct vgic_owner *owner);
/* A GICv2 in its place; cpus: at most VGIC_V2_CPUS. */
void vgic_v2_init(struct vgic *vgic, unsigned cpus, unsigned spis, struct vgic_owner *owner);
/* The vCPU's interface; mpidr: its affinity; slots: list registers that there are. Then
 * vgic_reset(). */
void vgic_cpu_init(struct vgic *vgic, unsigned cpu, struct arch_vcpu *arch, uint64_t mpidr,
                   unsigned slots);
/* All state to reset; no vCPU is bound. */
void vgic_reset(struct vgic *vgic);
/*
 * To a snapshot, or from it, after the registers of all vCPUs, of which none is bound. hw_irq: the
 * private interrupt that vgic_accept_hw() is called for, and the physical one behind it here. The
 * vCPUs look by themselves when they go on; nobody is kicked.
 */
void vgic_state(struct vgic *vgic, struct state *s, uint32_t hw_irq, uint32_t physical_irq);

/* GICD registers at offset; width 1, 2, 4, 8 bytes; false: hardware would ignore it (reads as
 * zero). */
bool vgic_dist_read(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t *v);
bool vgic_dist_write(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t v);
/* The same of a GICv2, whose registers of private interrupts are those of the accessing cpu. */
bool vgic_v2_read(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t *v);
bool vgic_v2_write(struct vgic *vgic, unsigned cpu, uint32_t offset, unsigned width, uint64_t v);
/* GICR registers: target's two 64 KiB frames; cpu is the one that does the access. */
bool vgic_redist_read(struct vgic *vgic, unsigned cpu, unsigned target, uint32_t offset,
                      unsigned width, uint64_t *v);
bool vgic_redist_write(struct vgic *vgic, unsigned cpu, unsigned target, uint32_t offset,
                       unsigned width, uint64_t v);
/* ICC_SGI1R_EL1 was written (group1), or ICC_SGI0R_EL1, which makes SGIs of group 0 only. Bound. */
void vgic_send_sgi(struct vgic *vgic, unsigned cpu, uint64_t value, bool group1);
/* ICC_DIR_EL1 was written while trapped (an active interrupt is not in a list register). Bound. */
void vgic_deactivate(struct vgic *vgic, unsigned cpu, uint32_t irq);

/*
 * For the vCPU `cpu`, on its pCPU, bound or not: an interrupt needs attention. edge: one edge came
 * (pending is latched); else its line changed (owner->line() is asked). An SPI that is routed
 * elsewhere is passed on by kick().
 */
void vgic_accept(struct vgic *vgic, unsigned cpu, uint32_t irq, bool edge);
/*
 * The same, bound, for an interrupt of the hardware that we leave active for the guest to end
 * (LR.HW = 1): the virtual timer. Fast path: goes straight into a free list register when nothing
 * more urgent stands in the way, without lock. Where the guest has it disabled it stays in flight
 * until it is enabled; the physical one stays active that long. A line that falls before the guest
 * acknowledges is not noticed: the guest takes a spurious interrupt. Needs no vgic_fill() after it.
 */
void vgic_accept_hw(struct vgic *vgic, unsigned cpu, uint32_t irq, uint32_t physical_irq);
/*
 * True while that interrupt is pending or active for the guest. Its physical one must be active
 * when bound: the caller makes it so before the first entry after bind, and inactive after unbind.
 */
bool vgic_hw_in_flight(struct vgic *vgic, unsigned cpu, uint32_t irq);

/*
 * Before entry, bound: what is pending goes into list registers, most urgent first. Cheap when
 * nothing changed. Needed after bind, kick, vgic_accept(), vgic_send_sgi(), vgic_sync() and writes
 * of registers. Reads and the two questions leave the list registers as good as they were.
 */
void vgic_fill(struct vgic *vgic, unsigned cpu);
/* Bound: take back the state of the list registers into the model (before unbind, on maintenance).
 */
void vgic_sync(struct vgic *vgic, unsigned cpu);
/*
 * Whether the vCPU has something pending, enabled and of its group enabled: whether WFI returns at
 * once. Bound or not. Does not know the guest's priority mask and ICC_IGRPEN: may say true where
 * hardware would wait on.
 */
bool vgic_has_pending(struct vgic *vgic, unsigned cpu);
/* The vCPU to which an SPI is routed now: where to post it (0 if nowhere: its state is kept).
 * Lock-free. */
unsigned vgic_spi_target(const struct vgic *vgic, uint32_t irq);
