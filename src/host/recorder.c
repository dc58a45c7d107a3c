#include "host/recorder_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/slice.h"
#include "host/folder.h"
#include "host/say.h"

enum { SPARE_BYTES = 1024 * 1024, DEATH_WAIT_MS = 2000 };

#define FILE_SUFFIX ".mootrec"

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * MOOT_SEC_NS + (uint64_t)now.tv_nsec;
}

/* ---- the writing thread ---- */

static bool write_all(int fd, struct moot_slice bytes)
{
    while (bytes.size > 0) {
        ssize_t done = write(fd, bytes.data, bytes.size);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return false;
        }
        bytes.data += done;
        bytes.size -= (size_t)done;
    }
    return true;
}

/* False when nothing more is to be written. */
static bool write_chunk(struct recorder *recorder, struct moot_slice records)
{
    moot_buffer_reset(&recorder->packed, SPARE_BYTES);
    moot_replay_chunk(recorder->chunks, records, &recorder->packed);
    struct moot_slice bytes = moot_buffer_slice(&recorder->packed);
    if (!write_all(recorder->fd, bytes)) {
        host__say(MOOT_LOG_WARN, "recording ends: %s cannot be written: %s", recorder->path,
                  strerror(errno));
        return false;
    }
    recorder->chunks++;
    recorder->written += bytes.size;
    return true;
}

static void write_end(struct recorder *recorder, enum moot_replay_end end)
{
    struct moot_buffer records;
    moot_buffer_init(&records);
    moot_replay_encode(&(struct moot_replay_record){.kind = MOOT_REPLAY_END, .end = end}, &records);
    (void)write_chunk(recorder, moot_buffer_slice(&records));
    moot_buffer_deinit(&records);
}

static void write_one(struct recorder *recorder, struct moot_slice records)
{
    if (atomic_load(&recorder->failed)) {
        return;
    }
    if (!write_chunk(recorder, records)) {
        atomic_store(&recorder->failed, true);
    } else if (recorder->written >= recorder->limit) {
        host__say(MOOT_LOG_WARN,
                  "recording ends: its folder has reached its limit (--record-mb); %s stays",
                  recorder->path);
        write_end(recorder, MOOT_REPLAY_LIMIT);
        atomic_store(&recorder->failed, true);
    }
}

static void *write_thread(void *argument)
{
    struct recorder *recorder = argument;
    pthread_mutex_lock(&recorder->mutex);
    while (recorder->first != NULL || !recorder->closing) {
        struct recorder_chunk *chunk = recorder->first;
        if (chunk == NULL) {
            atomic_store(&recorder->idle, true);
            pthread_cond_wait(&recorder->work, &recorder->mutex);
            continue;
        }
        pthread_mutex_unlock(&recorder->mutex);
        write_one(recorder, moot_buffer_slice(&chunk->records));
        pthread_mutex_lock(&recorder->mutex);
        recorder->first = chunk->next;
        recorder->waiting_bytes -= chunk->records.size;
        moot_buffer_reset(&chunk->records, SPARE_BYTES);
        chunk->next = recorder->spare;
        recorder->spare = chunk;
        pthread_cond_signal(&recorder->done);
    }
    pthread_mutex_unlock(&recorder->mutex);
    if (!atomic_load(&recorder->failed)) {
        write_end(recorder, recorder->end);
    }
    atomic_store(&recorder->idle, true);
    return NULL;
}

/* ---- the loop's thread ---- */

static struct recorder_chunk *chunk_make(void)
{
    struct recorder_chunk *chunk = moot_alloc_zero(sizeof(*chunk));
    moot_buffer_init(&chunk->records);
    return chunk;
}

static void chunk_free(struct recorder_chunk *chunk)
{
    moot_buffer_deinit(&chunk->records);
    moot_free(chunk);
}

