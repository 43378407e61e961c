/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a vCPU between the scheduler and the run loop. Its entity runs while it has something
 * to do; a vCPU that is off, waits for an interrupt or is stopped is a blocked entity and costs
 * nothing.
 */
#include "vcpu/vcpu.h"

#include "kernel/assert.h"
#include "kernel/bits.h"
#include "kernel/ipi.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vcpu/machine_ops.h"
#include "vcpu/vm.h"

const char *vcpu_state_text(enum vcpu_state state)
{
    static const char *const names[] = {
        [VCPU_INVALID] = "invalid", [VCPU_CREATED] = "created", [VCPU_FREE] = "free",
        [VCPU_READY] = "ready",     [VCPU_RUNNING] = "running", [VCPU_BLOCKED] = "blocked",
    };

    return names[state];
}

bool vcpu_may_become(enum vcpu_state from, enum vcpu_state to)
{
    static const uint8_t next[] = {
        [VCPU_INVALID] = BIT(VCPU_CREATED),
        [VCPU_CREATED] = BIT(VCPU_FREE) | BIT(VCPU_INVALID),
        [VCPU_FREE] = BIT(VCPU_READY) | BIT(VCPU_BLOCKED) | BIT(VCPU_INVALID),
        [VCPU_READY] = BIT(VCPU_FREE) | BIT(VCPU_RUNNING),
        [VCPU_RUNNING] = BIT(VCPU_READY),
        [VCPU_BLOCKED] = BIT(VCPU_FREE) | BIT(VCPU_READY) | BIT(VCPU_INVALID),
    };

    return next[from] >> to & 1;
}

enum err vcpu_set_state(struct vcpu *vcpu, enum vcpu_state to)
{
    enum vcpu_state from = atomic_load_explicit(&vcpu->state, memory_order_relaxed);

    if (unlikely(!vcpu_may_become(from, to))) {
        log_debug("%s: vCPU %u is %s and cannot become %s", vcpu->vm->config->name, vcpu->index,
                  vcpu_state_text(from), vcpu_state_text(to));
        return E_STATE;
    }
    atomic_store_explicit(&vcpu->state, to, memory_order_relaxed);
    return OK;
}

/* Where it is ours to know. */
static void vcpu_must_become(struct vcpu *vcpu, enum vcpu_state to)
{
    enum err err = vcpu_set_state(vcpu, to);

    assert(err == OK);
}

[[gnu::always_inline]] static inline void vcpu_load(struct vcpu *vcpu)
{
    arch_vcpu_bind(&vcpu->arch);
    this_cpu()->guest = vcpu;
    vcpu->vm->machine->bound(vcpu);
}

[[gnu::always_inline]] static inline void vcpu_unload(struct vcpu *vcpu)
{
    vcpu->vm->machine->unbinding(vcpu);
    this_cpu()->guest = NULL;
    arch_vcpu_unbind(&vcpu->arch);
}

/* By hand is only what nobody manages, on its own pCPU, and begun with when it is free. vm->lock
 * held. */
static enum err vcpu_by_hand(const struct vcpu *vcpu)
{
    const char *name = vcpu->vm->config->name;
    enum err err = E_BUSY;

    if (vcpu->sched.cpu != this_cpu()->id) {
        log_debug("%s: vCPU %u is of cpu%u and cannot be run by hand on cpu%u", name, vcpu->index,
                  vcpu->sched.cpu, this_cpu()->id);
    } else if (vcpu_current() && vcpu_current() != vcpu) {
        log_debug("%s: vCPU %u cannot be bound to cpu%u, where another is", name, vcpu->index,
                  vcpu->sched.cpu);
    } else if (!vm_is_by_hand(vcpu->vm)) {
        log_debug("%s: is %s, and vCPU %u cannot be run by hand", name,
                  vm_state_text(vcpu->vm->state), vcpu->index);
        err = E_STATE;
    } else if (vcpu->state != VCPU_FREE) {
        log_debug("%s: vCPU %u is %s, and cannot be bound or given an entry", name, vcpu->index,
                  vcpu_state_text(vcpu->state));
        err = E_STATE;
    } else {
        err = OK;
    }
    return err;
}

enum err vcpu_set_entry(struct vcpu *vcpu, struct arch_entry entry)
{
    enum err err;

