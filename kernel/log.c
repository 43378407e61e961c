/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log's ring. It holds records, oldest overwritten first:
 *
 *     marker (1 byte: LEVEL_MARK + level) | "[    0.123456] cpu0 " ["warn: "] text "\n"
 *
 * Markers are control characters, and text is put in without any but tab and newline, so a marker
 * always starts a record: a reader that was overtaken goes on at the next one, and a guest's text
 * cannot send escape sequences to the terminal.
 *
 * `written` and `shown` count bytes since the start; their low bits index the ring. What lies
 * between is shown by whoever wrote it, but for log_later(): then a pCPU is behind, and shows it
 * by work, in pieces, and with it what others write meanwhile. All is guarded by the log lock;
 * after log_panic_mode() by nothing, because the only pCPU that runs is the panicking one.
 */
#include "kernel/log.h"

#include "kernel/arch.h"
#include "kernel/lock.h"
#include "kernel/long_work.h"
#include "kernel/percpu.h"

#define RING_SIZE  (64 * KIB)
#define LEVEL_MARK 1
#define OTHERS     9u /* What guests get for each part of the time that it takes to show it. */

static struct lock log_lock = LOCK_INIT(RANK_LOG, "log");
static char ring[RING_SIZE];
static uint64_t written; /* Bytes put into the ring. */
static uint64_t shown;   /* Bytes of them that the console has had, or that were not for it. */
static enum log_level shown_max = LOG_INFO;
static void (*console_write)(const char *text, size_t size);
static bool panic_mode;
static bool behind; /* behind_work is under way. */
static struct long_work behind_work;

static char ring_at(uint64_t at)
{
    return ring[at % RING_SIZE];
}

static void ring_put(char c)
{
    ring[written++ % RING_SIZE] = c;
}

static bool is_marker(char c)
{
    return c >= LEVEL_MARK && c <= LEVEL_MARK + LOG_DEBUG;
}

/* The first record that starts at or after the place given. */
static uint64_t record_find(uint64_t at)
{
    if (written > RING_SIZE && at < written - RING_SIZE)
        at = written - RING_SIZE;
    while (at < written && !is_marker(ring_at(at)))
        at++;
    return at;
}

static void line_put(struct fmt_sink *sink, const char *text, size_t size)
{
    (void)sink;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '\r')
            continue;
        ring_put(c < ' ' && c != '\n' && c != '\t' ? '?' : (char)c);
    }
}

static struct fmt_sink line_sink = {.put = line_put};

/* Text in the ring to a sink, in at most two pieces. */
static void ring_copy(uint64_t from, uint64_t to, struct fmt_sink *sink)
{
    while (from < to) {
        uint64_t size = MIN(to - from, RING_SIZE - from % RING_SIZE);

        sink->put(sink, &ring[from % RING_SIZE], size);
        from += size;
    }
}

static void console_put(struct fmt_sink *sink, const char *text, size_t size)
{
    (void)sink;
    console_write(text, size);
}

/* The first record for the console that starts at or after the place given. */
static uint64_t record_find_shown(uint64_t at)
{
    at = record_find(at);
    while (at < written && ring_at(at) - LEVEL_MARK > (int)shown_max)
        at = record_find(at + 1);
    return at;
}

/* Shows the next record that is for the console; false: there is none. */
static bool record_show(void)
{
    static struct fmt_sink console_sink = {.put = console_put};
    uint64_t at, end;

    if (!console_write)
        return false;
    at = shown = record_find_shown(shown);
    if (at == written)
        return false;
    end = record_find(at + 1);
    shown = record_find_shown(end);
    ring_copy(at + 1, end, &console_sink);
    return true;
}

static void records_show(void)
{
    while (record_show())
        ;
}

static void log_enter(void)
{
    if (!panic_mode)
        lock_take(&log_lock);
}

static void log_leave(void)
{
    if (!panic_mode)
        lock_drop(&log_lock);
}

