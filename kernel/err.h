/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of the world (memory, firmware, devices, configuration): values that cannot be dropped.
 * Our own mistakes are assert()s; a guest's mistakes are neither (see HACKING.md).
 */
#pragma once

enum [[nodiscard]] err{
    OK,        E_NOMEM, E_RANGE, /* An address, index or size is outside what is allowed. */
    E_EXISTS,                    /* There is one already. */
    E_ABSENT,                    /* There is none. */
    E_BUSY,    E_IO,    E_TIMEOUT, E_UNSUPPORTED, /* This machine or build cannot. */
    E_STATE,   /* The object is in a state in which this is not allowed. */
    E_INVALID, /* The input is malformed. */
};

#define TRY(expr)                                                                                  \
    do {                                                                                           \
        enum err try_ = (expr);                                                                    \
        if (try_ != OK)                                                                            \
            return try_;                                                                           \
    } while (0)

/* An outcome that changes nothing for the caller, who says why in a comment. */
static inline void err_ignore([[maybe_unused]] enum err err)
{
}

/* "no memory", "out of range", …: for messages. */
const char *err_text(enum err err);
