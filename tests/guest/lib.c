/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a guest: prints, counts checks, ends the machine. */
#include "guest.h"

static unsigned passed, failed;

static void print_number(uint64_t value, unsigned base)
{
    char digits[20];
    unsigned count = 0;

    do
        digits[count++] = "0123456789abcdef"[value % base];
    while ((value /= base) != 0);
    while (count > 0)
        uart_put(digits[--count]);
}

static void print_text(const char *text)
{
    for (; *text; text++)
        uart_put(*text);
}

void print(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (; *format; format++) {
        bool wide = format[0] == '%' && format[1] == 'l';
        char kind = format[0] == '%' ? format[wide ? 2 : 1] : 0;

        if (kind == 's')
            print_text(va_arg(args, const char *));
        else if (kind == 'c')
            uart_put((char)va_arg(args, int));
        else if (kind != 0)
            print_number(wide ? va_arg(args, uint64_t) : va_arg(args, unsigned),
                         kind == 'x' ? 16 : 10);
        else
            uart_put(*format);
        if (kind != 0)
            format += wide ? 2 : 1;
    }
    va_end(args);
}

void check(bool ok, const char *sentence)
{
    if (ok)
        passed++;
    else
        failed++;
    print("%s %s\n", ok ? "ok" : "FAIL", sentence);
}

void check_eq(uint64_t got, uint64_t expected, const char *sentence)
{
    if (got == expected) {
        check(true, sentence);
        return;
    }
    failed++;
    print("FAIL %s: expected 0x%lx, got 0x%lx\n", sentence, expected, got);
}

void report_failure(void)
{
    failed++;
}

void report_end(void)
{
    print("guest done: %u passed, %u failed\n", passed, failed);
    power_off();
}

bool text_starts(const char *text, const char *with)
{
    while (*with)
        if (*text++ != *with++)
            return false;
    return true;
}

uint64_t text_argument(const char *line, const char *word, uint64_t other)
{
    uint64_t value = 0;
    size_t size = 0;

    while (word[size])
        size++;
    for (; *line; line++) {
        if (!text_starts(line, word) || line[size] != '=')
            continue;
        for (line += size + 1; *line >= '0' && *line <= '9'; line++)
            value = value * 10 + (uint64_t)(*line - '0');
        return value;
    }
    return other;
}

/* xorshift64: the same numbers in each run. */
uint64_t random_next(void)
{
    static uint64_t state = 88172645463325252u;

    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

void runtime_main(void)
{
    guest_main();
    report_end();
}

/* The compiler calls these by itself. */
void *memset(void *to, int value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = (uint8_t)value;
    return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}

/* --- Ticks --- */

struct ticks ticker;
static uint64_t tick_deadline;

void ticks_take(unsigned irq)
{
    uint64_t now = clock_read();

    if (irq != TIMER_IRQ || !timer_due())
        return;
    ticker.early += now < tick_deadline;
    ticker.count++;
    ticker.last = now;
    tick_deadline += clock_hz() / 1000 * TICK_MS;
    timer_set(tick_deadline);
}

void ticks_sleep(void)
{
    irq_line_enable(TIMER_IRQ);
    ticker.start = clock_read();
    tick_deadline = ticker.start + clock_hz() / 1000 * TICK_MS;
    timer_set(tick_deadline);
    while (!ticker.end) {
        cpu_wait();
        irq_enable();
        irq_disable();
    }
    timer_off();
    irq_line_disable(TIMER_IRQ);
}
