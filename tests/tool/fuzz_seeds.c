/* Writes the seeds that the fuzzers begin with: real encodings of every kind, made by the code that
 * makes them, so that a change of a format changes them too. The same in every run.
 *
 *     fuzz_seeds FOLDER     writes FOLDER/<fuzzer>/seed-<what>
 *
 * Each has the form that its fuzzer reads: see the opening comment of tests/fuzz/<fuzzer>_fuzz.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../unit/group_message_samples.h"
#include "base/hash.h"
#include "base/limits.h"
#include "check/history.h"
#include "database/execute/engine.h"
#include "database/node.h"
#include "moot/bounded.h"
#include "moot/crush.h"
#include "moot/detector.h"
#include "moot/lamport.h"
#include "moot/merkle.h"
#include "moot/planner.h"
#include "moot/quorum_math.h"
#include "moot/range_map.h"
#include "moot/rendezvous.h"
#include "moot/ring.h"
#include "moot/slot_map.h"
#include "moot/swim.h"
#include "moot/vector.h"
#include "moot/version.h"
#include "replay/stream.h"
#include "sim/disk_sim.h"
#include "storage/snapshot.h"
#include "storage/store_memory.h"
#include "wire/beat.h"
#include "wire/datagram.h"
#include "wire/frame.h"
#include "wire/handshake.h"
#include "wire/resp.h"

static const char *folder;

static void save(const char *fuzzer, const char *what, struct moot_slice bytes)
{
    char path[4096];
    snprintf(path, sizeof(path), "%.2000s/%s", folder, fuzzer);
    mkdir(path, 0777);
    snprintf(path, sizeof(path), "%.2000s/%s/seed-%s", folder, fuzzer, what);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes.data, 1, bytes.size, file) != bytes.size ||
        fclose(file) != 0) {
        fprintf(stderr, "%s cannot be written\n", path);
        exit(1);
    }
}

/* With a fuzzer's own first bytes. */
static void save_after(const char *fuzzer, const char *what, const char *first, size_t first_size,
                       struct moot_slice bytes)
{
    struct moot_buffer all;
    moot_buffer_init(&all);
    moot_buffer_append(&all, first, first_size);
    moot_buffer_append_slice(&all, bytes);
    save(fuzzer, what, moot_buffer_slice(&all));
    moot_buffer_deinit(&all);
}

/* ---- commands ---- */

/* Words are separated by one blank, commands by a line end. */
static const struct {
    const char *name, *text;
} SCRIPTS[] = {
    {"strings",
     "SET k v EX 100 NX\nGET k\nAPPEND k xyz\nINCRBY n 41\nINCRBYFLOAT f 1.5e3\n"
     "SETRANGE k 5 abc\nGETRANGE k 0 -1\nMSET a 1 b 2\nMGET a b none\nGETDEL a\nSETEX s 9 v"},
    {"hashes",
     "HSET h f1 v1 f2 v2\nHGETALL h\nHINCRBY h n 7\nHDEL h f1\nHSCAN h 0 COUNT 2\nHKEYS h"},
    {"lists",
     "RPUSH l a b c d\nLPOP l 2\nLINSERT l BEFORE d x\nLRANGE l 0 -1\nLMOVE l m LEFT RIGHT\n"
     "LTRIM l 0 1\nBLPOP l 0.01\nBRPOP none 0.05\nLREM l 1 x"},
    {"keys", "SET k 1\nEXPIRE k 10\nTTL k\nRENAME k j\nTYPE j\nSCAN 0 MATCH * COUNT 10\nDEL j k\n"
             "OBJECT ENCODING j\nPERSIST j\nCOPY j i\nDBSIZE\nFLUSHDB\nKEYS *\nEXISTS k j"},
    {"multi", "WATCH k\nMULTI\nSET k 1\nINCR k\nGET k\nEXEC\nMULTI\nSET k\nEXEC\nUNWATCH\nDISCARD"},
    {"connection", "HELLO 3\nCLIENT SETNAME me\nCLIENT ID\nSELECT 1\nSWAPDB 0 1\nPING\nECHO x\n"
                   "COMMAND DOCS GET\nCOMMAND COUNT\nCONFIG GET *\nRESET\nWAIT 1 10\nQUIT"},
    {"cluster", "CLUSTER SLOTS\nCLUSTER SHARDS\nCLUSTER NODES\nCLUSTER INFO\nCLUSTER KEYSLOT k\n"
                "CLUSTER MYID\nMOOT STATUS\nMOOT CLUSTER REMOVE 1 PLAN\nMOOT CLUSTER TRANSFER 1\n"
                "MOOT CLUSTER REPLACE 1 2\nMOOT JOIN\nMOOT JOIN a:1 b:2 00ff\nINFO\nROLE\nTIME"},
    {"with", "WITH ID 1700000000000:a SET k v\nWITH ID 1700000000000:a SET k v\nWITH ID x GET k\n"
             "WITH ID 1700000000000:b INCR n"},
};

/* Calls `each` for every command of a script. */
static void script_each(const char *text, void (*each)(void *, const struct moot_slice *, uint32_t),
                        void *context)
{
    struct moot_slice args[32];
    while (*text != '\0') {
        uint32_t argc = 0;
        size_t line = strcspn(text, "\n");
        for (const char *at = text; at < text + line;) {
            size_t word = strcspn(at, " \n");
            args[argc++] = moot_slice_make(at, word);
            at += word + 1;
        }
        each(context, args, argc);
        text += line + (text[line] == '\n');
    }
}

