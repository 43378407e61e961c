/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model of the 16550A UART. [National Semiconductor PC16550D data sheet, June 1995; sections of
 * chapter 8]
 *
 * Transmission takes no time: the transmitter is always empty, and each character sent raises the
 * transmit interrupt anew. Reception: the line counts as idle after every character, so the
 * character timeout is there as long as the FIFO holds something below its trigger [8.6.2].
 *
 * Invariants: fifo_count <= depth of the FIFO; fifo_count <= queue_count <= VNS16550_QUEUE; lsr and
 * the interrupt wire agree with the rest of the state whenever the lock is free. The lock
 * (RANK_DEVICE) guards the state: input comes from another pCPU.
 */
#include "vcpu/chips/vns16550.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "vcpu/state.h"

/* Registers [8.0]. */
#define RBR          0 /* THR for writes; DLL with DLAB. */
#define IER          1 /* DLM with DLAB. */
#define IIR          2 /* FCR for writes. */
#define LCR          3
#define MCR          4
#define LSR          5
#define MSR          6
#define SCR          7

#define IER_RX       BIT(0)
#define IER_TX       BIT(1)
#define IER_LINE     BIT(2)
#define IER_MODEM    BIT(3)
#define IIR_NONE     0x01u
#define IIR_MODEM    0x00u
#define IIR_TX       0x02u
#define IIR_RX       0x04u
#define IIR_LINE     0x06u
#define IIR_TIMEOUT  0x0cu
#define IIR_FIFO     0xc0u
#define FCR_ENABLE   BIT(0)
#define FCR_CLEAR_RX BIT(1)
#define FCR_TRIGGER  BITS(7, 6)
#define LCR_DLAB     BIT(7)
#define MCR_DTR      BIT(0)
#define MCR_RTS      BIT(1)
#define MCR_OUT1     BIT(2)
#define MCR_OUT2     BIT(3)
#define MCR_LOOP     BIT(4)
#define LSR_DR       BIT(0)
#define LSR_OE       BIT(1)
#define LSR_EMPTY    (BIT(6) | BIT(5)) /* Shift and holding registers of the transmitter. */
#define MSR_CTS      BIT(4)
#define MSR_DSR      BIT(5)
#define MSR_RI       BIT(6)
#define MSR_DCD      BIT(7)
#define MSR_LINES    BITS(7, 4)
#define MSR_CHANGES  BITS(3, 0)
#define DIVISOR      12u /* 9600 baud of 1.8432 MHz: no more than a plausible value. */

static struct vns16550 *vns16550_of(struct vdev *dev)
{
    return container_of(dev, struct vns16550, vdev);
}

static uint32_t fifo_depth(const struct vns16550_state *s)
{
    return s->fcr & FCR_ENABLE ? VNS16550_FIFO : 1;
}

/* Characters at which the receive interrupt is raised [8.4]. */
static uint32_t fifo_trigger(const struct vns16550_state *s)
{
    static const uint8_t triggers[4] = {1, 4, 8, 14};

    return s->fcr & FCR_ENABLE ? triggers[field_get(FCR_TRIGGER, s->fcr)] : 1;
}

static uint32_t vns16550_lsr(const struct vns16550_state *s)
{
    return atomic_load_explicit(&s->lsr, memory_order_relaxed);
}

/* The most urgent interrupt that is raised and enabled [8.6, table III]. */
static uint8_t vns16550_iir(const struct vns16550_state *s)
{
    uint8_t fifo = s->fcr & FCR_ENABLE ? IIR_FIFO : 0;

    if ((s->ier & IER_LINE) && (vns16550_lsr(s) & LSR_OE))
        return fifo | IIR_LINE;
    if ((s->ier & IER_RX) && s->fifo_count >= fifo_trigger(s))
        return fifo | IIR_RX;
    if ((s->ier & IER_RX) && s->fifo_count > 0)
        return fifo | IIR_TIMEOUT;
    if ((s->ier & IER_TX) && s->thre)
        return fifo | IIR_TX;
    if ((s->ier & IER_MODEM) && (s->msr & MSR_CHANGES))
        return fifo | IIR_MODEM;
    return fifo | IIR_NONE;
}

/* Brings LSR and the wire in line with the state. The last step of every change. */
static void vns16550_update(struct vns16550 *uart)
{
    struct vns16550_state *s = &uart->state;
    uint32_t lsr = LSR_EMPTY | (vns16550_lsr(s) & LSR_OE);
    bool level;

    if (s->fifo_count > 0)
        lsr |= LSR_DR;
    atomic_store_explicit(&s->lsr, lsr, memory_order_relaxed);
    level = !(vns16550_iir(s) & IIR_NONE);
    if (level == s->level)
        return;
    s->level = level;
    if (uart->vdev.set_irq != NULL)
        uart->vdev.set_irq(&uart->vdev, level);
}

/* --- Reception --- */

/* Moves what waits into the FIFO, as far as there is room. */
static void vns16550_refill(struct vns16550_state *s)
{
    assert(s->queue_count <= VNS16550_QUEUE);
    s->fifo_count = MIN(s->queue_count, fifo_depth(s));
}

