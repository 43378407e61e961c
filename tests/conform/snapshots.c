/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: what is back after them, and those that are refused. */
#include "tests/conform/conform.h"

#include "kernel/bits.h"
#include "kernel/crc32c.h"
#include "kernel/fmt.h"
#include "kernel/string.h"
#include "mm/page.h"
#include "vcpu/snapshot_impl.h"

#define MARK         0x40000u /* Behind the RAM's base: nothing of the guest is there. */
#define STREAM_ORDER 7u
#define STREAM_MAX   (PAGE_SIZE << STREAM_ORDER)

static uint64_t mark(void)
{
    uint64_t value = 0;

    err_ignore(guest_read(&c.vm->map, gpa(c.vm->layout->ram_base + MARK), &value,
                          sizeof(value))); /* It is RAM. */
    return value;
}

static void set_mark(uint64_t value)
{
    err_ignore(guest_write(&c.vm->map, gpa(c.vm->layout->ram_base + MARK), &value,
                           sizeof(value))); /* As above. */
}

/* On the other pCPU, and it has counted where that is what it does. */
static bool begins(enum action action, unsigned vcpus)
{
    if (pcpu_count < 2) {
        c.impossible = "this machine has one processor";
        return false;
    }
    if (conform_create(action, vcpus, 1) == OK && vm_start(c.vm) == OK &&
        conform_wait_state(VM_RUNNING) && (action != ACT_COUNT || conform_wait_count(0)))
        return true;
    c.failed = "a guest starts";
    return false;
}

static struct snapshot *found(const char *name)
{
    char full[SNAPSHOT_NAME_MAX];
    struct snapshot *snapshot;

    fmt_buf(full, sizeof(full), "case@%s", name);
    snapshot = snapshot_find(full);
    if (snapshot)
        snapshot_put(snapshot); /* Nobody else would forget it. */
    return snapshot;
}

/* NULL: it is refused, or does not come. */
static struct snapshot *take(const char *name, struct snapshot *parent)
{
    if (vm_snapshot(c.vm, name, parent) != OK)
        return NULL;
    for (unsigned i = 0; i < WAIT_MS && !found(name); i++)
        conform_pass_time(1);
    return found(name);
}

static bool back(struct snapshot *snapshot)
{
    return vm_restore(c.vm, snapshot) == OK && conform_wait_state(VM_RUNNING);
}

static bool forget(const char *name)
{
    struct snapshot *snapshot = found(name);

    if (!snapshot)
        return false;
    snapshot_use(snapshot);
    return snapshot_forget(snapshot) == OK;
}

