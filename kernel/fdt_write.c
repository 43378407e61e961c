/* SPDX-License-Identifier: Apache-2.0 */
/* Writes device trees, node by node, with libfdt underneath. No state, no locks. */
#include <libfdt.h>

#include "kernel/fdt.h"
#include "kernel/fmt.h"
#include "kernel/string.h"

#define CELL          4u
#define NAME_MAX_SIZE 64u

/* Keeps the first error; what follows one does nothing. */
#define WRITE(w, expr)                                                                             \
    do {                                                                                           \
        if ((w)->error == 0)                                                                       \
            (w)->error = (expr);                                                                   \
    } while (0)

void fdt_write_begin(struct fdt_writer *w, void *buf, size_t size)
{
    *w = (struct fdt_writer){.buf = buf, .size = MIN(size, (size_t)INT32_MAX)};
    /* To search for each name among those that are there takes longer than all the rest. */
    WRITE(w, fdt_create_with_flags(buf, (int)w->size, FDT_CREATE_FLAG_NO_NAME_DEDUP));
    WRITE(w, fdt_finish_reservemap(buf));
}

void fdt_write_node(struct fdt_writer *w, const char *name, ...)
{
    char text[NAME_MAX_SIZE];
    va_list args;

    va_start(args, name);
    if (fmt_vbuf(text, sizeof(text), name, args) >= sizeof(text))
        WRITE(w, -FDT_ERR_BADVALUE);
    va_end(args);
    WRITE(w, fdt_begin_node(w->buf, strcmp(text, "/") == 0 ? "" : text));
}

void fdt_write_node_end(struct fdt_writer *w)
{
    WRITE(w, fdt_end_node(w->buf));
}

void fdt_write_u32(struct fdt_writer *w, const char *name, uint32_t v)
{
    WRITE(w, fdt_property_u32(w->buf, name, v));
}

void fdt_write_u64(struct fdt_writer *w, const char *name, uint64_t v)
{
    WRITE(w, fdt_property_u64(w->buf, name, v));
}

/* Room for a property; NULL after an error. */
static uint8_t *write_space(struct fdt_writer *w, const char *name, size_t size)
{
    void *space = NULL;

    if (size > w->size)
        WRITE(w, -FDT_ERR_NOSPACE);
    WRITE(w, fdt_property_placeholder(w->buf, name, (int)size, &space));
    return w->error == 0 ? space : NULL;
}

static uint8_t *write_cell(uint8_t *to, uint32_t v)
{
    for (unsigned i = 0; i < CELL; i++)
        *to++ = (uint8_t)(v >> (24 - 8 * i));
    return to;
}

void fdt_write_cells(struct fdt_writer *w, const char *name, const uint32_t *cells, unsigned count)
{
    uint8_t *to = write_space(w, name, (size_t)count * CELL);

    for (unsigned i = 0; to && i < count; i++)
        to = write_cell(to, cells[i]);
}

void fdt_write_string(struct fdt_writer *w, const char *name, const char *s)
{
    fdt_write_bytes(w, name, s, strlen(s) + 1);
}

void fdt_write_bytes(struct fdt_writer *w, const char *name, const void *s, size_t size)
{
    uint8_t *to = write_space(w, name, size);

    if (to && size > 0)
        memcpy(to, s, size);
}

void fdt_write_empty(struct fdt_writer *w, const char *name)
{
    fdt_write_bytes(w, name, NULL, 0);
}

void fdt_write_reg(struct fdt_writer *w, const uint64_t (*pairs)[2], unsigned count)
{
    uint8_t *to = write_space(w, "reg", (size_t)count * 4 * CELL);

    for (unsigned i = 0; to && i < 2 * count; i++) {
        to = write_cell(to, (uint32_t)(pairs[i / 2][i % 2] >> 32));
        to = write_cell(to, (uint32_t)pairs[i / 2][i % 2]);
    }
}

enum err fdt_write_end(struct fdt_writer *w, size_t *size)
{
    WRITE(w, fdt_finish(w->buf));
    *size = 0;
    if (w->error == -FDT_ERR_NOSPACE)
        return E_NOMEM;
    if (w->error != 0)
        return E_INVALID;
    *size = fdt_totalsize(w->buf);
    return OK;
}
