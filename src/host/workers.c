#include "host/workers.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/assert.h"
#include "base/memory.h"
#include "database/work.h"

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
    struct moot_work work;
    struct pin *pin;
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

static bool is_over(void *over)
{
    return atomic_load_explicit((atomic_bool *)over, memory_order_relaxed);
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
        moot_work_perform(&job->work, workers->store, job->pin == NULL ? NULL : job->pin->pin,
                          is_over, &workers->is_over);
        pthread_mutex_lock(&workers->lock);
        if (workers->done_last == NULL) {
            workers->done_first = job;
        } else {
            workers->done_last->next = job;
        }
        workers->done_last = job;
        if (moot_work_is_commit(&job->work)) {
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
    moot_work_deinit(&job->work);
    moot_free(job);
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
    workers->commits += moot_work_is_commit(&job->work) ? 1 : 0;
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
    moot_work_init(&job->work, effect);
    switch (effect->kind) {
    case MOOT_EFFECT_FETCH:
        submit(workers, WORKER_FETCH, job);
        break;
    case MOOT_EFFECT_FLUSH:
    case MOOT_EFFECT_INGEST:
        submit(workers, WORKER_FLUSH, job);
        break;
    case MOOT_EFFECT_PIN_READ:
        job->pin = pin_use(workers, effect->pin_read.pin);
        submit(workers, WORKER_SNAPSHOT, job);
        break;
    case MOOT_EFFECT_LONG_READ:
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
    *input = moot_work_answer(&job->work);
    if (job->pin != NULL) {
        MOOT_ASSERT(job->pin->readers > 0);
        if (--job->pin->readers == 0 && job->pin->unpinned) {
            pin_end(workers, job->pin);
        }
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
