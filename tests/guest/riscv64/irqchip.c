/* SPDX-License-Identifier: Apache-2.0 */
/*
 * External interrupts of a riscv64 guest: by a PLIC [RISC-V PLIC Specification 1.0.0], or by APLIC
 * and IMSIC [RISC-V AIA 1.0], as the device tree says. Sources go to CPU 0, unless a guest changes
 * that.
 */
#include "riscv.h"

#define SOURCES 95u /* Of a PLIC here; there are more on QEMU's own AIA. */

bool has_aia;

static void plic_enable(unsigned source, bool on)
{
    uint64_t at = PLIC_ENABLE(hart_of(cpu_id())) + source / 32 * 4;
    uint32_t bit = 1u << source % 32;

    mmio_write(at, on ? mmio_read(at) | bit : mmio_read(at) & ~bit);
}

void irq_line_enable(unsigned irq)
{
    if (irq < IRQ_SOURCE)
        CSR_SET(sie, 1ul << irq);
    else if (has_aia)
        mmio_write(APLIC_SETIENUM, irq - IRQ_SOURCE);
    else
        plic_enable(irq - IRQ_SOURCE, true);
}

void irq_line_disable(unsigned irq)
{
    if (irq < IRQ_SOURCE)
        CSR_CLR(sie, 1ul << irq);
    else if (has_aia)
        mmio_write(APLIC_CLRIENUM, irq - IRQ_SOURCE);
    else
        plic_enable(irq - IRQ_SOURCE, false);
}

unsigned external_claim(void)
{
    if (has_aia)
        return (unsigned)(CSR_SWAP(CSR_STOPEI, 0) >> 16);
    return mmio_read(PLIC_CLAIM(hart_of(cpu_id())));
}

/* A level that is still there is sent again [AIA, Precise effects on interrupt-pending bits]. */
void external_end(unsigned source)
{
    if (has_aia)
        mmio_write(APLIC_SETIPNUM, source);
    else
        mmio_write(PLIC_CLAIM(hart_of(cpu_id())), source);
}

void irqchip_setup_first(void)
{
    has_aia = fdt_find("plic@", "reg", NULL) == NULL;
    for (unsigned source = 1; source <= SOURCES; source++) {
        if (has_aia) {
            mmio_write(APLIC_SOURCECFG(source), APLIC_LEVEL1);
            mmio_write(APLIC_TARGET(source), (uint32_t)hart_of(0) << 18 | source);
            mmio_write(APLIC_CLRIENUM, source);
        } else {
            mmio_write(PLIC_PRIORITY(source), 1);
        }
    }
    if (has_aia)
        mmio_write(APLIC_DOMAINCFG, 0x104); /* By MSI, on. */
}

/* This hart's: nothing of the PLIC, every identity of the IMSIC. */
void irqchip_setup(void)
{
    uint64_t hart = hart_of(cpu_id());

    if (!has_aia) {
        for (unsigned source = 0; source <= SOURCES; source += 32)
            mmio_write(PLIC_ENABLE(hart) + source / 8, 0);
        mmio_write(PLIC_THRESHOLD(hart), 0);
        return;
    }
    imsic_write(IMSIC_EIDELIVERY, 1);
    imsic_write(IMSIC_EITHRESHOLD, 0);
    for (unsigned word = 0; word < 4; word++)
        imsic_write(IMSIC_EIE(word), ~0ull);
}
