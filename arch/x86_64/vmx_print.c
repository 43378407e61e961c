/* SPDX-License-Identifier: Apache-2.0 */
/* Exits of VMX in words, and what a VMCS has that registers do not say. [SDM 3, appendix C] */
#include "arch/x86_64/vmx.h"
#include "kernel/fmt.h"

static const char *const reasons[VMX_REASONS] = {
    [VMX_REASON_EXCEPTION] = "exception or NMI",
    [VMX_REASON_INTR] = "host interrupt",
    [VMX_REASON_TRIPLE_FAULT] = "triple fault",
    [VMX_REASON_INIT] = "host INIT",
    [VMX_REASON_SIPI] = "host SIPI",
    [VMX_REASON_IO_SMI] = "host SMI",
    [VMX_REASON_SMI] = "host SMI",
    [VMX_REASON_INTR_WINDOW] = "interrupt window",
    [VMX_REASON_NMI_WINDOW] = "NMI window",
    [VMX_REASON_TASK_SWITCH] = "task switch",
    [VMX_REASON_CPUID] = "CPUID",
    [VMX_REASON_GETSEC] = "GETSEC",
    [VMX_REASON_HLT] = "HLT",
    [VMX_REASON_INVD] = "INVD",
    [VMX_REASON_RDPMC] = "RDPMC",
    [VMX_REASON_RSM] = "RSM",
    [VMX_REASON_VMCALL] = "VMCALL",
    [VMX_REASON_CR] = "access to a control register",
    [VMX_REASON_DR] = "access to a debug register",
    [VMX_REASON_IO] = "port access",
    [VMX_REASON_RDMSR] = "RDMSR",
    [VMX_REASON_WRMSR] = "WRMSR",
    [VMX_REASON_GUEST_STATE] = "the guest's state is not valid",
    [VMX_REASON_MSR_LOAD] = "an MSR could not be loaded",
    [VMX_REASON_MWAIT] = "MWAIT",
    [VMX_REASON_MONITOR] = "MONITOR",
    [VMX_REASON_PAUSE] = "PAUSE",
    [VMX_REASON_MACHINE_CHECK] = "machine check",
    [VMX_REASON_APIC_ACCESS] = "access to the local APIC",
    [VMX_REASON_VECTOR_END] = "end of a level-triggered vector",
    [VMX_REASON_EPT_MISCONFIGURED] = "EPT is not configured as it must be",
    [VMX_REASON_INVEPT] = "INVEPT",
    [VMX_REASON_INVVPID] = "INVVPID",
    [VMX_REASON_WBINVD] = "WBINVD",
    [VMX_REASON_XSETBV] = "XSETBV",
    [VMX_REASON_APIC_WRITE] = "write to the local APIC",
    [VMX_REASON_LOG_FULL] = "log of page modifications full",
    [VMX_REASON_VMFUNC] = "VMFUNC",
};

static void print_reason(uint32_t reason, struct fmt_sink *out)
{
    unsigned number = (unsigned)field_get(VMX_REASON, reason);
    const char *text = number < VMX_REASONS ? reasons[number] : NULL;

    if (number >= VMX_REASON_VMCLEAR && number <= VMX_REASON_VMXON)
        text = "an instruction of VMX";
    fmt_print(out, "%s", text ? text : "an exit that we do not know");
}

static void print_violation(uint64_t info, struct fmt_sink *out)
{
    fmt_print(out, "EPT violation by a %s%s",
              info & VMX_EPT_FETCH   ? "fetch"
              : info & VMX_EPT_WRITE ? "write"
                                     : "read",
              info & VMX_EPT_TRANSLATED ? "" : " of its page tables");
}

static void print_port(uint64_t info, struct fmt_sink *out)
{
    fmt_print(out, "%s of %u bytes, port %#x%s", info & VMX_IO_IN ? "read" : "write",
              (unsigned)field_get(VMX_IO_WIDTH, info) + 1, (unsigned)field_get(VMX_IO_PORT, info),
              info & VMX_IO_STRING ? ", string instruction" : "");
}

/* Errors of VMLAUNCH and VMRESUME. [SDM 3, 31.4] */
static void print_error(uint64_t error, struct fmt_sink *out)
{
    fmt_print(out, "the entry failed: %s",
              error == 7    ? "control fields are not valid"
              : error == 8  ? "the host's state is not valid"
              : error == 26 ? "MOV SS blocks events"
                            : "see the error of VMLAUNCH");
}

void vmx_exit_print(const struct vcpu_exit *exit, struct fmt_sink *out)
{
    uint32_t reason = (uint32_t)exit->cause[0];

    fmt_print(out, "  cause: ");
    if (reason == VMX_REASON_EPT_VIOLATION)
        print_violation(exit->cause[1], out);
    else if (reason == VMX_REASON_IO)
        print_port(exit->cause[1], out);
    else if (reason == VMX_REASON_ENTRY)
        print_error(exit->cause[1], out);
    else
        print_reason(reason, out);
    fmt_print(out, " (exit reason %llx, qualification %llx)\n", (unsigned long long)exit->cause[0],
              (unsigned long long)exit->cause[1]);
}

void vmx_print(const struct arch_vcpu *vcpu, struct fmt_sink *out)
{
    struct vmx_fields fields;

    vmx_borrow(vcpu);
    vmx_read_fields(&fields);
    vmx_give_back(vcpu);
#define FIELD(name) (unsigned long long)fields.value[VMCS_INDEX_##name]
    fmt_print(out, "  exit %llx  qualification %llx  length %llu  interrupted event %08llx\n",
              FIELD(EXIT_REASON), FIELD(QUALIFICATION), FIELD(INSTRUCTION_LENGTH),
              FIELD(INTERRUPTED_EVENT));
    fmt_print(out, "  vpid %llx  blocked %llx  activity %llx  controls %08llx %08llx\n",
              FIELD(VPID), FIELD(GUEST_BLOCKED), FIELD(GUEST_ACTIVITY), FIELD(CPU_CONTROLS),
              FIELD(CPU_CONTROLS2));
    if (FIELD(EXIT_REASON) == (VMX_REASON_ENTRY | VMX_REASON_GUEST_STATE))
        vmx_check(&fields, &vmx_host.limits, out);
#undef FIELD
}
