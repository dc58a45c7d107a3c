#include "host/loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/assert.h"
#include "base/block.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "host/loop_internal.h"
#include "host/say.h"
#include "host/swim_udp.h"

enum {
    CHUNK_BYTES = 256 * 1024,
    CHUNK_TAIL_BYTES = 16 * 1024, /* Less than this is not offered to a read. */
    READ_BYTES = 64 * 1024,       /* Offered to one read. */
    CHUNKS_KEPT = 4,
};

struct read_chunk {
    struct read_chunk *next;
    size_t used;
    uint8_t bytes[CHUNK_BYTES];
};

uint64_t loop__now_ns(void) { return uv_hrtime(); }

/* ---- what the next turn gets ---- */

struct moot_input *loop__input(struct moot_loop *loop, enum moot_input_kind kind)
{
    if (loop->input_count == loop->input_capacity) {
        loop->input_capacity = loop->input_capacity == 0 ? 256 : loop->input_capacity * 2;
        loop->inputs = moot_realloc(loop->inputs, loop->input_capacity * sizeof(struct moot_input));
    }
    struct moot_input *input = &loop->inputs[loop->input_count++];
    *input = (struct moot_input){.kind = kind};
    return input;
}

/* Small reads are packed one behind the other, so that a turn of many small commands touches little
 * memory. When a turn has collected enough, sockets stay unread until the next one: libuv is told
 * UV_ENOBUFS and asks again. */
void loop__alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct moot_loop *loop = handle->loop->data;
    struct read_chunk *chunk = loop->chunk_now;
    if (chunk == NULL || CHUNK_BYTES - chunk->used < CHUNK_TAIL_BYTES) {
        struct read_chunk *next = chunk == NULL ? loop->chunks : chunk->next;
        if (next == NULL) {
            if (loop->chunk_count * CHUNK_BYTES >= MOOT_TURN_READ_BYTES) {
                *buf = uv_buf_init(NULL, 0);
                return;
            }
            next = moot_alloc(sizeof(*next));
            next->next = NULL;
            if (chunk == NULL) {
                loop->chunks = next;
            } else {
                chunk->next = next;
            }
            loop->chunk_count++;
        }
        next->used = 0;
        chunk = loop->chunk_now = next;
    }
    size_t room = CHUNK_BYTES - chunk->used;
    *buf =
        uv_buf_init((char *)chunk->bytes + chunk->used, (unsigned)moot_min_u64(room, READ_BYTES));
}

void loop__keep_read(struct moot_loop *loop, size_t size)
{
    MOOT_ASSERT(loop->chunk_now != NULL);
    MOOT_ASSERT(size <= CHUNK_BYTES - loop->chunk_now->used);
    loop->chunk_now->used += size;
}

void loop__keep_block(struct moot_loop *loop, struct moot_block *block)
{
    if (loop->block_count == loop->block_capacity) {
        loop->block_capacity = loop->block_capacity == 0 ? 64 : loop->block_capacity * 2;
        loop->blocks =
            moot_realloc(loop->blocks, loop->block_capacity * sizeof(struct moot_block *));
    }
    loop->blocks[loop->block_count++] = block;
}

static void forget_turn(struct moot_loop *loop)
{
    for (size_t i = 0; i < loop->block_count; i++) {
        moot_block_release(loop->blocks[i]);
    }
    loop->block_count = 0;
    loop->chunk_now = NULL;
    while (loop->chunk_count > CHUNKS_KEPT) {
        struct read_chunk *first = loop->chunks;
        loop->chunks = first->next;
        moot_free(first);
        loop->chunk_count--;
    }
    workers__forget_answers(loop->workers);
}

static void take_durable(struct moot_loop *loop)
{
    moot_ticket batch;
    while (journal_thread__durable(loop->journal, &batch)) {
        loop__input(loop, MOOT_INPUT_DURABLE)->ticket = batch;
    }
}

static void on_journal(uv_async_t *async) { take_durable(async->data); }

static void on_workers(uv_async_t *async)
{
    struct moot_loop *loop = async->data;
    struct moot_input answer;
    while (workers__answer(loop->workers, &answer)) {
        *loop__input(loop, answer.kind) = answer;
    }
}

/* ---- effects ---- */

static void do_journal(struct moot_loop *loop, const struct moot_effect *effect)
{
    while (!journal_thread__write(loop->journal, &effect->journal.where, effect->journal.bytes)) {
        take_durable(loop);
    }
    loop->answers_wait = effect->journal.answers_wait;
}

