/* SPDX-License-Identifier: Apache-2.0 */
/* Between vm.c and vm_create.c. */
#pragma once

#include "vcpu/vm.h"

/* vm.c. What a new VM needs for its life; its vCPUs exist. */
void vm_life_init(struct vm *vm);
/*
 * It may be taken apart: nothing runs in it, or will, and no timer or work of its life is left.
 * E_STATE unless it is created, stopped or failed. May wait for other pCPUs.
 */
enum err vm_leave(struct vm *vm);

/* vm_create.c. Pages, zeroed; NULL may be freed. */
void *vm_alloc(size_t size);
void vm_free(void *object, size_t size);
