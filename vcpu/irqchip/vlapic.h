/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APICs of an x86 guest, in xAPIC and x2APIC mode. A pure model: it knows no clock and no
 * vCPU; the time is told at each call, in ticks of the guest's TSC, which also drives the APIC
 * timer (so the "core crystal clock" that a guest is told must be the TSC's frequency). APIC id =
 * index of the vCPU; it cannot be changed.
 *
 * No lock. Anybody, on any pCPU, sets bits of the IRR and reads what decides where a message goes:
 * these are atomic. All else is touched on the vCPU's own pCPU only, or while no vCPU runs. After
 * each access of its own the vCPU looks at vlapic_highest() again.
 *
 * [Intel SDM vol. 3, chapter "Advanced Programmable Interrupt Controller (APIC)"; sections by name]
 */
#pragma once

#include "kernel/bits.h"
#include "kernel/timer.h"

#define VLAPICS_MAX         32u
#define VLAPIC_BASE         0xfee00000u
#define VLAPIC_SIZE         0x1000u
#define VLAPIC_WORDS        4u /* Of 64 vectors. */
#define VLAPIC_LVTS         6u
#define VLAPIC_NONE         VLAPICS_MAX

/* MSRs: IA32_APIC_BASE, IA32_TSC_DEADLINE, and x2APIC's. */
#define VLAPIC_MSR_BASE     0x1bu
#define VLAPIC_BASE_ENABLED BIT(11)
#define VLAPIC_MSR_DEADLINE 0x6e0u
#define VLAPIC_MSR_X2APIC   0x800u
#define VLAPIC_MSR_LAST     0x8ffu

struct arch_vcpu;

struct vlapic_owner {
    /* Messages to a vCPU, on any pCPU, possibly with a lock of RANK_IRQCHIP held. kick: its IRR
     * has a new bit; never called for the vCPU whose access did it. */
    void (*kick)(struct vlapic_owner *owner, unsigned index);
    void (*nmi)(struct vlapic_owner *owner, unsigned index);
    void (*init)(struct vlapic_owner *owner, unsigned index);
    void (*startup)(struct vlapic_owner *owner, unsigned index, uint8_t page);
    /* vlapic_timer() is to be called at this time of the guest's TSC, or never (TICKS_NEVER),
     * instead of what was asked before. Own pCPU. */
    void (*timer)(struct vlapic_owner *owner, unsigned index, uint64_t deadline);
    /* The end of a level-triggered interrupt, for the I/O APIC. Own pCPU. */
    void (*eoi)(struct vlapic_owner *owner, uint8_t vector);
    /* In place of the IRR and a kick, while vlapic->posting: the hardware gets it. As kick. */
    void (*post)(struct vlapic_owner *owner, unsigned index, unsigned vector);
};

/* All that a guest can observe; no pointers, so it can be saved and restored as it is. Bit per
 * vector in words of 64. */
struct vlapic_state {
    _Atomic uint64_t irr[VLAPIC_WORDS];
    _Atomic uint64_t tmr[VLAPIC_WORDS];
    uint64_t isr[VLAPIC_WORDS];
    uint32_t isr_words;    /* Bit per word of isr that is not 0. */
    _Atomic uint32_t base; /* Low bits of IA32_APIC_BASE. */
    _Atomic uint32_t svr, ldr, dfr;
    _Atomic uint32_t ppr;
    _Atomic uint32_t errors;           /* Since the last write to the ESR. */
    _Atomic uint32_t lvt[VLAPIC_LVTS]; /* In the order of their registers. */
    uint32_t tpr, esr;
    uint64_t icr; /* As x2APIC has it. */
    uint32_t divide, initial;
    uint64_t expiry; /* When the timer fires next, masked or not; TICKS_NEVER: it is stopped. */
    /* A periodic tick waits in the IRR: others would be merged into it, so none is asked for. */
    bool merging;
};

struct vlapic {
    struct vlapics *all;
    unsigned index;
    uint64_t asked;       /* By owner->timer. */
    _Atomic bool posting; /* Vectors of other pCPUs go to owner->post. */
    struct vlapic_state state;
};

struct vlapics {
    struct vlapic_owner *owner;
    unsigned count;
    struct vlapic cpu[VLAPICS_MAX];
};

/* All in power-on state. */
void vlapics_init(struct vlapics *all, unsigned count, struct vlapic_owner *owner);
/* To power-on state; no vCPU runs, and owner->timer is not called: the caller stops its timer. */
void vlapic_reset(struct vlapic *lapic);
/* What an INIT does: keeps mode and id. Own pCPU. */
void vlapic_init_reset(struct vlapic *lapic);

/*
 * A message as devices and the I/O APIC send it, with an id of 8 bits. Any pCPU. False: nobody took
 * it.
 */
enum vlapic_mode {
    VLAPIC_FIXED,
    VLAPIC_LOWEST,
    VLAPIC_SMI,
    VLAPIC_NMI = 4,
    VLAPIC_INIT,
    VLAPIC_STARTUP, /* By ICR only. */
    VLAPIC_EXTINT,  /* By LVT and I/O APIC only. */
};

struct vlapic_message {
    uint8_t dest, vector;
    uint8_t mode; /* enum vlapic_mode; others are ignored. */
    bool logical, level;
};

bool vlapics_send(struct vlapics *all, const struct vlapic_message *message);
/* A fixed interrupt to this vCPU. Any pCPU. False: it was not taken. */
bool vlapic_post(struct vlapic *lapic, uint8_t vector, bool level);

/* The page at VLAPIC_BASE. Own pCPU. */
uint64_t vlapic_read(struct vlapic *lapic, uint64_t now, uint64_t offset, unsigned width);
void vlapic_write(struct vlapic *lapic, uint64_t now, uint64_t offset, unsigned width,
                  uint64_t value);
/* The MSRs above. False: #GP(0), or none of them. Own pCPU. */
bool vlapic_read_msr(struct vlapic *lapic, uint64_t now, uint32_t msr, uint64_t *value);
bool vlapic_write_msr(struct vlapic *lapic, uint64_t now, uint32_t msr, uint64_t value);
/* CR8, which is bits 7:4 of the TPR. Own pCPU. */
void vlapic_write_cr8(struct vlapic *lapic, uint64_t value);

/* The guest's TSC was moved forward by delta, modulo 2^64, and is now `now`: a deadline stays where
 * it is, a count goes on. Own pCPU. */
void vlapic_move_clock(struct vlapic *lapic, uint64_t now, uint64_t delta);

/*
 * To a snapshot, or from it (vcpu/state.h); returns what owner->timer is taken to have been asked
 * for, for it is not called. No vCPU runs, and none of the hardware has the vectors.
 */
struct state;
uint64_t vlapic_state(struct vlapic *lapic, struct state *state);

/* The time asked for has come, or a moment ago it had. Own pCPU. */
void vlapic_timer(struct vlapic *lapic, uint64_t now);

/* The highest vector of an array; 0: none (vectors below 16 are never there). */
static inline unsigned vlapic_top(const _Atomic uint64_t words[VLAPIC_WORDS])
{
#pragma GCC unroll 4
    for (unsigned w = VLAPIC_WORDS; w-- > 0;) {
        uint64_t word = atomic_load_explicit(&words[w], memory_order_acquire);

        if (word != 0)
            return 64 * w + bit_highest(word);
    }
    return 0;
}

/* The most urgent vector that waits, deliverable or not; 0: none. When this is not 0 and
 * vlapic_highest() is, it waits for an EOI or for a lower TPR. Own pCPU. */
static inline unsigned vlapic_waiting(const struct vlapic *lapic)
{
    return vlapic_top(lapic->state.irr);
}

/* The vector to deliver now; 0: none. Own pCPU. */
static inline unsigned vlapic_highest(const struct vlapic *lapic)
{
    unsigned vector = vlapic_top(lapic->state.irr);

    return vector >> 4 > atomic_load_explicit(&lapic->state.ppr, memory_order_relaxed) >> 4 ? vector
                                                                                            : 0;
}

/* The processor takes the vector, which is vlapic_highest() and not 0: it is in service at the
 * return. True: vlapic_timer_taken() is to be told the time. Own pCPU. */
bool vlapic_accept(struct vlapic *lapic, unsigned vector);
void vlapic_timer_taken(struct vlapic *lapic, uint64_t now);

/*
 * vlapic_hardware.c: for hardware that takes vectors by itself (virt_caps.apic). Its vCPU is bound;
 * own pCPU. False of vlapic_load(): not in a mode that it can, so the vectors stay here.
 */
bool vlapic_load(struct vlapic *lapic, struct arch_vcpu *vcpu, uint64_t now);
/* These while the hardware has the others. Hands on those that wait here; true: as
 * vlapic_accept(). */
bool vlapic_hand_on(struct vlapic *lapic, struct arch_vcpu *vcpu);
/* It keeps them while the vCPU is unbound: others go on to post here. True: one waits there that
 * the PPR does not hold back; of those here vlapic_highest() tells. */
bool vlapic_unbinding(struct vlapic *lapic, struct arch_vcpu *vcpu);
void vlapic_bound(struct vlapic *lapic, struct arch_vcpu *vcpu);
/* All vectors come back. Bound or not; then on any pCPU. */
void vlapic_store(struct vlapic *lapic, struct arch_vcpu *vcpu);
/* Takes back what was posted and not taken. Any pCPU. */
void vlapic_collect(struct vlapic *lapic, struct arch_vcpu *vcpu);
/* Whether accesses to the register (an MSR less VLAPIC_MSR_X2APIC, or an offset by 16) need
 * vlapic_store() before: those that the hardware has, and does not answer itself. */
bool vlapic_is_loaded(uint64_t reg);
/* In hardware it would be by virt_caps.apic_window. */
bool vlapic_uses_window(const struct vlapic *lapic);
/* The hardware has ended a level-triggered vector. */
void vlapic_level_end(struct vlapic *lapic, unsigned vector);
