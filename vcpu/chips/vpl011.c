/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model of ARM's PL011 UART. [ARM DDI0183G: PrimeCell UART (PL011) Technical Reference Manual]
 *
 * Transmission takes no time: the transmit FIFO is always empty, and each character sent makes the
 * level pass its trigger, which is when the transmit interrupt is raised [2.8.3]. Reception: the
 * line counts as idle after every character, so the receive timeout is raised at once [2.8.4].
 * As on QEMU the UART sends and receives also while CR says that it is off: small guests rely on
 * it.
 *
 * Invariants: fifo_count <= depth of the FIFO; fifo_count <= queue_count <= VPL011_QUEUE; fr and
 * the interrupt wire agree with the rest of the state whenever the lock is free. The lock
 * (RANK_DEVICE) guards the state: input comes from another pCPU.
 */
#include "vcpu/chips/vpl011.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/state.h"

/* Registers [3.2]. */
#define DR         0x000
#define RSR        0x004 /* ECR for writes. */
#define FR         0x018
#define ILPR       0x020
#define IBRD       0x024
#define FBRD       0x028
#define LCR_H      0x02c
#define CR         0x030
#define IFLS       0x034
#define IMSC       0x038
#define RIS        0x03c
#define MIS        0x040
#define ICR        0x044
#define DMACR      0x048
#define ID         0xfe0 /* PeriphID0-3, PCellID0-3. */

#define DR_OE      BIT(11)
#define RSR_OE     BIT(3)
#define FR_TXFE    BIT(7)
#define FR_RXFF    BIT(6)
#define FR_RXFE    BIT(4)
#define FR_MODEM   (BIT(2) | BIT(1) | BIT(0)) /* DCD, DSR, CTS: a terminal is there. */
#define LCR_H_ALL  BITS(7, 0)
#define LCR_H_FEN  BIT(4)
#define CR_LBE     BIT(7)
#define CR_ALL     (BITS(15, 7) | BITS(2, 0))
#define CR_RESET   0x300u /* TXE, RXE. */
#define IFLS_RX    BITS(5, 3)
#define IFLS_ALL   BITS(5, 0)
#define IFLS_RESET 0x12u /* Both at half full. */

#define INT_OE     BIT(10)
#define INT_RT     BIT(6)
#define INT_TX     BIT(5)
#define INT_RX     BIT(4)
#define INT_ALL    BITS(10, 0)

