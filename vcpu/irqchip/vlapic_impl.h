/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the local APIC's model share. */
#pragma once

#include "vcpu/irqchip/vlapic.h"

/* IA32_APIC_BASE ["Local APIC Status and Location", "x2APIC State Transitions"]. */
#define BASE_BSP      BIT(8)
#define BASE_EXTD     BIT(10)

#define SVR_ENABLE    BIT(8)
#define SVR_NO_EOI    BIT(12) /* Suppress EOI broadcasts. */

#define LVT_VECTOR    BITS(7, 0)
#define LVT_MASKED    BIT(16)
#define LVT_TIMER     0u /* Index into lvt[]. */
#define LVT_ERROR     5u

/* Errors, as in the ESR ["Error Handling"]. */
#define ERROR_SEND    BIT(5) /* Illegal vector in a message that is sent, */
#define ERROR_RECEIVE BIT(6) /* or received, or in an LVT. */
#define ERROR_ADDRESS BIT(7) /* No such register. */

#define ICR_VECTOR    BITS(7, 0)
#define ICR_MODE      BITS(10, 8)
#define ICR_LOGICAL   BIT(11)
#define ICR_ASSERT    BIT(14)
#define ICR_LEVEL     BIT(15)
#define ICR_SHORTHAND BITS(19, 18)
#define ICR_DEST      BITS(63, 32) /* In xAPIC mode its upper byte. */

#define VECTOR_LEGAL  16u /* The lowest. */

static inline uint32_t vlapic_get(const _Atomic uint32_t *reg)
{
    return atomic_load_explicit(reg, memory_order_relaxed);
}

static inline void vlapic_set(_Atomic uint32_t *reg, uint64_t value)
{
    atomic_store_explicit(reg, (uint32_t)value, memory_order_relaxed);
}

static inline bool vlapic_in_x2apic(const struct vlapic *lapic)
{
    return vlapic_get(&lapic->state.base) & BASE_EXTD;
}

static inline bool vlapic_in_xapic(const struct vlapic *lapic)
{
    return (vlapic_get(&lapic->state.base) & (VLAPIC_BASE_ENABLED | BASE_EXTD)) ==
           VLAPIC_BASE_ENABLED;
}

/* Cluster in the upper half, bit in the lower ["Logical Destination Mode in x2APIC Mode"]. */
static inline uint32_t vlapic_x2apic_ldr(unsigned id)
{
    return id >> 4 << 16 | 1u << (id & 0xf);
}

/* vlapic.c: */
/* A local interrupt of this vCPU. Own pCPU. */
void vlapic_local(struct vlapic *lapic, unsigned lvt);
/* Own pCPU. */
void vlapic_error(struct vlapic *lapic, uint64_t errors);
void vlapic_write_tpr(struct vlapic *lapic, uint32_t value);
void vlapic_end(struct vlapic *lapic);
/* Sends what icr says. wide: its destination has 32 bits. */
void vlapic_send_icr(struct vlapic *lapic, uint64_t icr, bool wide);
void vlapic_send_self(struct vlapic *lapic, uint8_t vector);

/* vlapic_timer.c: */
void vlapic_timer_set_lvt(struct vlapic *lapic, uint64_t now, uint32_t value);
void vlapic_timer_set_divide(struct vlapic *lapic, uint64_t now, uint32_t value);
void vlapic_timer_set_initial(struct vlapic *lapic, uint64_t now, uint32_t value);
void vlapic_timer_set_deadline(struct vlapic *lapic, uint64_t now, uint64_t value);
uint32_t vlapic_timer_count(const struct vlapic *lapic, uint64_t now);
uint64_t vlapic_timer_deadline(const struct vlapic *lapic, uint64_t now);
/* The state was loaded: when the owner is to call, who is not told. */
uint64_t vlapic_timer_restored(struct vlapic *lapic);
/* Tells the owner when to call: the last step of every change. */
void vlapic_timer_ask(struct vlapic *lapic);