static void vns16550_push(struct vns16550_state *s, uint8_t c)
{
    if (s->queue_count == VNS16550_QUEUE) {
        atomic_fetch_or_explicit(&s->lsr, LSR_OE, memory_order_relaxed);
        return;
    }
    s->queue[(s->queue_head + s->queue_count) % VNS16550_QUEUE] = c;
    s->queue_count++;
    vns16550_refill(s);
}

static uint8_t vns16550_pop(struct vns16550_state *s)
{
    uint8_t c;

    if (s->fifo_count == 0)
        return 0;
    c = s->queue[s->queue_head];
    s->queue_head = (s->queue_head + 1) % VNS16550_QUEUE;
    s->queue_count--;
    vns16550_refill(s);
    return c;
}

void vns16550_receive(struct vns16550 *uart, uint8_t c)
{
    lock_take(&uart->lock);
    if (!(uart->state.mcr & MCR_LOOP)) /* The line is cut off [8.7]. */
        vns16550_push(&uart->state, c);
    vns16550_update(uart);
    lock_drop(&uart->lock);
}

static void vns16550_input(struct console_port *port, char c)
{
    vns16550_receive(container_of(port, struct vns16550, port), (uint8_t)c);
}

int vns16550_take(struct vns16550 *uart)
{
    int c = -1;

    lock_take(&uart->lock);
    if (uart->state.fifo_count > 0)
        c = vns16550_pop(&uart->state);
    vns16550_update(uart);
    lock_drop(&uart->lock);
    return c;
}

/* --- Registers --- */

/* The modem's lines: a terminal that is always there, or in loopback our own outputs [8.7]. */
static void vns16550_set_modem(struct vns16550_state *s)
{
    uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD, changes = 0;

    if (s->mcr & MCR_LOOP)
        lines = (uint8_t)((s->mcr & MCR_RTS ? MSR_CTS : 0) | (s->mcr & MCR_DTR ? MSR_DSR : 0) |
                          (s->mcr & MCR_OUT1 ? MSR_RI : 0) | (s->mcr & MCR_OUT2 ? MSR_DCD : 0));
    changes = (uint8_t)((s->msr ^ lines) >> 4);
    if ((changes & (MSR_RI >> 4)) && (lines & MSR_RI))
        changes &= (uint8_t) ~(MSR_RI >> 4); /* Of RI only its end is told. */
    s->msr = (uint8_t)((s->msr & MSR_CHANGES) | changes | lines);
}

static uint8_t vns16550_read_iir(struct vns16550_state *s)
{
    uint8_t iir = vns16550_iir(s);

    if ((iir & ~IIR_FIFO) == IIR_TX)
        s->thre = false;
    return iir;
}

static uint8_t vns16550_read_msr(struct vns16550_state *s)
{
    uint8_t msr = s->msr;

    s->msr &= MSR_LINES;
    return msr;
}

static uint8_t vns16550_read_lsr(struct vns16550_state *s)
{
    uint32_t lsr = vns16550_lsr(s);

    atomic_store_explicit(&s->lsr, lsr & ~(uint32_t)LSR_OE, memory_order_relaxed);
    return (uint8_t)lsr;
}

static uint8_t vns16550_read_locked(struct vns16550_state *s, uint64_t offset)
{
    switch (offset) {
    case RBR:
        return s->lcr & LCR_DLAB ? s->dll : vns16550_pop(s);
    case IER:
        return s->lcr & LCR_DLAB ? s->dlm : s->ier;
    case IIR:
        return vns16550_read_iir(s);
    case LCR:
        return s->lcr;
    case MCR:
        return s->mcr;
    case LSR:
        return vns16550_read_lsr(s);
    case MSR:
        return vns16550_read_msr(s);
    case SCR:
        return s->scr;
    }
    return 0;
}

[[gnu::noinline]] static uint64_t vns16550_read_slow(struct vns16550 *uart, uint64_t offset)
{
    uint8_t value;

    lock_take(&uart->lock);
    value = vns16550_read_locked(&uart->state, offset);
    vns16550_update(uart);
    lock_drop(&uart->lock);
    return value;
}

static uint64_t vns16550_read(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                              [[maybe_unused]] unsigned width)
{
    struct vns16550 *uart = vns16550_of(dev);
    uint32_t lsr = vns16550_lsr(&uart->state);

    if (likely(offset == LSR && !(lsr & LSR_OE)))
        return lsr;
    return vns16550_read_slow(uart, offset);
}

static void vns16550_send(struct vns16550 *uart, uint8_t c)
{
    struct vns16550_state *s = &uart->state;

    if (s->mcr & MCR_LOOP)
        vns16550_push(s, c);
    else
        console_write(&uart->port, (const char *)&c, 1);
    s->thre = true;
}

/* Enabling the transmit interrupt with an empty transmitter raises it [8.6.3]. */
static void vns16550_write_ier(struct vns16550_state *s, uint8_t value)
{
    if (~s->ier & value & IER_TX)
        s->thre = true;
    s->ier = value & BITS(3, 0);
}

