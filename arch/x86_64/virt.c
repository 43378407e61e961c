/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the vendors' extensions this machine has, and what is the same for all guests. A page of
 * stage 2 that was taken away: see arch_stage2_flush().
 */
#include "arch/x86_64/backend.h"
#include "arch/x86_64/remote.h"
#include "kernel/assert.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "mm/dirty_log.h"

struct virt_caps virt_caps;
struct guest_cpuid virt_guest_cpuid;
uint64_t virt_guest_processor;
const struct virt_backend *virt_backend;
bool virt_is_vmx;
_Atomic uint64_t virt_flush_counts[VIRT_VMIDS_MAX];
static struct dirty_log *_Atomic virt_logs[VIRT_VMIDS_MAX];

static void virt_read_cpuid(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *regs)
{
    struct cpuid r = cpuid(leaf, subleaf);

    *regs = (struct cpuid_regs){r.eax, r.ebx, r.ecx, r.edx};
}

static void virt_choose(void)
{
    const struct guest_cpuid_host host = {
        .read = virt_read_cpuid,
        .xcr0 = fpu_components(),
        .tsc_hz = arch_tick_hz(),
        .gpa_bits = virt_caps.gpa_bits,
    };

    guest_cpuid_init(&virt_guest_cpuid, &host);
    virt_guest_processor = guest_cpuid_print(&virt_guest_cpuid);
}

static enum err virt_find(void)
{
    bool svm = cpuid_or_none(0x80000001, 0).ecx & CPUIDX1_ECX_SVM;
    bool vmx = cpuid(1, 0).ecx & CPUID1_ECX_VMX;
    bool has = virt_backend ? (virt_is_vmx ? vmx : svm) : vmx || svm;

    if (!has) {
        log_error("cpu%u has no hardware virtualization that we know, neither VMX nor SVM, or its "
                  "firmware hides it (QEMU: -cpu EPYC-v4,+svm,+npt)",
                  this_cpu()->id);
        return E_UNSUPPORTED;
    }
    if (!virt_backend) {
        virt_is_vmx = vmx;
        virt_backend = vmx ? &vmx_backend : &svm_backend;
    }
    return OK;
}

enum err arch_virt_enable(void)
{
    TRY(virt_find());
    TRY(virt_backend->probe());
    TRY(fpu_init_cpu());
    if (this_cpu()->id == 0)
        virt_choose();
    return virt_backend->enable();
}

const struct pt_format *arch_stage2_format(void)
{
    return virt_backend->stage2_format();
}

/* VMX has dropped what made the guest fault; under SVM nothing faults. [SDM 3, 29.4.3.1] */
void arch_stage2_refresh(uint16_t vmid, hpa_t, gpa_t page)
{
    struct dirty_log *log = virt_log(vmid);

    if (log)
        dirty_log_add(log, page);
}

static void virt_outside(void *)
{
    vmx_log_gather();
}

/*
 * Before it enters a guest, a pCPU looks at the count of its VM, and flushes what it has if that
 * has changed. Those that are in a guest leave it to answer the call.
 */
void arch_stage2_flush(uint16_t vmid, hpa_t, gpa_t, uint64_t)
{
    assert(vmid < VIRT_VMIDS_MAX);
    atomic_fetch_add(&virt_flush_counts[vmid], 1);
    remote_call(virt_outside, NULL);
}

struct dirty_log *virt_log(uint16_t vmid)
{
    return atomic_load(&virt_logs[vmid]);
}

/* vCPUs see it when they flush; when all pCPUs have answered, none has a former one. */
bool arch_stage2_log(uint16_t vmid, struct dirty_log *log)
{
    if (virt_caps.dirty != VIRT_DIRTY_LOG)
        return false;
    if (atomic_exchange(&virt_logs[vmid], log) != log)
        arch_stage2_flush(vmid, hpa(0), gpa(0), 0);
    return true;
}
