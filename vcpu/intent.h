/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest wants by an exit, for machine_ops.intent: a call or an access to a register by which
 * it starts a processor, sends an interrupt, ends one, or turns its machine off becomes the kind of
 * exit that says so. Pure: nothing but *exit is changed, and what is none of these stays as it is.
 * `advance` stays, so that arch_vcpu_finish() steps over what is to be stepped over; a result that
 * the guest waits for is the caller's to give. In the manual way only: bound, own pCPU.
 */
#pragma once

struct vcpu;
struct vcpu_exit;

void intent_aarch64(const struct vcpu *vcpu, struct vcpu_exit *exit);
void intent_riscv64(const struct vcpu *vcpu, struct vcpu_exit *exit);
void intent_x86_64(const struct vcpu *vcpu, struct vcpu_exit *exit);