bool recorder__is_on(struct recorder *recorder)
{
    if (recorder->filling != NULL &&
        atomic_load_explicit(&recorder->failed, memory_order_relaxed)) {
        chunk_free(recorder->filling);
        recorder->filling = NULL;
    }
    return recorder->filling != NULL;
}

/* The queue is full: what is in it will be written, nothing after it. */
static void give_up(struct recorder *recorder)
{
    recorder->end = MOOT_REPLAY_BEHIND;
    recorder->closing = true;
    pthread_cond_signal(&recorder->work);
    chunk_free(recorder->filling);
    recorder->filling = NULL;
    host__say(MOOT_LOG_WARN,
              "recording ends: the disk of %s does not keep up; the server goes on without",
              recorder->path);
}

static void hand_over(struct recorder *recorder)
{
    struct recorder_chunk *chunk = recorder->filling;
    if (chunk == NULL || chunk->records.size == 0) {
        return;
    }
    pthread_mutex_lock(&recorder->mutex);
    while (recorder->opening &&
           recorder->waiting_bytes + chunk->records.size > MOOT_RECORD_QUEUE_BYTES &&
           recorder->waiting_bytes > 0) {
        pthread_cond_wait(&recorder->done, &recorder->mutex);
    }
    bool fits = chunk->records.size <= MOOT_REPLAY_CHUNK_MAX &&
                (recorder->waiting_bytes == 0 ||
                 recorder->waiting_bytes + chunk->records.size <= MOOT_RECORD_QUEUE_BYTES);
    if (!fits) {
        give_up(recorder);
    } else {
        if (recorder->first == NULL) {
            recorder->first = chunk;
        } else {
            recorder->last->next = chunk;
        }
        recorder->last = chunk;
        recorder->waiting_bytes += chunk->records.size;
        recorder->filling = recorder->spare;
        recorder->spare = recorder->spare == NULL ? NULL : recorder->spare->next;
        atomic_store(&recorder->idle, false);
        pthread_cond_signal(&recorder->work);
    }
    pthread_mutex_unlock(&recorder->mutex);
    if (fits) {
        recorder->filling = recorder->filling == NULL ? chunk_make() : recorder->filling;
        recorder->filling->next = NULL;
        recorder->whole_bytes = 0;
    }
}

void recorder__put(struct recorder *recorder, const struct moot_replay_record *record)
{
    MOOT_ASSERT(recorder->filling != NULL);
    moot_replay_encode(record, &recorder->filling->records);
    recorder->whole_bytes = recorder->filling->records.size;
    if (recorder->opening && recorder->filling->records.size >= MOOT_RECORD_CHUNK_BYTES) {
        hand_over(recorder);
    }
}

void recorder__turn(void *context, struct moot_node *node, const struct moot_input *inputs,
                    size_t count, struct moot_now now, struct moot_effects *out)
{
    struct recorder *recorder = context;
    recorder->turns++;
    if (recorder__is_on(recorder)) {
        if (recorder->filling->records.size == 0) {
            recorder->filling_since_ns = now.instant.ns;
        }
        recorder__put(recorder,
                      &(struct moot_replay_record){.kind = MOOT_REPLAY_TURN,
                                                   .turn = {recorder->turns, now, inputs, count}});
    }
    moot_node_turn(node, inputs, count, now, out);
    if (!recorder__is_on(recorder)) {
        return;
    }
    struct moot_replay_record record = {.kind = MOOT_REPLAY_EFFECTS};
    moot_replay_digest(out, recorder->turns, &record.effects);
    recorder__put(recorder, &record);
    uint64_t age_ns = now.instant.ns - recorder->filling_since_ns;
    if (recorder->filling->records.size >= MOOT_RECORD_CHUNK_BYTES ||
        age_ns >= MOOT_RECORD_CHUNK_MS * MOOT_MSEC_NS) {
        hand_over(recorder);
    }
}

