#include "host/workers.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "database/group/long_read.h"
#include "storage/snapshot.h"

enum worker_kind { WORKER_FETCH, WORKER_FLUSH, WORKER_SNAPSHOT, WORKER_LONG_READ, WORKER_KINDS };

/* A pin as the brain knows it: by its ticket. */
struct pin {
    struct pin *next;
    moot_ticket ticket;
    struct moot_store_pin *pin;
    uint32_t readers; /* Jobs that use it. */
    bool unpinned;    /* To be given back by its last reader. */
};

struct job {
    struct job *next;
    enum moot_effect_kind kind;
    moot_ticket ticket;
    int status;
    struct moot_arena arena; /* What the job needs of the effect. */
    struct moot_slice *keys;
    struct moot_range *ranges;
    bool *reverse; /* FETCH: of each range. */
    uint32_t key_count, range_count;
    uint64_t limit;
    enum moot_ingest_step step;
    struct moot_slice chunk;
    struct moot_batch extra;
    struct moot_long_read long_read;
    struct pin *pin;
    moot_index index; /* LONG_READ: what the pin contains. */
    struct moot_buffer result;
};

struct worker {
    struct workers *owner;
    pthread_t thread;
    pthread_cond_t some;
    struct job *first, *last;
};

struct workers {
    struct moot_store *store;
    uv_async_t *async;
    struct worker all[WORKER_KINDS];
    pthread_mutex_t lock; /* Guards queues, done list, stopping, commits. */
    pthread_cond_t commits_done;
    struct job *done_first, *done_last;
    uint32_t commits; /* Ingest commits queued or under way. */
    bool stopping;
    atomic_bool is_over;  /* The same, for who is in the middle of a long read. */
    struct pin *pins;     /* The loop's own. */
    struct job *answered; /* The loop's own: until the end of the turn. */
};

/* ---- on the workers' threads ---- */

static int do_fetch(struct moot_store *store, const struct job *job)
{
    int status = MOOT_OK;
    for (uint32_t i = 0; i < job->key_count && status == MOOT_OK; i++) {
        status = store->ops->fetch(store, job->keys[i]);
        if (status == MOOT_ENOTFOUND) { /* It is known now that there is nothing. */
            status = MOOT_OK;
        }
    }
    for (uint32_t i = 0; i < job->range_count && status == MOOT_OK; i++) {
        status = store->ops->fetch_range(store, job->ranges[i], job->reverse[i], job->limit);
        if (status == MOOT_ENOTFOUND) {
            status = MOOT_OK;
        }
    }
    return status;
}

static int do_ingest(struct workers *workers, struct job *job)
{
    struct moot_store *store = workers->store;
    switch (job->step) {
    case MOOT_INGEST_BEGIN:
        return store->ops->ingest_begin(store, job->ranges, job->range_count);
    case MOOT_INGEST_ADD: {
        struct moot_snapshot_reader reader;
        int status = moot_snapshot_read(&reader, job->chunk);
        struct moot_slice key, value;
        while (status == MOOT_OK && moot_snapshot_next(&reader, &key, &value)) {
            status = store->ops->ingest_add(store, key, value);
        }
        if (status == MOOT_OK && reader.failed) {
            status = MOOT_FAIL(MOOT_ECORRUPT);
        }
        return status;
    }
    case MOOT_INGEST_COMMIT:
        return store->ops->ingest_commit(store, &job->extra);
    case MOOT_INGEST_ABORT:
        store->ops->ingest_abort(store);
        return MOOT_OK;
    }
    MOOT_UNREACHABLE();
}

static bool is_over(void *over)
{
    return atomic_load_explicit((atomic_bool *)over, memory_order_relaxed);
}

static void perform(struct workers *workers, struct job *job)
{
    struct moot_store *store = workers->store;
    switch (job->kind) {
    case MOOT_EFFECT_FETCH:
        job->status = do_fetch(store, job);
        break;
    case MOOT_EFFECT_FLUSH:
        job->status = store->ops->flush(store);
        break;
    case MOOT_EFFECT_PIN_READ:
        job->status =
            moot_snapshot_write(store, job->pin->pin, job->ranges[0], job->limit, &job->result);
        break;
    case MOOT_EFFECT_INGEST:
        job->status = do_ingest(workers, job);
        break;
    case MOOT_EFFECT_LONG_READ:
        job->status = moot_long_read_run(store, job->pin->pin, &job->long_read, is_over,
                                         &workers->is_over, &job->index, &job->result);
        break;
    default:
        MOOT_UNREACHABLE();
    }
}

