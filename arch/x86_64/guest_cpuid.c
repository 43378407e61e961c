/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID for guests; see guest_cpuid.h. A feature is passed on only when it is in a mask here: what
 * future processors bring stays hidden until somebody has looked at it. [Intel SDM 2A, CPUID; AMD64
 * APM 3, appendix E]
 */
#include "arch/x86_64/guest_cpuid.h"

#include "kernel/bits.h"
#include "kernel/string.h"

#define LEAF_HYPERVISOR   0x40000000u
#define LEAF_VERSION      0x40000001u
#define LEAF_FREQUENCIES  0x40000010u
#define LEAF_KVM          0x40000100u
#define LEAF_EXTENDED     0x80000000u

#define INTEL_LEAF_MAX    0x16u /* With the TSC's frequency. */
#define OTHER_LEAF_MAX    0x0du
#define EXTENDED_LEAF_MAX 0x80000021u
#define VERSION           1u     /* 0.1 */
#define CAPABILITY_CALLS  BIT(0) /* vcpu/hypercall.h */

#define KVM_CLOCK         (BIT(3) | BIT(24)) /* vcpu/vkvmclock.h; it is stable. */
#define KVM_STEAL_TIME    BIT(5)             /* vcpu/vsteal.h */

#define XCR0_X87          BIT(0)
#define XCR0_SSE          BIT(1)
#define XCR0_AVX          BIT(2)
#define XCR0_AVX512       BITS(7, 5)
#define XSAVE_HEADER_END  576u /* Legacy area and header. [SDM 1, 13.4] */

/* Leaf 1, ECX. Hidden: debug store, MONITOR, VMX, SMX, EIST, thermal monitor, PDCM, DCA. */
#define F1C_XSAVE         BIT(26)
#define F1C_OSXSAVE       BIT(27)
#define F1C_ALWAYS        (BIT(21) | BIT(24) | BIT(31)) /* x2APIC, TSC deadline, a hypervisor. */
#define F1C_AVX           (BIT(12) | BIT(28) | BIT(29)) /* FMA, AVX, F16C. */
#define F1C_PASS                                                                                   \
    (BITS(1, 0) | BIT(9) | BIT(13) | BIT(17) | BITS(20, 19) | BITS(23, 22) | BIT(25) | F1C_XSAVE | \
     F1C_AVX | BIT(30)) /* SSE3 … RDRAND. */
#define F1C_PCID   BIT(17)

/* Leaf 1, EDX. Hidden: MTRR, serial number, debug store, thermal monitor. MCA is there, with no
 * bank: firmware sets CR4.MCE without looking. */
#define F1D_APIC   BIT(9) /* While it is enabled. [SDM 3, 11.4.3] */
#define F1D_HTT    BIT(28)
#define F1D_PASS   (BITS(8, 0) | BIT(11) | BITS(17, 13) | BIT(19) | BITS(27, 23))
#define F1D_DE     BIT(2)
#define F1D_MCE    BIT(7)
#define F1D_PGE    BIT(13)

/* Leaf 7, EBX. Hidden: SGX, HLE, RTM, RDT, MPX, PT. */
#define F7B_ALWAYS BIT(1) /* TSC_ADJUST. */
#define F7B_AVX    BIT(5) /* AVX2. */
#define F7B_AVX512                                                                                 \
    (BITS(17, 16) | BIT(21) | BITS(28, 26) | BITS(31, 30)) /* F, DQ, IFMA, PF, ER, CD, BW, VL. */
#define F7B_PASS                                                                                   \
    (BIT(0) | BIT(3) | F7B_AVX | BITS(10, 6) | F7B_AVX512 | BITS(20, 18) | BITS(24, 22) | BIT(29))
#define F7B_FSGSBASE BIT(0)
#define F7B_SMEP     BIT(7)
#define F7B_SMAP     BIT(20)

/* Leaf 7, ECX. Hidden: PKU, WAITPKG, CET, TME, LA57, key locker, ENQCMD, SGX_LC. */
#define F7C_UMIP     BIT(2)
#define F7C_AVX      BITS(10, 9) /* VAES, VPCLMULQDQ. */
#define F7C_AVX512   (BIT(1) | BIT(6) | BITS(12, 11) | BIT(14))
#define F7C_PASS                                                                                   \
    (BIT(0) | F7C_UMIP | BIT(8) | F7C_AVX | F7C_AVX512 | BIT(22) | BIT(25) | BITS(28, 27))

