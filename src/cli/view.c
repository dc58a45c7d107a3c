#include "cli/view.h"

#include <jansson.h>
#include <stdio.h>

#include "cli/client.h"

static int64_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void text(const json_t *object, const char *name, char *out, size_t size)
{
    const char *value = json_string_value(json_object_get(object, name));
    snprintf(out, size, "%s", value == NULL ? "" : value);
}

bool cli_view_read(struct cli_view *view, const char *json, size_t size)
{
    json_t *root = json_loadb(json, size, 0, NULL);
    *view = (struct cli_view){0};
    if (!json_is_object(root)) {
        json_decref(root);
        return false;
    }
    view->node = number(root, "node");
    view->leader = number(root, "leader");
    view->term = number(root, "term");
    view->commit = number(root, "commit");
    view->applied = number(root, "applied");
    view->ops = number(root, "ops");
    text(root, "last_hand_over", view->handed_over, sizeof(view->handed_over));
    view->changing = json_is_true(json_object_get(root, "changing"));
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(root, "nodes"), i, item)
    {
        if (view->member_count < MOOT_NODES_MAX) {
            struct cli_member *member = &view->members[view->member_count++];
            member->node = number(item, "node");
            member->match = number(item, "match");
            text(item, "client", member->client, sizeof(member->client));
            text(item, "peer", member->peer, sizeof(member->peer));
            text(item, "role", member->role, sizeof(member->role));
            text(item, "health", member->health, sizeof(member->health));
            member->phi_milli = number(item, "phi_milli");
        }
    }
    json_decref(root);
    return true;
}

bool cli_view_ask(struct cli_view *view, const char *address, int limit_ms, char why[256])
{
    struct moot_buffer json;
    moot_buffer_init(&json);
    bool done = cli_status_of(address, limit_ms, &json, why) == 0;
    if (done && !cli_view_read(view, (const char *)json.data, json.size)) {
        snprintf(why, 256, "%.100s answered MOOT STATUS with something that is not JSON", address);
        done = false;
    }
    moot_buffer_deinit(&json);
    return done;
}
