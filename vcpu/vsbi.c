/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firmware calls of RISC-V guests. a7 is the extension, a6 the function, both 32 bits; a0 returns
 * the error, a1 the value. Legacy calls return in a0 only. [RISC-V SBI Specification 2.0; chapters
 * by name]
 */
#include "vcpu/vsbi.h"

#include "kernel/bits.h"
#include "kernel/percpu.h"
#include "vcpu/chips/vns16550.h"
#include "vcpu/hypercall.h"
#include "vcpu/machine_riscv64.h"
#include "vcpu/vm.h"

#define SBI_VERSION_2_0 0x02000000u
#define SBI_IMPL        0x434149u /* "CAI": not in the list of implementations. */
#define SBI_IMPL_VER    1u

enum sbi_extension {
    EXT_LEGACY_SET_TIMER = 0x00,
    EXT_LEGACY_PUTCHAR,
    EXT_LEGACY_GETCHAR,
    EXT_LEGACY_CLEAR_IPI,
    EXT_LEGACY_SEND_IPI,
    EXT_LEGACY_FENCE_I,
    EXT_LEGACY_SFENCE,
    EXT_LEGACY_SFENCE_ASID,
    EXT_LEGACY_SHUTDOWN,
    EXT_BASE = 0x10,
    EXT_IPI = 0x735049,      /* "sPI" */
    EXT_HSM = 0x48534d,      /* "HSM" */
    EXT_TIME = 0x54494d45,   /* "TIME" */
    EXT_RFENCE = 0x52464e43, /* "RFNC" */
    EXT_SRST = 0x53525354,   /* "SRST" */
    EXT_DBCN = 0x4442434e,   /* "DBCN" */
    EXT_STA = 0x535441,      /* "STA" */
    EXT_OURS = HYPERCALL_SBI,
};

enum sbi_error {
    SBI_SUCCESS = 0,
    SBI_FAILED = -1,
    SBI_NOT_SUPPORTED = -2,
    SBI_INVALID_PARAM = -3,
    SBI_INVALID_ADDRESS = -5,
    SBI_ALREADY_AVAILABLE = -6,
};

#define PIECE_SIZE 256u  /* Of what goes to or from the console through our stack. */
#define WRITE_MAX  1024u /* Bytes in one call: it may write less than asked. */

/* Wanted: this call's error, with its value in *value. CALL_DONE: *exit says the rest. */
#define CALL_DONE  1

/* --- BASE --- */

static bool vsbi_probe(uint64_t extension)
{
    switch (extension & BITS(31, 0)) {
    case EXT_LEGACY_SET_TIMER ... EXT_LEGACY_SHUTDOWN:
    case EXT_BASE:
    case EXT_IPI:
    case EXT_HSM:
    case EXT_TIME:
    case EXT_RFENCE:
    case EXT_SRST:
    case EXT_DBCN:
    case EXT_STA:
    case EXT_OURS:
        return true;
    }
    return false;
}

static int vsbi_base(const struct vcpu_exit *exit, uint32_t function, uint64_t *value)
{
    switch (function) {
    case 0:
        *value = SBI_VERSION_2_0;
        return SBI_SUCCESS;
    case 1:
        *value = SBI_IMPL;
        return SBI_SUCCESS;
    case 2:
        *value = SBI_IMPL_VER;
        return SBI_SUCCESS;
    case 3:
        *value = vsbi_probe(exit->call.args[0]);
        return SBI_SUCCESS;
    case 4: /* mvendorid, marchid, mimpid: 0 is "not implemented". */
    case 5:
    case 6:
        return SBI_SUCCESS;
    }
    return SBI_NOT_SUPPORTED;
}

/* --- Masks of harts --- */

/* ["Hart list parameter"] False: a hart that there is not. */
static bool vsbi_harts(const struct vm *vm, uint64_t mask, uint64_t base, uint64_t *harts)
{
    uint64_t all = BITS(vm->vcpu_count - 1, 0);

    *harts = all;
    if (base == UINT64_MAX)
        return true;
    *harts = 0;
    if (mask == 0)
        return true;
    if (base >= vm->vcpu_count || mask >> (vm->vcpu_count - base) != 0)
        return false;
    *harts = mask << base;
    return true;
}

