/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSRs and the ISA string: what a guest does not get is neither named nor there, what it gets
 * works. [Privileged ISA: CSR Listing; hypervisor extension]
 */
#include "riscv.h"

/* Not there: an illegal instruction, as without a hypervisor, and no virtual one. */
#define UNDEFINED(statement)                                                                       \
    ({                                                                                             \
        fault_expect();                                                                            \
        statement;                                                                                 \
        struct fault fault_ = fault_taken();                                                       \
        fault_.count == 1 && fault_.cause == CAUSE_ILLEGAL;                                        \
    })
#define WORKS(statement)                                                                           \
    ({                                                                                             \
        fault_expect();                                                                            \
        statement;                                                                                 \
        fault_taken().count == 0;                                                                  \
    })
#define RUN(text) __asm__ volatile(text ::: "t0", "memory")

static bool isa_letter(char letter)
{
    const char *isa = fdt_find("cpu@", "riscv,isa", NULL);

    for (isa += 4; *isa && *isa != '_'; isa++) /* Behind "rv64". */
        if (*isa == letter)
            return true;
    return false;
}

static void check_isa(void)
{
    const char *isa = fdt_find("cpu@", "riscv,isa", NULL);

    print("# %s\n", isa);
    check(isa != NULL && isa[0] == 'r' && isa[2] == '6', "ISA: 64 bits");
    check(isa_letter('i') && isa_letter('m') && isa_letter('a') && isa_letter('c'),
          "ISA: what every hart here has");
    check(!isa_letter('h'), "ISA: no hypervisor extension");
    check(!isa_letter('v'), "ISA: no vectors");
    check(isa_has("ssaia") == has_aia, "ISA: an AIA only where the machine has one");
    check(!isa_has("sscofpmf") && !isa_has("zihpm") && !isa_has("zicntr"),
          "ISA: no counters of performance");
    check(!isa_has("smaia") && !isa_has("smstateen"), "ISA: nothing of machine mode");
}

static void check_hypervisor(void)
{
    check(UNDEFINED(CSR_READ(0x600)), "undefined: hstatus");
    check(UNDEFINED(CSR_WRITE(0x600, 0)), "undefined: hstatus for writing");
    check(UNDEFINED(CSR_READ(0x602)), "undefined: hedeleg");
    check(UNDEFINED(CSR_READ(0x605)), "undefined: htimedelta");
    check(UNDEFINED(CSR_WRITE(0x605, 0)), "undefined: htimedelta for writing");
    check(UNDEFINED(CSR_READ(0x606)), "undefined: hcounteren");
    check(UNDEFINED(CSR_READ(0x60a)), "undefined: henvcfg");
    check(UNDEFINED(CSR_READ(0x60c)), "undefined: hstateen0");
    check(UNDEFINED(CSR_READ(0x645)), "undefined: hvip");
    check(UNDEFINED(CSR_READ(0x680)), "undefined: hgatp");
    check(UNDEFINED(CSR_WRITE(0x680, 0)), "undefined: hgatp for writing");
    check(UNDEFINED(CSR_READ(0xe12)), "undefined: hgeip");
    check(UNDEFINED(CSR_READ(0x200)), "undefined: vsstatus");
    check(UNDEFINED(CSR_READ(0x24d)), "undefined: vstimecmp");
    check(UNDEFINED(CSR_READ(0x280)), "undefined: vsatp");
    check(UNDEFINED(RUN(".insn 0x62000073")), "undefined: HFENCE.GVMA");
    check(UNDEFINED(RUN(".insn 0x22000073")), "undefined: HFENCE.VVMA");
    check(UNDEFINED(RUN("li t0, 0x80000000; .insn 0x6002c2f3")), "undefined: HLV.B");
    check(UNDEFINED(RUN(".insn 0x30200073")), "undefined: MRET");
}

static void check_hidden(void)
{
    check(UNDEFINED(CSR_READ(mstatus)), "undefined: mstatus");
    check(UNDEFINED(CSR_READ(mhartid)), "undefined: mhartid");
    check(UNDEFINED(CSR_READ(mvendorid)), "undefined: mvendorid");
    check(UNDEFINED(CSR_READ(menvcfg)), "undefined: menvcfg");
    check(UNDEFINED(CSR_READ(cycle)), "undefined: cycle");
    check(UNDEFINED(CSR_READ(instret)), "undefined: instret");
    check(UNDEFINED(CSR_READ(hpmcounter3)), "undefined: hpmcounter3");
    check(UNDEFINED(CSR_READ(mcycle)), "undefined: mcycle");
    check(UNDEFINED(CSR_WRITE(0xc01, 0)), "undefined: time for writing");
    check(UNDEFINED(CSR_READ(0xda0)), "undefined: scountovf");
    check(UNDEFINED(CSR_READ(0x5c0)), "undefined: a number that nobody has");
    check(UNDEFINED(RUN(".half 0")), "undefined: an instruction that is none");
    check(UNDEFINED(RUN(".insn 0x0000705b")), "undefined: a custom instruction");
}

/* Vectors are hidden, and sstatus.VS does not turn them on. */
static void check_vectors(void)
{
    CSR_SET(sstatus, 3ul << 9);
    check(UNDEFINED(CSR_READ(0xc22)), "undefined: vlenb, though sstatus.VS was written");
    check(UNDEFINED(RUN(".insn 0x0d00f057")), "undefined: VSETVLI");
    CSR_CLR(sstatus, 3ul << 9);
}