static bool is_commit(const struct job *job)
{
    return job->kind == MOOT_EFFECT_INGEST && job->step == MOOT_INGEST_COMMIT;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct workers *workers = worker->owner;
    pthread_mutex_lock(&workers->lock);
    for (;;) {
        while (worker->first == NULL && !workers->stopping) {
            pthread_cond_wait(&worker->some, &workers->lock);
        }
        if (workers->stopping) {
            break;
        }
        struct job *job = worker->first;
        worker->first = job->next;
        worker->last = worker->first == NULL ? NULL : worker->last;
        job->next = NULL;
        pthread_mutex_unlock(&workers->lock);
        perform(workers, job);
        pthread_mutex_lock(&workers->lock);
        if (workers->done_last == NULL) {
            workers->done_first = job;
        } else {
            workers->done_last->next = job;
        }
        workers->done_last = job;
        if (is_commit(job)) {
            MOOT_ASSERT(workers->commits > 0);
            workers->commits--;
            pthread_cond_signal(&workers->commits_done);
        }
        uv_async_send(workers->async);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* ---- on the loop's thread ---- */

static void job_free(struct job *job)
{
    moot_arena_deinit(&job->arena);
    moot_batch_deinit(&job->extra);
    moot_buffer_deinit(&job->result);
    moot_free(job);
}

static void job_copy_ranges(struct job *job, const struct moot_range *ranges, uint32_t count)
{
    job->range_count = count;
    job->ranges = moot_arena_alloc(&job->arena, count * sizeof(*ranges));
    for (uint32_t i = 0; i < count; i++) {
        job->ranges[i].from = moot_arena_copy(&job->arena, ranges[i].from);
        job->ranges[i].to = moot_arena_copy(&job->arena, ranges[i].to);
    }
}

static void job_copy_fetch(struct job *job, const struct moot_effect *effect)
{
    job->key_count = effect->fetch.key_count;
    job->keys = moot_arena_alloc(&job->arena, job->key_count * sizeof(*job->keys));
    for (uint32_t i = 0; i < job->key_count; i++) {
        job->keys[i] = moot_arena_copy(&job->arena, effect->fetch.keys[i]);
    }
    job_copy_ranges(job, effect->fetch.ranges, effect->fetch.range_count);
    job->reverse = moot_arena_alloc(&job->arena, job->range_count + 1);
    for (uint32_t i = 0; i < job->range_count; i++) {
        job->reverse[i] = effect->fetch.reverse[i];
    }
    job->limit = effect->fetch.range_limit;
}

static void job_copy_ingest(struct job *job, const struct moot_effect *effect)
{
    job->step = effect->ingest.step;
    if (job->step == MOOT_INGEST_BEGIN) {
        job_copy_ranges(job, effect->ingest.ranges, effect->ingest.range_count);
    } else if (job->step == MOOT_INGEST_ADD) {
        job->chunk = moot_arena_copy(&job->arena, effect->ingest.chunk);
    } else if (job->step == MOOT_INGEST_COMMIT && effect->ingest.extra != NULL) {
        moot_buffer_append_slice(&job->extra.bytes,
                                 moot_buffer_slice(&effect->ingest.extra->bytes));
        job->extra.count = effect->ingest.extra->count;
    }
}

static struct pin *find_pin(struct workers *workers, moot_ticket ticket)
{
    struct pin *pin = workers->pins;
    while (pin != NULL && (pin->ticket != ticket || pin->unpinned)) {
        pin = pin->next;
    }
    return pin;
}

static void pin_add(struct workers *workers, moot_ticket ticket)
{
    MOOT_ASSERT(find_pin(workers, ticket) == NULL);
    struct pin *pin = moot_alloc_zero(sizeof(*pin));
    pin->ticket = ticket;
    pin->pin = workers->store->ops->pin(workers->store);
    pin->next = workers->pins;
    workers->pins = pin;
}

static void pin_end(struct workers *workers, struct pin *pin)
{
    MOOT_ASSERT(pin->readers == 0);
    struct pin **at = &workers->pins;
    while (*at != pin) {
        at = &(*at)->next;
    }
    *at = pin->next;
    workers->store->ops->unpin(workers->store, pin->pin);
    moot_free(pin);
}

static struct pin *pin_use(struct workers *workers, moot_ticket ticket)
{
    struct pin *pin = find_pin(workers, ticket);
    MOOT_ASSERT(pin != NULL);
    pin->readers++;
    return pin;
}

static void unpin(struct workers *workers, moot_ticket ticket)
{
    struct pin *pin = find_pin(workers, ticket);
    MOOT_ASSERT(pin != NULL);
    pin->unpinned = true;
    if (pin->readers == 0) {
        pin_end(workers, pin);
    }
}

static void submit(struct workers *workers, enum worker_kind kind, struct job *job)
{
    struct worker *worker = &workers->all[kind];
    pthread_mutex_lock(&workers->lock);
    workers->commits += is_commit(job) ? 1 : 0;
    if (worker->last == NULL) {
        worker->first = job;
    } else {
        worker->last->next = job;
    }
    worker->last = job;
    pthread_mutex_unlock(&workers->lock);
    pthread_cond_signal(&worker->some);
}

void workers__effect(struct workers *workers, const struct moot_effect *effect)
{
    if (effect->kind == MOOT_EFFECT_PIN) {
        pin_add(workers, effect->ticket);
        return;
    }
    if (effect->kind == MOOT_EFFECT_UNPIN) {
        unpin(workers, effect->ticket);
        return;
    }
    struct job *job = moot_alloc_zero(sizeof(*job));
    job->kind = effect->kind;
    job->ticket = effect->ticket;
    moot_arena_init(&job->arena);
    moot_batch_init(&job->extra);
    moot_buffer_init(&job->result);
    switch (effect->kind) {
    case MOOT_EFFECT_FETCH:
        job_copy_fetch(job, effect);
        submit(workers, WORKER_FETCH, job);
        break;
    case MOOT_EFFECT_FLUSH:
        submit(workers, WORKER_FLUSH, job);
        break;
    case MOOT_EFFECT_INGEST:
        job_copy_ingest(job, effect);
        submit(workers, WORKER_FLUSH, job);
        break;
    case MOOT_EFFECT_PIN_READ:
        job_copy_ranges(job, &effect->pin_read.range, 1);
        job->limit = effect->pin_read.bytes_max;
        job->pin = pin_use(workers, effect->pin_read.pin);
        submit(workers, WORKER_SNAPSHOT, job);
        break;
    case MOOT_EFFECT_LONG_READ:
        job->long_read = moot_long_read_copy(&effect->long_read, &job->arena);
        job->pin = pin_use(workers, effect->long_read.pin);
        submit(workers, WORKER_LONG_READ, job);
        break;
    default:
        MOOT_UNREACHABLE();
    }
}

bool workers__answer(struct workers *workers, struct moot_input *input)
{
    pthread_mutex_lock(&workers->lock);
    struct job *job = workers->done_first;
    if (job != NULL) {
        workers->done_first = job->next;
        workers->done_last = job->next == NULL ? NULL : workers->done_last;
    }
    pthread_mutex_unlock(&workers->lock);
    if (job == NULL) {
        return false;
    }
    *input = (struct moot_input){.status = job->status, .ticket = job->ticket};
    switch (job->kind) {
    case MOOT_EFFECT_FETCH:
        input->kind = MOOT_INPUT_FETCHED;
        break;
    case MOOT_EFFECT_FLUSH:
        input->kind = MOOT_INPUT_FLUSHED;
        break;
    case MOOT_EFFECT_INGEST:
        input->kind = MOOT_INPUT_INGESTED;
        break;
    default:
        input->kind = job->kind == MOOT_EFFECT_LONG_READ ? MOOT_INPUT_LONG_READ : MOOT_INPUT_CHUNK;
        input->amount = job->index;
        input->bytes = moot_buffer_slice(&job->result);
        MOOT_ASSERT(job->pin->readers > 0);
        if (--job->pin->readers == 0 && job->pin->unpinned) {
            pin_end(workers, job->pin);
        }
        break;
    }
    job->next = workers->answered;
    workers->answered = job;
    return true;
}

static void free_list(struct job *job)
{
    while (job != NULL) {
        struct job *next = job->next;
        job_free(job);
        job = next;
    }
}

void workers__forget_answers(struct workers *workers)
{
    free_list(workers->answered);
    workers->answered = NULL;
}

void workers__wait_for_commit(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    while (workers->commits > 0) {
        pthread_cond_wait(&workers->commits_done, &workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
}

struct workers *workers__start(struct moot_store *store, uv_async_t *async)
{
    struct workers *workers = moot_alloc_zero(sizeof(*workers));
    workers->store = store;
    workers->async = async;
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->commits_done, NULL);
    for (size_t i = 0; i < WORKER_KINDS; i++) {
        struct worker *worker = &workers->all[i];
        worker->owner = workers;
        pthread_cond_init(&worker->some, NULL);
        int failed = pthread_create(&worker->thread, NULL, worker_main, worker);
        MOOT_ASSERT(failed == 0);
    }
    return workers;
}

void workers__stop(struct workers *workers)
{
    atomic_store_explicit(&workers->is_over, true, memory_order_relaxed);
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    for (size_t i = 0; i < WORKER_KINDS; i++) {
        pthread_cond_signal(&workers->all[i].some);
    }
    pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < WORKER_KINDS; i++) {
        pthread_join(workers->all[i].thread, NULL);
        pthread_cond_destroy(&workers->all[i].some);
        free_list(workers->all[i].first);
    }
    free_list(workers->done_first);
    workers__forget_answers(workers);
    while (workers->pins != NULL) {
        workers->pins->readers = 0;
        pin_end(workers, workers->pins);
    }
    pthread_mutex_destroy(&workers->lock);
    pthread_cond_destroy(&workers->commits_done);
    moot_free(workers);
}
