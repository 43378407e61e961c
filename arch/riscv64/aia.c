/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Advanced Interrupt Architecture: an IMSIC on each hart, to which all interrupts come as
 * messages, and an APLIC that turns wires into messages. An interrupt file's identity 1 is our IPI,
 * identity n + 1 is source n of the APLIC. [RISC-V AIA: Incoming MSI Controller; Advanced PLIC]
 */
#include "arch/riscv64/csr.h"
#include "arch/riscv64/irqchip.h"
#include "kernel/assert.h"
#include "kernel/ipi.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/platform.h"
#include "mm/hostmap.h"
#include "vcpu/arch_vcpu.h"

#define APLIC_DOMAINCFG    0x0000u
#define APLIC_SOURCECFG(i) (0x0004u + 4u * ((i)-1))
#define APLIC_SETIENUM     0x1edcu
#define APLIC_CLRIE(k)     (0x1f00u + 4u * (k))
#define APLIC_SETIPNUM_LE  0x2000u
#define APLIC_TARGET(i)    (0x3004u + 4u * ((i)-1))

#define DOMAINCFG_IE       BIT(8)
#define DOMAINCFG_DM       BIT(2) /* Delivery by messages. */
#define DOMAINCFG_BE       BIT(0)
#define SM_EDGE            4u
#define SM_LEVEL           6u
#define TARGET_HART        BITS(31, 18)
#define TARGET_EIID        BITS(10, 0)

/* Registers of an interrupt file, by siselect or vsiselect. */
#define SELECT_EIDELIVERY  0x70u
#define SELECT_EITHRESHOLD 0x72u
#define SELECT_EIP0        0x80u
#define SELECT_EIE0        0xc0u

#define TOPEI_ID           BITS(26, 16)

#define ID_IPI             1u
#define ID_SOURCE(i)       ((i) + 1)

static volatile char *aplic; /* NULL: messages only. */
static uint32_t aplic_end;
static uint64_t
    aplic_level[ARCH_IRQ_GUEST_FILE / 64 + 1]; /* Bit n: source n follows its wire's level. */

static void imsic_write(uint64_t select, uint64_t value)
{
    csr_write("siselect", select);
    csr_write("sireg", value);
}

static void imsic_enable(uint32_t id)
{
    csr_write("siselect", SELECT_EIE0 + id / 64 * 2); /* Even ones only, of 64 bits each. */
    csr_set("sireg", BIT(id % 64));
}

static void aplic_reset(void)
{
    arch_write32(aplic + APLIC_DOMAINCFG, 0);
    if (arch_read32(aplic + APLIC_DOMAINCFG) & DOMAINCFG_BE)
        log_warn("the APLIC is big-endian");
    for (uint32_t irq = 0; irq < aplic_end; irq += 32)
        arch_write32(aplic + APLIC_CLRIE(irq / 32), ~0u);
    for (uint32_t irq = 1; irq < aplic_end; irq++)
        arch_write32(aplic + APLIC_SOURCECFG(irq), 0);
    arch_write32(aplic + APLIC_DOMAINCFG, DOMAINCFG_IE | DOMAINCFG_DM);
}

enum err aia_init(const struct platform *platform)
{
    volatile void *regs;

    if (platform->aplic == 0)
        return OK;
    TRY(hostmap_device(platform->aplic, platform->aplic_size, &regs));
    aplic = regs;
    aplic_end = MIN(platform->aplic_sources + 1, ARCH_IRQ_GUEST_FILE);
    aplic_end = MIN(aplic_end, platform->imsic_ids); /* The last source has the last identity. */
    aplic_reset();
    if (!(arch_read32(aplic + APLIC_DOMAINCFG) & DOMAINCFG_DM)) {
        log_error("the APLIC cannot send messages");
        return E_UNSUPPORTED;
    }
    return OK;
}

enum err aia_init_cpu(struct pcpu *cpu)
{
    uint64_t page = platform.cpus[cpu->id].imsic;
    volatile void *regs;

    if (page == 0) {
        log_error("cpu%u: no IMSIC belongs to it", cpu->id);
        return E_ABSENT;
    }
    TRY(hostmap_device(page, PAGE_SIZE, &regs));
    cpu->arch.imsic = regs;
    imsic_write(SELECT_EIDELIVERY, 0);
    for (uint32_t id = 0; id <= platform.imsic_ids; id += 64) {
        imsic_write(SELECT_EIE0 + id / 64 * 2, 0);
        imsic_write(SELECT_EIP0 + id / 64 * 2, 0);
    }
    imsic_enable(ID_IPI);
    imsic_write(SELECT_EITHRESHOLD, 0);
    imsic_write(SELECT_EIDELIVERY, 1);
    return OK;
}