/* Leaf 7, EDX: fast short REP MOV, SERIALIZE. Hidden: all that changes speculation. */
#define F7D_AVX512        (BITS(3, 2) | BIT(8) | BIT(23))
#define F7D_PASS          (BIT(4) | BIT(14) | F7D_AVX512)

/* Leaf 7, sub-leaf 1, EAX: AVX-VNNI, BF16, fast string operations, AVX-IFMA. */
#define F71A_AVX          (BIT(4) | BIT(23))
#define F71A_AVX512       BIT(5)
#define F71A_PASS         (F71A_AVX | F71A_AVX512 | BITS(12, 10))

#define F6A_ARAT          BIT(2)     /* The LAPIC's timer runs in all idle states. */
#define FDA_PASS          BITS(2, 0) /* XSAVEOPT, XSAVEC, XGETBV with ECX = 1. Hidden: XSAVES. */
#define FDA_XSAVEC        BIT(1)

/* Leaf 0x80000001, ECX. Hidden: SVM, extended APIC space, OSVW, IBS, performance, MONITORX. */
#define E1C_CMP_LEGACY    BIT(1)
#define E1C_TOPOLOGY      BIT(22)
#define E1C_AVX           (BIT(11) | BIT(16)) /* XOP, FMA4. */
#define E1C_PASS          (BIT(0) | BITS(8, 4) | E1C_AVX | BIT(21) | E1C_TOPOLOGY)

/* Leaf 0x80000001, EDX; the low half repeats leaf 1 on AMD. */
#define E1D_COPY          (BITS(9, 0) | BITS(17, 12) | BITS(24, 23))
#define E1D_PASS          (BIT(11) | BIT(20) | BIT(22) | BITS(27, 26) | BITS(31, 29))
#define E1D_SYSCALL       BIT(11)
#define E1D_NX            BIT(20)
#define E1D_LM            BIT(29)

#define E7D_INVARIANT_TSC BIT(8)
#define E8B_PASS          (BIT(0) | BIT(2) | BIT(9)) /* CLZERO, XRSTOR of errors, WBNOINVD. */
#define E1AA_PASS         BITS(2, 0)
#define E21A_PASS         (BIT(0) | BIT(2) | BIT(6)) /* LFENCE serializes, null clears base. */

static struct cpuid_regs signature(uint32_t eax, const char text[12])
{
    struct cpuid_regs regs = {.eax = eax};

    memcpy(&regs.ebx, text, 4);
    memcpy(&regs.ecx, text + 4, 4);
    memcpy(&regs.edx, text + 8, 4);
    return regs;
}

/* In a vendor's leaf 0 the text is in EBX, EDX, ECX. */
static bool vendor_is(const struct cpuid_regs *regs, const char text[12])
{
    return memcmp(&regs->ebx, text, 4) == 0 && memcmp(&regs->edx, text + 4, 4) == 0 &&
           memcmp(&regs->ecx, text + 8, 4) == 0;
}

/* --- Made once, of the host's --- */

static void read_host(struct guest_cpuid *c, const struct guest_cpuid_host *host)
{
    uint32_t basic_max, extended_max, cache_leaf;

    host->read(0, 0, &c->basic[0]);
    c->amd = vendor_is(&c->basic[0], "AuthenticAMD") || vendor_is(&c->basic[0], "HygonGenuine");
    c->intel = vendor_is(&c->basic[0], "GenuineIntel");
    basic_max = c->basic[0].eax;
    host->read(LEAF_EXTENDED, 0, &c->extended[0]);
    extended_max = c->extended[0].eax;
    for (uint32_t i = 1; i < GUEST_CPUID_BASIC && i <= basic_max; i++)
        host->read(i, 0, &c->basic[i]);
    for (uint32_t i = 1; i < GUEST_CPUID_EXTENDED && LEAF_EXTENDED + i <= extended_max; i++)
        host->read(LEAF_EXTENDED + i, 0, &c->extended[i]);
    c->features[0] = c->basic[7];
    if (basic_max >= 7 && c->features[0].eax >= 1)
        host->read(7, 1, &c->features[1]);
    for (uint32_t i = 0; basic_max >= 0xd && i < GUEST_CPUID_XSAVE; i++)
        host->read(0xd, i, &c->xsave[i]);
    cache_leaf = c->amd ? 0x8000001d : 4;
    if (cache_leaf > (c->amd ? extended_max : basic_max))
        return;
    for (uint32_t i = 0; i < GUEST_CPUID_CACHES; i++)
        host->read(cache_leaf, i, &c->caches[i]);
}

