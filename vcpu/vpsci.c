/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firmware calls of Arm guests. A function number says its own calling convention: bit 30 set, the
 * arguments are 64 bits wide. [Arm DEN0022F 5, DEN0028F 2 and 7]
 */
#include "vcpu/vpsci.h"

#include "kernel/bits.h"
#include "vcpu/hypercall.h"
#include "vcpu/machine.h"
#include "vcpu/vm.h"

#define SMCCC_64               BIT(30)

#define SMCCC_VERSION          0x80000000u
#define SMCCC_ARCH_FEATURES    0x80000001u
#define SMCCC_VERSION_1_1      0x00010001u

/* [Arm DEN0057A, 3.2] */
#define PV_TIME_FEATURES       0xc5000020u
#define PV_TIME_ST             0xc5000021u

/* Without the bit that makes them 64 bits wide. */
#define PSCI_VERSION           0x84000000u
#define PSCI_CPU_SUSPEND       0x84000001u
#define PSCI_CPU_OFF           0x84000002u
#define PSCI_CPU_ON            0x84000003u
#define PSCI_AFFINITY_INFO     0x84000004u
#define PSCI_MIGRATE_INFO_TYPE 0x84000006u
#define PSCI_SYSTEM_OFF        0x84000008u
#define PSCI_SYSTEM_RESET      0x84000009u
#define PSCI_FEATURES          0x8400000au
#define PSCI_SYSTEM_RESET2     0x84000012u
#define PSCI_VERSION_1_1       0x00010001u

#define PSCI_SUCCESS           0
#define PSCI_NOT_SUPPORTED     (-1)
#define PSCI_INVALID_PARAM     (-2)
#define PSCI_ALREADY_ON        (-4)
#define PSCI_ON_PENDING        (-5)
#define PSCI_INVALID_ADDRESS   (-9)

#define PSCI_NO_TRUSTED_OS     2
#define AFFINITY_ON            0
#define AFFINITY_OFF           1
#define AFFINITY_ON_PENDING    2

#define MPIDR_AFFINITY         (BITS(39, 32) | BITS(23, 0))

bool vpsci_cpu_find(const struct vm *vm, uint64_t target, unsigned *index)
{
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        if (machine_mpidr(i) == target) {
            *index = i;
            return true;
        }
    }
    return false;
}

uint64_t vpsci_cpu_up_result(enum err err)
{
    switch (err) {
    case OK:
        return PSCI_SUCCESS;
    case E_EXISTS:
        return (uint64_t)PSCI_ALREADY_ON;
    case E_BUSY:
        return (uint64_t)PSCI_ON_PENDING;
    case E_RANGE:
        return (uint64_t)PSCI_INVALID_ADDRESS;
    default:
        return (uint64_t)PSCI_INVALID_PARAM;
    }
}

static int64_t vpsci_affinity_info(const struct vm *vm, uint64_t target, uint64_t level)
{
    unsigned index;

    if (level != 0 || !vpsci_cpu_find(vm, target, &index))
        return PSCI_INVALID_PARAM;
    switch (atomic_load(&vm->vcpus[index].power)) {
    case VCPU_ON:
        return AFFINITY_ON;
    case VCPU_ON_PENDING:
        return AFFINITY_ON_PENDING;
    case VCPU_OFF:
        break;
    }
    return AFFINITY_OFF;
}

static int64_t vpsci_features(uint64_t function)
{
    switch (function & ~SMCCC_64) {
    case PSCI_CPU_SUSPEND: /* 0: original format of the power state, no OS-initiated mode. */
    case PSCI_CPU_ON:
    case PSCI_AFFINITY_INFO:
    case PSCI_SYSTEM_RESET2:
        return PSCI_SUCCESS;
    }
    switch (function) {
    case PSCI_VERSION:
    case PSCI_CPU_OFF:
    case PSCI_MIGRATE_INFO_TYPE:
    case PSCI_SYSTEM_OFF:
    case PSCI_SYSTEM_RESET:
    case PSCI_FEATURES:
    case SMCCC_VERSION:
        return PSCI_SUCCESS;
    }
    return PSCI_NOT_SUPPORTED;
}

static void vpsci_cpu_on(struct vcpu_exit *exit, uint64_t target, uint64_t entry, uint64_t arg)
{
    exit->kind = EXIT_CPU_UP;
    exit->cpu.target = target;
    exit->cpu.entry = entry;
    exit->cpu.arg = arg;
}