/* A legacy call's mask: in memory, by a virtual address; NULL: all. */
static bool vsbi_legacy_harts(struct vcpu *vcpu, uint64_t address, uint64_t *harts)
{
    gpa_t at;
    uint64_t mask;

    if (address == 0)
        return vsbi_harts(vcpu->vm, 0, UINT64_MAX, harts);
    if (!IS_ALIGNED(address, 8) || vcpu_translate(vcpu, gva(address), ACCESS_READ, &at) != OK ||
        guest_read(&vcpu->vm->map, at, &mask, sizeof(mask)) != OK)
        return false;
    return vsbi_harts(vcpu->vm, mask & BITS(vcpu->vm->vcpu_count - 1, 0), 0, harts);
}

/* --- TIME, IPI, RFENCE --- */

static int vsbi_ipi(struct vcpu *vcpu, const struct vcpu_exit *exit, uint32_t function)
{
    uint64_t harts;

    if (function != 0)
        return SBI_NOT_SUPPORTED;
    if (!vsbi_harts(vcpu->vm, exit->call.args[0], exit->call.args[1], &harts))
        return SBI_INVALID_PARAM;
    riscv64_ipi_send(vcpu, harts);
    return SBI_SUCCESS;
}

static int vsbi_time(struct vcpu *vcpu, const struct vcpu_exit *exit, uint32_t function)
{
    if (function != 0)
        return SBI_NOT_SUPPORTED;
    riscv64_timer_set(vcpu, exit->call.args[0]);
    return SBI_SUCCESS;
}

/* range: start, size, ASID. The fence is done on the pCPUs of the harts. */
static void vsbi_fence_harts(struct vcpu *vcpu, enum arch_fence fence, uint64_t harts,
                             const uint64_t range[3])
{
    uint64_t pcpus = 0, size = range[1];

    arch_mb(); /* A hart that is moved after we have looked finds the tables as they are now. */
    for (; harts != 0; harts &= harts - 1)
        pcpus |= BIT(vcpu->vm->vcpus[bit_lowest(harts)].sched.cpu);
    if ((range[0] == 0 && size == 0) || range[0] + size < range[0])
        size = UINT64_MAX; /* All; what wraps is taken for all, too. */
    arch_vcpu_fence(&vcpu->arch, fence, pcpus, gva(range[0]), size, range[2]);
}

static int vsbi_rfence(struct vcpu *vcpu, const struct vcpu_exit *exit, uint32_t function)
{
    static const enum arch_fence fences[] = {FENCE_INSTRUCTIONS, FENCE_TRANSLATIONS,
                                             FENCE_TRANSLATIONS_ASID};
    uint64_t harts;

    if (function >= ARRAY_SIZE(fences)) /* Those for hypervisors: the guest's harts have no H. */
        return SBI_NOT_SUPPORTED;
    if (!vsbi_harts(vcpu->vm, exit->call.args[0], exit->call.args[1], &harts))
        return SBI_INVALID_PARAM;
    vsbi_fence_harts(vcpu, fences[function], harts, &exit->call.args[2]);
    return SBI_SUCCESS;
}

/* --- HSM --- */

bool vsbi_cpu_find(const struct vm *vm, uint64_t target, unsigned *index)
{
    *index = (unsigned)target;
    return target < vm->vcpu_count;
}

uint64_t vsbi_cpu_up_result(enum err err)
{
    switch (err) {
    case OK:
        return SBI_SUCCESS;
    case E_EXISTS:
    case E_BUSY:
        return (uint64_t)SBI_ALREADY_AVAILABLE;
    case E_RANGE:
        return (uint64_t)SBI_INVALID_ADDRESS;
    case E_ABSENT:
        return (uint64_t)SBI_INVALID_PARAM;
    default:
        return (uint64_t)SBI_FAILED;
    }
}

/* Whether a hart can execute there: an even address in memory. */
static bool vsbi_is_code(const struct vm *vm, uint64_t address)
{
    const struct guest_region *region = guestmap_find(&vm->map, gpa(address));

    return region && region->kind != REGION_DEVICE && IS_ALIGNED(address, 2);
}

