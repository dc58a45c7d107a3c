/* A disk, a store and a MAC that pass each question on, and write down what was answered. Only the
 * brain has them: the journal's thread and the workers have the real ones. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/slice.h"
#include "host/recorder_internal.h"
#include "replay/question.h"

static int note(struct recorder *recorder, enum moot_replay_call call, uint64_t question,
                int status, struct moot_slice a, struct moot_slice b)
{
    if (recorder__is_on(recorder)) {
        recorder__put(recorder,
                      &(struct moot_replay_record){.kind = MOOT_REPLAY_ANSWER,
                                                   .answer = {.call = call,
                                                              .status = status,
                                                              .question = (uint32_t)question,
                                                              .a = a,
                                                              .b = b}});
    }
    return status;
}

static const struct moot_slice NOTHING = {NULL, 0};

/* ---- disk ---- */

static struct answers_disk *disk_of(struct moot_disk *disk) { return (struct answers_disk *)disk; }

static int disk_note(struct answers_disk *mine, enum moot_replay_call call, uint64_t question,
                     int status)
{
    return note(mine->recorder, call, question, status, NOTHING, NOTHING);
}

static int disk_create(struct moot_disk *disk, const char *name, uint64_t size)
{
    struct answers_disk *mine = disk_of(disk);
    return disk_note(mine, MOOT_REPLAY_DISK_CREATE, replay_ask_file(name, size, 0),
                     mine->below->ops->create(mine->below, name, size));
}

static int disk_remove(struct moot_disk *disk, const char *name)
{
    struct answers_disk *mine = disk_of(disk);
    return disk_note(mine, MOOT_REPLAY_DISK_REMOVE, replay_ask_file(name, 0, 0),
                     mine->below->ops->remove(mine->below, name));
}

static int disk_rename(struct moot_disk *disk, const char *from, const char *to)
{
    struct answers_disk *mine = disk_of(disk);
    return disk_note(mine, MOOT_REPLAY_DISK_RENAME, replay_ask_names(from, to),
                     mine->below->ops->rename(mine->below, from, to));
}

static int disk_size(struct moot_disk *disk, const char *name, uint64_t *size)
{
    struct answers_disk *mine = disk_of(disk);
    int status = mine->below->ops->size(mine->below, name, size);
    uint8_t number[8];
    moot_store_le64(number, status == 0 ? *size : 0);
    return note(mine->recorder, MOOT_REPLAY_DISK_SIZE, replay_ask_file(name, 0, 0), status,
                moot_slice_make(number, sizeof(number)), NOTHING);
}

