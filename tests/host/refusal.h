/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of what an entry to a guest refuses: the sentences that a check says. */
#pragma once

#include <string.h>

#include "kernel/bits.h"
#include "kernel/fmt.h"
#include "tests/host/test.h"

struct refusal {
    struct fmt_sink sink; /* For the check; put is refusal_put(). */
    size_t length;
    char text[4096];
};

static void refusal_put(struct fmt_sink *sink, const char *text, size_t size)
{
    struct refusal *said = container_of(sink, struct refusal, sink);

    ASSERT(said->length + size < sizeof(said->text));
    memcpy(said->text + said->length, text, size);
    said->length += size;
}

/* That it said count lines, and that one of them has the words; "": that it said none. Returns the
 * count. */
static inline unsigned refusal_says(const struct refusal *said, unsigned count, const char *words)
{
    unsigned lines = 0;

    for (size_t i = 0; i < said->length; i++)
        lines += said->text[i] == '\n';
    ASSERT_EQ(lines, count);
    if (!strstr(said->text, words) || (count && !*words))
        test_fail(__FILE__, __LINE__, "not said: %s; but: %s", words, said->text);
    return count;
}
