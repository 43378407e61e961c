/* SPDX-License-Identifier: Apache-2.0 */
/* The words for errors. */
#include "kernel/err.h"

const char *err_text(enum err err)
{
    switch (err) {
    case OK:
        return "no error";
    case E_NOMEM:
        return "out of memory";
    case E_RANGE:
        return "out of range";
    case E_EXISTS:
        return "exists already";
    case E_ABSENT:
        return "not there";
    case E_BUSY:
        return "busy";
    case E_IO:
        return "I/O error";
    case E_TIMEOUT:
        return "timed out";
    case E_UNSUPPORTED:
        return "not supported";
    case E_STATE:
        return "not allowed in this state";
    case E_INVALID:
        return "malformed";
    }
    return "unknown error";
}
