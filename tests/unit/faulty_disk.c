/* A disk with faults: see faulty_disk.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later */
#include "faulty_disk.h"

#include <pthread.h>
#include <sqlite3.h>

#include "base/compiler.h"

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_opened = PTHREAD_COND_INITIALIZER;
static bool gate_is_shut, someone_waits;
static int write_fails_with; /* SQLite's code, 0 */

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_vfs faulty_vfs;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods faulty_methods;

static sqlite3_file *real_of(sqlite3_file *file) {
    return ((struct faulty_file *)(void *)file)->real;
}

static int fault(void) {
    pthread_mutex_lock(&gate_lock);
    while (gate_is_shut) {
        someone_waits = true;
        pthread_cond_wait(&gate_opened, &gate_lock);
    }
    someone_waits = false;
    int result = write_fails_with;
    pthread_mutex_unlock(&gate_lock);
    return result;
}

void set_gate(bool is_shut, int fails_with) {
    pthread_mutex_lock(&gate_lock);
    gate_is_shut = is_shut;
    write_fails_with = fails_with;
    pthread_cond_broadcast(&gate_opened);
    pthread_mutex_unlock(&gate_lock);
}

bool is_waited_at_the_gate(void) {
    pthread_mutex_lock(&gate_lock);
    bool waits = someone_waits;
    pthread_mutex_unlock(&gate_lock);
    return waits;
}

static int faulty_write(sqlite3_file *file, const void *at, int count, sqlite3_int64 offset) {
    int result = fault();
    return result ? result : real_of(file)->pMethods->xWrite(real_of(file), at, count, offset);
}

static int faulty_sync(sqlite3_file *file, int flags) {
    int result = fault();
    return result == SQLITE_FULL || result == 0
               ? real_of(file)->pMethods->xSync(real_of(file), flags)
               : SQLITE_IOERR_FSYNC;
}

static int pass_close(sqlite3_file *file) {
    int result = real_of(file)->pMethods->xClose(real_of(file));
    sqlite3_free(real_of(file));
    return result;
}
static int pass_read(sqlite3_file *file, void *into, int count, sqlite3_int64 offset) {
    return real_of(file)->pMethods->xRead(real_of(file), into, count, offset);
}
static int pass_truncate(sqlite3_file *file, sqlite3_int64 size) {
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}
static int pass_size(sqlite3_file *file, sqlite3_int64 *size) {
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
static int pass_lock(sqlite3_file *file, int kind) {
    return real_of(file)->pMethods->xLock(real_of(file), kind);
}
static int pass_unlock(sqlite3_file *file, int kind) {
    return real_of(file)->pMethods->xUnlock(real_of(file), kind);
}
static int pass_reserved(sqlite3_file *file, int *result) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}
static int pass_control(sqlite3_file *file, int what, void *argument) {
    return real_of(file)->pMethods->xFileControl(real_of(file), what, argument);
}
static int pass_sector(sqlite3_file *file) {
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}
static int pass_device(sqlite3_file *file) {
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}
static int pass_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **at) {
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, at);
}
static int pass_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}
static void pass_shm_barrier(sqlite3_file *file) {
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}
static int pass_shm_unmap(sqlite3_file *file, int deletes) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), deletes);
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                       int *ret_flags) {
    (void)vfs;
    struct faulty_file *faulty = (void *)file;
    faulty->base.pMethods = NULL;
    faulty->real = sqlite3_malloc(real_vfs->szOsFile);
    if (!faulty->real)
        return SQLITE_NOMEM;
    memset(faulty->real, 0, (size_t)real_vfs->szOsFile);
    int result = real_vfs->xOpen(real_vfs, name, faulty->real, flags, ret_flags);
    if (result != SQLITE_OK) {
        sqlite3_free(faulty->real);
        return result;
    }
    faulty->base.pMethods = &faulty_methods;
    return SQLITE_OK;
}

void make_disk(void) {
    real_vfs = sqlite3_vfs_find(NULL);
    faulty_methods = (sqlite3_io_methods){
        .iVersion = 2, .xClose = pass_close, .xRead = pass_read, .xWrite = faulty_write,
        .xTruncate = pass_truncate, .xSync = faulty_sync, .xFileSize = pass_size,
        .xLock = pass_lock, .xUnlock = pass_unlock, .xCheckReservedLock = pass_reserved,
        .xFileControl = pass_control, .xSectorSize = pass_sector,
        .xDeviceCharacteristics = pass_device, .xShmMap = pass_shm_map,
        .xShmLock = pass_shm_lock, .xShmBarrier = pass_shm_barrier, .xShmUnmap = pass_shm_unmap};
    faulty_vfs = *real_vfs;
    faulty_vfs.zName = "faulty";
    faulty_vfs.szOsFile = sizeof(struct faulty_file);
    faulty_vfs.xOpen = faulty_open;
    must(sqlite3_vfs_register(&faulty_vfs, 1) == SQLITE_OK);
}