int recorder__open_node(struct recorder *recorder, const struct moot_node_options *options,
                        struct moot_node **out, char why[256])
{
    MOOT_ASSERT(options->chance.one_in == 0); /* No field for it: a server never has any. */
    struct moot_node_options mine = *options;
    struct moot_buffer format;
    answers__init(recorder, options);
    mine.disk = &recorder->disk.base;
    mine.store = &recorder->store.base;
    if (mine.admission.mac.compute != NULL) {
        mine.admission.mac = (struct moot_mac){answers__mac, recorder};
    }
    moot_buffer_init(&format);
    if (options->format != NULL) {
        moot_identity_encode(options->format, &format);
    }
    recorder->opening = true;
    if (recorder__is_on(recorder)) {
        recorder__put(recorder, &(struct moot_replay_record){
                                    .kind = MOOT_REPLAY_OPEN,
                                    .open = {.version = MOOT_SLICE_LITERAL(MOOT_VERSION),
                                             .program = recorder->program,
                                             .now = options->now,
                                             .seed = options->seed,
                                             .segment_bytes = options->journal.segment_bytes,
                                             .segments_max = options->journal.segments_max,
                                             .election_ms = options->election_ms,
                                             .heartbeat_ms = options->heartbeat_ms,
                                             .flush_bytes = options->flush_bytes,
                                             .log_memory_bytes = options->log_memory_bytes,
                                             .recent_bytes = options->recent_bytes,
                                             .feature_level = options->feature_level,
                                             .raft_trace = options->raft_trace,
                                             .store_lost = options->store_lost,
                                             .has_format = options->format != NULL,
                                             .has_mac = options->admission.mac.compute != NULL,
                                             .format = moot_buffer_slice(&format)}});
    }
    moot_buffer_deinit(&format);
    int status = moot_node_open(&mine, out, why);
    if (recorder__is_on(recorder)) {
        recorder__put(recorder,
                      &(struct moot_replay_record){
                          .kind = MOOT_REPLAY_OPENED,
                          .opened = {status, status == 0 ? moot_node_incarnation(*out) : 0}});
        hand_over(recorder);
    }
    recorder->opening = false;
    return status;
}

/* ---- dying ---- */

static struct recorder *dying;

/* The process ends itself by abort(), and what led to it is what one wants to see: this gives the
 * writing thread the last turns, also the one under way, and a little time. Best effort: whoever
 * dies in malloc gets no further. */
static void on_abort(int number)
{
    struct recorder *recorder = dying;
    dying = NULL;
    signal(number, SIG_DFL);
    raise(number); /* When this returns; whoever sent the signal meant it. */
    if (recorder == NULL || !pthread_equal(pthread_self(), recorder->owner) ||
        recorder->filling == NULL || pthread_mutex_trylock(&recorder->mutex) != 0) {
        return;
    }
    struct recorder_chunk *chunk = recorder->filling;
    recorder->filling = NULL;
    chunk->records.size = recorder->whole_bytes;
    if (chunk->records.size > 0 && chunk->records.size <= MOOT_REPLAY_CHUNK_MAX) {
        *(recorder->first == NULL ? &recorder->first : &recorder->last->next) = chunk;
        recorder->last = chunk;
        recorder->waiting_bytes += chunk->records.size;
    }
    recorder->end = MOOT_REPLAY_DIED;
    recorder->closing = true;
    atomic_store(&recorder->idle, false);
    pthread_cond_signal(&recorder->work);
    pthread_mutex_unlock(&recorder->mutex);
    for (int waited = 0; waited < DEATH_WAIT_MS && !atomic_load(&recorder->idle); waited++) {
        usleep(1000);
    }
}

/* ---- life ---- */

