/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole VMs on the fake architecture, for tests of the upper half: four pCPUs that take turns, RAM,
 * a log that can be read, and guests whose exits are scripted. All in one thread, so that a test
 * says who goes on when.
 */
#pragma once

#include "kernel/bits.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "tests/host/test.h"
#include "vcpu/machine.h"
#include "vcpu/vm.h"

#define RIG_RAM        (48 * MIB)
#define RIG_GUEST_RAM  (4 * MIB)
#define RIG_RAM_BASE   0x40000000ull
#define RIG_ENTRY      (RIG_RAM_BASE + 0x80000) /* Of a raw image. */
#define RIG_UART       0x09000000ull
#define RIG_UART_IRQ   33u
#define RIG_GICD       0x08000000ull
#define RIG_GICR       0x080a0000ull
#define RIG_VTIMER_IRQ 27u /* Of the host, as of the guest. */
#define RIG_MS         1000000ull

/* Fresh RAM and pCPUs, all online; no VM. */
void rig_start(void);
/* A raw image of a few bytes on so many vCPUs, of which vCPU i goes to pCPU i + first_cpu. */
struct config_vm *rig_config(const char *name, unsigned vcpus, unsigned first_cpu);
/* Created and listed in vms[], so that commands find it. */
struct vm *rig_vm(const char *name, unsigned vcpus, unsigned first_cpu);
struct vm *rig_vm_of(const struct config_vm *config);
/* The same, started, its vCPU 0 having run. */
struct vm *rig_running(unsigned vcpus);
/* As the scheduler binds a managed one: vcpu_bind() is for what is run by hand. */
enum err rig_bind(struct vcpu *vcpu);
/* Drops all VMs: at the end of each test. */
void rig_end(void);

/*
 * What a vCPU's guest does from here on; a copy is kept. Behind the end of its script a guest runs
 * on, and leaves at each turn as if a host interrupt had come.
 */
void rig_script(struct vcpu *vcpu, const struct vcpu_exit *exits, unsigned count);
#define RIG_SCRIPT(vcpu, ...)                                                                      \
    rig_script((vcpu), (const struct vcpu_exit[]){__VA_ARGS__},                                    \
               ARRAY_SIZE(((const struct vcpu_exit[]){__VA_ARGS__})))

/* One turn of a pCPU's scheduler, the IPI that waits for it taken before. */
void rig_turn(unsigned cpu);
/* So many turns of each pCPU. */
void rig_turns(unsigned count);
/* Time goes on, and the timers that are due fire on their pCPUs. */
void rig_advance(uint64_t ns);

/* The log since rig_start() or rig_log_clear(). */
extern char rig_log[32768];
void rig_log_clear(void);
bool rig_logged(const char *text);
/* How often. */
unsigned rig_logged_count(const char *text);

/* An access of the guest, as the bus answers it. */
void rig_write(struct vm *vm, unsigned vcpu, uint64_t addr, unsigned width, uint64_t value);
uint64_t rig_read(struct vm *vm, unsigned vcpu, uint64_t addr, unsigned width);
/* Turns the guest's interrupt controller on, and this interrupt (private: of the vCPU). */
void rig_irq_enable(struct vm *vm, unsigned vcpu, uint32_t irq);
/* Whether the guest had the interrupt in a list register when it last ran. */
bool rig_irq_seen(const struct vcpu *vcpu, uint32_t irq);
/* From here on the guest takes and ends what it finds in its list registers, at each run. */
void rig_irq_take(struct vcpu *vcpu);
/* How often it did so, by interrupt. */
unsigned rig_irq_taken(const struct vcpu *vcpu, uint32_t irq);
/* The UART's receive interrupt, by a character typed at the guest. */
void rig_type(struct vm *vm, char c);
