/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID and harmless MSRs of x86 guests, over hosts that claim everything, little and nothing. */
#include "arch/x86_64/guest_cpuid.h"
#include "arch/x86_64/guest_msr.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "tests/host/test.h"

static const char *vendor;
static uint32_t basic_max, extended_max, fill;

/* A host whose every feature bit is `fill`; XSAVE's components are 64 bytes each from 576 on. */
static void host_read(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *r)
{
    *r = (struct cpuid_regs){fill, fill, fill, fill};
    if (leaf == 0 || leaf == 0x80000000) {
        r->eax = leaf ? extended_max : basic_max;
        memcpy(&r->ebx, vendor, 4);
        memcpy(&r->edx, vendor + 4, 4);
        memcpy(&r->ecx, vendor + 8, 4);
    }
    if (leaf == 7 && subleaf == 0)
        r->eax = 2;
    if (leaf == 0xd && subleaf >= 2)
        *r = (struct cpuid_regs){64, 576 + 128 * (subleaf - 2), 0, 0};
    if (leaf == 0xd && subleaf == 5)
        r->ecx = 2;
    if (leaf == 4 || leaf == 0x8000001d)
        *r = (struct cpuid_regs){subleaf > 2 ? 0 : 0xfffffc01 | (subleaf + 1) << 5, 1, 2, 3};
    if (leaf == 0x80000008)
        r->eax = 48 << 8 | 48;
}

static struct guest_cpuid make(const char *who, uint32_t bits, uint64_t xcr0)
{
    const struct guest_cpuid_host host = {
        .read = host_read, .xcr0 = xcr0, .tsc_hz = 2499999600, .gpa_bits = 40};
    struct guest_cpuid c;

    vendor = who;
    fill = bits;
    basic_max = 0x20;
    extended_max = 0x80000028;
    guest_cpuid_init(&c, &host);
    return c;
}

static struct cpuid_regs ask(const struct guest_cpuid *c, unsigned index, unsigned count,
                             uint32_t leaf, uint32_t subleaf)
{
    const struct guest_cpuid_vcpu v = {index, count, false, 1, false};
    struct cpuid_regs r;

    memset(&r, 0x5a, sizeof(r));
    guest_cpuid(c, &v, leaf, subleaf, &r);
    return r;
}

static bool is_zero(struct cpuid_regs r)
{
    return (r.eax | r.ebx | r.ecx | r.edx) == 0;
}

TEST(a_guest_sees_the_hypervisors_leaves_and_the_tscs_frequency)
{
    struct guest_cpuid c = make("AuthenticAMD", ~0u, 7);
    struct cpuid_regs r = ask(&c, 0, 1, 0x40000000, 0);

    ASSERT_EQ(r.eax, 0x40000010);
    ASSERT(memcmp(&r.ebx, "CaissonCaiss", 12) == 0);
    r = ask(&c, 0, 1, 0x40000010, 0);
    ASSERT_EQ(r.eax, 2500000);
    ASSERT_EQ(r.ebx, 2500000);
    r = ask(&c, 0, 1, 0x40000100, 0);
    ASSERT(memcmp(&r.ebx, "KVMKVMKVM\0\0\0", 12) == 0);
    ASSERT_EQ(ask(&c, 0, 1, 0x40000101, 0).eax, BIT(3) | BIT(5) | BIT(24));
    ASSERT(is_zero(ask(&c, 0, 1, 0x40000102, 0)));
    ASSERT(is_zero(ask(&c, 0, 1, 0x40000002, 0)));
    ASSERT(is_zero(ask(&c, 0, 1, 0x15, 0)));
    c = make("GenuineIntel", ~0u, 7);
    r = ask(&c, 0, 1, 0x15, 0);
    ASSERT_EQ((uint64_t)r.ecx * r.ebx / r.eax, 2500000000u);
    ASSERT_EQ(ask(&c, 0, 1, 0x16, 0).eax, 2500);
}

