/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to vcpu/config*.c: typed reads of properties that report what is wrong. All readers leave
 * *value as it is when the property is absent or wrong; "true" means: it was there and is good.
 */
#pragma once

#include "vcpu/config.h"

struct config_reader {
    struct config *config;
    const struct fdt *fdt; /* config->fdt. */
    const struct config_context *context;
    struct config_report *report;
};

/* property may be NULL. */
[[gnu::format(printf, 4, 5)]] void config_mistake(struct config_reader *r, int node,
                                                  const char *property, const char *format, ...);

/* Reports properties and children that are in neither list (both end with NULL; children NULL:
 * any). */
void config_known(struct config_reader *r, int node, const char *const *properties,
                  const char *const *children);

/* Whether it is one or more strings of text, for what can be told from its bytes. Reports nothing.
 */
bool config_strings(struct config_reader *r, int node, const char *name);
bool config_string(struct config_reader *r, int node, const char *name, const char **value);
/* A cell, two cells, or a string with a number, from min to max. */
bool config_number(struct config_reader *r, int node, const char *name, uint64_t min, uint64_t max,
                   uint64_t *value);
/* A string such as "256M"; a multiple of the page size and not 0. */
bool config_size(struct config_reader *r, int node, const char *name, uint64_t *value);
/* A number that is a multiple of the page size. */
bool config_address(struct config_reader *r, int node, const char *name, uint64_t *value);
/* Empty, "yes" or "no". */
bool config_flag(struct config_reader *r, int node, const char *name, bool *value);
/* One of the words (the list ends with NULL): its index. */
bool config_choice(struct config_reader *r, int node, const char *name, const char *const *words,
                   unsigned *value);

/* config_cpus.c */

/* "weight", "budget-us", "period-us", after exclusive is known. */
void config_share(struct config_reader *r, struct config_vm *vm);
/* "/cpus", after the VMs are read. */
void config_cpus(struct config_reader *r);

/* config_check.c */

/* "affinity", after cpu_count and exclusive are known. */
void config_affinity(struct config_reader *r, struct config_vm *vm);
/*
 * Ranges of the VM among themselves and against the machine; host ranges and memory against the VMs
 * taken so far. What could not be read has size 0 and overlaps nothing.
 */
void config_check_vm(struct config_reader *r, const struct config_vm *vm);
/* Between the VMs, when all are read; may take some out. */
void config_check_all(struct config_reader *r);