    lock_take(&vcpu->vm->lock);
    err = vcpu_by_hand(vcpu);
    if (err == OK) {
        arch_vcpu_start(&vcpu->arch, entry);
        vcpu->power = VCPU_ON;
    }
    lock_drop(&vcpu->vm->lock);
    return err;
}

enum err vcpu_bind(struct vcpu *vcpu)
{
    enum err err;

    lock_take(&vcpu->vm->lock);
    err = vcpu_by_hand(vcpu);
    if (err == OK)
        err = vcpu_set_state(vcpu, VCPU_READY);
    lock_drop(&vcpu->vm->lock);
    if (err == OK)
        vcpu_load(vcpu);
    return err;
}

enum err vcpu_leave_ready(struct vcpu *vcpu, enum vcpu_state to)
{
    enum vcpu_state state = atomic_load_explicit(&vcpu->state, memory_order_relaxed);

    if (vcpu_current() == vcpu)
        return vcpu_set_state(vcpu, to);
    log_debug("%s: vCPU %u is %s, not bound to cpu%u, and cannot become %s here",
              vcpu->vm->config->name, vcpu->index, vcpu_state_text(state), this_cpu()->id,
              vcpu_state_text(to));
    return state == VCPU_READY ? E_BUSY : E_STATE;
}

enum err vcpu_unbind(struct vcpu *vcpu)
{
    TRY(vcpu_leave_ready(vcpu, VCPU_FREE));
    vcpu_unload(vcpu);
    return OK;
}

static enum err vcpu_read_entry(void *arg, gpa_t addr, uint64_t *entry)
{
    return guest_read(arg, addr, entry, sizeof(*entry)) == OK ? OK : E_ABSENT;
}

/* Nothing happens in what is read-only, as on a real machine. */
static enum err vcpu_update_entry(void *arg, gpa_t addr, uint64_t old, uint64_t new)
{
    uint64_t contiguous;
    _Atomic uint64_t *entry = guest_ptr(arg, addr, &contiguous);

    if (!entry || contiguous < sizeof(*entry))
        return E_ABSENT;
    if (!guest_may_write(arg, addr))
        return OK;
    if (!atomic_compare_exchange_strong(entry, &old, new))
        return E_BUSY;
    guest_wrote(arg, addr, sizeof(*entry));
    return OK;
}

struct arch_guest_memory vcpu_memory(const struct vcpu *vcpu)
{
    return (struct arch_guest_memory){vcpu_read_entry, vcpu_update_entry, &vcpu->vm->map};
}

enum err vcpu_translate(const struct vcpu *vcpu, gva_t addr, enum arch_access access, gpa_t *result)
{
    const struct arch_guest_memory memory = vcpu_memory(vcpu);

    return arch_vcpu_translate(&vcpu->arch, addr, access, &memory, result);
}

void vcpu_request(struct vcpu *vcpu, uint32_t requests)
{
    /* Release: what was written for the vCPU to see is visible with the bit. */
    uint32_t before = atomic_fetch_or_explicit(&vcpu->requests, requests, memory_order_acq_rel);
    unsigned cpu;

    if ((before & requests) == requests)
        return; /* Who set the bit has kicked, and the vCPU has not looked yet. */
    if (vcpu == vcpu_current())
        return; /* Looked at before the next entry. */
    sched_wake(&vcpu->sched);
    cpu = vcpu->sched.cpu; /* If it is moved after the wake, it sees the bit where it goes. */
    if (cpu != this_cpu()->id)
        ipi_kick(cpu); /* It may be in the guest. */
}

void vcpu_cancel(struct vcpu *vcpu)
{
    vcpu_request(vcpu, VCPU_REQ_CANCEL);
}

void vcpu_interrupt(struct vcpu *vcpu, uint32_t irq, bool edge)
{
    virq_post(&vcpu->virq, irq, edge);
    vcpu_request(vcpu, VCPU_REQ_IRQ);
}

void vcpu_start(struct vcpu *vcpu, struct arch_entry entry)
{
    assert(lock_held(&vcpu->vm->lock) && vcpu->power == VCPU_OFF);
    vcpu->entry = entry;
    vcpu->power = VCPU_ON_PENDING;
    vcpu_request(vcpu, VCPU_REQ_START);
}