static void vpsci_args(const struct vcpu_exit *exit, uint64_t args[3])
{
    uint64_t mask = exit->call.nr & SMCCC_64 ? ~0ull : BITS(31, 0);

    for (unsigned i = 0; i < 3; i++)
        args[i] = exit->call.args[i] & mask;
}

bool vpsci_intent(struct vcpu_exit *exit)
{
    uint64_t function = exit->call.nr & BITS(31, 0), args[3];

    vpsci_args(exit, args);
    switch (function) {
    case PSCI_CPU_OFF:
        exit->kind = EXIT_CPU_DOWN;
        return true;
    case PSCI_SYSTEM_OFF:
        exit->kind = EXIT_SYSTEM_DOWN;
        return true;
    case PSCI_SYSTEM_RESET:
        exit->kind = EXIT_SYSTEM_RESET;
        return true;
    }
    switch (function & ~SMCCC_64) {
    case PSCI_CPU_ON:
        vpsci_cpu_on(exit, args[0], args[1], args[2]);
        return true;
    case PSCI_CPU_SUSPEND: /* A power-down state may be answered by a standby [5.4.3]. */
        exit->kind = EXIT_IDLE;
        return true;
    case PSCI_SYSTEM_RESET2: /* Only SYSTEM_WARM_RESET is architectural. */
        if (args[0] == 0)
            exit->kind = EXIT_SYSTEM_RESET;
        return args[0] == 0;
    }
    return false;
}

/* Where this vCPU finds how much of its time was stolen. */
static int64_t vpsci_stolen_time(struct vcpu *vcpu)
{
    const struct machine_device *pvtime = machine_device(vcpu->vm->layout, "pvtime");
    const gpa_t place = gpa(pvtime->base + vcpu->index * VSTEAL_SIZE);

    return vcpu_steal_start(vcpu, place, REGION_ROM) ? (int64_t)place.v : PSCI_NOT_SUPPORTED;
}

static int64_t vpsci_value(struct vcpu *vcpu, uint64_t function, uint64_t arg)
{
    switch (function) {
    case PV_TIME_FEATURES:
        return arg == PV_TIME_FEATURES || arg == PV_TIME_ST ? 0 : PSCI_NOT_SUPPORTED;
    case PV_TIME_ST:
        return vpsci_stolen_time(vcpu);
    case PSCI_MIGRATE_INFO_TYPE:
        return PSCI_NO_TRUSTED_OS;
    case PSCI_FEATURES:
        return vpsci_features(arg);
    case SMCCC_ARCH_FEATURES:
        return arg == SMCCC_VERSION || arg == SMCCC_ARCH_FEATURES || arg == PV_TIME_FEATURES
                   ? 0
                   : PSCI_NOT_SUPPORTED;
    }
    return PSCI_NOT_SUPPORTED;
}

/* The rest, out of the hot path. */
[[gnu::noinline]] static void vpsci_call_rare(struct vcpu *vcpu, struct vcpu_exit *exit,
                                              uint64_t function)
{
    uint64_t args[3];
    int64_t value;

    if (vpsci_intent(exit)) {
        if (exit->kind == EXIT_IDLE)
            arch_vcpu_set_return(&vcpu->arch, 0, PSCI_SUCCESS);
        return;
    }
    vpsci_args(exit, args);
    if (hypercall(vcpu, function, args[0]))
        return;
    if ((function & ~SMCCC_64) == PSCI_AFFINITY_INFO)
        value = vpsci_affinity_info(vcpu->vm, args[0], args[1]);
    else if ((function & ~SMCCC_64) == PSCI_SYSTEM_RESET2)
        value = PSCI_INVALID_PARAM;
    else
        value = vpsci_value(vcpu, function, args[0] & BITS(31, 0));
    arch_vcpu_set_return(&vcpu->arch, 0, (uint64_t)value);
}

void vpsci_call(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    uint64_t function = exit->call.nr & BITS(31, 0); /* W0 [DEN0028F 2.6]. */

    if (function == PSCI_VERSION || function == SMCCC_VERSION)
        arch_vcpu_set_return(&vcpu->arch, 0, PSCI_VERSION_1_1);
    else
        vpsci_call_rare(vcpu, exit, function);
}

_Static_assert(PSCI_VERSION_1_1 == SMCCC_VERSION_1_1, "answered as one");