/* What XSAVE can hold for a guest; without x87 and SSE there is none. */
static void cut_xsave(struct guest_cpuid *c, uint64_t kept)
{
    uint64_t has = (uint64_t)c->xsave[0].edx << 32 | c->xsave[0].eax;

    c->xcr0 = has & kept & (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512);
    if ((c->xcr0 & XCR0_AVX512) != XCR0_AVX512 || !(c->xcr0 & XCR0_AVX))
        c->xcr0 &= ~XCR0_AVX512;
    if (!(c->basic[1].ecx & F1C_XSAVE) || (c->xcr0 & 3) != (XCR0_X87 | XCR0_SSE))
        c->xcr0 = 0;
    for (unsigned i = 2; i < GUEST_CPUID_XSAVE; i++)
        if (!(c->xcr0 >> i & 1))
            c->xsave[i] = (struct cpuid_regs){};
    if (c->xcr0 == 0) {
        c->basic[1].ecx &= (uint32_t)~F1C_XSAVE;
        c->xsave[1] = (struct cpuid_regs){};
    }
    c->xsave[1] = (struct cpuid_regs){.eax = c->xsave[1].eax & FDA_PASS};
}

static void cut_vectors(struct guest_cpuid *c)
{
    if (!(c->xcr0 & XCR0_AVX512)) {
        c->features[0].ebx &= (uint32_t)~F7B_AVX512;
        c->features[0].ecx &= (uint32_t)~F7C_AVX512;
        c->features[0].edx &= (uint32_t)~F7D_AVX512;
        c->features[1].eax &= (uint32_t)~F71A_AVX512;
    }
    if (!(c->xcr0 & XCR0_AVX)) {
        c->basic[1].ecx &= (uint32_t)~F1C_AVX;
        c->features[0].ebx &= (uint32_t)~F7B_AVX;
        c->features[0].ecx &= (uint32_t)~F7C_AVX;
        c->features[1].eax &= (uint32_t)~F71A_AVX;
        c->extended[1].ecx &= (uint32_t)~E1C_AVX;
    }
}

static void cut_basic(struct guest_cpuid *c)
{
    c->basic[0].eax = c->intel ? INTEL_LEAF_MAX : OTHER_LEAF_MAX;
    c->basic[1].ecx = (uint32_t)((c->basic[1].ecx & F1C_PASS) | F1C_ALWAYS);
    c->basic[1].edx = (uint32_t)((c->basic[1].edx & F1D_PASS) | F1D_APIC);
    c->features[0] = (struct cpuid_regs){
        .eax = c->features[0].eax >= 1,
        .ebx = (uint32_t)((c->features[0].ebx & F7B_PASS) | F7B_ALWAYS),
        .ecx = (uint32_t)(c->features[0].ecx & F7C_PASS),
        .edx = (uint32_t)(c->features[0].edx & F7D_PASS),
    };
    c->features[1] = (struct cpuid_regs){.eax = (uint32_t)(c->features[1].eax & F71A_PASS)};
    c->basic[6] = (struct cpuid_regs){.eax = F6A_ARAT};
    for (unsigned i = 8; i < GUEST_CPUID_BASIC; i++)
        c->basic[i] = (struct cpuid_regs){}; /* DCA, PMU; the others are made at each call. */
    c->basic[3] = c->basic[5] = (struct cpuid_regs){}; /* Serial number, MONITOR. */
}