static void as_resp(void *context, const struct moot_slice *args, uint32_t argc)
{
    struct moot_resp resp = {context, 2};
    moot_resp_array(&resp, argc);
    for (uint32_t i = 0; i < argc; i++) {
        moot_resp_bulk(&resp, args[i]);
    }
}

static void as_item(void *context, const struct moot_slice *args, uint32_t argc)
{
    bool with = moot_slice_equal_nocase(args[0], "WITH");
    uint32_t skip = with ? 3 : 0;
    moot_item_put(context, with ? MOOT_ITEM_ID : 0, 0, with ? args[2] : (struct moot_slice){0},
                  args + skip, argc - skip);
}

/* A piece of client_fuzz: connection 0, and a turn after it. */
static void as_piece(void *context, const struct moot_slice *args, uint32_t argc)
{
    struct moot_buffer command;
    moot_buffer_init(&command);
    as_resp(&command, args, argc);
    moot_put_u8(context, 0x80);
    moot_put_u8(context, (uint8_t)command.size);
    moot_buffer_append_slice(context, moot_buffer_slice(&command));
    moot_buffer_deinit(&command);
}

static void commands(void)
{
    for (size_t i = 0; i < MOOT_ARRAY_LEN(SCRIPTS); i++) {
        struct moot_buffer out;
        moot_buffer_init(&out);
        script_each(SCRIPTS[i].text, as_resp, &out);
        save_after("resp", SCRIPTS[i].name, "\7", 1, moot_buffer_slice(&out));
        moot_buffer_reset(&out, 0);
        script_each(SCRIPTS[i].text, as_item, &out);
        save("batch", SCRIPTS[i].name, moot_buffer_slice(&out));
        moot_buffer_reset(&out, 0);
        script_each(SCRIPTS[i].text, as_piece, &out);
        save("client", SCRIPTS[i].name, moot_buffer_slice(&out));
        moot_buffer_deinit(&out);
    }
    static const char inline_text[] =
        "\3SET k \"a\\x00b\\\"\" 'c d'\r\nGET k\n\r\n*-1\r\n*0\r\nPING";
    save("resp", "inline", moot_slice_make(inline_text, sizeof(inline_text) - 1));
    static const char values[] =
        "\1%2\r\n+a\r\n:1\r\n$1\r\nb\r\n*2\r\n_\r\n#t\r\n,1.5\r\n=7\r\ntxt:abc\r\n";
    save("resp", "values", moot_slice_make(values, sizeof(values) - 1));
}

/* A transaction: two watches, two commands. */
static void exec_item(void)
{
    struct moot_buffer out;
    moot_buffer_init(&out);
    moot_put_u8(&out, MOOT_ITEM_EXEC | MOOT_ITEM_RESP3);
    moot_put_u8(&out, 1);
    moot_put_varint(&out, 2);
    for (uint8_t i = 0; i < 2; i++) {
        moot_put_u8(&out, i);
        moot_put_bytes(&out, MOOT_SLICE_LITERAL("watched"));
        moot_put_u64(&out, 0);
        moot_put_u32(&out, 0);
    }
    moot_put_varint(&out, 2);
    const struct moot_slice set[] = {MOOT_SLICE_LITERAL("SET"), MOOT_SLICE_LITERAL("k"),
                                     MOOT_SLICE_LITERAL("v")};
    const struct moot_slice pop[] = {MOOT_SLICE_LITERAL("BLPOP"), MOOT_SLICE_LITERAL("l"),
                                     MOOT_SLICE_LITERAL("0")};
    moot_item_put_body(&out, set, 3);
    moot_item_put_body(&out, pop, 3);
    save("batch", "exec", moot_buffer_slice(&out));
    moot_buffer_deinit(&out);
}

/* ---- between nodes ---- */

static void messages(void)
{
    struct moot_arena arena;
    struct moot_buffer out;
    moot_arena_init(&arena);
    moot_buffer_init(&out);
    for (int i = 0; i < SAMPLES; i++) {
        struct moot_message message;
        char name[32];
        snprintf(name, sizeof(name), "%02d", i);
        moot_buffer_reset(&out, 0);
        sample_message(i, &arena, &message);
        sample_wire(&message, &out);
        save("message", name, moot_buffer_slice(&out));
    }
    moot_buffer_deinit(&out);
    moot_arena_deinit(&arena);
}

static void frames(void)
{
    struct moot_frame_sender sender;
    struct moot_buffer link;
    moot_buffer_init(&link);
    moot_frame_sender_init(&sender, 5 /* the fuzzer's key */);
    for (int i = 0; i < 3; i++) {
        int status = moot_frame_send(&sender, i == 1 ? MOOT_LANE_URGENT : MOOT_LANE_BULK,
                                     MOOT_SLICE_LITERAL("a message"), NULL, 0);
        MOOT_ASSERT(status == MOOT_OK);
    }
    while (!moot_frame_sender_is_empty(&sender)) {
        moot_frame_take(&sender, &link, MOOT_FRAME_BYTES_MAX);
    }
    save_after("frame", "three", "\5\0\0\0\0", 5, moot_buffer_slice(&link));
    save_after("frame", "damaged", "\5\20\0\0\1", 5, moot_buffer_slice(&link));
    moot_frame_sender_deinit(&sender);
    moot_buffer_deinit(&link);
}