enum err vcpu_power_on(struct vcpu *vcpu, struct arch_entry entry)
{
    struct vm *vm = vcpu->vm;
    enum err err = OK;

    /*
     * Under the lock: so a stop finds the request, or has come before and no vCPU is left behind.
     */
    lock_take(&vm->lock);
    if (!vm_is_up(vm)) {
        err = E_STATE;
    } else if (vcpu->power == VCPU_OFF) {
        vcpu_start(vcpu, entry);
    } else {
        err = vcpu->power == VCPU_ON ? E_EXISTS : E_BUSY;
    }
    lock_drop(&vm->lock);
    return err;
}

void vcpu_init_signal(struct vcpu *vcpu)
{
    atomic_fetch_and(&vcpu->requests, (uint32_t)~VCPU_REQ_SIPI);
    vcpu_request(vcpu, VCPU_REQ_INIT);
}

void vcpu_startup_signal(struct vcpu *vcpu, struct arch_entry entry)
{
    struct vm *vm = vcpu->vm;
    uint32_t requests;

    lock_take(&vm->lock); /* As in vcpu_power_on(); and it guards the entry of a SIPI. */
    requests = atomic_load(&vcpu->requests);
    if (vm_is_up(vm) && !(requests & VCPU_REQ_SIPI) &&
        (vcpu->power == VCPU_OFF || requests & VCPU_REQ_INIT)) {
        vcpu->entry = entry;
        vcpu_request(vcpu, VCPU_REQ_SIPI);
    }
    lock_drop(&vm->lock);
}

/* Whether there is a reason not to sleep. Unbound. */
static bool vcpu_has_reason(struct vcpu *vcpu)
{
    if (atomic_load(&vcpu->requests) != 0)
        return true;
    return vcpu->power == VCPU_ON && (!vcpu->waiting || vcpu->vm->machine->pending(vcpu));
}

/* Unbound: block until something is asked of it, or a timer of the guest is due. */
static void vcpu_block(struct vcpu *vcpu)
{
    bool on = vcpu->power == VCPU_ON;
    uint64_t deadline = on ? vcpu->vm->machine->deadline(vcpu) : TICKS_NEVER;
    enum vcpu_state state = on && vcpu->waiting ? VCPU_BLOCKED : VCPU_FREE;

    if (deadline != TICKS_NEVER)
        timer_arm(&vcpu->wake, deadline);
    if (atomic_load_explicit(&vcpu->state, memory_order_relaxed) != state)
        vcpu_must_become(vcpu, state);
    /* A wake from before we looked may be left over: look again, and then block for good. */
    while (!vcpu_has_reason(vcpu))
        if (sched_block(&vcpu->sched))
            return;
}

/* --- Stolen time --- */

static uint64_t vcpu_stolen_ns(const struct vcpu *vcpu)
{
    return ticks_to_ns(sched_waited_ticks(&vcpu->sched));
}

bool vcpu_steal_start(struct vcpu *vcpu, gpa_t place, enum guest_region_kind kind)
{
    const struct guest_region *region = guestmap_find(&vcpu->vm->map, place);

    return region && region->kind == kind &&
           vsteal_start(&vcpu->steal, &vcpu->vm->map, place, vcpu_stolen_ns(vcpu));
}

void vcpu_steal_tell(struct vcpu *vcpu)
{
    vsteal_tell(&vcpu->steal, &vcpu->vm->map, vcpu->vm->machine->steal, vcpu_stolen_ns(vcpu));
}

/* --- Held: out of the guest, because the VM pauses, stops, or has not been started. --- */

/*
 * Work on the vCPU's own pCPU, so it is unbound. As work it needs no turn of the scheduler: who has
 * no budget, no slot or too low a priority is held as soon as anybody.
 */
