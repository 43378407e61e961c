/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and linker sets. */
#include "kernel/linkset.h"
#include "kernel/list.h"
#include "tests/host/test.h"

struct item {
    unsigned number;
    struct list node;
};

static struct list head;
static struct item items[8];

static void fill(unsigned count)
{
    list_init(&head);
    for (unsigned i = 0; i < count; i++) {
        items[i].number = i;
        list_push_back(&head, &items[i].node);
    }
}

static unsigned digits(void)
{
    struct item *it;
    unsigned v = 0;

    list_for_each(it, &head, node) v = v * 10 + it->number;
    return v;
}

TEST(a_list_keeps_the_order_of_insertion)
{
    fill(0);
    ASSERT(list_empty(&head));
    ASSERT_EQ(digits(), 0);
    fill(4);
    ASSERT(!list_empty(&head));
    ASSERT_EQ(digits(), 123);
    ASSERT_EQ(list_first(&head, struct item, node)->number, 0);
    list_remove(&items[0].node);
    list_push_front(&head, &items[0].node);
    ASSERT_EQ(digits(), 123);
    list_remove(&items[1].node);
    list_insert_before(&items[3].node, &items[1].node);
    ASSERT_EQ(digits(), 213);
}

TEST(a_removed_node_may_be_removed_again)
{
    fill(3);
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    ASSERT(list_empty(&items[1].node));
    ASSERT_EQ(digits(), 2);
}

TEST(a_list_may_be_emptied_while_it_is_walked)
{
    struct item *it;
    unsigned visited = 0;

    fill(8);
    list_for_each(it, &head, node)
    {
        ASSERT_EQ(it->number, visited++);
        list_remove(&it->node);
    }
    ASSERT_EQ(visited, 8);
    ASSERT(list_empty(&head));
}

LINKSET_DECLARE(test_numbers);
LINKSET_DECLARE(test_nothing);
static const int three = 3, four = 4;
LINKSET_ENTRY(test_numbers, three);
LINKSET_ENTRY(test_numbers, four);

TEST(a_linker_set_gathers_its_entries)
{
    int sum = 0, count = 0;

    linkset_for_each(test_numbers, it) sum += *(const int *)*it;
    linkset_for_each(test_nothing, it) count++;
    ASSERT_EQ(sum, 7);
    ASSERT_EQ(count, 0);
}
