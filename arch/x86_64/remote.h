/* SPDX-License-Identifier: Apache-2.0 */
/* A function run on all pCPUs at once: how translations are flushed everywhere. */
#pragma once

/*
 * Runs fn(arg) on every pCPU that is online, ourselves included; returns when all have. fn takes no
 * locks. Any locks may be held.
 */
void remote_call(void (*fn)(void *arg), void *arg);
