/* SPDX-License-Identifier: Apache-2.0 */
/* For tests that include vcpu/vcpu.c a second time: other names for what it defines,
 * each by a MODEL() of its own. */
#pragma once

#define vcpu_bind           MODEL(bind)
#define vcpu_unbind         MODEL(unbind)
#define vcpu_request        MODEL(request)
#define vcpu_interrupt      MODEL(interrupt)
#define vcpu_power_on       MODEL(power_on)
#define vcpu_init           MODEL(init)
#define vcpu_translate      MODEL(translate)
#define vcpu_memory         MODEL(memory)
#define vcpu_init_signal    MODEL(init_signal)
#define vcpu_startup_signal MODEL(startup_signal)
#define vcpu_steal_start    MODEL(steal_start)
#define vcpu_steal_tell     MODEL(steal_tell)
#define vcpu_moving         MODEL(moving)
#define vcpu_state_text     MODEL(state_text)
#define vcpu_may_become     MODEL(may_become)
#define vcpu_set_state      MODEL(set_state)
#define vcpu_cancel         MODEL(cancel)
#define vcpu_start          MODEL(start)
#define vcpu_hold           MODEL(hold)
#define vcpu_let_go         MODEL(let_go)
#define vcpu_reset          MODEL(reset)
#define vcpu_destroy        MODEL(destroy)
