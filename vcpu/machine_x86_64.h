/* SPDX-License-Identifier: Apache-2.0 */
/* What a vCPU of an x86_64 machine has. Private to machine_x86_64*.c and intent_x86_64.c. */
#pragma once

struct vcpu;
struct vlapic;

const struct vlapic *x86_64_lapic(const struct vcpu *vcpu);
