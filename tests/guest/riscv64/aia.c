/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AIA: every mode of the APLIC's sources with delivery by MSI, and the interrupt files of
 * IMSICs. Two devices have wires: the UART and the clock, as in irq.c. [RISC-V AIA 1.0, 3 and 4]
 */
#include "riscv.h"

#define UART_IER (UART_BASE + 1)
#define SOURCE   UART_SOURCE
#define BARE     50u /* A source without a device. */
#define ID_MAX   255u

static unsigned taken[CPUS_MAX][ID_MAX + 1], rounds;
/* Command line: hardware=1. Of software files QEMU shows the interrupt in stopi though sie masks
 * it. */
static bool hardware;

static void irq_count(unsigned irq)
{
    if (irq >= IRQ_SOURCE && irq - IRQ_SOURCE <= ID_MAX)
        ADD(taken[cpu_id()][irq - IRQ_SOURCE], 1);
}

static void wire(bool level)
{
    mmio_write8(UART_IER, level ? 2 : 0);
}

static void settle(void)
{
    WAIT_FOR(false, 2);
}

/* --- The interrupt file of this hart --- */

/* MSIs of other devices and harts may take a while. */
static bool file_has(unsigned identity)
{
    return imsic_read(IMSIC_EIP(identity / 64)) >> identity % 64 & 1;
}

static bool file_gets(unsigned identity)
{
    return WAIT_FOR(file_has(identity), 100);
}

static void file_clear(void)
{
    for (unsigned word = 0; word < 4; word++)
        imsic_write(IMSIC_EIP(word), 0);
}

static uint64_t top(void)
{
    return CSR_READ(CSR_STOPEI);
}

static uint64_t take(void)
{
    return CSR_SWAP(CSR_STOPEI, 0);
}

static uint64_t both(uint64_t identity)
{
    return identity << 16 | identity;
}

static bool line(void)
{
    return (CSR_READ(sip) & SIE_SEIE) != 0;
}

static void msi(unsigned cpu, uint32_t identity)
{
    mmio_write(imsic_page(cpu), identity);
}

static void check_file_registers(void)
{
    uint64_t value;

    imsic_write(IMSIC_EIDELIVERY, 0);
    check_eq(imsic_read(IMSIC_EIDELIVERY), 0, "eidelivery can be off");
    imsic_write(IMSIC_EIDELIVERY, 1);
    check_eq(imsic_read(IMSIC_EIDELIVERY), 1, "and on");
    imsic_write(IMSIC_EITHRESHOLD, 17);
    check_eq(imsic_read(IMSIC_EITHRESHOLD), 17, "eithreshold keeps its value");
    imsic_write(IMSIC_EITHRESHOLD, 0);
    imsic_write(IMSIC_EIE(1), 0x123456789abcdef);
    check_eq(imsic_read(IMSIC_EIE(1)), 0x123456789abcdef, "eie keeps what was written");
    imsic_write(IMSIC_EIE(1), ~0ul);
    imsic_write(IMSIC_EIE(0), ~0ul);
    check_eq(imsic_read(IMSIC_EIE(0)), ~1ul, "but for identity 0");
    imsic_write(IMSIC_EIP(2), 0xff00);
    check_eq(imsic_read(IMSIC_EIP(2)), 0xff00, "eip can be written");
    CSR_WRITE(CSR_SISELECT, IMSIC_EIP(2));
    check_eq(CSR_SET(CSR_SIREG, 0x10000), 0xff00, "bits of it can be set");
    check_eq(CSR_CLR(CSR_SIREG, 0x0f00), 0x1ff00, "and cleared");
    check_eq(CSR_READ(CSR_SIREG), 0x1f000, "in one instruction");
    imsic_write(IMSIC_EIP(0), 1);
    check_eq(imsic_read(IMSIC_EIP(0)), 0, "but for identity 0");
    file_clear();
    imsic_write(IMSIC_IPRIO, 0);
    check_eq(imsic_read(IMSIC_IPRIO), 0, "there are priorities of major interrupts");
    fault_expect();
    imsic_write(IMSIC_IPRIO + 1, 0);
    check_eq(fault_taken().count, 1, "in even registers");
    fault_expect();
    imsic_write(0x71, 1); /* To be ignored; QEMU's own file finds it illegal. */
    value = imsic_read(0x71);
    check(fault_taken().count != 0 || value == 0, "a reserved register has no value");
}