static void mac_of_seeds(void *context, struct moot_slice key, struct moot_slice message,
                         uint8_t out[MOOT_MAC_BYTES])
{
    (void)context;
    for (uint64_t i = 0; i < MOOT_MAC_BYTES / 8; i++) {
        uint64_t word = moot_hash64(message, moot_hash64(key, i));
        memcpy(out + 8 * i, &word, 8);
    }
}

static void shake_begin(struct moot_handshake *handshake, bool initiator, struct moot_buffer *out)
{
    struct moot_handshake_options options = {.initiator = initiator,
                                             .purpose = MOOT_LINK_PEER,
                                             .node = initiator ? 1 : 2,
                                             .address = MOOT_SLICE_LITERAL("127.0.0.1:1"),
                                             .cluster_id = {7},
                                             .nonce = {initiator ? 1 : 2},
                                             .secret = MOOT_SLICE_LITERAL("fuzz"),
                                             .mac = {mac_of_seeds, NULL}};
    moot_buffer_init(out);
    moot_handshake_begin(handshake, &options, out);
}

static void handshakes(void)
{
    struct moot_handshake initiator, acceptor;
    struct moot_buffer hello, reply, refusal;
    shake_begin(&initiator, true, &hello);
    shake_begin(&acceptor, false, &reply);
    struct moot_slice bytes = moot_buffer_slice(&hello);
    enum moot_handshake_state state = moot_handshake_input(&acceptor, &bytes, &reply);
    MOOT_ASSERT(state == MOOT_HANDSHAKE_MORE);
    save_after("handshake", "hello", "\7\0\0", 3, moot_buffer_slice(&hello));
    /* Of another secret: with the right proof the fuzzer's initiator would rightly be content. */
    reply.data[reply.size - 1] ^= 1;
    save_after("handshake", "reply", "\7\1\0", 3, moot_buffer_slice(&reply));
    shake_begin(&acceptor, false, &refusal);
    bytes = moot_buffer_slice(&reply); /* Not what an acceptor waits for. */
    state = moot_handshake_input(&acceptor, &bytes, &refusal);
    MOOT_ASSERT(state == MOOT_HANDSHAKE_REFUSED);
    save_after("handshake", "refused", "\7\1\3", 3, moot_buffer_slice(&refusal));
    moot_buffer_deinit(&hello);
    moot_buffer_deinit(&reply);
    moot_buffer_deinit(&refusal);
}

static void entries(void)
{
    for (int kind = MOOT_ENTRY_NOOP; kind <= MOOT_ENTRY_CUT; kind++) {
        struct moot_buffer out;
        char name[32];
        struct moot_entry entry = {
            .kind = (enum moot_entry_kind)kind, .stamp = 1 << 20, .seed = 3, .edge = 2, .batch = 1};
        moot_buffer_init(&out);
        moot_buffer_reserve(&out, MOOT_ENTRY_HEADER_BYTES);
        moot_entry_put_header(out.data, &entry);
        out.size = MOOT_ENTRY_HEADER_BYTES;
        if (kind == MOOT_ENTRY_MEMBERS) {
            moot_members_encode(&SAMPLE_MEMBERS, &out);
        } else if (kind == MOOT_ENTRY_EXPIRE) {
            moot_put_u16(&out, 0);
            moot_put_bytes(&out, MOOT_SLICE_LITERAL("key"));
        } else if (kind == MOOT_ENTRY_FEATURE_LEVEL) {
            moot_put_u32(&out, 1);
        }
        snprintf(name, sizeof(name), "%d", kind);
        save("entry", name, moot_buffer_slice(&out));
        moot_buffer_deinit(&out);
    }
}

static void identities(void)
{
    static const char *const initial[] = {
        "1=127.0.0.1:17001/127.0.0.1:7001",
        "3=[::1]:17003/[::1]:7003,1=a.example:17001/a.example:7001,2=10.0.0.2:1/10.0.0.2:65535"};
    static const char *const addresses[] = {"127.0.0.1:7001", "[fe80::1]:1", "host:65535",
                                            "::1:7",          "a:0",         "[]:1"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(initial); i++) {
        char name[32];
        struct moot_identity identity = {.cluster = {1, 2, 3}};
        struct moot_buffer out;
        moot_buffer_init(&out);
        bool parsed = moot_identity_parse_initial(moot_slice_text(initial[i]), &identity);
        MOOT_ASSERT(parsed);
        identity.self = identity.initial[0];
        identity.node = identity.self.node;
        moot_identity_encode(&identity, &out);
        snprintf(name, sizeof(name), "members-%zu", i + 1);
        save("identity", name, moot_buffer_slice(&out));
        save("address", name, moot_slice_text(initial[i]));
        moot_buffer_deinit(&out);
    }
    for (size_t i = 0; i < MOOT_ARRAY_LEN(addresses); i++) {
        char name[32];
        snprintf(name, sizeof(name), "%zu", i + 1);
        save("address", name, moot_slice_text(addresses[i]));
    }
}