static bool is_zeros(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Most of what a journal has are zeros, and a brain that opens reads all of it. */
static int disk_read(struct moot_disk *disk, const char *name, uint64_t offset, void *out,
                     size_t size)
{
    struct answers_disk *mine = disk_of(disk);
    int status = mine->below->ops->read(mine->below, name, offset, out, size);
    bool said = status == 0 && !is_zeros(out, size);
    return note(mine->recorder, MOOT_REPLAY_DISK_READ, replay_ask_file(name, offset, size), status,
                moot_slice_make(out, said ? size : 0), NOTHING);
}

static int disk_write(struct moot_disk *disk, const char *name, uint64_t offset, const void *bytes,
                      size_t size)
{
    struct answers_disk *mine = disk_of(disk);
    uint64_t question =
        replay_ask_bytes(replay_ask_file(name, offset, size), moot_slice_make(bytes, size));
    return disk_note(mine, MOOT_REPLAY_DISK_WRITE, question,
                     mine->below->ops->write(mine->below, name, offset, bytes, size));
}

static void keep_name(void *context, const char *name)
{
    struct moot_buffer *names = context;
    moot_buffer_append(names, name, strlen(name) + 1);
}

static int disk_list(struct moot_disk *disk, void (*each)(void *context, const char *name),
                     void *context)
{
    struct answers_disk *mine = disk_of(disk);
    struct moot_buffer names;
    moot_buffer_init(&names);
    int status = mine->below->ops->list(mine->below, keep_name, &names);
    note(mine->recorder, MOOT_REPLAY_DISK_LIST, 0, status, moot_buffer_slice(&names), NOTHING);
    for (size_t at = 0; at < names.size; at += strlen((char *)names.data + at) + 1) {
        each(context, (char *)names.data + at);
    }
    moot_buffer_deinit(&names);
    return status;
}

static const struct moot_disk_ops DISK = {
    .create = disk_create,
    .remove = disk_remove,
    .rename = disk_rename,
    .size = disk_size,
    .read = disk_read,
    .write = disk_write,
    .list = disk_list,
};

/* ---- store ---- */

struct moot_store_iterator {
    struct answers_store *store;
    struct moot_store_iterator *below;
};

static struct answers_store *store_of(struct moot_store *store)
{
    return (struct answers_store *)store;
}

static int store_note(struct answers_store *mine, enum moot_replay_call call, uint64_t question,
                      int status)
{
    return note(mine->recorder, call, question, status, NOTHING, NOTHING);
}

static int store_get(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
                     struct moot_slice *value)
{
    struct answers_store *mine = store_of(store);
    int status = mine->below->ops->get(mine->below, key, arena, value);
    return note(mine->recorder, MOOT_REPLAY_STORE_GET, replay_ask_bytes(0, key), status,
                status == 0 ? *value : NOTHING, NOTHING);
}

static int store_fetch(struct moot_store *store, struct moot_slice key)
{
    struct answers_store *mine = store_of(store);
    return store_note(mine, MOOT_REPLAY_STORE_FETCH, replay_ask_bytes(0, key),
                      mine->below->ops->fetch(mine->below, key));
}

static int store_iterate(struct moot_store *store, struct moot_store_pin *pin,
                         struct moot_range range, bool reverse, struct moot_store_iterator **out)
{
    struct answers_store *mine = store_of(store);
    MOOT_ASSERT(pin == NULL); /* Pins are for other threads. */
    struct moot_store_iterator *below = NULL;
    int status = mine->below->ops->iterate(mine->below, NULL, range, reverse, &below);
    store_note(mine, MOOT_REPLAY_STORE_ITERATE, replay_ask_range(&range, reverse), status);
    if (status == 0) {
        *out = moot_alloc(sizeof(**out));
        **out = (struct moot_store_iterator){mine, below};
    }
    return status;
}

static int store_entry(struct moot_store_iterator *iterator, struct moot_slice *key,
                       struct moot_slice *value)
{
    struct answers_store *mine = iterator->store;
    int status = mine->below->ops->entry(iterator->below, key, value);
    return note(mine->recorder, MOOT_REPLAY_STORE_ENTRY, 0, status, status == 0 ? *key : NOTHING,
                status == 0 ? *value : NOTHING);
}

static int store_next(struct moot_store_iterator *iterator)
{
    struct answers_store *mine = iterator->store;
    return store_note(mine, MOOT_REPLAY_STORE_NEXT, 0, mine->below->ops->next(iterator->below));
}

static void store_iterate_end(struct moot_store_iterator *iterator)
{
    iterator->store->below->ops->iterate_end(iterator->below);
    moot_free(iterator);
}

static int store_fetch_range(struct moot_store *store, struct moot_range range, bool reverse,
                             uint64_t limit)
{
    struct answers_store *mine = store_of(store);
    return store_note(mine, MOOT_REPLAY_STORE_FETCH_RANGE, replay_ask_range(&range, reverse),
                      mine->below->ops->fetch_range(mine->below, range, reverse, limit));
}

static int store_write(struct moot_store *store, const struct moot_batch *batch)
{
    struct answers_store *mine = store_of(store);
    return store_note(mine, MOOT_REPLAY_STORE_WRITE,
                      replay_ask_bytes(0, moot_buffer_slice(&batch->bytes)),
                      mine->below->ops->write(mine->below, batch));
}

static int store_flush(struct moot_store *store)
{
    struct answers_store *mine = store_of(store);
    return store_note(mine, MOOT_REPLAY_STORE_FLUSH, 0, mine->below->ops->flush(mine->below));
}

/* Pins, ingests and close are the driver's, who has the real store. */
static const struct moot_store_ops STORE = {
    .get = store_get,
    .fetch = store_fetch,
    .iterate = store_iterate,
    .entry = store_entry,
    .next = store_next,
    .iterate_end = store_iterate_end,
    .fetch_range = store_fetch_range,
    .write = store_write,
    .flush = store_flush,
};

/* ---- MAC ---- */

void answers__mac(void *context, struct moot_slice key, struct moot_slice message,
                  uint8_t out[MOOT_MAC_BYTES])
{
    struct recorder *recorder = context;
    recorder->mac.compute(recorder->mac.context, key, message, out);
    note(recorder, MOOT_REPLAY_MAC, replay_ask_bytes(0, message), 0,
         moot_slice_make(out, MOOT_MAC_BYTES), NOTHING);
}

void answers__init(struct recorder *recorder, const struct moot_node_options *options)
{
    recorder->disk = (struct answers_disk){{&DISK}, options->disk, recorder};
    recorder->store = (struct answers_store){{&STORE}, options->store, recorder};
    recorder->mac = options->admission.mac;
}
