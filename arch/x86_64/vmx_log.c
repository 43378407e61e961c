/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page-modification logging: when the processor sets a dirty bit in EPT, it writes the page's
 * address into a page of the vCPU, from its end on, and exits before it would write one more. On
 * only in VMs that have a log to put these into. [SDM 3, 29.3.6]
 *
 * A vCPU that runs is asked by arch_stage2_flush(): before its pCPU answers it has left the guest,
 * and drains. One that is not bound has drained by then.
 */
#include "arch/x86_64/backend.h"
#include "kernel/option.h"
#include "kernel/percpu.h"
#include "mm/dirty_log.h"
#include "mm/page.h"

#define MSR_VMX_CPU2 0x48bu

#define LOG_ENTRIES  512u
#define LOG_ADDR     BITS(63, 12)

static bool want_log = true;
BOOT_OPTION(want_log, "vmx.pml", "a log of the pages that a guest writes, while that is asked for");

bool vmx_log_find(void)
{
    return want_log && (msr_read(MSR_VMX_CPU2) >> 32 & VMX_CPU2_LOG);
}

enum err vmx_log_init(struct arch_vcpu *vcpu)
{
    if (!vmx_host.log)
        return OK;
    vcpu->log_page = page_alloc_zeroed(0);
    return vcpu->log_page ? OK : E_NOMEM;
}

/* The index is of the next entry; below 0 the log is full. */
void vmx_log_drain(struct arch_vcpu *vcpu)
{
    struct dirty_log *log = virt_log(vcpu->vmid);
    uint16_t at;

    if (!vcpu->log_on)
        return;
    at = (uint16_t)(vmread(VMCS_GUEST_LOG_INDEX) + 1);
    vmwrite(VMCS_GUEST_LOG_INDEX, LOG_ENTRIES - 1);
    for (; log && at < LOG_ENTRIES; at++)
        dirty_log_add(log, gpa(vcpu->log_page[at] & LOG_ADDR));
}

void vmx_log_gather(void)
{
    struct arch_vcpu *vcpu = this_cpu()->arch.virt.bound;

    if (vcpu)
        vmx_log_drain(vcpu);
}

void vmx_log_switch(struct arch_vcpu *vcpu)
{
    bool on = virt_log(vcpu->vmid);

    if (vcpu->log_on == on)
        return;
    vcpu->log_on = on;
    vcpu->cpu_controls2 &= (uint32_t)~VMX_CPU2_LOG;
    if (on) {
        vcpu->cpu_controls2 |= (uint32_t)VMX_CPU2_LOG;
        vmwrite(VMCS_LOG, ptr_to_phys(vcpu->log_page).v);
        vmwrite(VMCS_GUEST_LOG_INDEX, LOG_ENTRIES - 1);
    }
    vmx_apic_set_controls2(vcpu);
}