/* Of the secret and cluster that the fuzzer knows. */
static void datagrams(void)
{
    static const uint8_t cluster[MOOT_CLUSTER_ID_BYTES] = {1, 2, 3};
    static const enum moot_beat_kind kinds[] = {MOOT_BEAT_ASK, MOOT_BEAT_ECHO, MOOT_BEAT_LEAVE};
    struct moot_admission admission = {MOOT_SLICE_LITERAL("the secret"), {mac_of_seeds, NULL}};
    uint8_t sealed[MOOT_DATAGRAM_BYTES_MAX];
    size_t size = moot_datagram_seal(&admission, cluster, 2, MOOT_SLICE_LITERAL("body"), sealed);
    save("datagram", "sealed", moot_slice_make(sealed, size));
    for (size_t i = 0; i < MOOT_ARRAY_LEN(kinds); i++) {
        const struct moot_beat beat = {kinds[i], 1234567, 89};
        char name[32];
        uint8_t bytes[MOOT_BEAT_BYTES];
        snprintf(name, sizeof(name), "beat-%zu", i + 1);
        moot_beat_encode(&beat, bytes);
        save("datagram", name, moot_slice_make(bytes, sizeof(bytes)));
    }
}

/* ---- disks ---- */

static void keys(void)
{
    struct moot_arena arena;
    struct moot_slice key = MOOT_SLICE_LITERAL("{tag}key");
    moot_arena_init(&arena);
    save("key", "head", moot_key_head(&arena, 3, key));
    save("key", "element", moot_key_element(&arena, 16, key, 77, MOOT_SLICE_LITERAL("field")));
    save("key", "expiry", moot_key_expiry(&arena, 0, 1700000000000, key));
    save("key", "group", moot_key_group(&arena, 1, 'g', key));
    save("key", "keyspace", moot_key_keyspace(&arena, 2, 'n', (struct moot_slice){NULL, 0}));
    moot_arena_deinit(&arena);
}

static void snapshots(void)
{
    static const struct moot_range all = {{NULL, 0}, {NULL, 0}};
    static const struct moot_store_memory_options options = {0};
    struct moot_store *store = moot_store_memory_open(&options);
    struct moot_batch batch;
    struct moot_buffer chunk;
    moot_batch_init(&batch);
    moot_buffer_init(&chunk);
    moot_batch_put(&batch, MOOT_SLICE_LITERAL("a"), MOOT_SLICE_LITERAL("one"));
    moot_batch_put(&batch, MOOT_SLICE_LITERAL("b"), MOOT_SLICE_LITERAL(""));
    moot_batch_put(&batch, MOOT_SLICE_LITERAL("bb"), MOOT_SLICE_LITERAL("three"));
    int status = store->ops->write(store, &batch);
    MOOT_ASSERT(status == MOOT_OK);
    struct moot_store_pin *pin = store->ops->pin(store);
    for (size_t bytes_max = 1; bytes_max <= 1000; bytes_max += 999) {
        moot_buffer_reset(&chunk, 0);
        status = moot_snapshot_write(store, pin, all, bytes_max, &chunk);
        MOOT_ASSERT(status == MOOT_OK);
        /* Whole, and without the hash, which the fuzzer then makes. */
        save_after("snapshot", bytes_max == 1 ? "part" : "whole", "\0", 1,
                   moot_buffer_slice(&chunk));
        save_after("snapshot", bytes_max == 1 ? "part-unsealed" : "whole-unsealed", "\1", 1,
                   moot_slice_make(chunk.data, chunk.size - 8));
    }
    store->ops->unpin(store, pin);
    store->ops->close(store);
    moot_batch_deinit(&batch);
    moot_buffer_deinit(&chunk);
}

static int visit_nothing(void *context, const struct moot_record *record)
{
    (void)context;
    (void)record;
    return MOOT_OK;
}

/* A segment with a batch of every kind of record, and a closing mark. */
static void journals(void)
{
    enum { SEGMENT_BYTES = 8 * MOOT_JOURNAL_ALIGN };
    static const struct moot_journal_options options = {SEGMENT_BYTES, 6};
    const struct moot_record records[] = {
        {.kind = MOOT_RECORD_IDENTITY, .bytes = MOOT_SLICE_LITERAL("who")},
        {.kind = MOOT_RECORD_HARD_STATE, .group = 1, .term = 3, .vote = 2},
        {.kind = MOOT_RECORD_ENTRY,
         .group = 1,
         .index = 7,
         .term = 3,
         .entry_kind = 1,
         .bytes = MOOT_SLICE_LITERAL("entry")},
        {.kind = MOOT_RECORD_SNAPSHOT,
         .group = 1,
         .index = 6,
         .term = 2,
         .bytes = MOOT_SLICE_LITERAL("members")},
        {.kind = MOOT_RECORD_FREED, .group = 1, .index = 7}};
    struct moot_disk_sim *sim = moot_disk_sim_make(1);
    struct moot_disk *disk = moot_disk_sim_disk(sim);
    struct moot_journal_report report;
    struct moot_journal *journal;
    int status = moot_journal_open(disk, &options, visit_nothing, NULL, &report, &journal);
    MOOT_ASSERT(status == MOOT_OK);
    struct moot_buffer all, headers, out;
    moot_buffer_init(&all);
    moot_buffer_init(&headers);
    moot_buffer_init(&out);
    for (size_t i = 0; i < 3; i++) {
        struct moot_journal_write where;
        status = moot_journal_layout(journal, records, i == 2 ? 0 : MOOT_ARRAY_LEN(records), i,
                                     &out, &where);
        MOOT_ASSERT(status == MOOT_OK && where.offset == all.size);
        moot_buffer_append_slice(&all, moot_buffer_slice(&out));
        moot_buffer_append(&headers, out.data, 256);
    }
    save_after("journal", "segment", "\0", 1, moot_buffer_slice(&all));
    save_after("journal", "torn", "\0", 1, moot_slice_make(all.data, all.size - 3900));
    save_after("journal", "headers", "\2", 1, moot_buffer_slice(&headers));
    save_after("journal", "headers-of-two", "\3", 1, moot_buffer_slice(&headers));
    moot_journal_close(journal);
    moot_disk_sim_free(sim);
    moot_buffer_deinit(&all);
    moot_buffer_deinit(&headers);
    moot_buffer_deinit(&out);
}