TEST(what_is_not_virtualized_is_hidden_from_a_guest)
{
    struct guest_cpuid c = make("AuthenticAMD", ~0u, ~0ull);
    struct cpuid_regs r = ask(&c, 0, 2, 1, 0);

    ASSERT_EQ(r.ecx & (BIT(3) | BIT(5) | BIT(6) | BIT(15) | BIT(18) | BIT(27)), 0);
    ASSERT_EQ(r.edx & (BIT(12) | BIT(18) | BIT(21) | BIT(22) | BIT(29)), 0);
    r = ask(&c, 0, 2, 7, 0);
    ASSERT_EQ(r.ebx & (BIT(2) | BIT(4) | BIT(11) | BIT(12) | BIT(14) | BIT(15) | BIT(25)), 0);
    ASSERT_EQ(r.ecx & (BITS(5, 3) | BIT(7) | BIT(13) | BIT(16) | BIT(23) | BIT(29)), 0);
    ASSERT_EQ(r.edx & BITS(31, 26), 0);
    ASSERT_EQ(ask(&c, 0, 2, 0xd, 0).eax, 0xe7);
    ASSERT_EQ(ask(&c, 0, 2, 0xd, 1).eax, 7); /* No XSAVES. */
    ASSERT(is_zero(ask(&c, 0, 2, 0xd, 9)));
    ASSERT_EQ(ask(&c, 0, 2, 0x80000001, 0).ecx & (BIT(2) | BIT(3) | BITS(10, 9) | BIT(29)), 0);
    ASSERT(is_zero(ask(&c, 0, 2, 0x8000000a, 0)));
    ASSERT(is_zero(ask(&c, 0, 2, 0x8000001f, 0)));
    ASSERT(is_zero(ask(&c, 0, 2, 0xa, 0)));
    ASSERT_EQ(ask(&c, 0, 2, 0x80000008, 0).eax, 48 << 8 | 40);
}

/* PKU, CET, AMX, UINTR, LA57 and the like are no state that is exchanged. */
TEST(state_that_is_not_exchanged_can_be_turned_on_by_no_guest)
{
    static const char *const vendors[] = {"AuthenticAMD", "GenuineIntel"};

    for (unsigned i = 0; i < ARRAY_SIZE(vendors); i++) {
        struct guest_cpuid c = make(vendors[i], ~0u, ~0ull);

        ASSERT_EQ(guest_cpuid_cr4(&c) & ~(BITS(11, 0) | BITS(18, 16) | BITS(21, 20)), 0);
        ASSERT(guest_cpuid_xcr0_valid(&c, 0xe7));
        for (unsigned bit = 0; bit < 64; bit++)
            ASSERT_EQ(guest_cpuid_xcr0_valid(&c, 0xe7 | BIT(bit)), (BIT(bit) & 0xe7) != 0);
        ASSERT_EQ(ask(&c, 0, 1, 7, 0).ecx &
                      (BITS(5, 3) | BIT(7) | BIT(13) | BIT(16) | BIT(23) | BIT(29) | BIT(31)),
                  0);
        ASSERT_EQ(ask(&c, 0, 1, 7, 0).edx & (BIT(5) | BIT(20) | BIT(22) | BIT(24) | BIT(25)), 0);
        ASSERT_EQ(ask(&c, 0, 1, 7, 1).eax & (BIT(17) | BIT(26)), 0);
        ASSERT_EQ(ask(&c, 0, 1, 7, 1).edx, 0);
        for (unsigned component = 3; component < 64; component++)
            if (component < 5 || component > 7)
                ASSERT(is_zero(ask(&c, 0, 1, 0xd, component)));
        ASSERT_EQ(ask(&c, 0, 1, 0xd, 1).ecx | ask(&c, 0, 1, 0xd, 1).edx, 0);
    }
}

TEST(a_guest_is_told_of_no_vectors_whose_state_is_not_kept)
{
    struct guest_cpuid c = make("GenuineIntel", ~0u, 3);

    ASSERT_EQ(c.xcr0, 3);
    ASSERT_EQ(ask(&c, 0, 1, 1, 0).ecx & (BIT(12) | BIT(28) | BIT(29)), 0);
    ASSERT(ask(&c, 0, 1, 1, 0).ecx & BIT(26));
    ASSERT_EQ(ask(&c, 0, 1, 7, 0).ebx & (BIT(5) | BIT(16) | BIT(17) | BIT(31)), 0);
    ASSERT_EQ(ask(&c, 0, 1, 7, 1).eax & (BIT(4) | BIT(5) | BIT(23)), 0);
    c = make("GenuineIntel", ~0u, 1); /* Not even SSE: no XSAVE at all. */
    ASSERT_EQ(c.xcr0, 0);
    ASSERT_EQ(ask(&c, 0, 1, 1, 0).ecx & BIT(26), 0);
    ASSERT(is_zero(ask(&c, 0, 1, 0xd, 0)));
    ASSERT(is_zero(ask(&c, 0, 1, 0xd, 1)));
    c = make("GenuineIntel", ~0u, 0x67); /* A part of AVX-512 is none of it. */
    ASSERT_EQ(c.xcr0, 7);
}