static void vsbi_cpu_up(struct vcpu_exit *exit)
{
    const uint64_t args[3] = {exit->call.args[0], exit->call.args[1], exit->call.args[2]};

    exit->kind = EXIT_CPU_UP;
    exit->cpu.target = args[0];
    exit->cpu.entry = args[1];
    exit->cpu.arg = args[2];
}

static int vsbi_hart_start(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    unsigned index;

    if (!vsbi_cpu_find(vcpu->vm, exit->call.args[0], &index))
        return SBI_INVALID_PARAM;
    if (!vsbi_is_code(vcpu->vm, exit->call.args[1]))
        return SBI_INVALID_ADDRESS;
    arch_vcpu_set_return(&vcpu->arch, 1, 0);
    vsbi_cpu_up(exit);
    return CALL_DONE;
}

static int vsbi_hart_status(const struct vm *vm, uint64_t hart, uint64_t *value)
{
    enum { STARTED, STOPPED, START_PENDING, SUSPENDED = 4 };
    unsigned index;

    if (!vsbi_cpu_find(vm, hart, &index))
        return SBI_INVALID_PARAM;
    switch (atomic_load(&vm->vcpus[index].power)) {
    case VCPU_ON:
        *value = vm->vcpus[index].resume || vm->vcpus[index].suspended ? SUSPENDED : STARTED;
        break;
    case VCPU_ON_PENDING:
        *value = START_PENDING;
        break;
    case VCPU_OFF:
        *value = STOPPED;
        break;
    }
    return SBI_SUCCESS;
}

/* Retentive: a wait. Not retentive: a wait, then a start. */
static int vsbi_hart_suspend(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const uint64_t args[3] = {exit->call.args[0], exit->call.args[1], exit->call.args[2]};

    switch (args[0] & BITS(31, 0)) {
    case 0:
        arch_vcpu_set_return(&vcpu->arch, 0, SBI_SUCCESS);
        arch_vcpu_set_return(&vcpu->arch, 1, 0);
        exit->kind = EXIT_IDLE;
        return CALL_DONE;
    case 0x80000000:
        if (!vsbi_is_code(vcpu->vm, args[1]))
            return SBI_INVALID_ADDRESS;
        vcpu->entry = arch_entry(gpa(args[1]), args[2]);
        vcpu->resume = true;
        exit->kind = EXIT_IDLE;
        return CALL_DONE;
    }
    return SBI_INVALID_PARAM;
}

static int vsbi_hsm(struct vcpu *vcpu, struct vcpu_exit *exit, uint32_t function, uint64_t *value)
{
    switch (function) {
    case 0:
        return vsbi_hart_start(vcpu, exit);
    case 1:
        exit->kind = EXIT_CPU_DOWN;
        return CALL_DONE;
    case 2:
        return vsbi_hart_status(vcpu->vm, exit->call.args[0], value);
    case 3:
        return vsbi_hart_suspend(vcpu, exit);
    }
    return SBI_NOT_SUPPORTED;
}

/* --- SRST --- */

static int vsbi_reset(struct vcpu_exit *exit, uint32_t function)
{
    enum { SHUTDOWN, COLD, WARM };
    uint64_t reason = exit->call.args[1] & BITS(31, 0);

    if (function != 0)
        return SBI_NOT_SUPPORTED;
    if (reason > 1 && reason < 0xe0000000)
        return SBI_INVALID_PARAM;
    switch (exit->call.args[0] & BITS(31, 0)) {
    case SHUTDOWN:
        exit->kind = EXIT_SYSTEM_DOWN;
        return CALL_DONE;
    case COLD:
    case WARM:
        exit->kind = EXIT_SYSTEM_RESET;
        return CALL_DONE;
    }
    return SBI_INVALID_PARAM;
}

/* --- DBCN --- */

static int vsbi_console_write(struct vm *vm, uint64_t size, uint64_t address, uint64_t *written)
{
    struct console_port *port = &riscv64_uart(vm)->port;
    char piece[PIECE_SIZE];

    for (size = MIN(size, WRITE_MAX); *written < size;) {
        size_t count = MIN(size - *written, PIECE_SIZE);

        if (guest_read(&vm->map, gpa(address + *written), piece, count) != OK)
            return *written ? SBI_SUCCESS : SBI_INVALID_PARAM;
        console_write(port, piece, count);
        *written += count;
    }
    return SBI_SUCCESS;
}

