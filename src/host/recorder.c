#include "host/recorder_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/slice.h"
#include "host/say.h"

enum {
    SPARE_BYTES = 1024 * 1024,
    END_BYTES = 64, /* Of a file's mark. */
};

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

/* Packs records as the file's next chunk. */
static struct moot_slice pack(struct recorder *recorder, struct moot_slice records)
{
    moot_buffer_reset(&recorder->packed, SPARE_BYTES);
    moot_replay_chunk(recorder->chunks, records, &recorder->packed);
    return moot_buffer_slice(&recorder->packed);
}

/* False: the disk refuses, and will not be asked again. */
static bool write_packed(struct recorder *recorder, struct moot_slice bytes)
{
    if (!write_all(recorder->fd, bytes)) {
        host__say(MOOT_LOG_WARN, "recording ends: %s cannot be written: %s", recorder->path,
                  strerror(errno));
        atomic_store(&recorder->opened_bytes, UINT64_MAX);
        atomic_store(&recorder->failed, true);
        return false;
    }
    recorder->chunks++;
    atomic_fetch_add(&recorder->written, bytes.size);
    return true;
}

static void write_end(struct recorder *recorder, enum moot_replay_end end)
{
    struct moot_buffer records;
    moot_buffer_init(&records);
    moot_replay_encode(&(struct moot_replay_record){.kind = MOOT_REPLAY_END, .end = end}, &records);
    (void)write_packed(recorder, pack(recorder, moot_buffer_slice(&records)));
    moot_buffer_deinit(&records);
    atomic_store(&recorder->failed, true);
}

/* What a brain reads at its start is worth little of what was recorded before. */
static bool is_too_long(struct recorder *recorder, uint64_t bytes)
{
    bool opening = !recorder->once && atomic_load(&recorder->opened_bytes) == UINT64_MAX;
    return opening && bytes > recorder->limit / 4;
}

/* For so many bytes more, and the mark: the oldest files go for them. */
static bool make_room(struct recorder *recorder, uint64_t bytes)
{
    uint64_t mine = atomic_load(&recorder->written) + bytes + END_BYTES;
    if (is_too_long(recorder, mine)) {
        atomic_store(&recorder->in_vain, true);
        return false;
    }
    while (recorder->folder.bytes + mine > recorder->limit) {
        if (recorder->once || !recorder_folder__remove_oldest(&recorder->folder, true)) {
            return false;
        }
    }
    return true;
}

static void say_limit(struct recorder *recorder)
{
    const char *why = "its folder has reached its limit (--record-mb): the next file begins when "
                      "this node can be opened again";
    if (recorder->once) {
        why = "its folder has reached its limit (--record-mb)";
    } else if (atomic_load(&recorder->in_vain)) {
        why = "this node reads much at its start: the recording begins when it has been opened "
              "again";
    }
    host__say(MOOT_LOG_WARN, "recording ends: %s", why);
}

static void write_one(struct recorder *recorder, const struct recorder_chunk *chunk)
{
    if (atomic_load(&recorder->failed)) {
        return;
    }
    struct moot_slice bytes = pack(recorder, moot_buffer_slice(&chunk->records));
    if (!make_room(recorder, bytes.size)) {
        say_limit(recorder);
        write_end(recorder, MOOT_REPLAY_LIMIT);
    } else if (write_packed(recorder, bytes) && chunk->opened) {
        atomic_store(&recorder->opened_bytes, atomic_load(&recorder->written));
    }
}