/* Another build may do otherwise: the replay says so first. */
uint64_t recorder__program(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat stat;
    uint64_t hash = 0;
    if (fd >= 0 && fstat(fd, &stat) == 0 && stat.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes != MAP_FAILED) {
            hash = moot_hash64(moot_slice_make(bytes, (size_t)stat.st_size), 0);
            munmap(bytes, (size_t)stat.st_size);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return hash;
}

/* What the folder's recordings take already, and the number after the last. */
static uint64_t look_into(const char *dir, unsigned *next)
{
    uint64_t bytes = 0;
    *next = 1;
    DIR *folder = opendir(dir);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        unsigned number;
        int end = 0;
        struct stat stat;
        if (sscanf(entry->d_name, "%6u" FILE_SUFFIX "%n", &number, &end) == 1 && end > 0 &&
            entry->d_name[end] == '\0' && fstatat(dirfd(folder), entry->d_name, &stat, 0) == 0) {
            bytes += (uint64_t)stat.st_size;
            *next = number >= *next ? number + 1 : *next;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return bytes;
}

static int open_file(struct recorder *recorder, const char *dir, char *why, size_t why_size)
{
    unsigned next;
    char name[64];
    if (host__make_folder(dir, 0700) != 0) {
        snprintf(why, why_size, "the folder %s for recordings cannot be made: %s", dir,
                 strerror(errno));
        return -1;
    }
    recorder->written = look_into(dir, &next);
    if (next > MOOT_REPLAY_FILES_MAX || recorder->written >= recorder->limit) {
        snprintf(why, why_size,
                 "the recordings in %s have reached their limit (--record-mb, or %d files): move "
                 "them away, or record to another folder",
                 dir, MOOT_REPLAY_FILES_MAX);
        return -1;
    }
    snprintf(name, sizeof(name), "%06u" FILE_SUFFIX, next);
    int fd = -1;
    if (host__path(recorder->path, dir, name)) {
        fd = open(recorder->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    }
    if (fd < 0) {
        snprintf(why, why_size, "the recording %s/%s cannot be made: %s", dir, name,
                 strerror(errno));
    }
    return fd;
}

struct recorder *recorder__open(const char *dir, uint64_t limit_bytes, char *why, size_t why_size)
{
    struct recorder *recorder = moot_alloc_zero(sizeof(*recorder));
    recorder->limit = limit_bytes;
    recorder->fd = open_file(recorder, dir, why, why_size);
    if (recorder->fd < 0) {
        moot_free(recorder);
        return NULL;
    }
    moot_buffer_init(&recorder->packed);
    moot_replay_file_header(&recorder->packed);
    (void)write_all(recorder->fd, moot_buffer_slice(&recorder->packed)); /* Else a chunk fails. */
    recorder->program = recorder__program();
    recorder->filling = chunk_make();
    recorder->filling_since_ns = now_ns();
    recorder->owner = pthread_self();
    recorder->end = MOOT_REPLAY_STOPPED;
    pthread_mutex_init(&recorder->mutex, NULL);
    pthread_cond_init(&recorder->work, NULL);
    pthread_cond_init(&recorder->done, NULL);
    int failed = pthread_create(&recorder->thread, NULL, write_thread, recorder);
    MOOT_ASSERT(failed == 0);
    dying = recorder;
    signal(SIGABRT, on_abort);
    host__say(MOOT_LOG_INFO, "recording to %s: what clients send is in it", recorder->path);
    return recorder;
}

void recorder__close(struct recorder *recorder)
{
    dying = NULL;
    hand_over(recorder);
    pthread_mutex_lock(&recorder->mutex);
    recorder->closing = true;
    pthread_cond_signal(&recorder->work);
    pthread_mutex_unlock(&recorder->mutex);
    pthread_join(recorder->thread, NULL);
    close(recorder->fd);
    if (recorder->filling != NULL) {
        chunk_free(recorder->filling);
    }
    while (recorder->spare != NULL) {
        struct recorder_chunk *next = recorder->spare->next;
        chunk_free(recorder->spare);
        recorder->spare = next;
    }
    pthread_mutex_destroy(&recorder->mutex);
    pthread_cond_destroy(&recorder->work);
    pthread_cond_destroy(&recorder->done);
    moot_buffer_deinit(&recorder->packed);
    moot_free(recorder);
}