/* The youngest first: what builds on another goes before it. */
static void forget_all(void)
{
    static const char *const names[] = {"c", "b", "a"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        forget(names[i]);
}

/* --- What is back --- */

static bool becomes(enum vcpu_state state)
{
    for (unsigned i = 0; i < WAIT_MS && atomic_load(&c.vcpu->state) != state; i++)
        conform_pass_time(1);
    return atomic_load(&c.vcpu->state) == state;
}

static void running_and_off(void)
{
    struct snapshot *a;
    uint64_t count;

    if (!begins(ACT_COUNT, 2))
        return;
    CHECK_OK(vm_pause(c.vm));
    CHECK(conform_wait_state(VM_PAUSED));
    count = conform_counter();
    CHECK((a = take("a", NULL)));
    CHECK(c.vm->state == VM_PAUSED && conform_counter() == count);
    set_mark(1);
    CHECK_OK(vm_resume(c.vm));
    CHECK(conform_wait_count(count));
    for (unsigned i = 0; i < 2; i++) {
        CHECK(back(a)); /* From running, twice. */
        CHECK(mark() == 0 && c.vcpu->power == VCPU_ON && c.vm->vcpus[1].power == VCPU_OFF);
        CHECK(conform_wait_count(count) && becomes(VCPU_RUNNING));
        set_mark(2);
    }
}

/* It waits again, for as long as nothing comes; then it takes that, and counts. */
static void blocked(void)
{
    struct snapshot *a;
    uint64_t count;

    if (virt_caps.gic_version == 2)
        IMPOSSIBLE("the guest knows a GICv3 only");
    if (!begins(ACT_WAIT, 1))
        return;
    CHECK(becomes(VCPU_BLOCKED));
    count = conform_taken();
    CHECK((a = take("a", NULL)));
    CHECK(becomes(VCPU_BLOCKED));
    CHECK(back(a));
    CHECK(becomes(VCPU_BLOCKED));
    conform_pass_time(10);
    CHECK(becomes(VCPU_BLOCKED) && conform_taken() == count);
    vcpu_interrupt(c.vcpu, INJECT, true);
    for (unsigned i = 0; i < WAIT_MS && conform_taken() == count; i++)
        conform_pass_time(1);
    CHECK(conform_taken() == count + 1);
}

void case_snapshot_running(void)
{
    running_and_off();
    forget_all();
}

void case_snapshot_blocked(void)
{
    blocked();
    forget_all();
}

static void chain(void)
{
    struct snapshot *a, *b, *other;

    if (!begins(ACT_COUNT, 1))
        return;
    set_mark(1);
    CHECK((a = take("a", NULL)));
    set_mark(2);
    CHECK((b = take("b", a)));
    set_mark(3);
    CHECK(back(a) && mark() == 1);
    CHECK(back(b) && mark() == 2);
    CHECK_OK(vm_stop(c.vm, VM_STOP_ASKED));
    CHECK(conform_wait_state(VM_STOPPED) && mark() == 0);
    CHECK(back(b) && mark() == 2); /* After a stop, too. */
    CHECK(back(a));
    CHECK_ERR(E_INVALID, vm_snapshot(c.vm, "c", b)); /* What was written since is not known. */
    CHECK((other = take("c", NULL)));
    CHECK_ERR(E_INVALID, vm_snapshot(c.vm, "d", a)); /* It is not the last one. */
    CHECK(!forget("a"));                             /* Another builds on it. */
    CHECK(back(other) && mark() == 1);
}

void case_snapshot_chain(void)
{
    chain();
    forget_all();
}

/* --- What is refused --- */

static void wrong_state(void)
{
    struct snapshot *a;

    if (!begins(ACT_COUNT, 1))
        return;
    CHECK((a = take("a", NULL)));
    CHECK_ERR(E_EXISTS, vm_snapshot(c.vm, "a", NULL));
    CHECK_ERR(E_INVALID, vm_snapshot(c.vm, "a/b", NULL));
    CHECK_OK(vm_snapshot(c.vm, "b", NULL));
    CHECK_ERR(E_BUSY, vm_snapshot(c.vm, "c", NULL));
    CHECK(conform_wait_state(VM_RUNNING));
    for (unsigned i = 0; i < WAIT_MS && !found("b"); i++)
        conform_pass_time(1);
    CHECK(found("b"));
    CHECK_OK(vm_restore(c.vm, a));
    CHECK_ERR(E_BUSY, vm_restore(c.vm, a)); /* One is under way. */
    CHECK(conform_wait_state(VM_RUNNING));
    CHECK_OK(vm_stop(c.vm, VM_STOP_ASKED));
    CHECK(conform_wait_state(VM_STOPPED));
    CHECK_ERR(E_STATE, vm_snapshot(c.vm, "c", NULL));
}

void case_snapshot_wrong_state(void)
{
    wrong_state();
    forget_all();
}

static void misfit(void)
{
    struct snapshot *a;

    if (!begins(ACT_COUNT, 1))
        return;
    CHECK((a = take("a", NULL)));
    CHECK_OK(vm_stop(c.vm, VM_STOP_ASKED));
    CHECK(conform_wait_state(VM_STOPPED));
    for (unsigned vcpus = 1; vcpus <= 2; vcpus++) {
        CHECK_OK(vm_destroy(c.vm));
        c.vm = NULL;
        conform_config(ACT_COUNT, vcpus, 1);
        c.config.memory_size = vcpus == 1 ? 4 * MIB : 2 * MIB;
        CHECK_OK(vm_create(&c.config, &c.vm));
        CHECK_ERR(E_INVALID, vm_restore(c.vm, a));
        CHECK(conform_said("refused", vcpus == 1 ? "size of memory" : "number of vCPUs"));
        CHECK(c.vm->state == VM_CREATED);
    }
}

void case_snapshot_misfit(void)
{
    misfit();
    forget_all();
}

/* --- Of bytes that others may have written --- */

static struct {
    char *bytes;
    uint64_t size, at;
} stream;

static enum err stream_put(void *, const void *bytes, size_t size)
{
    if (size > STREAM_MAX - stream.size)
        return E_RANGE;
    memcpy(stream.bytes + stream.size, bytes, size);
    stream.size += size;
    return OK;
}

static enum err stream_get(void *, void *bytes, size_t size)
{
    if (size > stream.size - stream.at)
        return E_IO;
    memcpy(bytes, stream.bytes + stream.at, size);
    stream.at += size;
    return OK;
}

static enum err stream_read(void)
{
    struct snapshot *snapshot;

    stream.at = 0;
    TRY(snapshot_read(stream_get, NULL, &snapshot));
    snapshot_put(snapshot);
    return OK;
}

/* The checksum of the heads, so that only what they say is wrong. */
static void stream_seal(void)
{
    struct snapshot_header *header = (void *)stream.bytes;
    uint64_t at = sizeof(*header);
    uint32_t crc;

    header->crc = 0;
    crc = crc32c(0, header, sizeof(*header));
    while (at < stream.size) {
        const struct snapshot_part *part = (const void *)(stream.bytes + at);

        crc = crc32c(crc, part, sizeof(*part));
        at += sizeof(*part) + part->space;
    }
    header->crc = crc;
}

static void damaged(void)
{
    struct snapshot_header *header = (void *)stream.bytes;

    if (!begins(ACT_COUNT, 1))
        return;
    set_mark(1);
    CHECK(take("a", NULL));
    CHECK_OK(snapshot_write(found("a"), stream_put, NULL));
    CHECK_ERR(E_INVALID, stream_read()); /* It is there. */
    CHECK(forget("a"));
    for (unsigned i = 0; i < 16; i++) {
        char *byte = stream.bytes + (stream.size - 1) * i / 15;

        *byte ^= 1;
        CHECK_ERR(E_INVALID, stream_read());
        *byte ^= 1;
    }
    stream.size--;
    CHECK_ERR(E_INVALID, stream_read());
    stream.size++;
    header->arch ^= 1;
    stream_seal();
    CHECK_ERR(E_UNSUPPORTED, stream_read());
    CHECK(conform_said("refused", "another architecture"));
    header->arch ^= 1;
    stream_seal();
    set_mark(2);
    CHECK_OK(stream_read());
    CHECK(back(found("a")) && mark() == 1);
}

void case_snapshot_damaged(void)
{
    stream.size = 0;
    stream.bytes = page_alloc(STREAM_ORDER);
    CHECK(stream.bytes);
    damaged();
    forget_all();
    page_free(stream.bytes, STREAM_ORDER);
}
