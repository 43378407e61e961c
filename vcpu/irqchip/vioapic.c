/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O APIC model. [Intel 82093AA data sheet, May 1996, section 3; ICH9 data sheet for version,
 * EOI register and window]
 *
 * Invariants, whenever the lock is free: remote IRR is set in entries of level-triggered pins only,
 * and only while a local APIC has the vector; a level-triggered pin whose wire is up and that is
 * not masked has remote IRR set, unless no local APIC took its message.
 */
#include "vcpu/irqchip/vioapic.h"

#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/state.h"

/* In the window. */
#define IOREGSEL         0x00u
#define IOWIN            0x10u
#define IOEOI            0x40u

/* By IOREGSEL. */
#define REG_ID           0x00u
#define REG_VERSION      0x01u
#define REG_ARBITRATION  0x02u
#define REG_TABLE        0x10u

#define VERSION          (0x20u | (VIOAPIC_PINS - 1) << 16)
#define ID_BITS          BITS(27, 24)

/* An entry of the redirection table. */
#define ENTRY_VECTOR     BITS(7, 0)
#define ENTRY_MODE       BITS(10, 8)
#define ENTRY_LOGICAL    BIT(11)
#define ENTRY_REMOTE_IRR BIT(14)
#define ENTRY_LEVEL      BIT(15)
#define ENTRY_MASKED     BIT(16)
#define ENTRY_DEST       BITS(63, 56)
#define ENTRY_WRITABLE   (ENTRY_DEST | BITS(16, 15) | BIT(13) | BITS(11, 0))

/* What counts as level-triggered: NMI and the like are edges always [3.2.4, "Delivery Mode"]. */
static bool is_level(uint64_t entry)
{
    return (entry & ENTRY_LEVEL) && field_get(ENTRY_MODE, entry) <= VLAPIC_LOWEST;
}

static bool entry_send(struct vioapic *ioapic, uint64_t entry)
{
    struct vlapic_message message = {
        .dest = (uint8_t)field_get(ENTRY_DEST, entry),
        .vector = (uint8_t)field_get(ENTRY_VECTOR, entry),
        .mode = (uint8_t)field_get(ENTRY_MODE, entry),
        .logical = entry & ENTRY_LOGICAL,
        .level = is_level(entry),
    };

    return vlapics_send(ioapic->lapics, &message);
}

/* The last step of every change of a level-triggered pin: sends if it is to. */
static void pin_resample(struct vioapic *ioapic, uint32_t pin)
{
    uint64_t *entry = &ioapic->state.entries[pin];

    if (!is_level(*entry) || (*entry & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) ||
        !(ioapic->state.wire >> pin & 1))
        return;
    if (entry_send(ioapic, *entry))
        *entry |= ENTRY_REMOTE_IRR;
}

/* An edge on a masked pin is lost, as on the chip [3.2.4, "Interrupt Mask"]. */
void vioapic_set_wire(struct vioapic *ioapic, uint32_t pin, bool level)
{
    struct vioapic_state *s = &ioapic->state;
    bool rising;

    if (pin >= VIOAPIC_PINS)
        return;
    lock_take(&ioapic->lock);
    rising = level && !(s->wire >> pin & 1);
    s->wire = level ? s->wire | 1u << pin : s->wire & ~(1u << pin);
    if (is_level(s->entries[pin]))
        pin_resample(ioapic, pin);
    else if (rising && !(s->entries[pin] & ENTRY_MASKED))
        entry_send(ioapic, s->entries[pin]);
    lock_drop(&ioapic->lock);
}

static void eoi_locked(struct vioapic *ioapic, uint8_t vector)
{
    for (uint32_t pin = 0; pin < VIOAPIC_PINS; pin++) {
        uint64_t *entry = &ioapic->state.entries[pin];

        if (!(*entry & ENTRY_REMOTE_IRR) || field_get(ENTRY_VECTOR, *entry) != vector)
            continue;
        *entry &= ~ENTRY_REMOTE_IRR;
        pin_resample(ioapic, pin);
    }
}

void vioapic_eoi(struct vioapic *ioapic, uint8_t vector)
{
    lock_take(&ioapic->lock);
    eoi_locked(ioapic, vector);
    lock_drop(&ioapic->lock);
}