static void histories(void)
{
    struct moot_history history;
    struct moot_buffer out;
    const struct moot_slice items[] = {MOOT_SLICE_LITERAL("a"), MOOT_SLICE_LITERAL("\"\\\n\xff")};
    const struct moot_history_value values[] = {
        moot_history_none(), moot_history_nil(), moot_history_integer(-5),
        moot_history_bytes(items[1]), moot_history_list(items, 2)};
    moot_history_init(&history);
    moot_buffer_init(&out);
    for (unsigned kind = 0; kind < MOOT_OPERATION_TXN; kind++) { /* It is the last. */
        struct moot_history_value value = values[kind % MOOT_ARRAY_LEN(values)];
        struct moot_instant now = {10 * kind + 1}, later = {10 * kind + 15};
        size_t number =
            kind == MOOT_OPERATION_CAS
                ? moot_history_call_cas(&history, kind, items[0], values[1], value, now)
                : moot_history_call(&history, kind % 3, kind, items[kind % 2], value, now);
        if (kind % 4 != 3) {
            moot_history_return(&history, number, kind % 3, value, later);
        }
    }
    const struct moot_history_step steps[] = {
        {.kind = MOOT_OPERATION_READ, .key = items[0], .value = values[4]},
        {.kind = MOOT_OPERATION_WRITE, .key = items[1], .value = values[2]}};
    struct moot_instant now = {500}, later = {501};
    size_t txn = moot_history_call_txn(&history, 5, steps, MOOT_ARRAY_LEN(steps), now);
    moot_history_return_txn(&history, txn, MOOT_OUTCOME_OK, steps, later);
    moot_history_write(&history, &out);
    save("history", "kinds", moot_buffer_slice(&out));
    moot_history_deinit(&history);
    moot_buffer_deinit(&out);
}

/* ---- libmoot: clocks and detectors ---- */

/* The fuzzer's first two bytes: which clock, and that all of the rest is the first encoding. */
static void save_clock(const char *what, char which, const uint8_t *bytes, size_t size)
{
    const char first[2] = {which, (char)255};
    save_after("clock", what, first, sizeof(first), moot_slice_make(bytes, size));
}

static void clocks(void)
{
    uint8_t bytes[MOOT_SIBLINGS_BYTES_MAX];
    size_t size = 0;
    struct moot_vector vector;
    moot_vector_init(&vector);
    struct moot_siblings siblings;
    moot_siblings_init(&siblings);
    struct moot_version nothing = {0};
    struct moot_dotted dotted = {.dot = {9, 1}};
    for (uint32_t i = 1; i <= 40; i++) {
        (void)moot_vector_tick(&vector, i * 3, i);
        (void)!moot_siblings_write(&siblings, &nothing, i % 5 + 1, i, &dotted.dot);
    }
    moot_siblings_context(&siblings, &dotted.context);
    dotted.dot = (struct moot_dot){77, 1};
    const struct moot_lamport_stamp stamp = {123456, 7};
    const struct moot_hlc_wide wide = {UINT64_C(1700000000000000000), 3, 2};
    const struct moot_bounded_reading reading = {UINT64_C(1700000000000000000), 5000000, 500, true,
                                                 false};
    MOOT_ASSERT(moot_lamport_encode(stamp, bytes, sizeof(bytes), &size) == 0);
    save_clock("lamport", 0, bytes, size);
    MOOT_ASSERT(moot_vector_encode(&vector, bytes, sizeof(bytes), &size) == 0);
    save_clock("vector", 1, bytes, size);
    MOOT_ASSERT(moot_version_encode(&dotted.context, 0, bytes, sizeof(bytes), &size) == 0);
    save_clock("version", 2, bytes, size);
    MOOT_ASSERT(moot_siblings_encode(&siblings, bytes, sizeof(bytes), &size) == 0);
    save_clock("siblings", 3, bytes, size);
    MOOT_ASSERT(moot_dotted_encode(&dotted, bytes, sizeof(bytes), &size) == 0);
    save_clock("dotted", 4, bytes, size);
    MOOT_ASSERT(moot_hlc_wide_encode(wide, bytes, sizeof(bytes), &size) == 0);
    save_clock("hybrid", 5, bytes, size);
    MOOT_ASSERT(moot_bounded_reading_encode(&reading, bytes, sizeof(bytes), &size) == 0);
    save_clock("bounded", 6, bytes, size);
}

