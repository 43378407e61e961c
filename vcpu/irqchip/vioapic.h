/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O APIC for a guest: 24 pins, version 0x20, which has an EOI register [Intel 82093AA data sheet;
 * ICH9 data sheet, section "Advanced Programmable Interrupt Controller (APIC)"]. Linux then ends
 * stuck interrupts by that register; with 0x11 it would have to flip masks and trigger modes. A
 * pure model; messages go to the local APICs.
 *
 * A wire is up or down, whatever the polarity that the guest chose for its pin: our devices have no
 * other wiring than the one that the firmware tables tell.
 *
 * Locking: one lock per VM (RANK_IRQCHIP); devices change their wires under their own lock, on any
 * pCPU.
 */
#pragma once

#include "kernel/lock.h"
#include "vcpu/irqchip/vlapic.h"

#define VIOAPIC_BASE 0xfec00000u
#define VIOAPIC_SIZE 0x1000u
#define VIOAPIC_PINS 24u

struct vioapic {
    struct lock lock;
    struct vlapics *lapics;
    /* All that a guest can observe; no pointers. Bit n of a word: pin n. */
    struct vioapic_state {
        uint64_t entries[VIOAPIC_PINS]; /* The redirection table. */
        uint32_t wire;
        uint32_t id;
        uint8_t select;
    } state;
};

void vioapic_init(struct vioapic *ioapic, struct vlapics *lapics);
/* All but the wires, which belong to devices, to power-on state; no vCPU runs. */
void vioapic_reset(struct vioapic *ioapic);
/* To a snapshot, or from it (vcpu/state.h); with the wires, whose devices do not move them then. */
struct state;
void vioapic_state(struct vioapic *ioapic, struct state *state);
/* Registers. */
uint64_t vioapic_read(struct vioapic *ioapic, uint64_t offset, unsigned width);
void vioapic_write(struct vioapic *ioapic, uint64_t offset, unsigned width, uint64_t value);
/* A wire has a new level. Any pCPU. A pin that there is not is ignored. */
void vioapic_set_wire(struct vioapic *ioapic, uint32_t pin, bool level);
/* A local APIC broadcasts the end of a level-triggered interrupt. Any pCPU. */
void vioapic_eoi(struct vioapic *ioapic, uint8_t vector);
