/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the benchmark that are riscv64's: a claim, an end, an MSI; and what interrupts. */
#include "riscv.h"

#define UART_IER (UART_BASE + 1)

struct bench_pair {
    uint64_t at, tick;
};

uint64_t bench_spin(void);
uint64_t bench_wait(void);
struct bench_pair bench_self_ipi(uint64_t a, uint64_t b, uint64_t hart);
extern uint64_t bench_scale;

uint64_t bench_spin_until(uint64_t deadline)
{
    uint64_t at;

    timer_set(deadline);
    at = bench_spin();
    timer_off();
    irq_enable();
    return at - deadline * bench_scale;
}

uint64_t bench_wait_until(uint64_t deadline)
{
    uint64_t at;

    timer_set(deadline);
    at = bench_wait();
    timer_off();
    irq_enable();
    return at - deadline * bench_scale;
}

/* One instruction between the tick and the one that sends. */
uint64_t bench_ipi(void)
{
    struct bench_pair pair = bench_self_ipi(0, 0, hart_of(cpu_id()));

    CSR_CLR(sip, SIE_SSIE);
    irq_enable();
    return pair.at - pair.tick - 1;
}

/* The transmitter is empty: a source that is there as soon as the UART may tell. */
static uint64_t plic_claim(uint64_t address)
{
    uint64_t start, took;

    mmio_write8(UART_IER, 2);
    start = bench_start();
    mmio_read(address);
    took = bench_stop() - start;
    mmio_write8(UART_IER, 0);
    mmio_write(address, UART_SOURCE);
    return took;
}

static uint64_t plic_complete(uint64_t address)
{
    uint64_t start, took;

    mmio_write8(UART_IER, 2);
    mmio_read(address);
    mmio_write8(UART_IER, 0);
    start = bench_start();
    mmio_write(address, UART_SOURCE);
    took = bench_stop() - start;
    return took;
}

static uint64_t imsic_claim(uint64_t page)
{
    uint64_t start;

    mmio_write(page, 200);
    start = bench_start();
    CSR_SWAP(CSR_STOPEI, 0);
    return bench_stop() - start;
}

static uint64_t imsic_msi(uint64_t page)
{
    uint64_t start, took;

    start = bench_start();
    mmio_write(page, 200);
    took = bench_stop() - start;
    CSR_SWAP(CSR_STOPEI, 0);
    return took;
}

const struct bench_row *bench_rows(void)
{
    static struct bench_row plic[] = {
        {"plic-claim", plic_claim, 0},
        {"plic-complete", plic_complete, 0},
        {"plic-enable", bench_read, 0},
        {"plic-pending", bench_read, PLIC_PENDING},
        {NULL, NULL, 0},
    };
    static struct bench_row aia[] = {
        {"imsic-claim", imsic_claim, 0},
        {"imsic-msi", imsic_msi, 0},
        {"aplic-setie", bench_read, APLIC_SETIE(0)},
        {NULL, NULL, 0},
    };

    if (has_aia) {
        aia[0].argument = aia[1].argument = imsic_page(0);
        return aia;
    }
    irq_line_enable(UART_IRQ);
    plic[0].argument = plic[1].argument = PLIC_CLAIM(hart_of(0));
    plic[2].argument = PLIC_ENABLE(hart_of(0));
    return plic;
}