/* Part 011, designer ARM (0x41), revision 1: a UART with 16-deep FIFOs [3.3.14]. */
static const uint8_t id_bytes[8] = {0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

static struct vpl011 *vpl011_of(struct vdev *dev)
{
    return container_of(dev, struct vpl011, vdev);
}

static uint32_t fifo_depth(const struct vpl011_state *s)
{
    return (s->lcr_h & LCR_H_FEN) ? VPL011_FIFO : 1;
}

/* Characters at which the receive interrupt is raised [3.3.9]. */
static uint32_t fifo_trigger(const struct vpl011_state *s)
{
    static const uint8_t sixteenths[8] = {2, 4, 8, 12, 14, 14, 14, 14};

    return (s->lcr_h & LCR_H_FEN) ? sixteenths[field_get(IFLS_RX, s->ifls)] : 1;
}

/* Brings FR and the wire in line with the state. The last step of every change. */
static void vpl011_update(struct vpl011 *uart)
{
    struct vpl011_state *s = &uart->state;
    uint32_t fr = FR_TXFE | FR_MODEM;
    bool level = (s->ris & s->imsc) != 0;

    if (s->fifo_count == 0)
        fr |= FR_RXFE;
    if (s->fifo_count >= fifo_depth(s))
        fr |= FR_RXFF;
    atomic_store_explicit(&s->fr, fr, memory_order_relaxed);
    if (level == s->level)
        return;
    s->level = level;
    if (uart->vdev.set_irq != NULL)
        uart->vdev.set_irq(&uart->vdev, level);
}

/* Moves what waits into the FIFO, as far as there is room; raises what an arrival raises. */
static void vpl011_refill(struct vpl011_state *s)
{
    uint32_t count = MIN(s->queue_count, fifo_depth(s));

    assert(s->queue_count <= VPL011_QUEUE);
    if (count <= s->fifo_count)
        return;
    s->fifo_count = count;
    s->ris |= INT_RT;
    if (count >= fifo_trigger(s))
        s->ris |= INT_RX;
}

static void vpl011_push(struct vpl011_state *s, uint8_t c)
{
    if (s->queue_count == VPL011_QUEUE) {
        s->overrun = true;
        s->ris |= INT_OE;
        return;
    }
    s->queue[(s->queue_head + s->queue_count) % VPL011_QUEUE] = c;
    s->queue_count++;
    vpl011_refill(s);
}

void vpl011_receive(struct vpl011 *uart, uint8_t c)
{
    lock_take(&uart->lock);
    vpl011_push(&uart->state, c);
    vpl011_update(uart);
    lock_drop(&uart->lock);
}

static void vpl011_input(struct console_port *port, char c)
{
    vpl011_receive(container_of(port, struct vpl011, port), (uint8_t)c);
}

static uint32_t vpl011_read_data(struct vpl011_state *s)
{
    uint32_t value;

    if (s->fifo_count == 0)
        return 0;
    value = s->queue[s->queue_head];
    s->queue_head = (s->queue_head + 1) % VPL011_QUEUE;
    s->queue_count--;
    s->fifo_count--;
    s->rsr = 0;
    if (s->overrun) {
        s->overrun = false;
        s->rsr = RSR_OE;
        value |= DR_OE;
    }
    if (s->fifo_count < fifo_trigger(s))
        s->ris &= ~INT_RX;
    s->ris = s->fifo_count == 0 ? s->ris & ~INT_RT : s->ris | INT_RT;
    vpl011_refill(s);
    return value;
}

static uint32_t vpl011_read_locked(struct vpl011_state *s, uint64_t offset)
{
    switch (offset) {
    case DR:
        return vpl011_read_data(s);
    case RSR:
        return s->rsr;
    case ILPR:
        return s->ilpr;
    case IBRD:
        return s->ibrd;
    case FBRD:
        return s->fbrd;
    case LCR_H:
        return s->lcr_h;
    case CR:
        return s->cr;
    case IFLS:
        return s->ifls;
    case IMSC:
        return s->imsc;
    case RIS:
        return s->ris;
    case MIS:
        return s->ris & s->imsc;
    case DMACR:
        return s->dmacr;
    default:
        return offset >= ID ? id_bytes[(offset - ID) / 4] : 0;
    }
}

static uint64_t vpl011_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                            [[maybe_unused]] unsigned width)
{
    struct vpl011 *uart = vpl011_of(dev);
    uint32_t value;

    if (likely(offset == FR))
        return atomic_load_explicit(&uart->state.fr, memory_order_relaxed);
    if (offset % 4 != 0)
        return 0; /* The upper bytes of a register, asked for alone. */
    lock_take(&uart->lock);
    value = vpl011_read_locked(&uart->state, offset);
    vpl011_update(uart);
    lock_drop(&uart->lock);
    return value;
}

static void vpl011_write_data(struct vpl011 *uart, uint8_t c)
{
    struct vpl011_state *s = &uart->state;

    if (s->cr & CR_LBE)
        vpl011_push(s, c);
    else
        console_write(&uart->port, (const char *)&c, 1);
    s->ris |= INT_TX;
}

/* FEN decides the FIFO's depth; turned off, the FIFO keeps one character, the others wait. */
static void vpl011_write_lcr_h(struct vpl011_state *s, uint32_t value)
{
    s->lcr_h = value & LCR_H_ALL;
    s->fifo_count = MIN(s->fifo_count, fifo_depth(s));
    vpl011_refill(s);
}