static void vcpu_hold_work(struct work *work)
{
    struct vcpu *vcpu = container_of(work, struct vcpu, hold_work);
    struct vm *vm = vcpu->vm;

    if (unlikely(vcpu->sched.cpu != this_cpu()->id)) {
        ipi_work(vcpu->sched.cpu, work); /* It was moved meanwhile. From here it cannot be. */
        return;
    }
    assert(vcpu_current() != vcpu);
    lock_take(&vm->lock);
    if (atomic_load(&vcpu->requests) & VCPU_REQ_HOLD && !vcpu->held) {
        timer_disarm(&vcpu->wake);
        vm->machine->held(vcpu);
        vcpu->held = true;
    }
    vm_vcpu_held(vcpu);
    lock_drop(&vm->lock); /* The last touch: once all are held, the VM may be destroyed. */
}

void vcpu_hold(struct vcpu *vcpu)
{
    assert(lock_held(&vcpu->vm->lock));
    atomic_fetch_or(&vcpu->requests, VCPU_REQ_HOLD);
    vcpu->hold_asked = true;
    ipi_work(vcpu->sched.cpu, &vcpu->hold_work);
}

void vcpu_let_go(struct vcpu *vcpu)
{
    assert(lock_held(&vcpu->vm->lock));
    atomic_fetch_and(&vcpu->requests, (uint32_t)~VCPU_REQ_HOLD);
    vcpu->hold_asked = false;
    sched_wake(&vcpu->sched);
}

void vcpu_reset(struct vcpu *vcpu)
{
    assert(vcpu->held);
    atomic_store(&vcpu->requests, VCPU_REQ_HOLD);
    vcpu->power = VCPU_OFF;
    vcpu->waiting = false;
    vcpu->suspended = false;
    vcpu->resume = false;
    vcpu->steal = (struct vsteal){};
    if (vcpu->state == VCPU_BLOCKED)
        vcpu_must_become(vcpu, VCPU_FREE); /* What it waited for is over. */
}

/* Unbound, and woken for whatever reason. True: it stays out, and has blocked. */
static bool vcpu_stays_held(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;

    for (;;) {
        while (atomic_load(&vcpu->requests) & VCPU_REQ_HOLD)
            if (sched_block(&vcpu->sched))
                return true;
        lock_take(&vm->lock);
        if (!(atomic_load(&vcpu->requests) & VCPU_REQ_HOLD))
            break;
        lock_drop(&vm->lock); /* Held again meanwhile. */
    }
    if (vcpu->held)
        vm->machine->let_go(vcpu);
    vcpu->held = false;
    lock_drop(&vm->lock);
    return false;
}

static void vcpu_power_up(struct vcpu *vcpu)
{
    atomic_fetch_and(&vcpu->requests, (uint32_t)~VCPU_REQ_START);
    arch_vcpu_start(&vcpu->arch, vcpu->entry);
    vcpu->waiting = false;
    vcpu->power = VCPU_ON;
}

/* INIT and SIPI, in the order in which they came. Unbound. */
static void vcpu_take_signals(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    uint32_t requests;
    bool start;

    lock_take(&vm->lock);
    requests = atomic_fetch_and(&vcpu->requests, (uint32_t) ~(VCPU_REQ_INIT | VCPU_REQ_SIPI));
    if (requests & VCPU_REQ_INIT)
        vcpu->power = VCPU_OFF;
    start = requests & VCPU_REQ_SIPI && vcpu->power == VCPU_OFF && vm_is_up(vm);
    if (start)
        vcpu->power = VCPU_ON; /* From here on SIPIs are dropped, and the entry stays. */
    lock_drop(&vm->lock);
    if (requests & VCPU_REQ_INIT)
        vm->machine->cpu_reset(vcpu);
    vcpu->waiting = false;
    if (start)
        arch_vcpu_start(&vcpu->arch, vcpu->entry);
}

static void vcpu_wake_timer(struct timer *timer)
{
    struct vcpu *vcpu = container_of(timer, struct vcpu, wake);

    vcpu->waiting = false; /* Its own timer's interrupt follows when it is bound. */
    sched_wake(&vcpu->sched);
}

/* After a hold or a cancel: true when there is something to do. A wait that was interrupted by
 * either goes on. */
static bool vcpu_goes_on(struct vcpu *vcpu)
{
    if (vcpu_stays_held(vcpu))
        return false;
    atomic_fetch_and(&vcpu->requests, (uint32_t)~VCPU_REQ_CANCEL);
    if (vcpu_has_reason(vcpu))
        return true;
    vcpu_block(vcpu);
    return false;
}

