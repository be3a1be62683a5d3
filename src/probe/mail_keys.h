/* The keys this machine signs its mail with (DKIM), as the files of Rspamd and OpenDKIM name them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "probe/mail_names.h"

/* Adds them to `names`, whose domains are known already. */
void mail_keys_find(struct mail_names *names);

/* Rspamd's dkim_signing.conf and OpenDKIM's KeyTable: adds their keys. A path may hold $domain and
 * $selector; domain "" stands for every domain. */
void mail_keys_of_rspamd(struct span text, struct mail_names *names);
void mail_keys_of_opendkim(struct span table, struct mail_names *names);