static void detectors(void)
{
    static const struct moot_detector_options options = {.kind = MOOT_DETECTOR_EXPONENTIAL,
                                                         .threshold_milli = 8000,
                                                         .gap_first = {MOOT_SEC_NS},
                                                         .gap_max = {9 * MOOT_SEC_NS}};
    uint8_t bytes[MOOT_DETECTOR_BYTES_MAX];
    size_t size = 0;
    struct moot_detector detector;
    moot_detector_init(&detector, &options, (struct moot_instant){0});
    for (uint64_t i = 0; i < 50; i++) {
        moot_detector_heard(&detector, (struct moot_instant){i * i * MOOT_MSEC_NS});
    }
    const struct moot_heartbeat beat = {3, 17, 4711};
    MOOT_ASSERT(moot_detector_encode(&detector, bytes, sizeof(bytes), &size) == 0);
    save_after("detector", "gaps", "\0", 1, moot_slice_make(bytes, size));
    MOOT_ASSERT(moot_heartbeat_encode(&beat, bytes, sizeof(bytes), &size) == 0);
    save_after("detector", "heartbeat", "\1", 1, moot_slice_make(bytes, size));
}

static void plans(void)
{
    static const struct moot_plan zones = {
        .zone_count = 3, .zone_nodes = {3, 2, 3}, .read = {2, 1}, .write = {2, 3}};
    static const struct moot_plan sloppy = {.zone_count = 1,
                                            .zone_nodes = {3},
                                            .read = {2, 0},
                                            .write = {2, 0},
                                            .sloppy = true,
                                            .spares = 2};
    uint8_t bytes[MOOT_PLAN_BYTES_MAX];
    size_t size = 0;
    MOOT_ASSERT(moot_plan_encode(&zones, bytes, sizeof(bytes), &size) == 0);
    save("plan", "zones", moot_slice_make(bytes, size));
    MOOT_ASSERT(moot_plan_encode(&sloppy, bytes, sizeof(bytes), &size) == 0);
    save("plan", "sloppy", moot_slice_make(bytes, size));
}

/* ---- libmoot: membership, digests and placement ---- */

enum { SWIM_MEMBERS = 3, SWIM_WORDS = 16384 };

/* Members by their ids from 1, whose addresses are their ids; and all that member 1 is sent. */
struct swim_group {
    struct moot_swim *swim[SWIM_MEMBERS + 1];
    bool gone[SWIM_MEMBERS + 1];
    struct moot_instant now;
    struct moot_buffer heard;
};

static void swim_deliver(struct swim_group *group, const struct moot_swim_out *out)
{
    for (uint32_t i = 0; i < out->count; i++) {
        uint8_t to = out->sends[i].address.bytes[0];
        struct moot_slice packet = {out->sends[i].bytes, out->sends[i].size};
        MOOT_ASSERT(to >= 1 && to <= SWIM_MEMBERS);
        if (to == 1) {
            moot_put_u16(&group->heard, (uint16_t)packet.size);
            moot_buffer_append_slice(&group->heard, packet);
        }
        if (!group->gone[to]) {
            struct moot_swim_out replies = {0};
            int status = moot_swim_receive(group->swim[to], group->now, packet, &replies);
            MOOT_ASSERT(status == MOOT_OK);
            swim_deliver(group, &replies);
        }
    }
}

/* Two join the first; one dies and is found out; the other leaves. */
static void swims(void)
{
    static uint64_t memory[SWIM_MEMBERS + 1][SWIM_WORDS];
    static const struct moot_swim_address first = {1, {1}};
    struct swim_group group = {.now = {1}};
    struct moot_swim_out out = {0};
    moot_buffer_init(&group.heard);
    for (uint8_t id = 1; id <= SWIM_MEMBERS; id++) {
        struct moot_swim_config config = {
            .self = id, .address = {1, {id}}, .incarnation = 1, .seed = id};
        int status =
            moot_swim_init(&config, 6, memory[id], sizeof(memory[id]), group.now, &group.swim[id]);
        MOOT_ASSERT(status == MOOT_OK);
    }
    for (uint8_t id = 2; id <= SWIM_MEMBERS; id++) {
        moot_swim_join(group.swim[id], group.now, &first, 1, &out);
        swim_deliver(&group, &out);
    }
    save("swim", "join", moot_buffer_slice(&group.heard));
    for (uint64_t step = 1; step <= 300; step++) {
        group.now.ns += MOOT_SEC_NS / 10;
        group.gone[3] = step >= 40;
        if (step == 250) {
            moot_swim_leave(group.swim[2], group.now);
        }
        for (uint8_t id = 1; id <= SWIM_MEMBERS; id++) {
            if (!group.gone[id]) {
                moot_swim_tick(group.swim[id], group.now, &out);
                swim_deliver(&group, &out);
            }
        }
    }
    save("swim", "life", moot_buffer_slice(&group.heard));
    moot_buffer_deinit(&group.heard);
}

static void save_merkle_message(const struct moot_merkle_message *message)
{
    static const char *const names[] = {"none", "nodes", "nodes-reply", "items", "items-reply"};
    uint8_t bytes[MOOT_MERKLE_MESSAGE_MAX];
    size_t size = 0;
    MOOT_ASSERT(moot_merkle_message_encode(message, bytes, sizeof(bytes), &size) == 0);
    save_after("merkle", names[message->kind], "\1", 1, moot_slice_make(bytes, size));
}