TEST(a_host_with_nothing_gives_a_guest_its_apic_only)
{
    struct guest_cpuid c = make("SomethingNew", 0, 7);

    ASSERT_EQ(ask(&c, 0, 1, 1, 0).edx, BIT(9));
    ASSERT_EQ(ask(&c, 0, 1, 1, 0).ecx, BIT(21) | BIT(24) | BIT(31));
    ASSERT_EQ(ask(&c, 0, 1, 7, 0).ebx, BIT(1));
    ASSERT_EQ(guest_cpuid_cr4(&c), BIT(8));
    ASSERT_EQ(guest_cpuid_efer(&c), 0);
    ASSERT(!guest_cpuid_xcr0_valid(&c, 1));
}

TEST(the_size_of_the_xsave_area_follows_xcr0)
{
    struct guest_cpuid c = make("GenuineIntel", ~0u, 0xe7);
    struct guest_cpuid_vcpu v = {0, 1, true, 3, false};
    struct cpuid_regs r;

    guest_cpuid(&c, &v, 0xd, 0, &r);
    ASSERT_EQ(r.ebx, 576);
    ASSERT_EQ(r.ecx, 576 + 128 * 5 + 64);
    v.xcr0 = 7;
    guest_cpuid(&c, &v, 0xd, 0, &r);
    ASSERT_EQ(r.ebx, 640);
    v.xcr0 = 0xe7;
    guest_cpuid(&c, &v, 0xd, 1, &r);
    ASSERT_EQ(r.ebx, 576 + 4 * 64);
    guest_cpuid(&c, &v, 1, 0, &r);
    ASSERT(r.ecx & BIT(27));
    ASSERT(guest_cpuid_xcr0_valid(&c, 1) && guest_cpuid_xcr0_valid(&c, 7));
    ASSERT(guest_cpuid_xcr0_valid(&c, 0xe7));
    ASSERT(!guest_cpuid_xcr0_valid(&c, 0) && !guest_cpuid_xcr0_valid(&c, 5));
    ASSERT(!guest_cpuid_xcr0_valid(&c, 0xe3) && !guest_cpuid_xcr0_valid(&c, 0x27));
    ASSERT(!guest_cpuid_xcr0_valid(&c, 0x207) && !guest_cpuid_xcr0_valid(&c, BIT(63) | 1));
}

TEST(a_local_apic_that_is_off_is_not_told_of)
{
    struct guest_cpuid c = make("AuthenticAMD", ~0u, 7);
    struct guest_cpuid_vcpu v = {0, 1, false, 1, true};
    struct cpuid_regs r;

    ASSERT(ask(&c, 0, 1, 1, 0).edx & BIT(9));
    guest_cpuid(&c, &v, 1, 0, &r);
    ASSERT(!(r.edx & BIT(9)) && r.edx & BIT(8));
    ASSERT(ask(&c, 0, 1, 0x80000001, 0).edx & BIT(9));
    guest_cpuid(&c, &v, 0x80000001, 0, &r);
    ASSERT(!(r.edx & BIT(9)) && r.edx & BIT(8));
}

TEST(each_vcpu_finds_itself_in_the_topology)
{
    static const char *const vendors[] = {"AuthenticAMD", "GenuineIntel"};

    for (unsigned n = 0; n < 2; n++) {
        struct guest_cpuid c = make(vendors[n], ~0u, 7);
        struct cpuid_regs r = ask(&c, 4, 5, 1, 0);

        ASSERT_EQ(r.ebx >> 24, 4);
        ASSERT_EQ(r.ebx >> 16 & 0xff, 8);
        ASSERT(r.edx & BIT(28));
        r = ask(&c, 4, 5, 0xb, 0);
        ASSERT(r.eax == 0 && r.ebx == 1 && r.ecx == 0x100 && r.edx == 4);
        r = ask(&c, 4, 5, 0xb, 1);
        ASSERT(r.eax == 3 && r.ebx == 5 && r.ecx == 0x201 && r.edx == 4);
        r = ask(&c, 4, 5, 0xb, 2);
        ASSERT(r.eax == 0 && r.ebx == 0 && r.ecx == 2 && r.edx == 4);
        r = ask(&c, 0, 1, 1, 0);
        ASSERT_EQ(r.ebx >> 16 & 0xff, 1);
        ASSERT_EQ(r.edx & BIT(28), 0);
        ASSERT_EQ(ask(&c, 0, 1, 0xb, 1).eax, 0);
    }
}

