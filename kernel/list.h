/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive, circular, doubly linked list. A node that is in no list points to itself. No locks. */
#pragma once

#include "kernel/types.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_before(struct list *pos, struct list *node)
{
    struct list *prev = pos->prev;

    node->prev = prev;
    node->next = pos;
    prev->next = node;
    pos->prev = node;
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert_before(head, node);
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert_before(head->next, node);
}

/* May be called for a node that is in no list. */
static inline void list_remove(struct list *node)
{
    struct list *next = node->next, *prev = node->prev;

    prev->next = next;
    next->prev = prev;
    list_init(node);
}

#define list_first(head, type, field) container_of((head)->next, type, field)

#define list_for_each(it, head, field)                                                             \
    for (__typeof__(it) it##_next_ = (it = list_first(head, __typeof__(*it), field),               \
                                     list_first(&it->field, __typeof__(*it), field));              \
         &it->field != (head);                                                                     \
         it = it##_next_, it##_next_ = list_first(&it->field, __typeof__(*it), field))