static void cut_extended(struct guest_cpuid *c, unsigned gpa_bits)
{
    struct cpuid_regs *e = c->extended;
    uint32_t copy = c->amd ? c->basic[1].edx & (uint32_t)E1D_COPY : 0;
    uint32_t host_bits = e[8].eax & 0xff;

    e[0].eax = EXTENDED_LEAF_MAX;
    e[1].ecx &= (uint32_t)E1C_PASS;
    e[1].edx = (uint32_t)(e[1].edx & E1D_PASS) | copy;
    e[7] = (struct cpuid_regs){.edx = e[7].edx & (uint32_t)E7D_INVARIANT_TSC};
    e[8].eax = (e[8].eax & 0xff00) | (host_bits ? MIN(host_bits, gpa_bits) : gpa_bits);
    e[8].ebx &= (uint32_t)E8B_PASS;
    e[8].ecx = e[8].edx = 0;
    for (unsigned i = 9; i < 0x19; i++) /* SVM, and what is reserved. */
        e[i] = (struct cpuid_regs){};
    e[0x1a] = (struct cpuid_regs){.eax = e[0x1a].eax & (uint32_t)E1AA_PASS};
    for (unsigned i = 0x1b; i < 0x21; i++) /* IBS, LWP, memory encryption, QoS. */
        e[i] = (struct cpuid_regs){};
    e[0x21] = (struct cpuid_regs){.eax = e[0x21].eax & (uint32_t)E21A_PASS};
}

void guest_cpuid_init(struct guest_cpuid *c, const struct guest_cpuid_host *host)
{
    memset(c, 0, sizeof(*c));
    c->tsc_khz = (uint32_t)((host->tsc_hz + 500) / 1000);
    read_host(c, host);
    cut_xsave(c, host->xcr0);
    cut_vectors(c);
    cut_basic(c);
    cut_extended(c, host->gpa_bits);
}

/* --- At each CPUID --- */

/* Bits of an APIC id that tell a package's processors apart. */
static unsigned core_bits(const struct guest_cpuid_vcpu *v)
{
    return v->count > 1 ? bit_highest(v->count - 1) + 1 : 0;
}

static void leaf_1(const struct guest_cpuid *c, const struct guest_cpuid_vcpu *v,
                   struct cpuid_regs *r)
{
    *r = c->basic[1];
    r->ebx = (r->ebx & 0xffff) | (1u << core_bits(v)) << 16 | v->index << 24;
    if (v->osxsave)
        r->ecx |= (uint32_t)F1C_OSXSAVE;
    if (v->count > 1)
        r->edx |= (uint32_t)F1D_HTT;
    if (v->apic_off)
        r->edx &= (uint32_t)~F1D_APIC;
}

/*
 * Caches in the format that Intel's leaf 4 and AMD's 0x8000001d share. Each vCPU has its own, but
 * the third level belongs to all.
 */
static void leaf_cache(const struct guest_cpuid *c, const struct guest_cpuid_vcpu *v,
                       uint32_t subleaf, struct cpuid_regs *r)
{
    uint32_t all = (1u << core_bits(v)) - 1, level;

    if (subleaf >= GUEST_CPUID_CACHES || (c->caches[subleaf].eax & 0x1f) == 0)
        return;
    *r = c->caches[subleaf];
    level = r->eax >> 5 & 7;
    r->eax &= 0x3fff;
    if (level >= 3)
        r->eax |= all << 14;
    if (c->intel)
        r->eax |= MIN(all, 63u) << 26;
}

/* Topology: threads are one to a core. [SDM 2A, leaf 0x0b] */
static void leaf_topology(const struct guest_cpuid_vcpu *v, uint32_t subleaf, struct cpuid_regs *r)
{
    *r = (struct cpuid_regs){.ecx = subleaf & 0xff, .edx = v->index};
    if (subleaf == 0) {
        r->ebx = 1;
        r->ecx |= 1 << 8;
    } else if (subleaf == 1) {
        r->eax = core_bits(v);
        r->ebx = v->count;
        r->ecx |= 2 << 8;
    }
}

/* Bytes that the components need, in the standard or the compacted format. [SDM 1, 13.4] */
static uint32_t xsave_size(const struct guest_cpuid *c, uint64_t components, bool compacted)
{
    uint32_t end = XSAVE_HEADER_END;

    for (unsigned i = 2; i < GUEST_CPUID_XSAVE; i++) {
        const struct cpuid_regs *x = &c->xsave[i];

        if (!(components >> i & 1))
            continue;
        if (compacted)
            end = (x->ecx & 2 ? (uint32_t)ALIGN_UP(end, 64) : end) + x->eax;
        else
            end = MAX(end, x->ebx + x->eax);
    }
    return end;
}