struct fmt_sink *log_open(enum log_level level)
{
    static const char *const words[] = {
        [LOG_ERROR] = "error: ", [LOG_WARN] = "warn: ", [LOG_INFO] = "", [LOG_DEBUG] = "debug: "};
    uint64_t microseconds;

    log_enter();
    microseconds = ticks_to_ns(arch_ticks()) / 1000;
    ring_put((char)(LEVEL_MARK + level));
    fmt_print(&line_sink, "[%5u.%06u] cpu%u %s", (unsigned)(microseconds / 1000000),
              (unsigned)(microseconds % 1000000), this_cpu()->id, words[level]);
    return &line_sink;
}

static enum err log_step([[maybe_unused]] struct long_work *work)
{
    bool more;

    log_enter();
    more = record_show();
    behind = more; /* False: from the lock's end on another pCPU may begin anew. */
    log_leave();
    return more ? E_BUSY : OK;
}

/* Not where time belongs to the slots of a table, if there is another place. */
static unsigned log_cpu(void)
{
    unsigned here = this_cpu()->id;

    for (unsigned i = 0; i < pcpu_count; i++) {
        const struct pcpu *cpu = pcpu((here + i) % pcpu_count);

        if (atomic_load(&cpu->online) && !cpu->sched.slots)
            return cpu->id;
    }
    return here;
}

/* The log lock is held. */
static void log_begin_later(void)
{
    if (!console_write || behind || panic_mode)
        return;
    behind = true;
    long_work_init(&behind_work, log_cpu(), OTHERS);
    long_work_queue(&behind_work, log_step);
}

/* What comes faster than it can be shown is not lost: then it holds up who writes it. */
void log_close(void)
{
    if (written == 0 || ring_at(written - 1) != '\n')
        ring_put('\n');
    while ((!behind || panic_mode || written - shown > RING_SIZE / 2) && record_show())
        ;
    log_leave();
}

void log_vat(enum log_level level, const char *format, va_list args)
{
    fmt_vprint(log_open(level), format, args);
    log_close();
}

void log_at(enum log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_vat(level, format, args);
    va_end(args);
}

void log_later(enum log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fmt_vprint(log_open(level), format, args);
    va_end(args);
    log_begin_later();
    log_close();
}

void log_flush(void)
{
    log_enter();
    records_show();
    log_leave();
}

bool log_is_behind(void)
{
    bool more;

    log_enter();
    more = behind && shown != written;
    log_leave();
    return more;
}

void log_set_level(enum log_level level)
{
    log_enter();
    shown_max = level;
    log_leave();
}

void log_attach(void (*write)(const char *text, size_t size))
{
    log_enter();
    console_write = write;
    behind = false; /* There was nowhere to show it. */
    behind_work = (struct long_work){};
    records_show();
    log_leave();
}

/* The lock is not held while the sink takes the text: it may be slow, or log itself. */
void log_replay(struct fmt_sink *sink)
{
    uint64_t at = 0, next, size;
    char piece[128];

    for (bool more = true; more; at = next) {
        log_enter();
        if (at + RING_SIZE < written)
            at = record_find(written - RING_SIZE);
        size = MIN(written - at, sizeof(piece));
        next = at + size;
        more = size > 0;
        for (uint64_t i = 0; i < size; i++)
            piece[i] = ring_at(at + i);
        log_leave();
        for (uint64_t i = 0, start = 0; i <= size; i++) {
            if (i < size && !is_marker(piece[i]))
                continue;
            sink->put(sink, piece + start, i - start);
            start = i + 1;
        }
    }
}

static void firmware_write(const char *text, size_t size)
{
    (void)(arch_console_write(text, size) == OK); /* Nobody else to tell. */
}

void log_panic_mode(void)
{
    panic_mode = true;
    if (!console_write)
        log_attach(firmware_write);
}