static void do_store_write(struct moot_loop *loop, const struct moot_effect *effect)
{
    workers__wait_for_commit(loop->workers);
    int status = loop->options.store->ops->write(loop->options.store, effect->batch);
    if (status != MOOT_OK) {
        host__die("store: a write failed: %s. This node stops; its journal still holds what the "
                  "store lacks. Check the disk and start it again.",
                  moot_status_text(status));
    }
}

static void do_work(struct moot_loop *loop, const struct moot_effect *effect)
{
    workers__effect(loop->workers, effect);
}

static void do_log(struct moot_loop *loop, const struct moot_effect *effect)
{
    (void)loop;
    host__say_slice(effect->log.level, effect->log.text);
}

static void do_stop(struct moot_loop *loop, const struct moot_effect *effect)
{
    if (effect->status != 0) {
        host__say(MOOT_LOG_ERROR, "stopped: %.*s", (int)effect->log.text.size,
                  (const char *)effect->log.text.data);
    }
    loop->exit_status = effect->status;
    loop->ended = true;
}

typedef void (*perform_effect)(struct moot_loop *loop, const struct moot_effect *effect);
static const perform_effect performers[MOOT_EFFECT_KINDS] = {
    [MOOT_EFFECT_JOURNAL] = do_journal,
    [MOOT_EFFECT_STORE_WRITE] = do_store_write,
    [MOOT_EFFECT_FLUSH] = do_work,
    [MOOT_EFFECT_FETCH] = do_work,
    [MOOT_EFFECT_PIN] = do_work,
    [MOOT_EFFECT_UNPIN] = do_work,
    [MOOT_EFFECT_PIN_READ] = do_work,
    [MOOT_EFFECT_INGEST] = do_work,
    [MOOT_EFFECT_LONG_READ] = do_work,
    [MOOT_EFFECT_SEND] = peers__effect_send,
    [MOOT_EFFECT_PEER] = peers__effect_peer,
    [MOOT_EFFECT_REPLY] = clients__effect,
    [MOOT_EFFECT_CLIENT_PAUSE] = clients__effect,
    [MOOT_EFFECT_CLIENT_CLOSE] = clients__effect,
    [MOOT_EFFECT_LOG] = do_log,
    [MOOT_EFFECT_STOP] = do_stop,
    [MOOT_EFFECT_CLIENT_KEEP] = clients__effect,
};

/* ---- the turn ---- */

static void arm(struct moot_loop *loop, struct moot_instant deadline);

static struct moot_now now_read(void)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct moot_now){{loop__now_ns()},
                             (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000};
}

static void maybe_ask_to_reopen(struct moot_loop *loop)
{
    bool may = !loop->ended && !loop->stop_asked && !loop->reopen_asked;
    if (may && loop->options.reopen.wanted != NULL &&
        loop->options.reopen.wanted(loop->options.reopen.context)) {
        loop->reopen_asked = true;
        loop__input(loop, MOOT_INPUT_REOPEN);
    }
}

static void turn(struct moot_loop *loop)
{
    struct moot_input *inputs = loop->inputs;
    size_t count = loop->input_count;
    size_t capacity = loop->input_capacity;
    loop->inputs = loop->inputs_spare; /* Effects may already push inputs of the next turn. */
    loop->input_capacity = loop->spare_capacity;
    loop->input_count = 0;
    struct moot_effects effects;
    if (loop->options.turn != NULL) {
        loop->options.turn(loop->options.turn_context, loop->options.node, inputs, count,
                           now_read(), &effects);
    } else {
        moot_node_turn(loop->options.node, inputs, count, now_read(), &effects);
    }
    loop->inputs_spare = inputs;
    loop->spare_capacity = capacity;
    forget_turn(loop);

    for (size_t i = 0; i < effects.count && !loop->ended; i++) {
        MOOT_ASSERT(effects.items[i].kind < MOOT_EFFECT_KINDS);
        performers[effects.items[i].kind](loop, &effects.items[i]);
    }
    peers__flush(loop); /* First: a follower's disk works while clients are answered. */
    clients__flush(loop);
    if (journal_thread__go(loop->journal, loop->answers_wait)) {
        take_durable(loop);
    }
    arm(loop, effects.deadline);
    maybe_ask_to_reopen(loop);
    if (loop->ended) {
        uv_stop(&loop->uv);
    }
}

static void on_idle(uv_idle_t *idle) { (void)idle; }