/* --- Registers --- */

static uint32_t read_selected(const struct vioapic_state *s)
{
    unsigned half = s->select - REG_TABLE;

    switch (s->select) {
    case REG_ID:
    case REG_ARBITRATION: /* Loaded when the id is [3.2.3]. */
        return s->id;
    case REG_VERSION:
        return VERSION;
    }
    if (s->select < REG_TABLE || half >= 2 * VIOAPIC_PINS)
        return 0;
    return (uint32_t)(s->entries[half / 2] >> (half % 2 * 32));
}

static void write_selected(struct vioapic *ioapic, uint32_t value)
{
    struct vioapic_state *s = &ioapic->state;
    unsigned half = s->select - REG_TABLE;
    uint64_t mask = BITS(31, 0) << (half % 2 * 32) & ENTRY_WRITABLE, *entry;

    if (s->select == REG_ID)
        s->id = (uint32_t)(value & ID_BITS);
    if (s->select < REG_TABLE || half >= 2 * VIOAPIC_PINS)
        return;
    entry = &s->entries[half / 2];
    *entry = (*entry & ~mask) | ((uint64_t)value << (half % 2 * 32) & mask);
    if (!is_level(*entry))
        *entry &= ~ENTRY_REMOTE_IRR; /* Going to edges and back ends what is stuck. */
    pin_resample(ioapic, half / 2);
}

uint64_t vioapic_read(struct vioapic *ioapic, uint64_t offset, unsigned width)
{
    uint32_t value = 0;

    lock_take(&ioapic->lock);
    if (offset == IOREGSEL)
        value = ioapic->state.select;
    else if (offset == IOWIN && width == 4)
        value = read_selected(&ioapic->state);
    lock_drop(&ioapic->lock);
    return value;
}

void vioapic_write(struct vioapic *ioapic, uint64_t offset, unsigned width, uint64_t value)
{
    lock_take(&ioapic->lock);
    if (offset == IOREGSEL)
        ioapic->state.select = (uint8_t)value;
    else if (offset == IOWIN && width == 4)
        write_selected(ioapic, (uint32_t)value);
    else if (offset == IOEOI)
        eoi_locked(ioapic, (uint8_t)value);
    lock_drop(&ioapic->lock);
}

/* --- Snapshots --- */

static bool entry_is_possible(uint64_t entry)
{
    return !(entry & ~(ENTRY_WRITABLE | ENTRY_REMOTE_IRR)) &&
           (is_level(entry) || !(entry & ENTRY_REMOTE_IRR));
}

/* What was sent is with the local APICs. */
[[gnu::cold]] void vioapic_state(struct vioapic *ioapic, struct state *state)
{
    struct vioapic_state s;

    lock_take(&ioapic->lock);
    s = ioapic->state;
    state_section(state, "I/O APIC", 1);
    STATE_ARRAY(state, s.entries);
    STATE(state, s.wire);
    STATE(state, s.id);
    STATE(state, s.select);
    for (unsigned i = 0; i < VIOAPIC_PINS; i++)
        state_require(state, entry_is_possible(s.entries[i]), "a redirection is not possible");
    state_require(state, !(s.wire >> VIOAPIC_PINS) && !(s.id & ~ID_BITS),
                  "a register is not possible");
    if (state_loading(state) && state_ok(state))
        ioapic->state = s;
    lock_drop(&ioapic->lock);
}

/* --- Making one --- */

void vioapic_reset(struct vioapic *ioapic)
{
    struct vioapic_state *s = &ioapic->state;

    lock_take(&ioapic->lock);
    *s = (struct vioapic_state){.wire = s->wire};
    for (uint32_t pin = 0; pin < VIOAPIC_PINS; pin++)
        s->entries[pin] = ENTRY_MASKED;
    lock_drop(&ioapic->lock);
}

void vioapic_init(struct vioapic *ioapic, struct vlapics *lapics)
{
    memset(ioapic, 0, sizeof(*ioapic));
    lock_init(&ioapic->lock, RANK_IRQCHIP, "vioapic");
    ioapic->lapics = lapics;
    vioapic_reset(ioapic);
}