/* Two replicas that differ in one leaf compare themselves: each message of it. */
static void merkles(void)
{
    enum { LEAVES = 300, SCOPE = 9 };
    static uint64_t memory[2][512], bits[16];
    static struct moot_merkle_compare compare;
    static struct moot_merkle_message reply;
    uint8_t bytes[8192];
    size_t size = 0;
    struct moot_merkle trees[2];
    for (int i = 0; i < 2; i++) {
        moot_merkle_init(&trees[i], memory[i], LEAVES);
        moot_merkle_add(&trees[i], 7, 77);
        moot_merkle_add(&trees[i], 255, 1000 + (uint64_t)i);
    }
    MOOT_ASSERT(moot_merkle_encode(&trees[0], bytes, sizeof(bytes), &size) == 0);
    save_after("merkle", "tree", "\0", 1, moot_slice_make(bytes, size));
    MOOT_ASSERT(moot_merkle_compare_size(&trees[0]) <= sizeof(bits));
    moot_merkle_compare_init(&compare, &trees[0], bits, moot_ms(1));
    struct moot_merkle_event event = {.kind = MOOT_MERKLE_EVENT_START, .scope = SCOPE};
    struct moot_merkle_effects effects;
    struct moot_merkle_item mine, theirs;
    moot_merkle_compare_step(&compare, &event, &effects);
    while (effects.next != MOOT_MERKLE_EFFECT_DONE) {
        event = (struct moot_merkle_event){.kind = MOOT_MERKLE_EVENT_LISTED};
        if (effects.next == MOOT_MERKLE_EFFECT_LIST) {
            mine = (struct moot_merkle_item){effects.from + 3, 5};
            theirs = (struct moot_merkle_item){effects.from + 4, 5};
            event.items = &mine;
            event.item_count = 1;
        } else {
            const struct moot_merkle_message *asked = &compare.message;
            int status =
                asked->kind == MOOT_MERKLE_NODES
                    ? moot_merkle_answer_nodes(&trees[1], SCOPE, asked, &reply)
                    : moot_merkle_answer_items(&theirs, 1, UINT64_MAX, SCOPE, asked, &reply);
            MOOT_ASSERT(status == MOOT_OK);
            save_merkle_message(asked);
            save_merkle_message(&reply);
            event = (struct moot_merkle_event){.kind = MOOT_MERKLE_EVENT_REPLY, .message = &reply};
        }
        moot_merkle_compare_step(&compare, &event, &effects);
    }
}

static void computed_places(void)
{
    static struct moot_place_member members[16];
    static struct moot_hash_ring_point points[1024];
    static uint64_t memory[128];
    struct moot_crush_item items[32];
    struct moot_hash_ring ring;
    struct moot_skeleton skeleton;
    struct moot_crush crush;
    uint8_t bytes[4096];
    size_t size = 0;
    moot_hash_ring_init(&ring, 7, members, 16, points, 1024);
    moot_skeleton_init(&skeleton, memory, 64);
    moot_crush_init(&crush, items, 32, 3);
    for (uint32_t i = 1; i <= 4; i++) {
        struct moot_place_member member = {.node = i, .zone = i % 2, .weight = i};
        uint32_t rack = MOOT_CRUSH_ROOT, host = 0, device = 0;
        MOOT_ASSERT(moot_hash_ring_set(&ring, &member) == 0);
        MOOT_ASSERT(moot_skeleton_set(&skeleton, i, i) == 0);
        MOOT_ASSERT(moot_crush_add(&crush, MOOT_CRUSH_ROOT, 2, i, 0, &rack) == 0);
        MOOT_ASSERT(moot_crush_add(&crush, rack, 1, i, 0, &host) == 0);
        MOOT_ASSERT(moot_crush_add(&crush, host, 0, i, 10 * i, &device) == 0);
    }
    MOOT_ASSERT(moot_hash_ring_encode(&ring, bytes, sizeof(bytes), &size) == 0);
    save_after("placement", "ring", "\0", 1, moot_slice_make(bytes, size));
    MOOT_ASSERT(moot_skeleton_encode(&skeleton, bytes, sizeof(bytes), &size) == 0);
    save_after("placement", "skeleton", "\1", 1, moot_slice_make(bytes, size));
    MOOT_ASSERT(moot_crush_encode(&crush, bytes, sizeof(bytes), &size) == 0);
    save_after("placement", "crush", "\2", 1, moot_slice_make(bytes, size));
}