static int vsbi_console_read(struct vm *vm, uint64_t size, uint64_t address, uint64_t *count)
{
    char piece[PIECE_SIZE];
    size_t used = 0;
    int c;

    size = MIN(size, PIECE_SIZE);
    if (guest_read(&vm->map, gpa(address), piece, size) != OK) /* Before characters are taken. */
        return SBI_INVALID_PARAM;
    while (used < size && (c = vns16550_take(riscv64_uart(vm))) >= 0)
        piece[used++] = (char)c;
    *count = used;
    return guest_write(&vm->map, gpa(address), piece, used) == OK ? SBI_SUCCESS : SBI_FAILED;
}

static void vsbi_console_put(struct vm *vm, uint64_t c)
{
    char byte = (char)c;

    console_write(&riscv64_uart(vm)->port, &byte, 1);
}

static int vsbi_dbcn(struct vcpu *vcpu, const struct vcpu_exit *exit, uint32_t function,
                     uint64_t *value)
{
    const uint64_t *args = exit->call.args;

    if (function == 2) {
        vsbi_console_put(vcpu->vm, args[0]);
        return SBI_SUCCESS;
    }
    if (function > 2)
        return SBI_NOT_SUPPORTED;
    if (args[0] == 0)
        return SBI_SUCCESS;
    if (args[2] != 0 || args[1] + args[0] < args[1])
        return SBI_INVALID_PARAM;
    if (function == 0)
        return vsbi_console_write(vcpu->vm, args[0], args[1], value);
    return vsbi_console_read(vcpu->vm, args[0], args[1], value);
}

/* --- STA --- */

static int vsbi_steal(struct vcpu *vcpu, const struct vcpu_exit *exit, uint32_t function)
{
    const uint64_t low = exit->call.args[0], high = exit->call.args[1];

    if (function != 0)
        return SBI_NOT_SUPPORTED;
    if (exit->call.args[2] != 0)
        return SBI_INVALID_PARAM;
    if (low == UINT64_MAX && high == UINT64_MAX) {
        vcpu->steal.on = false;
        return SBI_SUCCESS;
    }
    if (!IS_ALIGNED(low, VSTEAL_SIZE))
        return SBI_INVALID_PARAM;
    if (high != 0 || !vcpu_steal_start(vcpu, gpa(low), REGION_RAM))
        return SBI_INVALID_ADDRESS;
    return SBI_SUCCESS;
}

/* --- Legacy --- */

static int64_t vsbi_legacy_masked(struct vcpu *vcpu, const struct vcpu_exit *exit,
                                  uint32_t extension)
{
    static const enum arch_fence fences[] = {FENCE_INSTRUCTIONS, FENCE_TRANSLATIONS,
                                             FENCE_TRANSLATIONS_ASID};
    uint64_t harts;

    if (!vsbi_legacy_harts(vcpu, exit->call.args[0], &harts))
        return SBI_INVALID_ADDRESS;
    if (extension == EXT_LEGACY_SEND_IPI)
        riscv64_ipi_send(vcpu, harts);
    else
        vsbi_fence_harts(vcpu, fences[extension - EXT_LEGACY_FENCE_I], harts, &exit->call.args[1]);
    return SBI_SUCCESS;
}

static void vsbi_legacy(struct vcpu *vcpu, struct vcpu_exit *exit, uint32_t extension)
{
    int64_t result = SBI_SUCCESS;

    switch (extension) {
    case EXT_LEGACY_SET_TIMER:
        riscv64_timer_set(vcpu, exit->call.args[0]);
        break;
    case EXT_LEGACY_PUTCHAR:
        vsbi_console_put(vcpu->vm, exit->call.args[0]);
        break;
    case EXT_LEGACY_GETCHAR:
        result = vns16550_take(riscv64_uart(vcpu->vm));
        break;
    case EXT_LEGACY_CLEAR_IPI:
        result = riscv64_ipi_clear(vcpu);
        break;
    case EXT_LEGACY_SHUTDOWN:
        exit->kind = EXIT_SYSTEM_DOWN;
        return;
    default:
        result = vsbi_legacy_masked(vcpu, exit, extension);
        break;
    }
    arch_vcpu_set_return(&vcpu->arch, 0, (uint64_t)result);
}