static void check_file_top(void)
{
    file_clear();
    check_eq(top(), 0, "stopei is 0 with nothing pending");
    check(!line(), "and the line is low");
    msi(0, 70);
    check(file_gets(70), "a store to the own page makes its identity pending");
    check(line(), "and the line high");
    msi(0, 9);
    msi(0, 255);
    check(file_gets(255) && file_gets(9), "others as well");
    check_eq(top(), both(9), "the lowest identity is first");
    check_eq(top(), both(9), "a read does not claim it");
    check_eq(take(), both(9), "a swap does");
    check_eq(take(), both(70), "then the next");
    CSR_WRITE(CSR_STOPEI, 0);
    check_eq(imsic_read(IMSIC_EIP(3)), 0, "a write claims as well");
    check_eq(take(), 0, "then there is none");
    check(!line(), "and the line is low");
    for (unsigned i = 0; i < 5; i++)
        msi(0, 33);
    check_eq(take(), both(33), "one that comes five times");
    check_eq(take(), 0, "is one");
}

static void check_file_masks(void)
{
    file_clear();
    msi(0, 20);
    imsic_write(IMSIC_EITHRESHOLD, 20);
    check(file_gets(20) && !line(), "the threshold masks its own identity");
    check_eq(top(), 0, "for stopei too");
    imsic_write(IMSIC_EITHRESHOLD, 21);
    check(line() && top() == both(20), "and lets lower ones pass");
    imsic_write(IMSIC_EITHRESHOLD, 0);
    imsic_write(IMSIC_EIE(0), ~(1ul << 20));
    check(!line() && top() == 0, "one that is not enabled does not count");
    imsic_write(IMSIC_EIE(0), ~0ul);
    check(line(), "until it is");
    imsic_write(IMSIC_EIDELIVERY, 0);
    check(!line(), "without delivery there is no line");
    check_eq(top(), both(20), "but stopei");
    imsic_write(IMSIC_EIDELIVERY, 1);
    check(line(), "delivery brings it back");
    if (hardware)
        check_eq(CSR_READ(CSR_STOPI) >> 16, 0, "stopi is 0 while sie masks it");
    CSR_SET(sie, SIE_SEIE);
    check_eq(CSR_READ(CSR_STOPI) >> 16, 9, "and else names the external interrupt");
    CSR_SET(sip, SIE_SSIE);
    check_eq(CSR_READ(CSR_STOPI) >> 16, 9, "which is before the software's");
    take();
    check_eq(CSR_READ(CSR_STOPI) >> 16, 1, "which is then left");
    CSR_CLR(sip, SIE_SSIE);
    check_eq(CSR_READ(CSR_STOPI), 0, "until it is cleared");
}

static void check_file_bad(void)
{
    file_clear();
    msi(0, 0);
    msi(0, ID_MAX + 1);
    msi(0, ~0u);
    settle();
    check_eq(imsic_read(IMSIC_EIP(0)) | imsic_read(IMSIC_EIP(1)) | imsic_read(IMSIC_EIP(2)) |
                 imsic_read(IMSIC_EIP(3)),
             0, "identities that there are not go nowhere");
    check_eq(mmio_read(imsic_page(0)), 0, "the page reads as zero");
}

/* --- The APLIC --- */

static void source_mode(unsigned source, unsigned mode)
{
    mmio_write(APLIC_SOURCECFG(source), APLIC_INACTIVE);
    mmio_write(APLIC_SOURCECFG(source), mode);
    mmio_write(APLIC_TARGET(source), (uint32_t)hart_of(0) << 18 | source);
}

static bool aplic_bit(uint64_t word, unsigned source)
{
    return mmio_read(word + source / 32 * 4) >> source % 32 & 1;
}

static bool aplic_pending(unsigned source)
{
    return aplic_bit(APLIC_SETIP(0), source);
}

/* Sent, and taken out of the file. */
static bool sent(unsigned identity)
{
    bool was = file_gets(identity);

    file_clear();
    return was;
}

static bool silent(void)
{
    settle();
    return top() == 0;
}