static void leaf_xsave(const struct guest_cpuid *c, const struct guest_cpuid_vcpu *v,
                       uint32_t subleaf, struct cpuid_regs *r)
{
    uint64_t enabled = v->xcr0 & c->xcr0;

    if (c->xcr0 == 0 || subleaf >= GUEST_CPUID_XSAVE)
        return;
    if (subleaf == 0) {
        r->eax = (uint32_t)c->xcr0;
        r->ebx = xsave_size(c, enabled, false);
        r->ecx = xsave_size(c, c->xcr0, false);
        return;
    }
    *r = c->xsave[subleaf];
    if (subleaf == 1 && r->eax & FDA_XSAVEC)
        r->ebx = xsave_size(c, enabled, true);
}

static void leaf_basic(const struct guest_cpuid *c, const struct guest_cpuid_vcpu *v, uint32_t leaf,
                       uint32_t subleaf, struct cpuid_regs *r)
{
    switch (leaf) {
    case 1:
        leaf_1(c, v, r);
        return;
    case 4:
        if (c->intel)
            leaf_cache(c, v, subleaf, r);
        return;
    case 7:
        if (subleaf < ARRAY_SIZE(c->features))
            *r = c->features[subleaf];
        return;
    case 0xb:
        leaf_topology(v, subleaf, r);
        return;
    case 0xd:
        leaf_xsave(c, v, subleaf, r);
        return;
    case 0x15: /* The LAPIC's clock is called the crystal: here as fast as the TSC. */
        if (c->tsc_khz <= UINT32_MAX / 1000)
            *r = (struct cpuid_regs){1, 1, c->tsc_khz * 1000, 0};
        return;
    case 0x16:
        *r = (struct cpuid_regs){c->tsc_khz / 1000, c->tsc_khz / 1000, 0, 0};
        return;
    default:
        if (leaf < GUEST_CPUID_BASIC)
            *r = c->basic[leaf];
        return;
    }
}

static void leaf_extended(const struct guest_cpuid *c, const struct guest_cpuid_vcpu *v,
                          uint32_t leaf, uint32_t subleaf, struct cpuid_regs *r)
{
    if (leaf > EXTENDED_LEAF_MAX)
        return;
    *r = c->extended[leaf - LEAF_EXTENDED];
    if (!c->amd)
        return;
    switch (leaf) {
    case 0x80000001:
        if (v->count > 1)
            r->ecx |= E1C_CMP_LEGACY;
        if (v->apic_off)
            r->edx &= (uint32_t)~F1D_APIC;
        return;
    case 0x80000008:
        r->ecx = (v->count - 1) | core_bits(v) << 12;
        return;
    case 0x8000001d:
        leaf_cache(c, v, subleaf, r);
        return;
    case 0x8000001e: /* Only with TOPOEXT: one thread to a core, one node. */
        if (c->extended[1].ecx & E1C_TOPOLOGY)
            *r = (struct cpuid_regs){v->index, v->index, 0, 0};
        return;
    }
}

static void leaf_hypervisor(const struct guest_cpuid *c, uint32_t leaf, struct cpuid_regs *r)
{
    switch (leaf) {
    case LEAF_HYPERVISOR:
        *r = signature(LEAF_FREQUENCIES, "CaissonCaiss");
        return;
    case LEAF_VERSION:
        *r = (struct cpuid_regs){.eax = VERSION, .ebx = CAPABILITY_CALLS};
        return;
    case LEAF_FREQUENCIES:
        *r = (struct cpuid_regs){.eax = c->tsc_khz, .ebx = c->tsc_khz};
        return;
    case LEAF_KVM: /* By this Linux uses an x2APIC without interrupt remapping. */
        *r = signature(LEAF_KVM + 1, "KVMKVMKVM\0\0");
        return;
    case LEAF_KVM + 1:
        *r = (struct cpuid_regs){.eax = KVM_CLOCK | KVM_STEAL_TIME};
        return;
    }
}