/* Inputs made outside of polling (by timers, by effects) must not wait for the next event: an
 * active idle handle lets poll only look. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct moot_loop *loop = prepare->data;
    if (loop->input_count > 0) {
        uv_idle_start(&loop->idle, on_idle);
    }
}

static void on_check(uv_check_t *check)
{
    struct moot_loop *loop = check->data;
    uv_idle_stop(&loop->idle);
    if (loop->input_count > 0 && !loop->ended) {
        turn(loop);
    }
}

/* ---- time and signals ---- */

static void on_deadline(uv_timer_t *timer)
{
    struct moot_loop *loop = timer->data;
    loop->deadline_armed = false;
    loop__input(loop, MOOT_INPUT_TICK);
}

/* libuv's timers count whole milliseconds from the iteration's start; rounding up means never
 * early.
 */
static void arm(struct moot_loop *loop, struct moot_instant deadline)
{
    if (loop->deadline_armed && loop->deadline.ns == deadline.ns) {
        return;
    }
    loop->deadline = deadline;
    loop->deadline_armed = deadline.ns != MOOT_NEVER.ns;
    if (!loop->deadline_armed) {
        uv_timer_stop(&loop->deadline_timer);
        return;
    }
    uint64_t at_ms = deadline.ns / MOOT_MSEC_NS + 1;
    uint64_t now_ms = uv_now(&loop->uv);
    bool at_once =
        deadline.ns <= loop__now_ns(); /* Work is left over: after the next look at I/O. */
    uint64_t wait_ms = at_once || at_ms <= now_ms ? 0 : at_ms - now_ms;
    uv_timer_start(&loop->deadline_timer, on_deadline, wait_ms, 0);
}

static void on_second(uv_timer_t *timer)
{
    struct moot_loop *loop = timer->data;
    struct statvfs space;
    if (statvfs(loop->options.dir, &space) == 0) {
        struct moot_input *input = loop__input(loop, MOOT_INPUT_SPACE);
        input->amount = (uint64_t)space.f_bavail * space.f_frsize;
        input->ticket = (uint64_t)space.f_blocks * space.f_frsize;
    }
    clients__second(loop);
    peers__second(loop);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct moot_loop *loop = signal->data;
    if (loop->stop_asked) {
        host__say(MOOT_LOG_WARN, "second signal %d: stopping at once", number);
        loop->exit_status = MOOT_EINDOUBT;
        loop->ended = true;
        uv_stop(&loop->uv);
        return;
    }
    loop->stop_asked = true;
    host__say(MOOT_LOG_INFO, "signal %d: stopping; a second one stops at once", number);
    loop__input(loop, MOOT_INPUT_STOP);
    swim_udp__leave(loop->swim);
    peers__leave(loop);
}

/* ---- life ---- */

static void handles_init(struct moot_loop *loop)
{
    int failed = uv_loop_init(&loop->uv);
    loop->uv.data = loop;
    failed |= uv_prepare_init(&loop->uv, &loop->prepare);
    failed |= uv_check_init(&loop->uv, &loop->check);
    failed |= uv_idle_init(&loop->uv, &loop->idle);
    failed |= uv_timer_init(&loop->uv, &loop->deadline_timer);
    failed |= uv_timer_init(&loop->uv, &loop->second_timer);
    failed |= uv_async_init(&loop->uv, &loop->journal_async, on_journal);
    failed |= uv_async_init(&loop->uv, &loop->workers_async, on_workers);
    failed |= uv_signal_init(&loop->uv, &loop->signals[0]);
    failed |= uv_signal_init(&loop->uv, &loop->signals[1]);
    loop->prepare.data = loop->check.data = loop->idle.data = loop;
    loop->deadline_timer.data = loop->second_timer.data = loop;
    loop->journal_async.data = loop->workers_async.data = loop;
    loop->signals[0].data = loop->signals[1].data = loop;
    failed |= uv_prepare_start(&loop->prepare, on_prepare);
    failed |= uv_check_start(&loop->check, on_check);
    failed |= uv_timer_start(&loop->second_timer, on_second, 0, 1000);
    failed |= uv_signal_start(&loop->signals[0], on_signal, SIGTERM);
    failed |= uv_signal_start(&loop->signals[1], on_signal, SIGINT);
    MOOT_ASSERT(failed == 0);
}