static void *write_thread(void *argument)
{
    struct recorder *recorder = argument;
    pthread_mutex_lock(&recorder->mutex);
    for (;;) {
        struct recorder_chunk *chunk = recorder->first;
        bool ends = recorder->finish || recorder->closing;
        if (chunk != NULL) {
            pthread_mutex_unlock(&recorder->mutex);
            write_one(recorder, chunk);
            pthread_mutex_lock(&recorder->mutex);
            recorder->first = chunk->next;
            recorder->waiting_bytes -= chunk->records.size;
            moot_buffer_reset(&chunk->records, SPARE_BYTES);
            chunk->next = recorder->spare;
            recorder->spare = chunk;
            pthread_cond_signal(&recorder->done);
        } else if (ends && !atomic_load(&recorder->failed)) {
            enum moot_replay_end end = recorder->end;
            pthread_mutex_unlock(&recorder->mutex);
            write_end(recorder, end);
            pthread_mutex_lock(&recorder->mutex);
            pthread_cond_signal(&recorder->done);
        } else if (recorder->closing) {
            break;
        } else {
            atomic_store(&recorder->idle, true);
            pthread_cond_wait(&recorder->work, &recorder->mutex);
        }
    }
    pthread_mutex_unlock(&recorder->mutex);
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
    recorder->finish = true;
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
        recorder->filling->opened = false;
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
    recorder->now_ns = now.instant.ns;
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
    MOOT_ASSERT(options->chance.one_in == 0 &&
                options->chance.knob_count == 0); /* No field for it: a server never has any. */
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
    recorder->now_ns = recorder->began_ns = options->now.instant.ns;
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
        recorder->filling->opened = status == 0;
        hand_over(recorder);
    }
    recorder->opening = false;
    return status;
}

/* ---- dying ---- */

static struct recorder *dying;

/* The process ends itself by abort(), and what led to it is what one wants to see: this gives the
 * writing thread the last turns, also the one under way, and a little time. Best effort: whoever
 * dies in malloc gets no further. POSIX promises these calls to no handler; who fails an assertion
 * is not in the middle of one, and the lock is only tried.
 * NOLINTBEGIN(bugprone-signal-handler) */
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
    for (int waited = 0; waited < MOOT_RECORD_DEATH_MS && !atomic_load(&recorder->idle); waited++) {
        usleep(1000);
    }
}
/* NOLINTEND(bugprone-signal-handler) */

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

/* The loop's thread, when the other one sleeps or is not there yet. */
static bool begin_file(struct recorder *recorder, char *why, size_t why_size)
{
    recorder->fd = recorder_folder__next(&recorder->folder, recorder->path, why, why_size);
    if (recorder->fd < 0) {
        return false;
    }
    moot_buffer_reset(&recorder->packed, SPARE_BYTES);
    moot_replay_file_header(&recorder->packed);
    (void)write_all(recorder->fd, moot_buffer_slice(&recorder->packed)); /* Else a chunk fails. */
    atomic_store(&recorder->written, recorder->packed.size);
    atomic_store(&recorder->opened_bytes, UINT64_MAX);
    atomic_store(&recorder->failed, false);
    atomic_store(&recorder->in_vain, false);
    recorder->chunks = recorder->turns = 0;
    recorder->finish = false;
    recorder->end = MOOT_REPLAY_STOPPED;
    /* Not all nodes of a cluster at once, though all record as much. */
    uint32_t random = 0;
    ssize_t got = getrandom(&random, sizeof(random), 0);
    MOOT_ASSERT(got == sizeof(random));
    uint64_t eighth = recorder->limit / 8, some = recorder->span.ns / 8;
    recorder->due_bytes = 3 * eighth - eighth / 2 / 256 * (random & 255);
    recorder->due_ns =
        recorder->span.ns == 0 ? UINT64_MAX : recorder->span.ns + some / 256 * (random >> 8 & 255);
    host__say(MOOT_LOG_INFO, "recording to %s: what clients send is in it", recorder->path);
    return true;
}

/* Bytes are taken from the oldest files when they are needed (make_room). */
static void forget_files(struct recorder *recorder, bool has_span)
{
    struct recorder_folder *folder = &recorder->folder;
    while (folder->files > 1 && (has_span || folder->files >= MOOT_REPLAY_FILES_MAX)) {
        if (!recorder_folder__remove_oldest(folder, false)) {
            return;
        }
    }
}

static bool open_folder(struct recorder *recorder, const char *dir, char *why, size_t why_size)
{
    struct recorder_folder *folder = &recorder->folder;
    if (!recorder_folder__open(folder, dir, why, why_size)) {
        return false;
    }
    if (recorder->once &&
        (folder->files >= MOOT_REPLAY_FILES_MAX || folder->bytes >= recorder->limit)) {
        snprintf(why, why_size,
                 "the recordings in %s have reached their limit (--record-mb, or %d files): move "
                 "them away, or record to another folder",
                 dir, MOOT_REPLAY_FILES_MAX);
        recorder_folder__close(folder);
        return false;
    }
    if (!recorder->once) {
        forget_files(recorder, false);
    }
    if (!begin_file(recorder, why, why_size)) {
        recorder_folder__close(folder);
        return false;
    }
    return true;
}

