/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory as the hypervisor sees it. */
#include "tests/conform/conform.h"

#include "kernel/string.h"
#include "mm/page.h"
#include "vcpu/caps.h"

static uint64_t base(void)
{
    return c.vm->layout->ram_base;
}

void case_memory_access(void)
{
    uint64_t addr, value = 0x1122334455667788, read = 0;

    CHECK_OK(conform_create(ACT_SPIN, 1, 0));
    addr = base() + PAGE_SIZE - 3; /* Over a border of pages. */
    CHECK_OK(guest_write(&c.vm->map, gpa(addr), &value, sizeof(value)));
    CHECK_OK(guest_read(&c.vm->map, gpa(addr), &read, sizeof(read)));
    CHECK(read == value);
    CHECK_OK(guest_fill(&c.vm->map, gpa(addr), 0x5a, sizeof(value)));
    CHECK_OK(guest_read(&c.vm->map, gpa(addr), &read, sizeof(read)));
    CHECK(read == 0x5a5a5a5a5a5a5a5a);
    CHECK(guestmap_ram_size(&c.vm->map) == 2 * MIB);
}

void case_memory_hostile(void)
{
    static const uint64_t sizes[] = {1, 8, PAGE_SIZE, 4 * MIB};
    uint64_t value = 0, before = 0, end, space;

    CHECK_OK(conform_create(ACT_SPIN, 1, 0));
    end = base() + 2 * MIB;
    space = pt_size(c.vm->map.pt.format);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        size_t size = MIN(sizes[i], sizeof(value));

        CHECK_ERR(E_RANGE, guest_fill(&c.vm->map, gpa(end), 0, sizes[i]));
        CHECK_ERR(E_RANGE, guest_fill(&c.vm->map, gpa(space), 0, sizes[i]));
        CHECK_ERR(E_RANGE, guest_fill(&c.vm->map, gpa(UINT64_MAX), 0, sizes[i]));
        CHECK_ERR(E_RANGE, guest_fill(&c.vm->map, gpa(0 - sizes[i]), 0, sizes[i]));
        CHECK_ERR(E_RANGE, guest_read(&c.vm->map, gpa(HOLE), &value, size));
        CHECK_ERR(E_RANGE, guest_write(&c.vm->map, gpa(HOLE), &value, size));
    }
    CHECK_OK(guest_fill(&c.vm->map, gpa(end - 4), 0x11, 4));
    CHECK_ERR(E_RANGE, guest_fill(&c.vm->map, gpa(end - 4), 0x22, 8)); /* All, or nothing. */
    CHECK_OK(guest_read(&c.vm->map, gpa(end - 4), &before, 4));
    CHECK(before == 0x11111111);
    CHECK_ERR(E_RANGE, guest_fill(&c.vm->map, gpa(base()), 0, SIZE_MAX));
    CHECK_OK(guest_read(&c.vm->map, gpa(base()), &value, 0));
    CHECK(!guest_ptr(&c.vm->map, gpa(HOLE), NULL));
    CHECK(!guest_ptr(&c.vm->map, gpa(UINT64_MAX), NULL));
}

void case_memory_host_address(void)
{
    uint64_t contiguous, value = 0;
    uint64_t *host;

    CHECK_OK(conform_create(ACT_SPIN, 1, 0));
    host = guest_ptr(&c.vm->map, gpa(base() + 64), &contiguous);
    CHECK(host && contiguous >= PAGE_SIZE - 64 && contiguous <= 2 * MIB - 64);
    *host = ANSWER;
    guest_wrote(&c.vm->map, gpa(base() + 64), sizeof(*host));
    CHECK_OK(guest_read(&c.vm->map, gpa(base() + 64), &value, sizeof(value)));
    CHECK(value == ANSWER);
}