static void check_domain(void)
{
    mmio_write(APLIC_DOMAINCFG, 0x104);
    check_eq(mmio_read(APLIC_DOMAINCFG), 0x80000104, "the domain is on, and delivers by MSI");
    mmio_write(APLIC_SOURCECFG(BARE), APLIC_INACTIVE);
    mmio_write(APLIC_SETIENUM, BARE);
    mmio_write(APLIC_SETIPNUM, BARE);
    mmio_write(APLIC_TARGET(BARE), 77);
    check(!aplic_bit(APLIC_SETIE(0), BARE) && !aplic_pending(BARE),
          "an inactive source can be neither enabled nor pending");
    check_eq(mmio_read(APLIC_TARGET(BARE)), 0, "and has no target");
    mmio_write(APLIC_SOURCECFG(BARE), 2);
    check_eq(mmio_read(APLIC_SOURCECFG(BARE)), 0, "a reserved mode is inactive");
    mmio_write(APLIC_SOURCECFG(BARE), 0x400);
    check_eq(mmio_read(APLIC_SOURCECFG(BARE)), 0, "a leaf domain does not delegate");
    source_mode(BARE, APLIC_DETACHED);
    check_eq(mmio_read(APLIC_SOURCECFG(BARE)), APLIC_DETACHED, "a detached source is active");
    check_eq(mmio_read(APLIC_TARGET(BARE)), (uint32_t)hart_of(0) << 18 | BARE,
             "and has a hart and an identity");
}

static void check_detached(void)
{
    file_clear();
    source_mode(BARE, APLIC_DETACHED);
    mmio_write(APLIC_SETIPNUM, BARE);
    check(aplic_pending(BARE) && silent(), "pending and disabled nothing is sent");
    mmio_write(APLIC_SETIENUM, BARE);
    check(sent(BARE), "enabled it is");
    check(!aplic_pending(BARE), "and is pending no more");
    mmio_write(APLIC_SETIPNUM_LE, BARE);
    check(sent(BARE), "setipnum_le sends as well");
    mmio_write(APLIC_SETIP(BARE / 32), 1u << BARE % 32);
    check(sent(BARE), "so does setip");
    mmio_write(APLIC_CLRIENUM, BARE);
    check(!aplic_bit(APLIC_SETIE(0), BARE), "clrienum disables");
    mmio_write(APLIC_SETIE(BARE / 32), 1u << BARE % 32);
    check(aplic_bit(APLIC_SETIE(0), BARE), "setie enables");
    mmio_write(APLIC_CLRIE(BARE / 32), 1u << BARE % 32);
    mmio_write(APLIC_SETIPNUM, BARE);
    mmio_write(APLIC_CLRIPNUM, BARE);
    check(!aplic_pending(BARE), "clripnum takes it back");
    mmio_write(APLIC_SETIPNUM, BARE);
    mmio_write(APLIC_IN_CLRIP(BARE / 32), 1u << BARE % 32);
    check(!aplic_pending(BARE), "so does in_clrip");
    mmio_write(APLIC_DOMAINCFG, 4);
    mmio_write(APLIC_SETIENUM, BARE);
    mmio_write(APLIC_SETIPNUM, BARE);
    check(aplic_pending(BARE) && silent(), "a domain that is off sends nothing");
    mmio_write(APLIC_DOMAINCFG, 0x104);
    check(sent(BARE), "until it is on");
    mmio_write(APLIC_GENMSI, (uint32_t)hart_of(0) << 18 | 99);
    check(sent(99), "genmsi sends any identity");
    mmio_write(APLIC_CLRIENUM, BARE);
}

static void check_edges(bool rising)
{
    print("# %s edge\n", rising ? "rising" : "falling");
    wire(!rising);
    source_mode(SOURCE, rising ? APLIC_EDGE1 : APLIC_EDGE0);
    mmio_write(APLIC_CLRIPNUM, SOURCE);
    mmio_write(APLIC_SETIENUM, SOURCE);
    file_clear();
    check(silent(), "no edge, no message");
    wire(rising);
    check(sent(SOURCE), "an edge sends one");
    check(aplic_bit(APLIC_IN_CLRIP(0), SOURCE), "the rectified input is high");
    check(silent(), "the level after it does not");
    wire(!rising);
    check(silent(), "nor does the other edge");
    check(!aplic_bit(APLIC_IN_CLRIP(0), SOURCE), "the rectified input is low");
    wire(rising);
    check(sent(SOURCE), "the next edge does");
    mmio_write(APLIC_SETIPNUM, SOURCE);
    check(sent(SOURCE), "and so does software");
    mmio_write(APLIC_CLRIENUM, SOURCE);
    wire(!rising);
    wire(rising);
    wire(!rising);
    check(aplic_pending(SOURCE), "an edge is kept while the source is disabled");
    mmio_write(APLIC_SETIENUM, SOURCE);
    check(sent(SOURCE), "and sent when it is enabled");
    wire(false);
}