struct recorder *recorder__open(const struct recorder_options *options, char *why, size_t why_size)
{
    struct recorder *recorder = moot_alloc_zero(sizeof(*recorder));
    recorder->limit = options->limit_bytes;
    recorder->span = options->span;
    recorder->once = options->once;
    moot_buffer_init(&recorder->packed);
    if (!open_folder(recorder, options->dir, why, why_size)) {
        moot_buffer_deinit(&recorder->packed);
        moot_free(recorder);
        return NULL;
    }
    recorder->program = recorder__program();
    recorder->filling = chunk_make();
    recorder->filling_since_ns = now_ns();
    recorder->owner = pthread_self();
    pthread_mutex_init(&recorder->mutex, NULL);
    pthread_cond_init(&recorder->work, NULL);
    pthread_cond_init(&recorder->done, NULL);
    int failed = pthread_create(&recorder->thread, NULL, write_thread, recorder);
    MOOT_ASSERT(failed == 0);
    dying = recorder;
    signal(SIGABRT, on_abort);
    return recorder;
}

bool recorder__wants_next(struct recorder *recorder)
{
    uint64_t opened = atomic_load(&recorder->opened_bytes);
    uint64_t age_ns = recorder->now_ns - recorder->began_ns;
    bool in_vain = atomic_load(&recorder->in_vain);
    if (recorder->once || (opened == UINT64_MAX && !in_vain) ||
        age_ns < MOOT_RECORD_LEAST_MS * MOOT_MSEC_NS) {
        return false; /* The disk refuses; or nothing is known yet. */
    }
    if (!recorder__is_on(recorder)) { /* A second start reads less, if all goes well. */
        return age_ns >= MOOT_RECORD_AFTER_GAP_MS * MOOT_MSEC_NS ||
               (in_vain && !recorder->twice_in_vain);
    }
    uint64_t due = moot_max_u64(recorder->due_bytes, opened + recorder->due_bytes / 4);
    return atomic_load(&recorder->written) >= due || age_ns >= recorder->due_ns;
}

void recorder__next(struct recorder *recorder)
{
    char why[512];
    recorder->opening = true; /* Nobody is served: rather wait for the disk than end here. */
    hand_over(recorder);
    recorder->opening = false;
    pthread_mutex_lock(&recorder->mutex);
    recorder->end = recorder->finish ? recorder->end : MOOT_REPLAY_NEXT;
    recorder->finish = true;
    pthread_cond_signal(&recorder->work);
    while (recorder->first != NULL || !atomic_load(&recorder->failed)) {
        pthread_cond_wait(&recorder->done, &recorder->mutex);
    }
    close(recorder->fd);
    recorder->twice_in_vain = atomic_load(&recorder->in_vain);
    if (recorder->twice_in_vain) {
        unlink(recorder->path); /* It has no turn. */
    } else {
        recorder_folder__add(&recorder->folder, atomic_load(&recorder->written));
    }
    /* The last one alone is as long as was asked for. */
    forget_files(recorder, recorder->span.ns > 0 &&
                               recorder->now_ns - recorder->began_ns >= recorder->span.ns);
    bool begun = begin_file(recorder, why, sizeof(why));
    pthread_mutex_unlock(&recorder->mutex);
    if (!begun) {
        atomic_store(&recorder->opened_bytes, UINT64_MAX); /* And no further try. */
        host__say(MOOT_LOG_WARN, "recording ends: %s", why);
        (void)recorder__is_on(recorder); /* Lets go of the chunk. */
    } else if (recorder->filling == NULL) {
        recorder->filling = chunk_make();
    }
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
    if (recorder->fd >= 0) {
        close(recorder->fd);
    }
    recorder_folder__close(&recorder->folder);
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
