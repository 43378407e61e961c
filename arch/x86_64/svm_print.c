/* SPDX-License-Identifier: Apache-2.0 */
/* Exits of SVM in words. [AMD APM 2, appendix C] */
#include "arch/x86_64/svm.h"
#include "kernel/fmt.h"

static const char *const exit_names[] = {
    [VMEXIT_INTR] = "host interrupt",
    [VMEXIT_NMI] = "host NMI",
    [VMEXIT_SMI] = "host SMI",
    [VMEXIT_INIT] = "host INIT",
    [VMEXIT_VINTR] = "interrupt window",
    [VMEXIT_RDPMC] = "RDPMC",
    [VMEXIT_CPUID] = "CPUID",
    [VMEXIT_RSM] = "RSM",
    [VMEXIT_IRET] = "IRET",
    [VMEXIT_INVD] = "INVD",
    [VMEXIT_PAUSE] = "PAUSE",
    [VMEXIT_HLT] = "HLT",
    [VMEXIT_INVLPGA] = "INVLPGA",
    [VMEXIT_IOIO] = "port access",
    [VMEXIT_MSR] = "MSR access",
    [0x7e] = "FERR_FREEZE",
    [VMEXIT_SHUTDOWN] = "shutdown",
    [VMEXIT_VMRUN] = "VMRUN",
    [VMEXIT_VMMCALL] = "VMMCALL",
    [0x82] = "VMLOAD",
    [0x83] = "VMSAVE",
    [0x84] = "STGI",
    [0x85] = "CLGI",
    [0x86] = "SKINIT",
    [0x87] = "RDTSCP",
    [0x88] = "ICEBP",
    [VMEXIT_WBINVD] = "WBINVD",
    [0x8a] = "MONITOR",
    [0x8b] = "MWAIT",
    [0x8c] = "MWAIT while armed",
    [VMEXIT_XSETBV] = "XSETBV",
    [VMEXIT_RDPRU] = "RDPRU",
    [VMEXIT_INVLPGB] = "INVLPGB",
    [0xa1] = "INVLPGB, illegal",
    [0xa2] = "INVPCID",
    [0xa3] = "MCOMMIT",
    [VMEXIT_TLBSYNC] = "TLBSYNC",
};

static void print_npf(uint64_t info, struct fmt_sink *out)
{
    fmt_print(out, "nested page fault by a %s%s",
              info & VMEXIT_NPF_FETCH   ? "fetch"
              : info & VMEXIT_NPF_WRITE ? "write"
                                        : "read",
              info & VMEXIT_NPF_TABLE ? " of its page tables" : "");
}

static void print_port(uint64_t info, struct fmt_sink *out)
{
    fmt_print(out, "%s of %u bytes, port %#x%s", info & VMEXIT_IO_IN ? "read" : "write",
              (unsigned)field_get(VMEXIT_IO_WIDTH, info), (unsigned)field_get(VMEXIT_IO_PORT, info),
              info & VMEXIT_IO_STRING ? ", string instruction" : "");
}

static void print_code(uint32_t code, uint64_t info, struct fmt_sink *out)
{
    if (code == VMEXIT_NPF)
        print_npf(info, out);
    else if (code == VMEXIT_IOIO)
        print_port(info, out);
    else if (code == VMEXIT_INVALID)
        fmt_print(out, "VMRUN found the guest's state invalid");
    else if (code < 0x20)
        fmt_print(out, "%s of CR%u", code < 0x10 ? "read" : "write", code % 0x10);
    else if (code < 0x40)
        fmt_print(out, "%s of DR%u", code < 0x30 ? "read" : "write", code % 0x10);
    else if (code < 0x60)
        fmt_print(out, "exception %u", code - VMEXIT_EXCEPTION);
    else
        fmt_print(out, "%s",
                  code < ARRAY_SIZE(exit_names) && exit_names[code]
                      ? exit_names[code]
                      : "an exit that we do not know");
}

void svm_exit_print(const struct vcpu_exit *exit, struct fmt_sink *out)
{
    fmt_print(out, "  cause: ");
    print_code((uint32_t)exit->cause[0], exit->cause[1], out);
    fmt_print(out, " (exit code %llx, info %llx)\n", (unsigned long long)exit->cause[0],
              (unsigned long long)exit->cause[1]);
}