static void check_envcfg(void)
{
    uint64_t cbo = isa_has("zicbom") ? 0x70 : 0, zero = isa_has("zicboz") ? 0x80 : 0;

    check(WORKS(CSR_READ(senvcfg)), "works: senvcfg");
    CSR_WRITE(senvcfg, ~0ul);
    check_eq(CSR_READ(senvcfg) & 0xf0, cbo | zero, "senvcfg has what the ISA string says");
    CSR_WRITE(senvcfg, 0);
    check_eq(WORKS(CSR_READ(CSR_STIMECMP)), isa_has("sstc"),
             "stimecmp is there as the string says");
    if (!isa_has("sstc"))
        check(UNDEFINED(CSR_WRITE(CSR_STIMECMP, 0)), "without Sstc it is undefined");
    if (has_aia) {
        check(WORKS(CSR_READ(CSR_STOPEI)), "works: stopei");
        check(WORKS(CSR_READ(CSR_STOPI)), "works: stopi");
        check(WORKS(imsic_read(IMSIC_EIDELIVERY)), "works: sireg");
        check(UNDEFINED(imsic_read(0x81)), "undefined: sireg of an odd register");
        check(UNDEFINED(imsic_read(0x100)), "undefined: sireg beyond the interrupt file");
        check(UNDEFINED(imsic_read(0)), "undefined: sireg of what has no register");
        check(UNDEFINED(CSR_READ(0x15d)), "undefined: a number beside stopei");
    } else {
        check(UNDEFINED(CSR_READ(CSR_STOPEI)), "undefined without an AIA: stopei");
        check(UNDEFINED(CSR_SWAP(CSR_STOPEI, 0)), "undefined without an AIA: claiming by stopei");
        check(UNDEFINED(CSR_READ(CSR_SIREG)), "undefined without an AIA: sireg");
    }
}

/* Instructions on a cache block, which henvcfg must let a guest have. */
static void check_blocks(void)
{
    static uint64_t block[512] __attribute__((aligned(4096)));
    uint64_t left = 0;

    if (isa_has("zicbom")) {
        check(WORKS(__asm__ volatile(".insn i 0x0f, 2, x0, %0, 1" ::"r"(block)
                                     : "memory")),
              "works: CBO.CLEAN");
        check(WORKS(__asm__ volatile(".insn i 0x0f, 2, x0, %0, 2" ::"r"(block)
                                     : "memory")),
              "works: CBO.FLUSH");
        check(WORKS(__asm__ volatile(".insn i 0x0f, 2, x0, %0, 0" ::"r"(block)
                                     : "memory")),
              "works: CBO.INVAL");
    }
    if (isa_has("zicboz")) {
        uint32_t size = (uint32_t)fdt_cells(fdt_find("cpu@", "riscv,cboz-block-size", NULL), 1);

        for (unsigned i = 0; i < 512; i++)
            block[i] = ~0ul;
        check(WORKS(__asm__ volatile(".insn i 0x0f, 2, x0, %0, 4" ::"r"(block)
                                     : "memory")),
              "works: CBO.ZERO");
        for (unsigned i = 0; i < 512; i++)
            left += block[i] == ~0ul;
        check_eq(left, 512 - size / 8, "which zeroes a block of the size in the device tree");
    }
}

static void check_there(void)
{
    uint64_t sie = CSR_READ(sie);

    CSR_WRITE(sscratch, 0x123456789abcdef);
    CSR_WRITE(scounteren, 2);
    CSR_WRITE(sepc, 0x80000006);
    CSR_WRITE(scause, 0x8000000000000005);
    CSR_WRITE(stval, 0xfedcba9876543210);
    hypercall();
    cpu_yield();
    check_eq(CSR_READ(sscratch), 0x123456789abcdef, "sscratch is kept over an exit");
    check_eq(CSR_READ(scounteren), 2, "so is scounteren");
    check_eq(CSR_READ(sepc), 0x80000006, "and sepc");
    check_eq(CSR_READ(scause), 0x8000000000000005, "and scause");
    check_eq(CSR_READ(stval), 0xfedcba9876543210, "and stval");
    CSR_WRITE(sie, ~0ul);
    check_eq(CSR_READ(sie) & 0x222, 0x222, "sie has three interrupts");
    CSR_WRITE(sie, sie);
    CSR_WRITE(sip, ~0ul);
    check_eq(CSR_READ(sip) & 0x222, 2, "only the software one of sip can be written");
    CSR_CLR(sip, SIE_SSIE);
    check_eq(CSR_READ(sstatus) >> 32 & 3, 2, "sstatus.UXL says 64 bits");
    check_eq(CSR_READ(satp), 0, "satp is 0 at the start");
}

/* A fault of the guest is the guest's own: no exit of ours changes what it finds. */
static void check_faults(void)
{
    struct fault fault;

    fault_expect();
    RUN("ebreak");
    fault = fault_taken();
    check_eq(fault.cause, CAUSE_BREAKPOINT, "EBREAK is a breakpoint");
    fault_expect();
    CSR_READ(0x680);
    fault = fault_taken();
    check_eq(fault.address & 0xfff0707f, 0x68002073,
             "stval of what is undefined is the instruction");
}

void guest_main(void)
{
    check_isa();
    check_there();
    check_hypervisor();
    check_hidden();
    check_vectors();
    check_envcfg();
    check_blocks();
    check_faults();
}
