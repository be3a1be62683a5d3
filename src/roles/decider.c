/* The decider: holds all state, decides, answers. No capability, its state folder, no other file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"
#include "config/exempt.h"
#include "config/selftest.h"
#include "desk/desk.h"
#include "roles/role.h"

struct decider_role {
    struct role_supervisor supervisor;
    struct desk *desk;
};

static int from_supervisor(void *context, struct message *message) {
    struct decider_role *role = context;
    return desk_from_supervisor(role->desk, message);
}

static void on_quit(void *context, bool lift) {
    (void)lift;
    struct decider_role *role = context;
    desk_finish(role->desk);
}

static int from_sensor(void *context, struct message *message) {
    struct decider_role *role = context;
    return desk_from_sensor(role->desk, message);
}

static int from_enforcer(void *context, struct message *message) {
    struct decider_role *role = context;
    return desk_from_enforcer(role->desk, message);
}

static int enforcer_clear(void *context) {
    struct decider_role *role = context;
    desk_pump_orders(role->desk);
    return 0;
}

static int sensor_ended(void *context, int error, const char *what) {
    struct decider_role *role = context;
    return role_peer_ended(&role->supervisor, SENSOR, error, what);
}

static int enforcer_ended(void *context, int error, const char *what) {
    struct decider_role *role = context;
    role->desk->enforcer_is_there = false;
    return role_peer_ended(&role->supervisor, ENFORCER, error, what);
}

int main(int argc, char **argv) {
    struct why why = {0};
    struct config *config = NULL;
    struct role_options options = role_begin(DECIDER, argc, argv);
    if (config_read(options.config_folder, options.data_folder, &config, &why) < 0)
        role_fail(&why);
    if (!digest_equals(&config->digest, &options.digest)) {
        why_set(&why, -1, options.config_folder, 0, "changed while hauberk was starting");
        role_fail(&why);
    }
    config_add_selftest(config);
    config_read_resolvers(config);
    struct decider_role role = {.supervisor = {.loop = loop_new(),
                                               .on_message = from_supervisor,
                                               .on_quit = on_quit,
                                               .context = &role}};
    struct loop *loop = role.supervisor.loop;
    role.desk = desk_new(loop, config, options.state_folder, options.runtime_folder);
    desk_begin_observing(role.desk, options.observe);
    desk_read_pause(role.desk);
    desk_begin_telling(role.desk);
    struct admins *admins = admins_read(config);
    role.desk->decider->admins = admins;
    role.desk->logins = logins_open();
    role_enter_sandbox(DECIDER, &options, options.state_folder,
                       role.desk->logins ? LOGINS_FOLDER : NULL);
    if (desk_open_store(role.desk, &why) < 0)
        role_fail(&why);
    role_connect_supervisor(&role.supervisor, DECIDER);
    static const struct channel_calls sensor_calls = {from_sensor, NULL, sensor_ended};
    static const struct channel_calls enforcer_calls = {from_enforcer, enforcer_clear,
                                                        enforcer_ended};
    role.desk->supervisor = role.supervisor.channel;
    role.desk->sensor = channel_new(loop, ROLE_FD_PEER, DECIDER, SENSOR, &sensor_calls, &role);
    role.desk->enforcer =
        channel_new(loop, ROLE_FD_SECOND, DECIDER, ENFORCER, &enforcer_calls, &role);
    role.desk->control = control_new(loop, ROLE_FD_CONTROL, desk_answer_question, role.desk);
    role.desk->sensor_is_there = true;
    if (role.desk->paused_until_us)
        desk_pause(role.desk, role.desk->paused_until_us);
    desk_watch_logins(role.desk);
    desk_begin_enforcing(role.desk);
    int result = loop_run(loop);
    desk_finish(role.desk);
    role.desk = desk_free(role.desk);
    admins_free(admins);
    return result < 0 ? 1 : 0;
}