void case_memory_regions(void)
{
    const uint64_t at = HOLE & ~(PAGE_SIZE - 1) & ~(2 * MIB - 1);
    struct guestmap *map;

    CHECK_OK(conform_create(ACT_SPIN, 1, 0));
    map = &c.vm->map;
    CHECK(guestmap_find(map, gpa(base()))->kind == REGION_RAM);
    CHECK_ERR(E_EXISTS, guestmap_add(map, gpa(base()), PAGE_SIZE, REGION_RAM, hpa(0)));
    CHECK_ERR(E_EXISTS, guestmap_add(map, gpa(base() + MIB), 4 * MIB, REGION_RAM, hpa(0)));
    CHECK_ERR(E_RANGE, guestmap_add(map, gpa(at + 1), PAGE_SIZE, REGION_RAM, hpa(0)));
    CHECK_ERR(E_RANGE, guestmap_add(map, gpa(at), 0, REGION_RAM, hpa(0)));
    CHECK_ERR(E_RANGE, guestmap_add(map, gpa(at), PAGE_SIZE, REGION_DEVICE, hpa(0)));
    CHECK_ERR(E_RANGE,
              guestmap_add(map, gpa(pt_size(map->pt.format)), PAGE_SIZE, REGION_RAM, hpa(0)));
    CHECK_OK(guestmap_add(map, gpa(at), 2 * PAGE_SIZE, REGION_ROM, hpa(0)));
    CHECK(guestmap_find(map, gpa(at + PAGE_SIZE))->kind == REGION_ROM);
    CHECK_OK(guest_fill(map, gpa(at), 1, 2 * PAGE_SIZE)); /* It is us. */
    CHECK_ERR(E_ABSENT, guestmap_remove(map, gpa(at + PAGE_SIZE)));
    CHECK_OK(guestmap_remove(map, gpa(at)));
    CHECK(!guestmap_find(map, gpa(at)));
}

/* Its store stops there, and goes nowhere; any number of times, for it may take two accesses. */
static void store_is_stopped(uint64_t page)
{
    uint64_t count = conform_counter();
    struct vcpu_exit exit;
    unsigned stopped = 0;
    bool runs;

    for (unsigned i = 0; i < 20; i++) {
        CHECK_OK(conform_step(&exit));
        CHECK(exit.kind != EXIT_PREEMPTION_TIMER);
        if (exit.kind == EXIT_STAGE2_FAULT)
            stopped += exit.fault.write && exit.fault.gpa.v == page;
        if (exit.kind == EXIT_MMIO_WRITE)
            stopped += exit.mmio.gpa.v == page;
        CHECK_OK(vcpu_answer(c.vcpu, &runs));
        CHECK(runs && conform_counter() == count);
    }
    CHECK(stopped >= 2);
}

/* By hand: each store to it is an exit; also while dirty tracking is on. */
static void protect_by_hand(void)
{
    uint64_t page, size, count;
    gpa_t at;
    bool runs;

    CHECK_OK(conform_by_hand(ACT_COUNT));
    page = base() + COUNTER;
    CHECK_ERR(E_RANGE,
              guestmap_protect(&c.vm->map, gpa(HOLE & ~(PAGE_SIZE - 1)), PAGE_SIZE, false));
    CHECK_ERR(E_RANGE, guestmap_protect(&c.vm->map, gpa(page + 8), PAGE_SIZE, false));
    CHECK_ERR(E_RANGE, guestmap_protect(&c.vm->map, gpa(base()), 4 * MIB, false));
    CHECK_OK(guestmap_protect(&c.vm->map, gpa(page), PAGE_SIZE, false));
    CHECK(!guest_may_write(&c.vm->map, gpa(page)));
    CHECK(guest_may_write(&c.vm->map, gpa(page + PAGE_SIZE)));
    store_is_stopped(page);
    CHECK(!c.failed);
    CHECK_OK(guestmap_dirty_start(&c.vm->map));
    store_is_stopped(page);
    CHECK(!c.failed);
    CHECK_OK(guestmap_dirty_take(&c.vm->map));
    CHECK(!guestmap_dirty_next(&c.vm->map, gpa(page), &at, &size) || at.v != page);
    CHECK_OK(guestmap_protect(&c.vm->map, gpa(page), PAGE_SIZE, true));
    count = conform_counter();
    while (!conform_runs_on()) /* A store that was begun ends as it may. */
        CHECK_OK(vcpu_answer(c.vcpu, &runs));
    CHECK(conform_counter() > count);
    CHECK_OK(guestmap_dirty_take(&c.vm->map));
    CHECK(guestmap_dirty_next(&c.vm->map, gpa(page), &at, &size) && at.v == page);
    CHECK(conform_take_apart());
}