enum err aia_enable(uint32_t irq, enum irq_trigger trigger)
{
    uint32_t hart = platform.cpus[this_cpu()->id].aplic_hart;

    if (irq == 0 || irq >= aplic_end)
        return E_RANGE;
    if (trigger == IRQ_LEVEL)
        aplic_level[irq / 64] |= BIT(irq % 64);
    arch_write32(aplic + APLIC_SOURCECFG(irq), trigger == IRQ_LEVEL ? SM_LEVEL : SM_EDGE);
    arch_write32(aplic + APLIC_TARGET(irq),
                 (uint32_t)(field_put(TARGET_HART, hart) | field_put(TARGET_EIID, ID_SOURCE(irq))));
    imsic_enable(ID_SOURCE(irq));
    arch_write32(aplic + APLIC_SETIENUM, irq);
    return OK;
}

/* Reading and writing stopei at once takes what was read [Top external interrupt CSRs]. */
uint32_t aia_claim(void)
{
    for (;;) {
        uint32_t id = (uint32_t)field_get(TOPEI_ID, csr_swap("stopei", 0));

        if (id != ID_IPI)
            return id ? id - 1 : 0;
        ipi_taken();
    }
}

/*
 * A wire that is still up has sent its one message: setting it pending again sends another, and
 * does nothing when the wire is down [Special consideration for level-sensitive interrupt sources].
 */
void aia_end(uint32_t irq)
{
    if (aplic_level[irq / 64] & BIT(irq % 64))
        arch_write32(aplic + APLIC_SETIPNUM_LE, irq);
}

void aia_ipi_send(const struct pcpu *cpu)
{
    arch_write32(cpu->arch.imsic, ID_IPI);
}

/* --- Guest interrupt files of this hart; hstatus.VGEIN says which vsiselect reaches. --- */

static uint64_t guest_file_select(unsigned file)
{
    uint64_t hstatus = csr_read("hstatus");

    csr_write("hstatus", field_set(HSTATUS_VGEIN, hstatus, file));
    return hstatus;
}

static void guest_file_write(uint64_t select, uint64_t value)
{
    csr_write("vsiselect", select);
    csr_write("vsireg", value);
}

static uint64_t guest_file_read(uint64_t select)
{
    csr_write("vsiselect", select);
    return csr_read("vsireg");
}

void arch_guest_file_read(unsigned file, struct arch_guest_file *contents)
{
    uint64_t hstatus, select;

    assert(file >= 1 && file <= virt_caps.guest_files);
    *contents = (struct arch_guest_file){};
    hstatus = guest_file_select(file);
    select = csr_read("vsiselect");
    contents->delivery = guest_file_read(SELECT_EIDELIVERY);
    contents->threshold = guest_file_read(SELECT_EITHRESHOLD);
    for (uint32_t id = 0; id <= platform.imsic_ids; id += 64) {
        contents->enabled[id / 64] = guest_file_read(SELECT_EIE0 + id / 64 * 2);
        contents->pending[id / 64] = guest_file_read(SELECT_EIP0 + id / 64 * 2);
    }
    csr_write("vsiselect", select);
    csr_write("hstatus", hstatus);
}

/* Off while it changes. */
void arch_guest_file_write(unsigned file, const struct arch_guest_file *contents)
{
    uint64_t hstatus, select;

    assert(file >= 1 && file <= virt_caps.guest_files);
    hstatus = guest_file_select(file);
    select = csr_read("vsiselect");
    guest_file_write(SELECT_EIDELIVERY, 0);
    for (uint32_t id = 0; id <= platform.imsic_ids; id += 64) {
        guest_file_write(SELECT_EIE0 + id / 64 * 2, contents->enabled[id / 64]);
        guest_file_write(SELECT_EIP0 + id / 64 * 2, contents->pending[id / 64]);
    }
    guest_file_write(SELECT_EITHRESHOLD, contents->threshold);
    guest_file_write(SELECT_EIDELIVERY, contents->delivery);
    csr_write("vsiselect", select);
    csr_write("hstatus", hstatus);
}

void arch_guest_file_watch(unsigned file, bool on)
{
    if (on)
        csr_set("hgeie", BIT(file));
    else
        csr_clear("hgeie", BIT(file));
}

bool arch_guest_file_pending(unsigned file)
{
    return csr_read("hgeip") & BIT(file);
}