void guest_cpuid(const struct guest_cpuid *c, const struct guest_cpuid_vcpu *v, uint32_t leaf,
                 uint32_t subleaf, struct cpuid_regs *r)
{
    *r = (struct cpuid_regs){};
    if (leaf <= c->basic[0].eax)
        leaf_basic(c, v, leaf, subleaf, r);
    else if (leaf >> 30 == 1)
        leaf_hypervisor(c, leaf, r);
    else if (leaf >= LEAF_EXTENDED)
        leaf_extended(c, v, leaf, subleaf, r);
}

/* --- What else follows from it --- */

uint64_t guest_cpuid_cr4(const struct guest_cpuid *c)
{
    const struct {
        bool has;
        uint64_t bits;
    } gates[] = {
        {c->basic[1].edx & BIT(1), BITS(1, 0)}, /* VME, PVI */
        {c->basic[1].edx & BIT(4), BIT(2)},     /* TSD */
        {c->basic[1].edx & F1D_DE, BIT(3)},
        {c->basic[1].edx & BIT(3), BIT(4)}, /* PSE */
        {c->basic[1].edx & BIT(6), BIT(5)}, /* PAE */
        {c->basic[1].edx & F1D_MCE, BIT(6)},
        {c->basic[1].edx & F1D_PGE, BIT(7)},
        {true, BIT(8)},                       /* PCE: there are no counters. */
        {c->basic[1].edx & BIT(24), BIT(9)},  /* OSFXSR */
        {c->basic[1].edx & BIT(25), BIT(10)}, /* OSXMMEXCPT */
        {c->features[0].ecx & F7C_UMIP, BIT(11)},
        {c->features[0].ebx & F7B_FSGSBASE, BIT(16)},
        {c->basic[1].ecx & F1C_PCID, BIT(17)},
        {c->basic[1].ecx & F1C_XSAVE, BIT(18)},
        {c->features[0].ebx & F7B_SMEP, BIT(20)},
        {c->features[0].ebx & F7B_SMAP, BIT(21)},
    };
    uint64_t bits = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(gates); i++)
        if (gates[i].has)
            bits |= gates[i].bits;
    return bits;
}

uint64_t guest_cpuid_efer(const struct guest_cpuid *c)
{
    uint64_t bits = 0;

    if (c->extended[1].edx & E1D_SYSCALL)
        bits |= BIT(0);
    if (c->extended[1].edx & E1D_LM)
        bits |= BIT(8) | BIT(10);
    if (c->extended[1].edx & E1D_NX)
        bits |= BIT(11);
    return bits;
}

bool guest_cpuid_xcr0_valid(const struct guest_cpuid *c, uint64_t xcr0)
{
    if ((xcr0 & ~c->xcr0) || !(xcr0 & XCR0_X87))
        return false;
    if ((xcr0 & XCR0_AVX) && !(xcr0 & XCR0_SSE))
        return false;
    if (!(xcr0 & XCR0_AVX512))
        return true;
    return (xcr0 & XCR0_AVX512) == XCR0_AVX512 && (xcr0 & XCR0_AVX);
}

/* FNV-1a. */
static uint64_t print_add(uint64_t print, const struct cpuid_regs *regs)
{
    const uint8_t *bytes = (const uint8_t *)regs;

    for (size_t i = 0; i < sizeof(*regs); i++)
        print = (print ^ bytes[i]) * 0x100000001b3;
    return print;
}

uint64_t guest_cpuid_print(const struct guest_cpuid *c)
{
    const struct guest_cpuid_vcpu vcpu = {.count = 1, .xcr0 = XCR0_X87};
    uint64_t print = 0xcbf29ce484222325;
    struct cpuid_regs regs;

    for (uint32_t leaf = 0; leaf < GUEST_CPUID_BASIC; leaf++)
        for (uint32_t subleaf = 0; subleaf < GUEST_CPUID_XSAVE; subleaf++) {
            guest_cpuid(c, &vcpu, leaf, subleaf, &regs);
            print = print_add(print, &regs);
        }
    for (uint32_t i = 0; i < GUEST_CPUID_EXTENDED; i++)
        for (uint32_t subleaf = 0; subleaf < GUEST_CPUID_CACHES; subleaf++) {
            guest_cpuid(c, &vcpu, LEAF_EXTENDED + i, subleaf, &regs);
            print = print_add(print, &regs);
        }
    return print;
}
