/* SPDX-License-Identifier: Apache-2.0 */
/* Gives back each line typed, by interrupts; "quit" ends it, "reset" resets, "count" counts. */
#include "guest.h"

#define LINE_MAX 4096u

static char line[LINE_MAX];
static unsigned size, lines, interrupts;
static volatile bool end, reset;

static bool line_is(const char *word)
{
    unsigned i = 0;

    while (i < size && word[i] == line[i])
        i++;
    return i == size && word[i] == 0;
}

static void line_typed(void)
{
    lines++;
    if (line_is("quit"))
        end = true;
    else if (line_is("reset"))
        reset = true;
    else if (line_is("count"))
        print("lines %u interrupts %u\n", lines, interrupts);
    else
        print("echo[%u]: %s\n", size, line);
    size = 0;
}

static void uart_taken(unsigned irq)
{
    interrupts += irq == UART_IRQ;
    for (int c = uart_get(); c >= 0; c = uart_get()) {
        if (c == '\r' || c == '\n') {
            line[size] = 0;
            line_typed();
        } else if (size < LINE_MAX - 1) {
            line[size++] = (char)c;
        }
    }
}

void guest_main(void)
{
    irq_handler = uart_taken;
    uart_irq_enable();
    print("echo: ready\n");
    while (!end && !reset) {
        cpu_wait();
        irq_enable();
        irq_disable();
    }
    if (reset)
        machine_reset();
    check(interrupts > 0, "what is typed arrives by interrupts");
}