TEST(the_vcpus_share_the_last_cache_only)
{
    struct guest_cpuid c = make("AuthenticAMD", ~0u, 7);

    ASSERT_EQ(ask(&c, 1, 4, 0x8000001d, 0).eax >> 14, 0);
    ASSERT_EQ(ask(&c, 1, 4, 0x8000001d, 2).eax >> 14, 3);
    ASSERT(is_zero(ask(&c, 1, 4, 0x8000001d, 3)));
    ASSERT(is_zero(ask(&c, 1, 4, 0x8000001d, 0xffffffff)));
    ASSERT(is_zero(ask(&c, 1, 4, 4, 0)));
    ASSERT_EQ(ask(&c, 1, 4, 0x80000008, 0).ecx, 2 << 12 | 3);
    ASSERT_EQ(ask(&c, 3, 4, 0x8000001e, 0).ebx, 3);
    c = make("GenuineIntel", ~0u, 7);
    ASSERT_EQ(ask(&c, 1, 4, 4, 0).eax >> 14, 3 << 12);
    ASSERT_EQ(ask(&c, 1, 4, 4, 2).eax >> 14, 3 << 12 | 3);
}

TEST(no_leaf_and_subleaf_reads_what_is_not_there)
{
    static const char *const vendors[] = {"AuthenticAMD", "GenuineIntel", "HygonGenuine"};

    for (unsigned n = 0; n < 3; n++) {
        struct guest_cpuid c = make(vendors[n], (uint32_t)test_random(), test_random());

        for (unsigned i = 0; i < 20000; i++) {
            uint32_t leaf = (uint32_t)(test_random_below(4) << 30 | test_random_below(0x40));
            uint32_t subleaf = (uint32_t)(i & 1 ? test_random() : test_random_below(70));

            ask(&c, (unsigned)test_random_below(32), 32, leaf, subleaf);
        }
        ASSERT(is_zero(ask(&c, 0, 1, 0x17, 0)));
        ASSERT(is_zero(ask(&c, 0, 1, 0x80000022, 0)));
        ASSERT(is_zero(ask(&c, 0, 1, 0xc0000000, 0)));
        ASSERT(is_zero(ask(&c, 0, 1, 0xffffffff, 0)));
    }
}

TEST(kernels_find_the_msrs_that_they_do_not_ask_for)
{
    struct guest_cpuid amd = make("AuthenticAMD", ~0u, 7);
    struct guest_cpuid intel = make("GenuineIntel", ~0u, 7);
    uint64_t value = 1;

    ASSERT(guest_msr_read(&amd, 0x8b, &value) && value == 0);
    ASSERT(guest_msr_read(&amd, 0xc0010015, &value) && (value & BIT(24)));
    ASSERT(!guest_msr_read(&intel, 0xc0010015, &value));
    ASSERT(guest_msr_read(&intel, 0x1a0, &value) && (value & 1));
    ASSERT(!guest_msr_read(&amd, 0x1a0, &value));
    ASSERT(guest_msr_read(&intel, 0x3a, &value) && value == 1);
    ASSERT(guest_msr_write(&amd, 0xc0011029, 2));
    ASSERT(guest_msr_write(&intel, 0x8b, 0));
    ASSERT(!guest_msr_write(&intel, 0x3a, 5));                 /* Locked. */
    ASSERT(guest_msr_read(&amd, 0x179, &value) && value == 0); /* No banks. */
    ASSERT(!guest_msr_write(&amd, 0x179, 1));
    ASSERT(!guest_msr_read(&amd, 0xc0010114, &value));                               /* SVM's. */
    ASSERT(!guest_msr_read(&intel, 0x480, &value));                                  /* VMX's. */
    ASSERT(!guest_msr_read(&amd, 0xfe, &value) && !guest_msr_write(&amd, 0x2ff, 0)); /* MTRRs. */
}