static void vpl011_write_locked(struct vpl011 *uart, uint64_t offset, uint32_t value)
{
    struct vpl011_state *s = &uart->state;

    switch (offset) {
    case DR:
        vpl011_write_data(uart, (uint8_t)value);
        break;
    case RSR:
        s->rsr = 0;
        break;
    case ILPR:
        s->ilpr = value & BITS(7, 0);
        break;
    case IBRD:
        s->ibrd = value & BITS(15, 0);
        break;
    case FBRD:
        s->fbrd = value & BITS(5, 0);
        break;
    case LCR_H:
        vpl011_write_lcr_h(s, value);
        break;
    case CR:
        s->cr = value & CR_ALL;
        break;
    case IFLS:
        s->ifls = value & IFLS_ALL;
        break;
    case IMSC:
        s->imsc = value & INT_ALL;
        break;
    case ICR:
        s->ris &= ~(value & INT_ALL);
        break;
    case DMACR:
        s->dmacr = value & BITS(2, 0);
        break;
    default: /* Read-only or reserved: ignored. */
        break;
    }
}

static void vpl011_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                         [[maybe_unused]] unsigned width, uint64_t value)
{
    struct vpl011 *uart = vpl011_of(dev);

    lock_take(&uart->lock);
    vpl011_write_locked(uart, offset, (uint32_t)value);
    vpl011_update(uart);
    lock_drop(&uart->lock);
}

static void vpl011_reset_locked(struct vpl011 *uart)
{
    struct vpl011_state *s = &uart->state;
    bool level = s->level;

    memset(s, 0, sizeof(*s));
    s->cr = CR_RESET;
    s->ifls = IFLS_RESET;
    s->level = level; /* vpl011_update() drops the wire if it was up. */
    vpl011_update(uart);
}

static void vpl011_reset(struct vdev *dev)
{
    struct vpl011 *uart = vpl011_of(dev);

    lock_take(&uart->lock);
    vpl011_reset_locked(uart);
    lock_drop(&uart->lock);
}

/* --- Snapshots --- */

static void vpl011_registers(struct vpl011_state *u, struct state *s)
{
    STATE(s, u->rsr);
    STATE(s, u->ilpr);
    STATE(s, u->ibrd);
    STATE(s, u->fbrd);
    STATE(s, u->lcr_h);
    STATE(s, u->cr);
    STATE(s, u->ifls);
    STATE(s, u->imsc);
    STATE(s, u->ris);
    STATE(s, u->dmacr);
    STATE(s, u->overrun);
    state_require(s,
                  !(u->rsr & ~RSR_OE) && !(u->lcr_h & ~LCR_H_ALL) && !(u->cr & ~CR_ALL) &&
                      !(u->ifls & ~IFLS_ALL) && !((u->imsc | u->ris) & ~INT_ALL),
                  "bits that the registers do not have");
}

/* What is in the queue, the oldest first. */
static void vpl011_typed(struct vpl011_state *u, struct state *s)
{
    STATE(s, u->fifo_count);
    STATE(s, u->queue_count);
    state_require(s,
                  u->queue_count <= VPL011_QUEUE && u->fifo_count <= fifo_depth(u) &&
                      u->fifo_count <= u->queue_count,
                  "more characters than there is room for");
    if (state_loading(s))
        u->queue_head = 0;
    for (uint32_t i = 0; i < u->queue_count && state_ok(s); i++)
        STATE(s, u->queue[(u->queue_head + i) % VPL011_QUEUE]);
}

static void vpl011_state(struct vdev *dev, struct state *s)
{
    struct vpl011 *uart = vpl011_of(dev);

    lock_take(&uart->lock);
    state_section(s, "pl011", 1);
    vpl011_registers(&uart->state, s);
    vpl011_typed(&uart->state, s);
    if (state_loading(s) && !state_ok(s))
        vpl011_reset_locked(uart);
    vpl011_update(uart);
    lock_drop(&uart->lock);
}

static const struct vdev_ops vpl011_ops = {
    .name = "pl011",
    .read = vpl011_read,
    .write = vpl011_write,
    .reset = vpl011_reset,
    .state = vpl011_state,
};

void vpl011_init(struct vpl011 *uart, uint64_t base, uint32_t irq)
{
    memset(uart, 0, sizeof(*uart));
    uart->vdev = (struct vdev){.ops = &vpl011_ops, .base = base, .size = VPL011_SIZE, .irq = irq};
    uart->port.input = vpl011_input;
    lock_init(&uart->lock, RANK_DEVICE, "vpl011");
    vpl011_reset(&uart->vdev);
}