static void close_own(struct moot_loop *loop)
{
    uv_handle_t *const handles[] = {
        (uv_handle_t *)&loop->prepare,       (uv_handle_t *)&loop->check,
        (uv_handle_t *)&loop->idle,          (uv_handle_t *)&loop->deadline_timer,
        (uv_handle_t *)&loop->second_timer,  (uv_handle_t *)&loop->journal_async,
        (uv_handle_t *)&loop->workers_async, (uv_handle_t *)&loop->signals[0],
        (uv_handle_t *)&loop->signals[1],
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(handles); i++) {
        uv_close(handles[i], NULL);
    }
}

static void memory_free(struct moot_loop *loop)
{
    for (size_t i = 0; i < loop->block_count; i++) {
        moot_block_release(loop->blocks[i]);
    }
    while (loop->chunks != NULL) {
        struct read_chunk *next = loop->chunks->next;
        moot_free(loop->chunks);
        loop->chunks = next;
    }
    moot_free(loop->blocks);
    moot_free(loop->inputs);
    moot_free(loop->inputs_spare);
    moot_free(loop);
}

static void on_grace(uv_timer_t *timer) { (void)timer; }

/* The brain is done; what clients have not taken yet gets a little longer, and longer still while
 * they take some of it. */
static void drain(struct moot_loop *loop)
{
    uint64_t now_ns = loop__now_ns(), end_ns = now_ns + MOOT_STOP_GRACE_MAX_MS * MOOT_MSEC_NS;
    uint64_t least = UINT64_MAX, taken_ns = now_ns;
    uv_prepare_stop(&loop->prepare);
    uv_idle_stop(&loop->idle);
    uv_timer_stop(&loop->second_timer);
    uv_timer_start(&loop->deadline_timer, on_grace, MOOT_STOP_LOOK_MS, MOOT_STOP_LOOK_MS);
    while (loop->exit_status == 0 && now_ns < end_ns) {
        uint64_t left = clients__drain(loop);
        if (left < least) {
            least = left;
            taken_ns = now_ns;
        }
        bool waits = left > 0 && now_ns < taken_ns + MOOT_STOP_GRACE_MS * MOOT_MSEC_NS;
        if (!waits && !swim_udp__is_leaving(loop->swim)) {
            break;
        }
        uv_run(&loop->uv, UV_RUN_ONCE);
        now_ns = loop__now_ns();
    }
}

static void start_threads(struct moot_loop *loop)
{
    const struct moot_loop_options *options = &loop->options;
    loop->journal =
        journal_thread__start(options->disk, options->segment_bytes, &loop->journal_async);
    loop->workers = workers__start(options->store, &loop->workers_async);
}

/* The brain has come to rest. What is in `inputs` was for it: answers to what it wanted. */
static void reopen(struct moot_loop *loop)
{
    forget_turn(loop);
    journal_thread__stop(loop->journal); /* What it was given is durable. */
    workers__stop(loop->workers);
    peers__forget(loop);
    loop->options.node =
        loop->options.reopen.perform(loop->options.reopen.context, &loop->options.incarnation);
    loop->input_count = 0;
    loop->ended = loop->reopen_asked = loop->answers_wait = false;
    uv_timer_stop(&loop->deadline_timer);
    loop->deadline_armed = false;
    start_threads(loop);
    clients__reopened(loop);
    loop__input(loop, MOOT_INPUT_TICK);
}

int moot_loop_run(const struct moot_loop_options *options)
{
    struct moot_loop *loop = moot_alloc_zero(sizeof(*loop));
    loop->options = *options;
    moot_rng_init(&loop->rng,
                  loop__now_ns() ^ options->incarnation << 32 ^ options->identity->node);
    signal(SIGPIPE, SIG_IGN);
    handles_init(loop);
    start_threads(loop);
    clients__init(loop);
    loop->swim = swim_udp__start(loop);
    peers__init(loop);
    loop__input(loop, MOOT_INPUT_TICK); /* The first turn names the first deadline and peers. */
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    while (loop->reopen_asked && loop->exit_status == 0 && !loop->stop_asked) {
        reopen(loop);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    }
    MOOT_ASSERT(loop->ended);
    drain(loop);

    journal_thread__stop(loop->journal);
    workers__stop(loop->workers);
    clients__close(loop);
    peers__close(loop);
    swim_udp__close(loop->swim);
    close_own(loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    clients__deinit(loop);
    peers__deinit(loop);
    swim_udp__deinit(loop->swim);
    int failed = uv_loop_close(&loop->uv);
    MOOT_ASSERT(failed == 0);
    int status = loop->exit_status;
    memory_free(loop);
    return status;
}