static void planned_places(void)
{
    static const struct moot_planner_options options = {.shards = 8, .replicas = 3};
    static const struct moot_planner_move moves[] = {{0, 5, 1, 2, 0}, {7, 4, 0, 0, 2}};
    static struct moot_slot_map slots;
    struct moot_key_range ranges[32];
    struct moot_range_map map;
    moot_node_id nodes[24];
    uint8_t bytes[4096];
    size_t size = 0;
    moot_range_map_init(&map, ranges, 32, 1);
    MOOT_ASSERT(moot_range_map_split(&map, MOOT_SLICE_LITERAL("m"), 2) == 0);
    MOOT_ASSERT(moot_range_map_split(&map, MOOT_SLICE_LITERAL("melon"), 3) == 0);
    MOOT_ASSERT(moot_range_map_encode(&map, bytes, sizeof(bytes), &size) == 0);
    save_after("placement", "ranges", "\3", 1, moot_slice_make(bytes, size));
    moot_slot_map_init(&slots);
    MOOT_ASSERT(moot_slot_map_assign(&slots, 0, 5460, 1) == 0);
    MOOT_ASSERT(moot_slot_map_assign(&slots, 5461, 16383, 2) == 0);
    MOOT_ASSERT(moot_slot_map_encode(&slots, bytes, sizeof(bytes), &size) == 0);
    save_after("placement", "slots", "\4", 1, moot_slice_make(bytes, size));
    for (size_t i = 0; i < MOOT_ARRAY_LEN(nodes); i++) {
        nodes[i] = (moot_node_id)((i + i / 3) % 5 + 1);
    }
    MOOT_ASSERT(moot_planner_map_encode(&options, nodes, bytes, sizeof(bytes), &size) == 0);
    save_after("placement", "plan", "\5", 1, moot_slice_make(bytes, size));
    size_t count = MOOT_ARRAY_LEN(moves);
    MOOT_ASSERT(moot_planner_moves_encode(moves, count, bytes, sizeof(bytes), &size) == 0);
    save_after("placement", "moves", "\5", 1, moot_slice_make(bytes, size));
}

/* Jepsen's own words: there is no code of ours that writes them. */
static void jepsen_histories(void)
{
    static const struct {
        const char *name, *text;
    } texts[] = {
        {"register",
         "{:type :invoke, :f :write, :value 3, :process 0, :time 120, :index 0}\n"
         "{:type :invoke, :f :read, :value nil, :process 1, :time 130, :index 1}\n"
         "{:type :ok, :f :write, :value 3, :process 0, :time 190, :index 2}\n"
         "{:type :ok, :f :read, :value 3, :process 1, :time 191, :index 3}\n"
         "{:type :invoke, :f :cas, :value [3 -4], :process 1, :time 200, :index 4}\n"
         "{:type :info, :f :cas, :value [3 -4], :process 1, :time 201, :error :timeout}\n"},
        {"keyed", "[{:type :invoke, :f :read, :value [7 nil], :process 2}\n"
                  " {:type :info, :f :kill, :process :nemesis, :value \"n1\"}\n"
                  " {:type :ok, :f :read, :value [7 1], :process 2}]\n"},
        {"transactions",
         "#jepsen.history.Op{:type :invoke, :f :txn, :value [[:r :x nil] [:append :y 1]], :process "
         "0}\n; a comment\n#_ hidden\n"
         "#jepsen.history.Op{:type :ok, :f :txn, :value [[:r :x [1 2]] [:append :y 1]], :process "
         "0}\n"},
        {"bag", "({:type :invoke :f :enqueue :value \"a\\\"\\n\" :process 0}, {:type :fail :f "
                ":enqueue :value \"a\\\"\\n\" :process 0} {:type :invoke :f :add :value 1.5e3 "
                ":process 1} {:type :ok :f :add :value #{1 true nil} :process 1})"},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(texts); i++) {
        save("edn", texts[i].name, moot_slice_text(texts[i].text));
    }
}

/* A recording of a node that opens, gets a command and a message, and stops. */
static void recordings(void)
{
    static const struct moot_input inputs[] = {
        {.kind = MOOT_INPUT_CLIENT_BYTES, .connection = 1, .bytes = {(uint8_t *)"PING\r\n", 6}},
        {.kind = MOOT_INPUT_PEER_MESSAGE, .node = 2, .bytes = {(uint8_t *)"message", 7}}};
    const struct moot_replay_record records[] = {
        {.kind = MOOT_REPLAY_OPEN,
         .open = {.version = MOOT_SLICE_LITERAL("0"), .seed = 1, .segments_max = 4}},
        {.kind = MOOT_REPLAY_ANSWER,
         .answer = {.call = MOOT_REPLAY_DISK_LIST, .a = {(uint8_t *)"journal", 8}}},
        {.kind = MOOT_REPLAY_OPENED, .opened = {.incarnation = 2}},
        {.kind = MOOT_REPLAY_TURN, .turn = {1, {{5}, 6}, inputs, 2}},
        {.kind = MOOT_REPLAY_EFFECTS, .effects = {.turn = 1, .count = {1}, .hash = {2}}},
        {.kind = MOOT_REPLAY_END, .end = MOOT_REPLAY_STOPPED}};
    struct moot_buffer all, file;
    moot_buffer_init(&all);
    moot_buffer_init(&file);
    moot_replay_file_header(&file);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(records); i++) {
        moot_replay_encode(&records[i], &all);
    }
    moot_replay_chunk(0, moot_buffer_slice(&all), &file);
    save_after("replay", "records", "\0", 1, moot_buffer_slice(&all));
    save_after("replay", "file", "\1", 1, moot_buffer_slice(&file));
    moot_buffer_deinit(&all);
    moot_buffer_deinit(&file);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    folder = argv[1];
    mkdir(folder, 0777);
    commands();
    exec_item();
    messages();
    frames();
    handshakes();
    entries();
    identities();
    datagrams();
    keys();
    snapshots();
    journals();
    histories();
    clocks();
    detectors();
    plans();
    swims();
    merkles();
    computed_places();
    planned_places();
    jepsen_histories();
    recordings();
    return 0;
}