void vcpu_moving(struct sched_entity *entity)
{
    struct vcpu *vcpu = container_of(entity, struct vcpu, sched);

    timer_disarm(&vcpu->wake); /* It runs where it goes, before it sleeps again. */
    vcpu->vm->machine->held(vcpu);
    vcpu->moved = true;
}

/* One that is held has its timers armed when it is let go. */
static void vcpu_arrive(struct vcpu *vcpu)
{
    vcpu->moved = false;
    if (!vcpu->held)
        vcpu->vm->machine->let_go(vcpu);
}

/* By itself: so the compiler keeps the vCPU where the world switch wants it, in a register. */
[[gnu::noinline]] static void vcpu_turns(struct vcpu *vcpu)
{
    while (vcpu_turn(vcpu))
        ;
}

static void vcpu_run(struct sched_entity *entity)
{
    struct vcpu *vcpu = container_of(entity, struct vcpu, sched);
    uint32_t requests = atomic_load_explicit(&vcpu->requests, memory_order_acquire);

    timer_disarm(&vcpu->wake);
    if (unlikely(vcpu->moved))
        vcpu_arrive(vcpu);
    if (unlikely(requests & (VCPU_REQ_HOLD | VCPU_REQ_CANCEL) || vcpu->held)) {
        if (!vcpu_goes_on(vcpu))
            return;
        requests = atomic_load_explicit(&vcpu->requests, memory_order_acquire);
    }
    if (unlikely(requests & (VCPU_REQ_INIT | VCPU_REQ_SIPI)))
        vcpu_take_signals(vcpu);
    if (requests & VCPU_REQ_START)
        vcpu_power_up(vcpu);
    if (vcpu->power != VCPU_ON) {
        /* Off, but its interrupts still go where the guest routes them, or wait for it. */
        atomic_fetch_and(&vcpu->requests, (uint32_t)~VCPU_REQ_IRQ);
        vcpu->vm->machine->accept(vcpu);
        vcpu_block(vcpu);
        return;
    }
    vcpu->waiting = false;
    vcpu->suspended = false;
    if (vcpu->resume) {
        vcpu->resume = false;
        arch_vcpu_start(&vcpu->arch, vcpu->entry);
    }
    if (unlikely(vcpu->steal.on))
        vcpu_steal_tell(vcpu);
    /* From FREE or BLOCKED by way of READY, and back. In each switch: so without looking it up. */
    assert(!vcpu_current());
    vcpu_load(vcpu);
    atomic_store_explicit(&vcpu->state, VCPU_RUNNING, memory_order_relaxed);
    vcpu_turns(vcpu);
    atomic_store_explicit(&vcpu->state, VCPU_FREE, memory_order_relaxed);
    vcpu_unload(vcpu);
    if (vcpu->waiting || vcpu->power != VCPU_ON)
        vcpu_block(vcpu);
}

enum err vcpu_init(struct vcpu *vcpu, struct vm *vm, unsigned index, unsigned cpu, uint8_t priority,
                   bool trap_wait)
{
    const struct arch_vcpu_config config = {
        .vmid = vm->map.vmid,
        .index = index,
        .vcpu_count = vm->config->cpu_count,
        .stage2_root = pt_root(&vm->map.pt),
        .trap_wait = trap_wait,
    };

    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->vm = vm;
    vcpu->index = index;
    vcpu->held = true;
    vcpu->hold_work.fn = vcpu_hold_work;
    atomic_store(&vcpu->requests, VCPU_REQ_HOLD);
    timer_init(&vcpu->wake, vcpu_wake_timer);
    vcpu->sched.run = vcpu_run;
    sched_add(&vcpu->sched, cpu, priority);
    TRY(vcpu_set_state(vcpu, VCPU_CREATED));
    TRY(arch_vcpu_init(&vcpu->arch, &config));
    return vcpu_set_state(vcpu, VCPU_FREE);
}

void vcpu_destroy(struct vcpu *vcpu)
{
    /* It may be about to block once more on its pCPU, where it was woken for nothing. */
    while (sched_remove(&vcpu->sched) == E_BUSY)
        arch_relax();
    vcpu_must_become(vcpu, VCPU_INVALID);
    arch_vcpu_free(&vcpu->arch);
}
