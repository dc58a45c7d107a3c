/* The conversation: the responder's two answers, and the initiator. */
#include <string.h>

#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"
#include "moot/merkle.h"
#include "protocol/digest/merkle_internal.h"

/* ---- the responder ---- */

int moot_merkle_answer_nodes(const struct moot_merkle *tree, uint64_t scope,
                             const struct moot_merkle_message *request,
                             struct moot_merkle_message *reply)
{
    if (request->kind != MOOT_MERKLE_NODES || request->count > MOOT_MERKLE_NODES_PER_MESSAGE) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (!MOOT_RULE(merkle_same_scope, request->scope == scope)) {
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    memset(reply, 0, sizeof(*reply));
    reply->kind = MOOT_MERKLE_NODES_REPLY;
    reply->scope = scope;
    reply->round = request->round;
    reply->count = request->count;
    for (uint32_t i = 0; i < request->count; i++) {
        uint32_t first;
        uint32_t node = request->nodes.node[i];
        uint32_t count = node < tree->nodes ? merkle__children(tree, node, &first) : 0;
        if (count == 0) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        for (uint32_t child = 0; child < count; child++) {
            if (tree->digests[first + child] != request->nodes.child[i][child]) {
                reply->differs[i] |= (uint16_t)(1u << child);
            }
        }
    }
    return MOOT_OK;
}

int moot_merkle_answer_items(const struct moot_merkle_item *mine, size_t count, uint64_t covered,
                             uint64_t scope, const struct moot_merkle_message *request,
                             struct moot_merkle_message *reply)
{
    if (request->kind != MOOT_MERKLE_ITEMS || request->count > MOOT_MERKLE_ITEMS_PER_MESSAGE ||
        covered < request->items.from) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (!MOOT_RULE(merkle_same_scope, request->scope == scope)) {
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    memset(reply, 0, sizeof(*reply));
    reply->kind = MOOT_MERKLE_ITEMS_REPLY;
    reply->scope = scope;
    reply->round = request->round;
    reply->items_reply.leaf = request->items.leaf;
    reply->items_reply.upto = moot_min_u64(request->items.upto, covered);
    const struct moot_merkle_item *theirs = request->items.item;
    size_t a = 0;
    uint32_t b = 0;
    for (;;) { /* Two sorted lists side by side. */
        bool has_mine = a < count && mine[a].key <= reply->items_reply.upto;
        bool has_theirs = b < request->count && theirs[b].key <= reply->items_reply.upto;
        if (!has_mine && !has_theirs) {
            return MOOT_OK;
        }
        uint64_t key =
            !has_theirs || (has_mine && mine[a].key < theirs[b].key) ? mine[a].key : theirs[b].key;
        MOOT_ASSERT(!has_mine || mine[a].key >= request->items.from);
        bool in_mine = has_mine && mine[a].key == key;
        bool in_theirs = has_theirs && theirs[b].key == key;
        if (!in_mine || !in_theirs || mine[a].value != theirs[b].value) {
            if (reply->count == 2 * MOOT_MERKLE_ITEMS_PER_MESSAGE) {
                reply->items_reply.upto = key - 1; /* It is not the first: some precede it. */
                return MOOT_OK;
            }
            reply->items_reply.key[reply->count++] = key;
        }
        a += in_mine;
        b += in_theirs;
    }
}

/* ---- the initiator ---- */

size_t moot_merkle_compare_size(const struct moot_merkle *tree)
{
    return ((size_t)tree->nodes + 63) / 64 * sizeof(uint64_t);
}

void moot_merkle_compare_init(struct moot_merkle_compare *compare, const struct moot_merkle *tree,
                              void *memory, struct moot_duration patience)
{
    MOOT_ASSERT((uintptr_t)memory % 8 == 0);
    MOOT_ASSERT(patience.ns > 0);
    memset(compare, 0, sizeof(*compare));
    memset(memory, 0, moot_merkle_compare_size(tree));
    compare->tree = tree;
    compare->pending = memory;
    compare->patience = patience;
    compare->deadline = MOOT_NEVER;
}

struct moot_instant moot_merkle_compare_deadline(const struct moot_merkle_compare *compare)
{
    return compare->deadline;
}

static void set_pending(struct moot_merkle_compare *compare, uint32_t node, bool pending)
{
    MOOT_ASSERT(node < compare->tree->nodes);
    uint64_t bit = UINT64_C(1) << node % 64;
    uint64_t *word = &compare->pending[node / 64];
    *word = pending ? *word | bit : *word & ~bit;
}

/* The first node at or after `from` that is known to differ; tree->nodes when there is none. */
static uint32_t next_pending(const struct moot_merkle_compare *compare, uint32_t from)
{
    uint32_t nodes = compare->tree->nodes;
    while (from < nodes) {
        uint64_t word = compare->pending[from / 64] >> from % 64;
        if (word != 0) {
            return from + (uint32_t)__builtin_ctzll(word);
        }
        from = (from / 64 + 1) * 64;
    }
    return nodes;
}

static uint32_t first_leaf(const struct moot_merkle *tree) { return tree->first[tree->levels - 1]; }

static void send(struct moot_merkle_compare *compare, struct moot_instant now,
                 struct moot_merkle_effects *out)
{
    compare->message.scope = compare->scope;
    compare->message.round = ++compare->round;
    compare->deadline = moot_instant_add(now, compare->patience);
    out->next = MOOT_MERKLE_EFFECT_SEND;
}

/* The children of the first inner nodes that differ, as many as fit. */
static void ask_nodes(struct moot_merkle_compare *compare, struct moot_instant now,
                      struct moot_merkle_effects *out)
{
    const struct moot_merkle *tree = compare->tree;
    struct moot_merkle_message *message = &compare->message;
    memset(message, 0, sizeof(*message));
    message->kind = MOOT_MERKLE_NODES;
    for (uint32_t node = compare->at;
         node < first_leaf(tree) && message->count < MOOT_MERKLE_NODES_PER_MESSAGE;
         node = next_pending(compare, node + 1)) {
        uint32_t first;
        uint32_t count = merkle__children(tree, node, &first);
        message->nodes.node[message->count] = node;
        memcpy(message->nodes.child[message->count], &tree->digests[first],
               count * sizeof(tree->digests[0]));
        message->count += 1;
    }
    MOOT_ASSERT(message->count > 0);
    send(compare, now, out);
}

static void ask_for_list(struct moot_merkle_compare *compare, struct moot_merkle_effects *out)
{
    compare->deadline = MOOT_NEVER;
    compare->message.kind = MOOT_MERKLE_NONE; /* No answer is awaited. */
    out->next = MOOT_MERKLE_EFFECT_LIST;
    out->leaf = compare->at - first_leaf(compare->tree);
    out->from = compare->from;
}

/* What to do next: the lowest node that is pending. */
static void go_on(struct moot_merkle_compare *compare, struct moot_instant now,
                  struct moot_merkle_effects *out)
{
    compare->at = next_pending(compare, compare->at);
    compare->from = 0;
    if (compare->at == compare->tree->nodes) {
        compare->active = false;
        compare->deadline = MOOT_NEVER;
        compare->message.kind = MOOT_MERKLE_NONE;
        out->next = MOOT_MERKLE_EFFECT_DONE;
    } else if (compare->at < first_leaf(compare->tree)) {
        ask_nodes(compare, now, out);
    } else {
        ask_for_list(compare, out);
    }
}

static void on_start(struct moot_merkle_compare *compare, const struct moot_merkle_event *event,
                     struct moot_merkle_effects *out)
{
    memset(compare->pending, 0, moot_merkle_compare_size(compare->tree));
    compare->scope = event->scope;
    compare->active = true;
    compare->at = 0;
    set_pending(compare, 0, true);
    go_on(compare, event->now, out);
}

static void on_nodes_reply(struct moot_merkle_compare *compare, struct moot_instant now,
                           const struct moot_merkle_message *reply, struct moot_merkle_effects *out)
{
    const struct moot_merkle_message *asked = &compare->message;
    if (asked->kind != MOOT_MERKLE_NODES || reply->count != asked->count) {
        return;
    }
    for (uint32_t i = 0; i < asked->count; i++) {
        uint32_t first;
        uint32_t count = merkle__children(compare->tree, asked->nodes.node[i], &first);
        set_pending(compare, asked->nodes.node[i], false);
        for (uint32_t child = 0; child < count; child++) {
            if ((reply->differs[i] >> child & 1) != 0) {
                set_pending(compare, first + child, true);
            }
        }
    }
    go_on(compare, now, out);
}

static void on_items_reply(struct moot_merkle_compare *compare, struct moot_instant now,
                           const struct moot_merkle_message *reply, struct moot_merkle_effects *out)
{
    const struct moot_merkle_message *asked = &compare->message;
    if (asked->kind != MOOT_MERKLE_ITEMS || reply->items_reply.leaf != asked->items.leaf ||
        reply->items_reply.upto < asked->items.from ||
        reply->items_reply.upto > asked->items.upto ||
        reply->count > MOOT_ARRAY_LEN(compare->different) ||
        (reply->count > 0 && reply->items_reply.key[0] < asked->items.from)) {
        return;
    }
    uint64_t upto = reply->items_reply.upto;
    memcpy(compare->different, reply->items_reply.key, reply->count * sizeof(uint64_t));
    out->different = compare->different;
    out->different_count = reply->count;
    out->different_leaf = asked->items.leaf;
    if (upto < UINT64_MAX) {
        MOOT_SOMETIMES(true, "a leaf was compared in several messages");
        compare->from = upto + 1;
        ask_for_list(compare, out);
        return;
    }
    set_pending(compare, compare->at, false);
    compare->at += 1;
    go_on(compare, now, out);
}

static void on_listed(struct moot_merkle_compare *compare, const struct moot_merkle_event *event,
                      struct moot_merkle_effects *out)
{
    MOOT_ASSERT(event->item_count <= MOOT_MERKLE_ITEMS_PER_MESSAGE);
    if (!compare->active || compare->deadline.ns != MOOT_NEVER.ns) {
        return; /* Started again since. */
    }
    struct moot_merkle_message *message = &compare->message;
    memset(message, 0, sizeof(*message));
    message->kind = MOOT_MERKLE_ITEMS;
    message->count = event->item_count;
    message->items.leaf = compare->at - first_leaf(compare->tree);
    message->items.from = compare->from;
    MOOT_ASSERT(!event->more || event->item_count > 0);
    message->items.upto = event->more ? event->items[event->item_count - 1].key : UINT64_MAX;
    for (uint32_t i = 0; i < event->item_count; i++) {
        MOOT_ASSERT(event->items[i].key >= (i == 0 ? compare->from : event->items[i - 1].key + 1));
        message->items.item[i] = event->items[i];
    }
    send(compare, event->now, out);
}

void moot_merkle_compare_step(struct moot_merkle_compare *compare,
                              const struct moot_merkle_event *event,
                              struct moot_merkle_effects *out)
{
    *out = (struct moot_merkle_effects){.next = MOOT_MERKLE_EFFECT_NONE};
    switch (event->kind) {
    case MOOT_MERKLE_EVENT_START:
        on_start(compare, event, out);
        break;
    case MOOT_MERKLE_EVENT_REPLY:
        if (!compare->active || event->message->round != compare->message.round ||
            event->message->scope != compare->scope) {
            MOOT_SOMETIMES(true, "an answer to another question was dropped");
        } else if (event->message->kind == MOOT_MERKLE_NODES_REPLY) {
            on_nodes_reply(compare, event->now, event->message, out);
        } else if (event->message->kind == MOOT_MERKLE_ITEMS_REPLY) {
            on_items_reply(compare, event->now, event->message, out);
        }
        break;
    case MOOT_MERKLE_EVENT_LISTED:
        on_listed(compare, event, out);
        break;
    case MOOT_MERKLE_EVENT_TICK:
        if (compare->active && !moot_instant_before(event->now, compare->deadline)) {
            MOOT_SOMETIMES(true, "a comparison's message was sent again");
            compare->deadline = moot_instant_add(event->now, compare->patience);
            out->next = MOOT_MERKLE_EFFECT_SEND;
        }
        break;
    }
}
