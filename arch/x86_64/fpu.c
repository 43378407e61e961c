/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FPU and its extensions, of guests alone: we do not use them. Loaded when a vCPU is bound,
 * stored when it is unbound, with all components that the processor has and we know, whether the
 * guest has enabled them or not: so none holds another guest's. XCR0 is the guest's while it is
 * bound. [AMD APM 2, 11.5; Intel SDM 1, chapter 13]
 */
#include "arch/x86_64/vcpu.h"

#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"

#define XCR0_KNOWN           BITS(9, 0) /* x87 to PKRU: AMX would need XFD, and 8 KiB. */
#define XCR0_RESET           1u
#define CPUID8_EBX_ERROR_PTR BIT(2)

#define FPU_CONTROL          0 /* Offsets in the legacy area. */
#define FPU_CONTROL_RESET    0x37fu
#define FPU_MXCSR            24
#define FPU_MXCSR_RESET      0x1f80u

#define FPU_MXCSR_MASK       28
#define FPU_MXCSR_DEFAULT    0xffbfu /* Where the mask is 0 [SDM 1, 11.6.6]. */

static uint64_t components; /* 0: FXSAVE. Set on the boot processor. */
static uint32_t mxcsr;
static bool leaves_pointers; /* FXRSTOR and XRSTOR may leave the last instruction's address. */

static void xcr0_write(uint64_t value)
{
    __asm__ volatile("xsetbv"
                     :
                     : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static uint64_t xcr0_read(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static uint64_t fpu_find_components(void)
{
    struct cpuid x;

    if (!(cpuid(1, 0).ecx & CPUID1_ECX_XSAVE))
        return 0;
    x = cpuid_or_none(0xd, 0);
    return ((uint64_t)x.edx << 32 | x.eax) & XCR0_KNOWN;
}

static uint32_t fpu_find_mxcsr(void)
{
    alignas(16) uint8_t area[512] = {0};
    uint32_t mask;

    __asm__ volatile("fxsave64 %0" : "=m"(area));
    memcpy(&mask, area + FPU_MXCSR_MASK, sizeof(mask));
    return mask ? mask : FPU_MXCSR_DEFAULT;
}

enum err fpu_init_cpu(void)
{
    uint64_t found = fpu_find_components();

    if (this_cpu()->id == 0) {
        components = found;
        leaves_pointers = !(cpuid_or_none(0x80000008, 0).ebx & CPUID8_EBX_ERROR_PTR);
    }
    if (found != components) {
        log_error("cpu%u has an FPU that is not that of cpu0", this_cpu()->id);
        return E_UNSUPPORTED;
    }
    cr0_write(cr0_read() & ~(CR0_EM | CR0_TS));
    if (this_cpu()->id == 0)
        mxcsr = fpu_find_mxcsr();
    if (!components)
        return OK;
    xcr0_write(components);
    this_cpu()->arch.virt.xcr0 = components;
    if (cpuid(0xd, 0).ebx > ARCH_FPU_SIZE) {
        log_error("the state of this processor's FPU needs %u bytes: more than we keep",
                  cpuid(0xd, 0).ebx);
        return E_UNSUPPORTED;
    }
    return OK;
}

uint64_t fpu_components(void)
{
    return components;
}

uint32_t fpu_mxcsr(void)
{
    return mxcsr;
}

/* As after a reset; components but these two have zeroes in their initial state [SDM 1, 13.6]. */
void fpu_reset(struct arch_vcpu *vcpu)
{
    uint8_t *area = vcpu->fpu;
    uint16_t control = FPU_CONTROL_RESET;
    uint32_t mxcsr = FPU_MXCSR_RESET;

    memset(area, 0, ARCH_FPU_SIZE);
    memcpy(area + FPU_CONTROL, &control, sizeof(control));
    memcpy(area + FPU_MXCSR, &mxcsr, sizeof(mxcsr));
    area[512] = 3; /* XSTATE_BV: x87 and SSE are to be loaded. */
    vcpu->xcr0 = XCR0_RESET;
}

/* Pointers that a restore leaves alone unless an exception is pending are made ours first. */
static void fpu_clear_pointers(void)
{
    static const uint32_t zero;

    __asm__ volatile("fnclex; emms; fildl %0" : : "m"(zero));
}

static void fpu_use_xcr0(uint64_t value)
{
    struct arch_virt_pcpu *cpu = &this_cpu()->arch.virt;

    if (cpu->xcr0 == value)
        return;
    xcr0_write(value);
    cpu->xcr0 = value;
}

void fpu_load(struct arch_vcpu *vcpu)
{
    if (leaves_pointers)
        fpu_clear_pointers();
    if (!components) {
        __asm__ volatile("fxrstor64 (%0)" : : "r"(vcpu->fpu) : "memory");
        return;
    }
    fpu_use_xcr0(components);
    __asm__ volatile("xrstor64 (%0)"
                     :
                     : "r"(vcpu->fpu), "a"(UINT32_MAX), "d"(UINT32_MAX)
                     : "memory");
    fpu_use_xcr0(vcpu->xcr0);
}

/* Read, for XSETBV is not intercepted everywhere (QEMU 10). */
void fpu_store(struct arch_vcpu *vcpu)
{
    if (!components) {
        __asm__ volatile("fxsave64 (%0)" : : "r"(vcpu->fpu) : "memory");
        return;
    }
    vcpu->xcr0 = fpu_xcr0(vcpu);
    this_cpu()->arch.virt.xcr0 = vcpu->xcr0;
    fpu_use_xcr0(components);
    __asm__ volatile("xsave64 (%0)"
                     :
                     : "r"(vcpu->fpu), "a"(UINT32_MAX), "d"(UINT32_MAX)
                     : "memory");
}

uint64_t fpu_xcr0(const struct arch_vcpu *vcpu)
{
    return vcpu->bound && components ? xcr0_read() : vcpu->xcr0;
}

void fpu_set_xcr0(struct arch_vcpu *vcpu, uint64_t value)
{
    vcpu->xcr0 = value;
    if (vcpu->bound)
        fpu_use_xcr0(value);
}
