/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots on their way to storage: what is damaged, foreign or forged is refused. */
#include <stdlib.h>

#include "kernel/crc32c.h"
#include "mm/page.h"
#include "tests/host/snapshot_rig.h"

#define STREAM_MAX (8 * MIB)

static uint8_t *stream;
static size_t stream_size, stream_at;

static enum err stream_put(void *arg, const void *bytes, size_t size)
{
    ASSERT(arg == &stream && stream_size + size <= STREAM_MAX);
    memcpy(stream + stream_size, bytes, size);
    stream_size += size;
    return OK;
}

static enum err stream_get(void *arg, void *bytes, size_t size)
{
    ASSERT(arg == &stream);
    if (size > stream_size - stream_at)
        return E_IO;
    memcpy(bytes, stream + stream_at, size);
    stream_at += size;
    return OK;
}

static void stream_write(const struct snapshot *s)
{
    stream = stream ? stream : malloc(STREAM_MAX);
    stream_size = 0;
    ASSERT_OK(snapshot_write(s, stream_put, &stream));
}

static enum err stream_read(struct snapshot **s)
{
    stream_at = 0;
    rig_log_clear();
    return snapshot_read(stream_get, &stream, s);
}

static struct snapshot_header *stream_header(void)
{
    return (struct snapshot_header *)(void *)stream;
}

/* A VM with a snapshot in the stream that was forgotten here. */
static struct vm *streamed(unsigned vcpus)
{
    struct vm *vm = rig_running(vcpus);
    struct snapshot *s;

    put(vm, AT, 0x1234567);
    put(vm, AT + 5 * PAGE_SIZE, 0x89abcdef);
    s = take(vm, "a", NULL);
    ASSERT_OK(snapshot_check(s));
    stream_write(s);
    ASSERT_OK(snapshot_forget(s));
    return vm;
}

TEST(a_snapshot_that_was_stored_and_read_again_is_the_same)
{
    struct vm *vm = streamed(2);
    struct snapshot *s;
    size_t size = stream_size;
    uint32_t crc = crc32c(0, stream, size);

    put(vm, AT, 0);
    ASSERT_OK(stream_read(&s));
    ASSERT_STR(s->name, "web@a");
    go_back(vm, s);
    ASSERT_EQ(get(vm, AT), 0x1234567);
    ASSERT_EQ(get(vm, AT + 5 * PAGE_SIZE), 0x89abcdef);
    stream_write(s);
    ASSERT_EQ(stream_size, size);
    ASSERT_EQ(crc32c(0, stream, size), crc);
    end(vm, &s, 1);
}

TEST(a_stream_that_was_cut_is_refused)
{
    struct vm *vm = streamed(1);
    uint64_t pages = page_free_count();
    struct snapshot *s;
    size_t size = stream_size;

    for (unsigned i = 0; i < 200; i++) {
        stream_size = i < 100 ? i * 8 : test_random_below(size);
        ASSERT_ERR(E_INVALID, stream_read(&s));
        ASSERT(rig_logged("refused: it was cut short"));
    }
    ASSERT_EQ(page_free_count(), pages);
    end(vm, NULL, 0);
}

TEST(a_flipped_bit_anywhere_is_found_and_the_part_named)
{
    struct vm *vm = streamed(1);
    uint64_t pages = page_free_count();
    struct snapshot *s;

    for (unsigned i = 0; i < 1500; i++) {
        /* Each of the first, where the heads are close, then anywhere. */
        size_t at = i < 1000 ? i : test_random_below(stream_size);
        uint8_t bit = (uint8_t)(1 << test_random_below(8));

        stream[at] ^= bit;
        ASSERT(stream_read(&s) != OK);
        ASSERT(rig_logged("refused: "));
        if (at >= stream_size - stream_size / 4)
            ASSERT(rig_logged("damaged") || rig_logged("fit together"));
        stream[at] ^= bit;
    }
    ASSERT_EQ(page_free_count(), pages);
    ASSERT_OK(stream_read(&s));
    end(vm, &s, 1);
}

/* A part of that name in the stream: of its bytes. */
static uint8_t *stream_part(const char *name)
{
    size_t at = sizeof(struct snapshot_header);

    while (at < stream_size) {
        struct snapshot_part *part = (void *)(stream + at);

        at += sizeof(*part);
        if (strcmp(part->name, name) == 0)
            return stream + at;
        at += part->space;
    }
    test_fail(__FILE__, __LINE__, "no part %s", name);
}

/* All checksums are right again: an enemy's work, not damage. */
static void stream_forge(void)
{
    struct snapshot_header *header = stream_header();
    size_t at = sizeof(*header);
    uint32_t crc;

    header->crc = 0;
    crc = crc32c(0, header, sizeof(*header));
    while (at < stream_size) {
        struct snapshot_part *part = (void *)(stream + at);

        at += sizeof(*part);
        part->crc = crc32c(0, stream + at, part->space);
        crc = crc32c(crc, part, sizeof(*part));
        at += part->space;
    }
    header->crc = crc;
}

