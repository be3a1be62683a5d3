/* The kernel's knobs as they stand now. Subject of those that each interface has: all, default.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include "probe/probe.h"

static const char *const knobs[] = {
    "kernel.dmesg_restrict", "kernel.kptr_restrict", "kernel.perf_event_paranoid",
    "kernel.unprivileged_bpf_disabled", "kernel.yama.ptrace_scope", "kernel.sysrq",
    "kernel.kexec_load_disabled", "kernel.randomize_va_space", "kernel.core_pattern",
    "fs.suid_dumpable", "fs.protected_fifos", "fs.protected_regular", "fs.protected_hardlinks",
    "fs.protected_symlinks", "net.core.bpf_jit_harden", "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_rfc1337", "net.ipv4.icmp_echo_ignore_broadcasts",
    "net.ipv4.icmp_ignore_bogus_error_responses",
};

static const char *const of_interfaces[] = {
    "net.ipv4.conf.accept_redirects", "net.ipv4.conf.secure_redirects",
    "net.ipv4.conf.send_redirects", "net.ipv4.conf.accept_source_route",
    "net.ipv4.conf.rp_filter", "net.ipv4.conf.log_martians", "net.ipv6.conf.accept_redirects",
    "net.ipv6.conf.accept_source_route",
};

static void say(struct look *look, const char *name, const char *subject, const char *path) {
    char file[200];
    cleanup_text struct text text = {0};
    size_t length = (size_t)snprintf(file, sizeof(file), "/proc/sys/%s", path);
    for (size_t i = sizeof("/proc/sys/"); i < length; i++)
        if (file[i] == '.')
            file[i] = '/';
    int error = look_file(file, &text);
    if (error == 0)
        look_say(look, name, subject, text_span(&text));
    else if (error == -ENOENT)
        look_say_not(look, name, "this kernel has no %s", path);
    else
        look_say_not(look, name, "%s: %s", file, strerror(-error));
}

void probe_sysctl(struct look *look) {
    static const char *const subjects[] = {"all", "default"};
    for (size_t i = 0; i < ELEMENTS_OF(knobs); i++)
        say(look, knobs[i], "", knobs[i]);
    for (size_t i = 0; i < ELEMENTS_OF(of_interfaces); i++)
        for (size_t j = 0; j < ELEMENTS_OF(subjects); j++) {
            char path[120];
            const char *last = strrchr(of_interfaces[i], '.');
            snprintf(path, sizeof(path), "%.*s.%s%s", (int)(last - of_interfaces[i]),
                     of_interfaces[i], subjects[j], last);
            say(look, of_interfaces[i], subjects[j], path);
        }
}