/* --- All of them --- */

/* Our own calls, by the low bits of their numbers. */
static int vsbi_ours(struct vcpu *vcpu, uint32_t function, uint64_t arg)
{
    if (function == (HYPERCALL_WATCHDOG & 0xffff))
        return hypercall_watchdog(vcpu, arg) == 0 ? SBI_SUCCESS : SBI_INVALID_PARAM;
    if (function == (HYPERCALL_READY & 0xffff))
        vm_ready(vcpu->vm);
    else if (function == (HYPERCALL_YIELD & 0xffff))
        sched_give_way(&vcpu->sched);
    else
        return SBI_NOT_SUPPORTED;
    return SBI_SUCCESS;
}

/* Those that come seldom; out of the way of the others, so that these need few registers. */
[[gnu::noinline]] static int vsbi_rare(struct vcpu *vcpu, struct vcpu_exit *exit,
                                       uint32_t extension, uint32_t function, uint64_t *value)
{
    switch (extension) {
    case EXT_LEGACY_SET_TIMER ... EXT_LEGACY_SHUTDOWN:
        vsbi_legacy(vcpu, exit, extension);
        return CALL_DONE;
    case EXT_RFENCE:
        return vsbi_rfence(vcpu, exit, function);
    case EXT_HSM:
        return vsbi_hsm(vcpu, exit, function, value);
    case EXT_SRST:
        return vsbi_reset(exit, function);
    case EXT_DBCN:
        return vsbi_dbcn(vcpu, exit, function, value);
    case EXT_STA:
        return vsbi_steal(vcpu, exit, function);
    case EXT_OURS:
        return vsbi_ours(vcpu, function, exit->call.args[0]);
    }
    return SBI_NOT_SUPPORTED;
}

static void vsbi_intent_ipi(struct vcpu_exit *exit)
{
    const uint64_t mask = exit->call.args[0], base = exit->call.args[1];

    exit->kind = EXIT_SEND_IPI;
    exit->ipi.targets = mask;
    exit->ipi.group = base;
    exit->ipi.vector = 0;
    exit->ipi.to_all = base == UINT64_MAX;
    exit->ipi.to_self = false;
}

static bool vsbi_intent_hsm(struct vcpu_exit *exit, uint32_t function)
{
    if (function == 0)
        vsbi_cpu_up(exit);
    else if (function == 1)
        exit->kind = EXIT_CPU_DOWN;
    else if (function == 3 && !(exit->call.args[0] & BITS(30, 0)))
        exit->kind = EXIT_IDLE;
    return exit->kind != EXIT_HYPERCALL;
}

bool vsbi_intent(struct vcpu_exit *exit)
{
    uint32_t extension = (uint32_t)exit->call.nr, function = (uint32_t)exit->call.function;

    switch (extension) {
    case EXT_LEGACY_SHUTDOWN:
        exit->kind = EXIT_SYSTEM_DOWN;
        return true;
    case EXT_IPI:
        if (function == 0)
            vsbi_intent_ipi(exit);
        return function == 0;
    case EXT_HSM:
        return vsbi_intent_hsm(exit, function);
    case EXT_SRST:
        return vsbi_reset(exit, function) == CALL_DONE;
    }
    return false;
}

void vsbi_call(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    uint32_t extension = (uint32_t)exit->call.nr, function = (uint32_t)exit->call.function;
    uint64_t value = 0;
    int error;

    if (extension == EXT_BASE)
        error = vsbi_base(exit, function, &value);
    else if (extension == EXT_IPI)
        error = vsbi_ipi(vcpu, exit, function);
    else if (extension == EXT_TIME)
        error = vsbi_time(vcpu, exit, function);
    else
        error = vsbi_rare(vcpu, exit, extension, function, &value);
    if (unlikely(error == CALL_DONE))
        return;
    arch_vcpu_set_return(&vcpu->arch, 0, (uint64_t)(int64_t)error);
    arch_vcpu_set_return(&vcpu->arch, 1, value);
}