static void refused(enum err err, const char *why)
{
    struct snapshot *s;

    stream_forge();
    ASSERT_ERR(err, stream_read(&s));
    if (!rig_logged(why))
        test_fail(__FILE__, __LINE__, "not said: %s, but: %s", why, rig_log);
}

TEST(a_snapshot_of_another_version_machine_or_time_is_refused_with_the_reason)
{
    struct vm *vm = streamed(1);
    struct snapshot_header good = *stream_header(), *header = stream_header();

    header->major++;
    refused(E_INVALID, "it is of another major version of the format");
    *header = good;
    header->minor++;
    refused(E_UNSUPPORTED, "it is of a newer version of the format");
    *header = good;
    header->arch ^= 1;
    refused(E_UNSUPPORTED, "it is of another architecture");
    *header = good;
    header->backend[0] = 'X';
    refused(E_UNSUPPORTED, "it is of another kind of virtualization hardware");
    *header = good;
    header->timer_hz /= 2;
    refused(E_UNSUPPORTED, "a machine whose clock has another frequency");
    *header = good;
    header->parent = 77;
    refused(E_INVALID, "its parent is not there");
    *header = good;
    memset(header->name, 'x', sizeof(header->name));
    refused(E_INVALID, "a name in its header does not end");
    *header = good;
    header->magic[0] = 'x';
    refused(E_INVALID, "it is no snapshot of ours");
    *header = good;
    end(vm, NULL, 0);
}

TEST(forged_runs_of_pages_are_refused)
{
    struct vm *vm = streamed(1);
    struct snapshot_run *runs = (void *)stream_part("runs"), good = runs[1];
    struct snapshot *s;

    runs[1].base = runs[0].base;
    refused(E_INVALID, "its runs of pages are in disorder");
    runs[1] = good;
    runs[1].base += 8;
    refused(E_INVALID, "its runs of pages are in disorder");
    runs[1] = good;
    runs[1].count = UINT64_MAX / PAGE_SIZE;
    refused(E_INVALID, "its runs of pages are in disorder");
    runs[1] = good;
    runs[1].first++;
    refused(E_INVALID, "its runs of pages are in disorder");
    runs[1] = good;
    runs[1].kind = 2;
    refused(E_INVALID, "its runs of pages are in disorder");
    runs[1] = good;
    runs[1].count++;
    refused(E_INVALID, "pages"); /* The next is not as it should be, or the sum. */
    runs[1] = good;
    runs[1].base = RIG_RAM_BASE + 64 * MIB; /* Where the VM has nothing: told when it is wanted. */
    for (unsigned i = 2; runs[i].count != 0; i++)
        runs[i].base = runs[1].base + i * PAGE_SIZE * 1024;
    stream_forge();
    ASSERT_OK(stream_read(&s));
    ASSERT_ERR(E_INVALID, vm_restore(vm, s));
    ASSERT(rig_logged("it has pages where the VM has no memory"));
    ASSERT_EQ(vm->state, VM_RUNNING); /* Nothing has happened to it. */
    end(vm, &s, 1);
}

TEST(forged_state_makes_the_vm_fail_and_its_memory_clear)
{
    struct vm *vm = streamed(1);
    struct snapshot *s;

    stream_part("vcpu")[0] = 9; /* Its power. */
    stream_forge();
    ASSERT_OK(stream_read(&s));
    ASSERT_OK(vm_restore(vm, s));
    rig_turns(8);
    ASSERT_EQ(vm->state, VM_FAILED);
    ASSERT(rig_logged("cannot be restored: vcpu: there is no such power state"));
    ASSERT_EQ(get(vm, AT), 0);
    ASSERT_OK(vm_start(vm));
    rig_turns(2);
    ASSERT_EQ(vm->vcpus[0].power, VCPU_ON);
    end(vm, &s, 1);
}

TEST(an_incremental_snapshot_is_stored_and_wants_its_parent)
{
    struct vm *vm = rig_running(1);
    struct snapshot *s[2];

    put(vm, AT, 1);
    s[0] = take(vm, "a", NULL);
    put(vm, AT + PAGE_SIZE, 2);
    s[1] = take(vm, "b", s[0]);
    stream_write(s[1]);
    ASSERT_OK(snapshot_forget(s[1]));
    ASSERT_OK(stream_read(&s[1]));
    ASSERT(s[1]->parent == s[0]);
    put(vm, AT, 5);
    put(vm, AT + PAGE_SIZE, 6);
    go_back(vm, s[1]);
    ASSERT_EQ(get(vm, AT), 1);
    ASSERT_EQ(get(vm, AT + PAGE_SIZE), 2);
    end(vm, s, 2);
}