/* And managed, while it runs on another pCPU: from the return on nothing is written. */
void case_memory_protect(void)
{
    uint64_t page, count;

    protect_by_hand();
    if (c.failed || pcpu_count < 2)
        return;
    CHECK_OK(conform_create(ACT_COUNT, 1, 1));
    CHECK_OK(vm_start(c.vm));
    CHECK(conform_wait_state(VM_RUNNING) && conform_wait_count(0));
    page = base() + COUNTER;
    for (unsigned i = 0; i < 2; i++) {
        CHECK_OK(guestmap_protect(&c.vm->map, gpa(page), PAGE_SIZE, false));
        count = conform_counter();
        conform_pass_time(5);
        CHECK(conform_counter() == count && c.vm->state == VM_RUNNING);
        CHECK_OK(guestmap_protect(&c.vm->map, gpa(page), PAGE_SIZE, true));
        CHECK(conform_wait_count(count));
    }
}

void case_memory_dump(void)
{
    uint64_t size, at = 3 * PAGE_SIZE + 5;
    uint8_t *copy;
    const unsigned order = 9; /* 2 MiB */

    CHECK_OK(conform_create(ACT_SPIN, 1, 0));
    CHECK_OK(guest_fill(&c.vm->map, gpa(base() + at), 0x77, 1));
    size = guestmap_memory_size(&c.vm->map);
    CHECK(size >= 2 * MIB); /* What else is memory of its machine lies below, or above. */
    copy = page_alloc(order + 1);
    CHECK(copy && size <= PAGE_SIZE << (order + 1));
    c.failed = guestmap_dump(&c.vm->map, copy, size - 1) != E_RANGE ? "too small a buffer" : NULL;
    if (!c.failed && guestmap_dump(&c.vm->map, copy, size) != OK)
        c.failed = "a buffer that is large enough";
    if (!c.failed && copy[guestmap_dump_offset(&c.vm->map, gpa(base() + at))] != 0x77)
        c.failed = "the byte is where it should be";
    page_free(copy, order + 1);
}

/* --- Dirty tracking --- */

void case_dirty_exact(void)
{
    struct guestmap *map;
    uint64_t size;
    gpa_t start;

    CHECK_OK(conform_create(ACT_SPIN, 1, 0));
    map = &c.vm->map;
    CHECK_ERR(E_STATE, guestmap_dirty_take(map));
    CHECK_OK(guestmap_dirty_start(map));
    CHECK_OK(guestmap_dirty_start(map)); /* Idempotent, */
    CHECK_OK(guest_fill(map, gpa(base() + 5 * PAGE_SIZE - 1), 1, 2));
    CHECK_OK(guestmap_dirty_take(map));
    CHECK(guestmap_dirty_next(map, gpa(0), &start, &size));
    CHECK(start.v == base() + 4 * PAGE_SIZE && size == 2 * PAGE_SIZE);
    CHECK(!guestmap_dirty_next(map, gpa(start.v + size), &start, &size));
    CHECK_OK(guestmap_dirty_take(map)); /* got, and cleared, */
    CHECK(!guestmap_dirty_next(map, gpa(0), &start, &size));
    guestmap_dirty_stop(map);
    guestmap_dirty_stop(map); /* and off. */
    CHECK_ERR(E_STATE, guestmap_dirty_take(map));
}

/* By a guest that counts, in its page alone; x86: its own tables count as written, too. */
void case_dirty_guest(void)
{
    uint64_t page;
    uint64_t size;
    gpa_t start;

    CHECK_OK(conform_by_hand(ACT_COUNT));
    page = base() + COUNTER;
    CHECK_OK(guestmap_dirty_start(&c.vm->map));
    for (unsigned i = 0; i < 2; i++) {
        uint64_t count = conform_counter();

        CHECK(conform_runs_on() && conform_counter() > count);
        CHECK_OK(guestmap_dirty_take(&c.vm->map));
        CHECK(guestmap_dirty_next(&c.vm->map, gpa(page), &start, &size));
        CHECK(start.v == page && size == PAGE_SIZE);
        CHECK(!guestmap_dirty_next(&c.vm->map, gpa(page + PAGE_SIZE), &start, &size));
    }
}

void case_capabilities(void)
{
    struct caps caps = caps_get();

    CHECK(strcmp(caps.arch, ARCH_NAME) == 0 && caps.backend[0] && caps.cpus == pcpu_count);
    CHECK(caps.vcpus_max >= 1 && caps.vcpus_max <= CONFIG_VCPUS_MAX && caps.vms_max >= 1);
    CHECK(caps.memory_min <= caps.memory_free && caps.memory_max >= caps.memory_min);
    CHECK(!caps.nested);
    CHECK_OK(conform_create(ACT_SPIN, 1, 0));
    CHECK(caps_get().memory_free < caps.memory_free);
}
