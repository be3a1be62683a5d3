/* Functions that have hurt too often to be kept: naming one is a compile error. Included from the
 * command line for every file of ours (meson.build), after the libc headers they come from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef alloca
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef strtok
#undef sprintf
#undef vsprintf
#undef gets
#undef atoi
#undef atol
#undef atoll

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets system popen
#pragma GCC poison atoi atol atoll localtime gmtime ctime asctime alloca
#ifndef HAS_A_FIELD_TIME /* as a library's header has, for the files that include it */
#pragma GCC poison time
#endif