static void check_levels(bool high)
{
    print("# %s level\n", high ? "high" : "low");
    wire(!high);
    source_mode(SOURCE, high ? APLIC_LEVEL1 : APLIC_LEVEL0);
    mmio_write(APLIC_SETIENUM, SOURCE);
    file_clear();
    check(silent(), "no level, no message");
    mmio_write(APLIC_SETIPNUM, SOURCE);
    check(!aplic_pending(SOURCE) && silent(), "software cannot make it pending");
    wire(high);
    check(sent(SOURCE), "a level sends one");
    check(!aplic_pending(SOURCE) && silent(), "and no more while it lasts");
    mmio_write(APLIC_SETIPNUM, SOURCE);
    check(sent(SOURCE), "until software asks again");
    wire(!high);
    mmio_write(APLIC_SETIPNUM, SOURCE);
    check(silent(), "which does nothing when it is over");
    mmio_write(APLIC_CLRIENUM, SOURCE);
    wire(high);
    check(aplic_pending(SOURCE), "while disabled it is pending");
    wire(!high);
    check(!aplic_pending(SOURCE), "as long as the level is there");
    mmio_write(APLIC_SETIENUM, SOURCE);
    check(silent(), "and not sent afterwards");
    wire(false);
}

/* --- Delivery, and other harts --- */

static void check_delivery(void)
{
    unsigned lost = 0, wrong = 0;

    file_clear();
    irq_handler = irq_count;
    CSR_SET(sie, SIE_SEIE);
    irq_enable();
    for (unsigned i = 0; i < rounds && lost == 0; i++) {
        unsigned identity = 100 + i % 100, before = LOAD(taken[0][identity]);

        msi(0, identity);
        lost += !WAIT_FOR(LOAD(taken[0][identity]) == before + 1, LATE_MS);
    }
    settle();
    for (unsigned identity = 100; identity < 200; identity++)
        wrong += taken[0][identity];
    check_eq(lost, 0, "each MSI to oneself is taken");
    check_eq(wrong, rounds, "once");
    irq_disable();
}

static unsigned from_others;

static void send_to_first(void)
{
    unsigned self = cpu_id();

    for (unsigned i = 0; i < rounds; i++) {
        unsigned before = LOAD(taken[0][200 + self]);

        msi(0, 200 + self);
        if (!WAIT_FOR(LOAD(taken[0][200 + self]) != before, LATE_MS))
            ADD(from_others, 1);
    }
}

static void take_interrupts(void)
{
    irq_enable();
}

static void check_harts(unsigned cpus)
{
    unsigned lost = 0;

    check(cpus_run(cpus, take_interrupts), "all harts take interrupts");
    for (unsigned i = 0; i < rounds && lost == 0; i++) {
        unsigned cpu = 1 + i % (cpus - 1), before = LOAD(taken[cpu][60]);

        msi(cpu, 60);
        lost += !WAIT_FOR(LOAD(taken[cpu][60]) == before + 1, LATE_MS);
    }
    check_eq(lost, 0, "a store to another hart's page interrupts that hart");
    check_eq(taken[0][60], 0, "and not this one");
    irq_enable();
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        cpu_call(cpu, send_to_first);
    for (unsigned cpu = 1; cpu < cpus; cpu++)
        lost += !cpu_join(cpu);
    check_eq(lost + from_others, 0, "others' stores to this hart's page interrupt this one");
    source_mode(BARE, APLIC_DETACHED);
    mmio_write(APLIC_TARGET(BARE), (uint32_t)hart_of(1) << 18 | 61);
    mmio_write(APLIC_SETIENUM, BARE);
    mmio_write(APLIC_SETIPNUM, BARE);
    check(WAIT_FOR(LOAD(taken[1][61]) == 1, LATE_MS), "a source goes to the hart of its target");
    mmio_write(APLIC_GENMSI, (uint32_t)hart_of(1) << 18 | 62);
    check(WAIT_FOR(LOAD(taken[1][62]) == 1, LATE_MS), "and so does genmsi");
    mmio_write(APLIC_TARGET(BARE), 1000u << 18 | 63);
    mmio_write(APLIC_SETIPNUM, BARE);
    settle();
    check_eq(taken[0][63] + taken[1][63], 0, "a hart that there is not gets nothing");
    irq_disable();
}

void guest_main(void)
{
    unsigned cpus;

    rounds = (unsigned)machine_argument("rounds", 300);
    hardware = machine_argument("hardware", 0) != 0;
    check(has_aia, "the machine has an AIA");
    CSR_CLR(sie, SIE_SEIE);
    check_file_registers();
    check_file_top();
    check_file_masks();
    check_file_bad();
    check_domain();
    check_detached();
    check_edges(true);
    check_edges(false);
    check_levels(true);
    check_levels(false);
    check_delivery();
    cpus = cpus_start(machine_cpu_count());
    if (cpus > 1)
        check_harts(cpus);
}