/* Turning the FIFOs on or off empties them; what waits behind them follows [8.4]. */
static void vns16550_write_fcr(struct vns16550_state *s, uint8_t value)
{
    uint32_t lost = 0;

    if (((s->fcr ^ value) & FCR_ENABLE) || ((value & FCR_ENABLE) && (value & FCR_CLEAR_RX)))
        lost = s->fifo_count;
    s->queue_head = (s->queue_head + lost) % VNS16550_QUEUE;
    s->queue_count -= lost;
    s->fcr = value & FCR_ENABLE ? (uint8_t)(value & (FCR_ENABLE | FCR_TRIGGER)) : 0;
    vns16550_refill(s);
}

static void vns16550_write_locked(struct vns16550 *uart, uint64_t offset, uint8_t value)
{
    struct vns16550_state *s = &uart->state;

    switch (offset) {
    case RBR:
        if (s->lcr & LCR_DLAB)
            s->dll = value;
        else
            vns16550_send(uart, value);
        break;
    case IER:
        if (s->lcr & LCR_DLAB)
            s->dlm = value;
        else
            vns16550_write_ier(s, value);
        break;
    case IIR:
        vns16550_write_fcr(s, value);
        break;
    case LCR:
        s->lcr = value;
        break;
    case MCR:
        s->mcr = value & BITS(4, 0);
        vns16550_set_modem(s);
        break;
    case SCR:
        s->scr = value;
        break;
    default: /* LSR and MSR are read-only: ignored. */
        break;
    }
}

static void vns16550_write(struct vdev *dev, [[maybe_unused]] unsigned vcpu, uint64_t offset,
                           [[maybe_unused]] unsigned width, uint64_t value)
{
    struct vns16550 *uart = vns16550_of(dev);

    lock_take(&uart->lock);
    vns16550_write_locked(uart, offset, (uint8_t)value);
    vns16550_update(uart);
    lock_drop(&uart->lock);
}

static void vns16550_reset(struct vdev *dev)
{
    struct vns16550 *uart = vns16550_of(dev);
    struct vns16550_state *s = &uart->state;
    bool level;

    lock_take(&uart->lock);
    level = s->level;
    memset(s, 0, sizeof(*s));
    s->dll = DIVISOR;
    s->mcr = MCR_OUT2;
    s->msr = MSR_CTS | MSR_DSR | MSR_DCD;
    s->level = level; /* vns16550_update() drops the wire if it was up. */
    vns16550_update(uart);
    lock_drop(&uart->lock);
}

/* --- Snapshots --- */

static bool vns16550_is_possible(const struct vns16550_state *s)
{
    return s->queue_count <= VNS16550_QUEUE && s->fifo_count <= s->queue_count &&
           s->fifo_count <= fifo_depth(s) && !(s->ier & ~BITS(3, 0)) && !(s->mcr & ~BITS(4, 0)) &&
           !(s->fcr & ~(FCR_ENABLE | FCR_TRIGGER));
}

/* What was typed and not read, the oldest first. */
[[gnu::cold]] static void vns16550_queue(struct vns16550_state *s, struct state *state)
{
    if (state_loading(state))
        s->queue_head = 0;
    for (uint32_t i = 0; i < s->queue_count && state_ok(state); i++)
        STATE(state, s->queue[(s->queue_head + i) % VNS16550_QUEUE]);
}

[[gnu::cold]] static void vns16550_state(struct vdev *dev, struct state *state)
{
    struct vns16550 *uart = vns16550_of(dev);
    struct vns16550_state *s = &uart->state;

    lock_take(&uart->lock);
    state_section(state, "16550", 1);
    STATE(state, s->ier);
    STATE(state, s->fcr);
    STATE(state, s->lcr);
    STATE(state, s->mcr);
    STATE(state, s->msr);
    STATE(state, s->scr);
    STATE(state, s->dll);
    STATE(state, s->dlm);
    STATE(state, s->lsr);
    STATE(state, s->thre);
    STATE(state, s->level);
    STATE(state, s->fifo_count);
    STATE(state, s->queue_count);
    state_require(state, vns16550_is_possible(s), "a register is not possible");
    vns16550_queue(s, state);
    if (state_loading(state) && !state_ok(state)) /* Somebody may be typing. */
        s->ier = s->fcr = s->mcr = s->queue_count = s->fifo_count = 0;
    if (state_loading(state))
        vns16550_update(uart);
    lock_drop(&uart->lock);
}

static const struct vdev_ops vns16550_ops = {
    .name = "16550",
    .read = vns16550_read,
    .write = vns16550_write,
    .reset = vns16550_reset,
    .state = vns16550_state,
};

void vns16550_init(struct vns16550 *uart, uint64_t base, uint32_t irq)
{
    memset(uart, 0, sizeof(*uart));
    uart->vdev =
        (struct vdev){.ops = &vns16550_ops, .base = base, .size = VNS16550_SIZE, .irq = irq};
    uart->port.input = vns16550_input;
    lock_init(&uart->lock, RANK_DEVICE, "vns16550");
    vns16550_reset(&uart->vdev);
}
